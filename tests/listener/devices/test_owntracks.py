"""A phone with OwnTracks: its topics, its will and its subscriptions, over a real client."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from telemetry.times import to_us
from tests.ingest.tenants import Tenant, Vehicle, soon
from tests.listener.registering import registered
from tests.listener.running import running
from tests.servers import DatabaseUnderTest
from tests.waiting import PATIENCE_S, until

STORED = "SELECT lat, speed_mps FROM gps_events ORDER BY time"
QUARANTINE = "SELECT reason, topic FROM quarantine"


@pytest.fixture(scope="module")
def port(database: DatabaseUnderTest) -> Iterator[int]:
    with running(database) as system:
        yield system.port


class Phone:
    """The app, signed in as a tracker; it has subscribed to what the app asks for."""

    def __init__(self, port: int, vehicle: Vehicle) -> None:
        self.base = f"owntracks/{vehicle.name}/phone"
        self._asked: dict[int, str] = {}
        self._granted: dict[int, bool] = {}
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"{vehicle.name}phone",
            protocol=MQTTProtocolVersion.MQTTv311,
            clean_session=False,
        )
        self._client.username_pw_set(vehicle.name, "secret")
        self._client.will_set(self.base, json.dumps(location(-30, 52.4)), qos=1)

        def answered(_: Client, __: Any, number: int, codes: list[Any], ___: Any) -> None:
            self._granted[number] = not codes[0].is_failure

        self._client.on_subscribe = answered
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        for wanted in (f"{self.base}/cmd", "owntracks/+/+", "owntracks/+/+/event"):
            _, number = self._client.subscribe(wanted, 1)
            assert number is not None
            self._asked[number] = wanted

    @property
    def granted(self) -> dict[str, bool]:
        """Return which subscriptions were granted, of those that are answered."""
        return {self._asked[number]: is_granted for number, is_granted in self._granted.items()}

    def say(self, payload: dict[str, Any] | str, below: str = "", qos: int = 1) -> None:
        """Publish, retained as the app does, and wait until it is answered."""
        sent = payload if isinstance(payload, str) else json.dumps(payload)
        message = self._client.publish(self.base + below, sent, qos, retain=True)
        message.wait_for_publish(PATIENCE_S)
        assert message.is_published()

    def vanish(self) -> None:
        """Lose the connection without a word, so that the will is sent."""
        connection = self._client.socket()
        assert isinstance(connection, socket.socket)
        self._client.loop_stop()
        connection.close()


def location(after_s: int, lat: float, **more: Any) -> dict[str, Any]:
    tst = to_us(soon(after_s)) // 1_000_000
    return {"_type": "location", "tst": tst, "lat": lat, "lon": 13.4, "acc": 5, **more}


async def test_a_phone_is_seen_and_what_is_no_place_is_borne(port: int, tenant: Tenant) -> None:
    vehicle = await registered(tenant)
    phone = await asyncio.to_thread(Phone, port, vehicle)

    def drive() -> None:
        phone.say(location(-60, 52.1, vel=36, tid="AK"))
        phone.say(location(-50, 52.2, vel=-1), qos=2)
        phone.say(location(-40, 52.3) | {"_type": "transition", "event": "enter"}, "/event")
        phone.say({"_type": "waypoint", "desc": "Home", "tst": 1, "lat": 1, "lon": 2}, "/waypoint")
        phone.say({"_type": "configuration", "deviceId": "phone"}, "/dump")
        phone.say({"_type": "lwt", "tst": 1})

    await asyncio.to_thread(drive)
    assert tenant.rows(STORED) == [(52.1, 10.0), (52.2, None), (52.3, None)]
    assert phone.granted == {
        f"{phone.base}/cmd": True,
        "owntracks/+/+": False,
        "owntracks/+/+/event": False,
    }
    await asyncio.to_thread(phone.vanish)
    await until(lambda: tenant.rows(STORED)[-1] == (52.4, None))  # the will
    assert tenant.rows(QUARANTINE) == []


async def test_a_phone_that_encrypts_is_answered_and_kept_in_quarantine(
    port: int, tenant: Tenant
) -> None:
    phone = await asyncio.to_thread(Phone, port, await registered(tenant))
    await asyncio.to_thread(phone.say, {"_type": "encrypted", "data": "x"})
    assert tenant.rows(QUARANTINE) == [("undecodable", phone.base)]
    await asyncio.to_thread(phone.vanish)


async def test_a_phone_speaks_for_nobody_else(port: int, tenant: Tenant) -> None:
    mine, other = await registered(tenant), await registered(tenant)
    phone = await asyncio.to_thread(Phone, port, mine)
    phone.base = f"owntracks/{other.name}/phone"
    await asyncio.to_thread(phone.say, location(-60, 52.1))
    assert tenant.rows(STORED) == []
    assert tenant.rows(QUARANTINE) == [("wrong_topic", phone.base)]
    await asyncio.to_thread(phone.vanish)
