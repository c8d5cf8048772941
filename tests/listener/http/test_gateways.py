"""Gateways at the door: their devices are found among their own organization's trackers alone."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from db.core.ids import new_id
from db.core.secrets import secret_hash
from db.core.table import db_now
from db.resources.gateways import Gateway, gateways
from telemetry.ids import format_id
from tests.db.rows import transaction
from tests.ingest.tenants import Tenant, Vehicle
from tests.listener.registering import change, registered
from tests.listener.running import System
from tests.servers import DatabaseUnderTest

STORED = "SELECT tracker_id, lat, lon FROM gps_events"
IMEI = "867060033461332"
NOW = datetime.now(UTC).isoformat()


async def gateway_of(
    tenant: Tenant, kind: str = "traccar", mapping: dict[str, Any] | None = None
) -> str:
    """Return the id of a new gateway; its secret is "secret"."""
    async with transaction(tenant.database, "opsc_app", tenant.org_id) as conn:
        at = await db_now(conn)
        row = Gateway(new_id(), "Gate", kind, None, at, at, mapping)
        await gateways.insert(conn, row, secret_hash=secret_hash("secret"))
    return format_id("gtw", row.id)


async def known_as(tenant: Tenant, external_id: str) -> Vehicle:
    """Return a vehicle whose tracker has an external id."""
    vehicle = await registered(tenant)
    await change(tenant, vehicle.tracker_id, external_id=external_id)
    return vehicle


async def revoke(tenant: Tenant, gateway: str, secret: str | None = None) -> None:
    """Revoke a gateway, or give it another secret."""
    async with transaction(tenant.database, "opsc_app", tenant.org_id) as conn:
        changed = "revoked_at = now()" if secret is None else "secret_hash = %(hash)s"
        hashed = secret_hash(secret or "")
        await conn.execute(
            f"UPDATE gateways SET {changed}, updated_at = now()".encode(), {"hash": hashed}
        )


def position(device: str = IMEI, lat: float = 52.5) -> dict[str, Any]:
    return {
        "position": {"latitude": lat, "longitude": 13.4, "fixTime": NOW, "valid": True},
        "device": {"uniqueId": device},
    }


async def sent(http: aiohttp.ClientSession, url: str, body: object) -> tuple[int, str | None]:
    async with http.post(url, data=json.dumps(body)) as answered:
        return answered.status, answered.headers.get("opsc-result")


FORWARDED = {
    "traccar": position(),
    "chirpstack": {
        "time": NOW,
        "deviceInfo": {"devEui": IMEI},
        "location": {"latitude": 52.5, "longitude": 13.4},
    },
    "tts": {
        "end_device_ids": {"dev_eui": IMEI},
        "uplink_message": {
            "received_at": NOW,
            "locations": {"frm-payload": {"latitude": 52.5, "longitude": 13.4}},
        },
    },
}


@pytest.mark.parametrize("kind", FORWARDED)
async def test_what_a_gateway_forwards_is_of_the_tracker_that_it_names(
    system: System, tenant: Tenant, http: aiohttp.ClientSession, kind: str
) -> None:
    vehicle, gateway = await known_as(tenant, IMEI), await gateway_of(tenant, kind)
    for door in ("gateways", "traccar"):
        url = f"{system.ingest_url}/{door}/{gateway}.secret"
        assert await sent(http, url, FORWARDED[kind]) == (200, "stored")
    assert tenant.rows(STORED) == [(vehicle.tracker_id, 52.5, 13.4)]


async def test_devices_of_other_organizations_are_unknown(
    database: DatabaseUnderTest, system: System, tenant: Tenant, http: aiohttp.ClientSession
) -> None:
    other = await Tenant.create(database)
    await known_as(other, IMEI)
    url = f"{system.ingest_url}/gateways/{await gateway_of(tenant)}.secret"
    assert await sent(http, url, position()) == (200, "unknown_tracker")
    vehicle = await known_as(tenant, IMEI)  # from now on it is known here
    assert await sent(http, url, position()) == (200, "stored")
    assert tenant.rows(STORED) == [(vehicle.tracker_id, 52.5, 13.4)]
    assert other.rows(STORED) == []


async def test_a_message_without_a_device_is_accepted_and_not_kept(
    system: System, tenant: Tenant, http: aiohttp.ClientSession
) -> None:
    url = f"{system.ingest_url}/gateways/{await gateway_of(tenant)}.secret"
    assert await sent(http, url, {"position": {}}) == (200, "undecodable")
    assert await sent(http, url, "x" * 600_000) == (200, "oversize")


async def test_a_device_has_a_name_as_long_as_it_is_its_own(
    system: System, tenant: Tenant, http: aiohttp.ClientSession
) -> None:
    first, url = await known_as(tenant, IMEI), ""
    url = f"{system.ingest_url}/gateways/{await gateway_of(tenant)}.secret"
    assert await sent(http, url, position()) == (200, "stored")
    await change(tenant, first.tracker_id, external_id=None)
    second = await known_as(tenant, IMEI)
    await asyncio.sleep(1)
    assert await sent(http, url, position(lat=52.6)) == (200, "stored")
    assert {row[0] for row in tenant.rows(STORED)} == {first.tracker_id, second.tracker_id}


async def test_keys_are_of_one_kind_and_end(
    system: System, tenant: Tenant, http: aiohttp.ClientSession
) -> None:
    vehicle, gateway = await known_as(tenant, IMEI), await gateway_of(tenant)
    url = system.ingest_url
    assert await sent(http, f"{url}/fixes/{gateway}.secret", position()) == (401, None)
    assert await sent(http, f"{url}/gateways/{vehicle.name}.secret", position()) == (401, None)
    assert await sent(http, f"{url}/gateways/{gateway}.wrong", position()) == (401, None)
    assert await sent(http, f"{url}/gateways/{gateway}.secret", position()) == (200, "stored")
    await revoke(tenant, gateway, secret="other")
    await asyncio.sleep(1.5)
    assert await sent(http, f"{url}/gateways/{gateway}.secret", position()) == (401, None)
    assert await sent(http, f"{url}/gateways/{gateway}.other", position()) == (200, "stored")
    await revoke(tenant, gateway)
    await asyncio.sleep(1.5)
    assert await sent(http, f"{url}/gateways/{gateway}.other", position()) == (401, None)
