"""Bad input is kept with its reason, and the next good input is unaffected."""

import hashlib

import psycopg
import pytest

from tests.ingest.conftest import Device, fix, until
from tests.ingest.tenants import Tenant, soon
from tests.servers import DatabaseUnderTest

PLACE = (13.4, 52.5)
GOOD = b'{"time": "2024-05-01T00:00:00Z", "lat": 52.5, "lon": 13.4}'

CASES = {
    "not JSON": (b"hello", "undecodable"),
    "nothing": (b"", "undecodable"),
    "NaN": (b'{"time": "2024-05-01T00:00:00Z", "lat": NaN, "lon": 13.4}', "undecodable"),
    "latitude 91": (GOOD.replace(b"52.5", b"91"), "bad_coordinate"),
    "a position of 0,0": (GOOD.replace(b"52.5", b"0").replace(b"13.4", b"0"), "bad_coordinate"),
    "no position": (b'{"time": "2024-05-01T00:00:00Z"}', "no_position"),
    "a year of 2099": (GOOD.replace(b"2024", b"2099"), "future"),
    "a year of 1980": (GOOD.replace(b"2024", b"1980"), "ancient"),
    "a message of 1 MB": (b" " * 1_000_000 + GOOD, "oversize"),
}


@pytest.mark.parametrize(("payload", "reason"), CASES.values(), ids=CASES.keys())
async def test_bad_input_is_kept_and_the_next_good_input_is_stored(
    tenant: Tenant, device: Device, ingest: object, payload: bytes, reason: str
) -> None:
    vehicle = await tenant.vehicle()
    await device.send_raw(f"trackers/{vehicle.name}/fixes", payload)
    await device.send(vehicle, fix(soon(-1), *PLACE))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 1)
    ((stored_reason, kept, size, digest),) = tenant.rows(
        "SELECT reason, payload, payload_bytes, payload_sha256 FROM quarantine"
    )
    assert stored_reason == reason
    assert (size, digest) == (len(payload), hashlib.sha256(payload).digest())
    assert kept == (payload if len(payload) <= 64 * 1024 else None)


async def test_one_bad_fix_of_an_array_is_kept_alone(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    fixes = [fix(soon(number - 10), *PLACE) for number in range(3)]
    fixes[1]["lat"] = 95
    await device.send(vehicle, *fixes)
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 2)
    assert tenant.rows("SELECT reason, positions FROM quarantine") == [("bad_coordinate", [1])]


async def test_a_message_full_of_bad_fixes_is_kept_once_for_each_reason(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    bad = [fix(soon(-1000 + number), 13.4, 95 if number % 3 else 52) for number in range(900)]
    for number in range(0, 900, 9):
        del bad[number]["lat"]
    await device.send(vehicle, *bad)
    await until(lambda: len(tenant.rows("SELECT FROM quarantine")) == 2)
    rows = dict(tenant.rows("SELECT reason, cardinality(positions) FROM quarantine"))
    assert rows == {"bad_coordinate": 600, "no_position": 100}
    assert len(tenant.rows("SELECT FROM gps_events")) == 200


async def test_the_same_refusal_again_is_counted_not_kept_again(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    for _ in range(3):
        await device.send_raw(f"trackers/{vehicle.name}/fixes", b"hello")
    await until(lambda: tenant.rows("SELECT seen FROM quarantine") == [(3,)])


async def test_a_message_of_an_unknown_tracker_is_the_operators_only(
    tenant: Tenant, device: Device, ingest: object, database: DatabaseUnderTest
) -> None:
    vehicle = await tenant.vehicle()
    topic = f"trackers/trk_{'0' * 26}/fixes"
    await device.send_raw(topic, GOOD)
    await device.send(vehicle, fix(soon(-1), *PLACE))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 1)
    assert tenant.rows("SELECT FROM quarantine") == []
    with psycopg.connect(database.url("admin")) as conn:
        rows = conn.execute("SELECT reason FROM quarantine WHERE topic = %s", (topic,)).fetchall()
    assert rows == [("unknown_tracker",)]


async def test_nothing_of_a_revoked_tracker_is_stored(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    await device.send(vehicle, fix(soon(-3), *PLACE))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 1)
    await tenant.revoke(vehicle)
    await device.send(vehicle, fix(soon(-2), *PLACE))
    await until(lambda: tenant.rows("SELECT reason FROM quarantine") == [("revoked_tracker",)])
    assert len(tenant.rows("SELECT FROM gps_events")) == 1
