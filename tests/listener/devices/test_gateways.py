"""Gateways over MQTT, by a real client: what each kind publishes, whose it is, and the bounds."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.properties import Properties
from paho.mqtt.packettypes import PacketTypes

from listener.devices.forwarding import MOST_CONNECTIONS
from tests.ingest.tenants import Tenant
from tests.listener.http.test_gateways import (
    FORWARDED,
    IMEI,
    gateway_of,
    known_as,
    position,
    revoke,
)
from tests.listener.running import System, running
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
