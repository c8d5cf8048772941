"""Gateways over MQTT, by a real client: what each kind publishes, whose it is, and the bounds."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from listener.devices.forwarding import MOST_CONNECTIONS
from telemetry.ids import format_id
from tests.ingest.tenants import Tenant
from tests.listener.http.test_gateways import (
    FORWARDED,
    IMEI,
    gateway_of,
    known_as,
    position,
    revoke,
    sent,
)
from tests.listener.registering import rows
from tests.listener.running import System, running
from tests.listener.wire import CONNACK, Wire, connect
from tests.servers import DatabaseUnderTest
from tests.waiting import until

STORED = "SELECT tracker_id, lat, lon FROM gps_events ORDER BY time"
UNKNOWN = "SELECT external_id, protocol, format FROM unknown_devices"
# https://www.chirpstack.io/docs/chirpstack/integrations/mqtt.html: event_topic and command_topic.
UPLINKS = f"application/17c82e96-be03-4f38-aef3-f83d48582d97/device/{IMEI}/event/up"
COMMANDS = "application/+/device/+/command/+"
HOME_ASSISTANT = {
    "device_topic_level": 2,
    "lat": "/latitude",
    "lon": "/longitude",
    "accuracy_m": "/gps_accuracy",
    "battery_pct": "/battery_level",
}


@pytest.fixture(scope="module")
def system(database: DatabaseUnderTest) -> Iterator[System]:
    with running(database) as system:
        yield system


@asynccontextmanager
async def connected(
    system: System,
    gateway: str,
    secret: str = "secret",
    *,
    client_id: str = "one",
    version: int = 4,
) -> AsyncIterator[aiomqtt.Client]:
    protocol = aiomqtt.ProtocolVersion(version)
    more: dict[str, Any] = {"clean_session": False} if version == 4 else {"clean_start": False}
    if version == 5:
        more["properties"] = Properties(PacketTypes.CONNECT)
        more["properties"].SessionExpiryInterval = 600
    async with aiomqtt.Client(
        system.host, system.port, identifier=client_id, username=gateway, password=secret,
        protocol=protocol, **more,
    ) as client:  # fmt: skip
        yield client


async def say(client: aiomqtt.Client, message: object, topic: str = "positions") -> None:
    """Publish and wait for the PUBACK."""
    await client.publish(topic, json.dumps(message), qos=1)


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("kind", FORWARDED)
async def test_what_a_gateway_publishes_is_of_the_tracker_that_it_names(
    system: System, tenant: Tenant, kind: str, version: int
) -> None:
    vehicle, gateway = await known_as(tenant, IMEI), await gateway_of(tenant, kind)
    async with connected(system, gateway, version=version) as client:
        await say(client, FORWARDED[kind])
    assert tenant.rows(STORED) == [(vehicle.tracker_id, 52.5, 13.4)]


async def test_an_uplink_of_chirpstack_that_comes_twice_is_stored_once(
    system: System, tenant: Tenant
) -> None:
    """As its broker delivers it: the place of the gateway that heard it is none of the device's."""
    vehicle, gateway = await known_as(tenant, IMEI), await gateway_of(tenant, "chirpstack")
    heard = {"gatewayId": "0016c001ff10a235", "location": {"latitude": 46.1, "longitude": 7.1}}
    uplink = {
        "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
        "time": datetime.now(UTC).isoformat(),
        "deviceInfo": {"devEui": IMEI},
        "fPort": 1,
        "object": {"latitude": 52.5, "longitude": 13.4, "battery": 3.6},
        "rxInfo": [heard],
    }
    async with connected(system, gateway) as client:
        granted = await client.subscribe(COMMANDS, qos=1)
        assert [code.value for code in granted] == [0x80]
        await say(client, uplink, UPLINKS)
        await say(client, uplink, UPLINKS)
        await say(client, {"deviceInfo": {"devEui": IMEI}, "margin": 7}, UPLINKS[:-2] + "status")
    assert tenant.rows(STORED) == [(vehicle.tracker_id, 52.5, 13.4)]


