"""What OwnTracks encrypts is opened with the key of its tracker alone, over MQTT and HTTP."""

import base64
import json
from typing import Any

import aiohttp
import aiomqtt
import pytest
from nacl.secret import SecretBox as NaclBox

from db.core.registry_revision import bump
from db.core.secrets import ENCRYPTION_KEYS, SecretBox, new_secret_key, read_secret_keys
from db.resources import encryption_keys, trackers
from telemetry.times import to_us
from tests.db.rows import transaction
from tests.ingest.tenants import Tenant, Vehicle, soon
from tests.listener.registering import registered
from tests.listener.running import System, running
from tests.servers import DatabaseUnderTest

KEY = "s3cretkey"
RING = new_secret_key()
STORED = "SELECT tracker_id, lat FROM gps_events ORDER BY time"
QUARANTINE = "SELECT reason, detail, payload FROM quarantine"


@pytest.fixture(scope="module")
def system(database: DatabaseUnderTest) -> Any:
    with running(database, ingest={"OPSC_SECRET_KEY": RING}) as system:
        yield system


def encrypted(message: dict[str, Any], key: str = KEY) -> bytes:
    """Encrypt as the apps do: libsodium's secretbox, by its binding to Python."""
    box = NaclBox(key.encode().ljust(NaclBox.KEY_SIZE, b"\0"))
    sealed = bytes(box.encrypt(json.dumps(message).encode()))
    return json.dumps({"_type": "encrypted", "data": base64.b64encode(sealed).decode()}).encode()


def location(lat: float, after_s: int = -30) -> dict[str, Any]:
    tst = to_us(soon(after_s)) // 1_000_000
    return {"_type": "location", "tst": tst, "lat": lat, "lon": 13.4, "acc": 5}


async def give_key(
    tenant: Tenant, vehicle: Vehicle, key: str, owner: Vehicle | None = None
) -> None:
    """Set the key of a tracker, sealed for it, or for another one."""
    box = SecretBox(read_secret_keys(RING), ENCRYPTION_KEYS)
    sealed = box.seal(key.encode(), (owner or vehicle).tracker_id.bytes)
    async with transaction(tenant.database, "opsc_app", tenant.org_id) as conn:
        revision, at = await bump(conn)
        tracker = await trackers.table.get(conn, vehicle.tracker_id)
        await encryption_keys.put(conn, vehicle.tracker_id, sealed)
        await trackers.update(conn, tracker._replace(updated_at=at), revision)


def phone(system: System, vehicle: Vehicle) -> aiomqtt.Client:
    return aiomqtt.Client(system.host, system.port, username=vehicle.name, password="secret")


async def sent(http: aiohttp.ClientSession, system: System, vehicle: Vehicle, body: bytes) -> str:
    url = f"{system.ingest_url}/owntracks/{vehicle.name}.secret"
    async with http.post(url, data=body) as answered:
        assert (answered.status, await answered.read()) == (200, b"[]")
        return answered.headers["opsc-result"]


async def test_a_message_is_stored_where_the_tracker_has_the_key(
    database: DatabaseUnderTest, system: System
) -> None:
    tenant = await Tenant.create(database)
    vehicle, other = await registered(tenant), await registered(tenant)
    async with aiohttp.ClientSession() as http, phone(system, vehicle) as client:
        assert await sent(http, system, vehicle, encrypted(location(1))) == "undecodable"
        await give_key(tenant, vehicle, KEY)
        await give_key(tenant, other, KEY, owner=vehicle)  # a row that was copied does not open
        assert await sent(http, system, vehicle, encrypted(location(2))) == "stored"
        assert await sent(http, system, vehicle, encrypted(location(3), "other")) == "undecodable"
        damaged = encrypted(location(4)).replace(b'"data": "', b'"data": "AAAA')
        assert await sent(http, system, vehicle, damaged) == "undecodable"
        assert await sent(http, system, other, encrypted(location(5))) == "undecodable"
        assert await sent(http, system, vehicle, json.dumps(location(6, -20)).encode()) == "stored"
        topic = f"owntracks/{vehicle.name}/phone"
        await client.publish(topic, encrypted(location(7, -10)), qos=1)
    assert tenant.rows(STORED) == [(vehicle.tracker_id, lat) for lat in (2.0, 6.0, 7.0)]
    refused = tenant.rows(QUARANTINE)
    assert len(refused) == 4
    for reason, detail, payload in refused:
        assert reason == "undecodable"
        assert "encryption key" in detail
        assert b"encrypted" in payload