async def test_devices_of_other_organizations_are_unknown(
    database: DatabaseUnderTest, system: System, tenant: Tenant
) -> None:
    other = await Tenant.create(database)
    theirs, gateway = await known_as(other, IMEI), await gateway_of(tenant)
    async with connected(system, gateway, version=5) as client:
        await say(client, position())
        await say(client, position(theirs.name))
        for topic in (f"trackers/{theirs.name}/fixes", f"owntracks/{theirs.name}/phone"):
            await say(client, {"time": datetime.now(UTC).isoformat(), "lat": 1, "lon": 1}, topic)
            with pytest.raises(aiomqtt.MqttError):
                await _granted(client, topic)
    assert other.rows(STORED) == tenant.rows(STORED) == []
    await until(lambda: len(tenant.rows(UNKNOWN)) == 2)
    assert (IMEI, "mqtt", "traccar") in tenant.rows(UNKNOWN)
    assert other.rows(UNKNOWN) == []


async def _granted(client: aiomqtt.Client, topic: str) -> None:
    codes = await client.subscribe(topic)
    if any(getattr(code, "value", code) >= 0x80 for code in codes):
        raise aiomqtt.MqttError("refused")


def generic(**fields: Any) -> dict[str, Any]:
    return {"lat": "/gps/lat", "lon": "/gps/lon", "device": "/id", **fields}


async def test_json_of_any_form_is_read_by_the_mapping_of_its_gateway(
    system: System, tenant: Tenant
) -> None:
    vehicle = await known_as(tenant, "7")
    mapping = generic(time="/at", time_unit="s", speed="/kmh", speed_unit="kmh")
    gateway = await gateway_of(tenant, "generic", mapping)
    at = int(datetime.now(UTC).timestamp())
    said = {"id": 7, "gps": {"lat": "52.5", "lon": 13.4}, "at": at, "kmh": 36}
    async with connected(system, gateway) as client:
        await say(client, said)
        await say(client, said)
        await say(client, {"id": 7, "gps": {"lat": 52.5}, "at": at})
    assert tenant.rows("SELECT tracker_id, lat, speed_mps FROM gps_events") == [
        (vehicle.tracker_id, 52.5, 10.0)
    ]
    assert tenant.rows("SELECT reason, detail FROM quarantine") == [
        ("no_position", "there is no lon at /gps/lon")
    ]


async def test_an_array_of_any_form_is_several_fixes_with_attributes(
    system: System, tenant: Tenant
) -> None:
    vehicle = await known_as(tenant, "7")
    mapping = generic(time="/at", time_unit="s", positions="/points", attributes="")
    gateway = await gateway_of(tenant, "generic", mapping)
    at = int(datetime.now(UTC).timestamp())
    places = [{"gps": {"lat": 52.5 + n, "lon": 13.4}, "at": at - n, "fuel": n} for n in range(3)]
    async with connected(system, gateway) as client:
        await say(client, {"id": 7, "points": [*places, {"at": at}]})
    assert tenant.rows("SELECT tracker_id, lat, attributes FROM gps_events ORDER BY lat") == [
        (vehicle.tracker_id, 52.5 + n, {"fuel": n}) for n in range(3)
    ]
    assert tenant.rows("SELECT reason, positions FROM quarantine") == [("no_position", [3])]


async def test_when_a_gateway_sent_last_is_written_down(system: System, tenant: Tenant) -> None:
    """Whatever it sends, by either way; the others of the organization stay silent."""
    gateway, began = await gateway_of(tenant), datetime.now(UTC)
    await gateway_of(tenant)
    seen = "SELECT gateway_id, last_seen_at FROM gateway_sightings"
    async with connected(system, gateway) as client:
        await say(client, position())  # of a device that nobody knows
    await until(lambda: len(tenant.rows(seen)) == 1)
    ((gateway_id, first),) = tenant.rows(seen)
    assert (format_id("gtw", gateway_id), first > began) == (gateway, True)
    async with aiohttp.ClientSession() as http:
        await sent(http, f"{system.ingest_url}/gateways/{gateway}.secret", position())
    await until(lambda: tenant.rows(seen)[0][1] > first)


async def test_json_of_home_assistant_is_of_the_time_of_its_receipt(
    system: System, tenant: Tenant
) -> None:
    """The attributes: https://www.home-assistant.io/integrations/device_tracker.mqtt."""
    vehicle = await known_as(tenant, "a4567d663eaf")
    gateway = await gateway_of(tenant, "generic", HOME_ASSISTANT)
    said = {"latitude": 32.87336, "longitude": -117.22743, "gps_accuracy": 1.2}
    before = datetime.now(UTC)
    async with connected(system, gateway) as client:
        await say(client, said, "homeassistant/device_tracker/a4567d663eaf/attributes")
        await say(client, "home", "homeassistant/device_tracker/a4567d663eaf/state")
    ((tracker_id, lat, accuracy_m, time, attributes),) = tenant.rows(
        "SELECT tracker_id, lat, accuracy_m, time, attributes FROM gps_events"
    )
    assert (tracker_id, lat, round(accuracy_m, 3)) == (vehicle.tracker_id, 32.87336, 1.2)
    assert before - timedelta(seconds=1) <= time <= datetime.now(UTC)
    assert attributes == {"time_source": "receipt"}


async def test_a_gateway_has_so_many_connections_and_a_client_one_of_them(
    system: System, tenant: Tenant
) -> None:
    gateway = await gateway_of(tenant)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(connected(system, gateway, client_id=f"{number}"))
            for number in range(MOST_CONNECTIONS)
        ]
        with pytest.raises(aiomqtt.MqttError):
            await stack.enter_async_context(connected(system, gateway, client_id="more"))
        again = await stack.enter_async_context(connected(system, gateway, client_id="0"))
        await say(again, position())
        with pytest.raises(aiomqtt.MqttError):
            async for _ in clients[0].messages:
                pass


async def test_a_key_that_is_wrong_rotated_or_revoked_ends_it(
    system: System, tenant: Tenant
) -> None:
    vehicle, gateway = await known_as(tenant, IMEI), await gateway_of(tenant)
    for name, secret in ((gateway, "wrong"), (vehicle.name, "wrong"), (gateway, "")):
        with pytest.raises(aiomqtt.MqttError):
            async with connected(system, name, secret):
                pass
    async with connected(system, gateway) as client:
        await revoke(tenant, gateway, secret="other")
        with pytest.raises(aiomqtt.MqttError):
            async for _ in client.messages:
                pass
    async with connected(system, gateway, "other") as client:
        await revoke(tenant, gateway)
        with pytest.raises(aiomqtt.MqttError):
            async for _ in client.messages:
                pass


async def test_a_client_finds_its_session_again(system: System, tenant: Tenant) -> None:
    gateway = await gateway_of(tenant)
    for is_present in (False, True):
        assert _finds_its_session(system, gateway) is is_present
    stored = "SELECT client_id FROM device_sessions WHERE org_id = %s AND expires_at > now()"
    await until(lambda: rows(tenant, stored, tenant.org_id) == [("c",)])
    system.listener.kill()
    system.listener.start()
    assert _finds_its_session(system, gateway)


async def test_nothing_that_is_acknowledged_is_lost_when_parts_are_killed(
    system: System, tenant: Tenant
) -> None:
    """Two devices by turns, the one with a past of many fixes; ingest is killed in the middle."""
    names = ("one", "two")
    trackers = {name: await known_as(tenant, name) for name in names}
    gateway, acknowledged = await gateway_of(tenant), set[tuple[str, int]]()
    began = datetime.now(UTC) - timedelta(hours=1)

    async def send(client: aiomqtt.Client, name: str, number: int) -> None:
        said = position(name, lat=1 + number / 1_000)
        said["position"]["fixTime"] = (began + timedelta(seconds=number)).isoformat()
        await say(client, said)
        acknowledged.add((name, number))

    async with connected(system, gateway) as client:
        sending = [
            asyncio.create_task(send(client, "two" if number % 10 == 0 else "one", number))
            for number in range(300)
        ]
        await until(lambda: len(acknowledged) > 20)
        system.ingest.kill()
        system.ingest.start()
        await asyncio.gather(*sending)
    stored = {
        (name, round((lat - 1) * 1_000))
        for name, tracker in trackers.items()
        for tracker_id, lat, _ in tenant.rows(STORED)
        if tracker_id == tracker.tracker_id
    }
    assert len(tenant.rows(STORED)) == 300
    assert acknowledged <= stored


def _finds_its_session(system: System, gateway: str) -> bool:
    with Wire(system.port) as wire:
        wire.send(connect(gateway, is_clean=False, session_expiry_s=600))
        found = wire.read()
        assert found is not None
        kind, body = found
        assert (kind, body[1]) == (CONNACK, 0)
        return body[0] == 1
