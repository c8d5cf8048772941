"""Bad input is kept with its reason, and the next good input is unaffected."""

import hashlib
import json
import secrets
import struct
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, NamedTuple

import psycopg
import pytest

from db.history.quarantine import Bounds, DailyBound
from ingest.planning.acceptance import Acceptance
from ingest.runtime import IngestRuntime
from telemetry.fix import Flag
from telemetry.formats.packed import RECORD_BYTES
from telemetry.rollover import ROUND_US
from tests.ingest.conftest import Device, fix, running, runtime
from tests.ingest.tenants import Tenant, Vehicle, soon
from tests.servers import BrokerUnderTest, DatabaseUnderTest
from tests.waiting import until

PLACE = (13.4, 52.5)
GOOD = b'{"time": "2024-05-01T00:00:00Z", "lat": 52.5, "lon": 13.4}'
ROUND = timedelta(microseconds=ROUND_US)


def _many(count: int) -> bytes:
    """Return fixes of one time that are told apart by seq."""
    return json.dumps([{**json.loads(GOOD), "seq": number} for number in range(count)]).encode()


class Case(NamedTuple):
    """refused: how many fixes of an array; 0: the whole message, or its one fix."""

    payload: bytes
    reason: str
    refused: int = 0
    level: str = "fixes"


CASES = {
    "not JSON": Case(b"hello", "undecodable"),
    "nothing": Case(b"", "undecodable"),
    "NaN": Case(GOOD.replace(b"52.5", b"NaN"), "undecodable"),
    "invalid UTF-8": Case(GOOD.replace(b"13.4", b'"\xff"'), "undecodable"),
    "half a record": Case(bytes(RECORD_BYTES // 2), "undecodable", 0, "packed"),
    "latitude 91": Case(GOOD.replace(b"52.5", b"91"), "bad_coordinate"),
    "a latitude of 1e308": Case(GOOD.replace(b"52.5", b"1e308"), "bad_coordinate"),
    "a position of 0,0": Case(
        GOOD.replace(b"52.5", b"0").replace(b"13.4", b"0"), "bad_coordinate"
    ),
    "no position": Case(b'{"time": "2024-05-01T00:00:00Z"}', "no_position"),
    "a packed record without a position": Case(
        struct.pack("<qiiiHHHHI", 1769860800000, -(2**31), 0, 0, 0, 0, 0, 0, 0), "no_position", 1,
        "packed",
    ),
    "a year of 2099": Case(GOOD.replace(b"2024", b"2099"), "future"),
    "a year of 1980": Case(GOOD.replace(b"2024", b"1980"), "ancient"),
    "older than what is kept": Case(GOOD.replace(b"2024", b"2010"), "ancient"),
    "more fixes a second than allowed": Case(_many(25), "rate", 5),
    "a message of 1 MB": Case(b" " * 1_000_000 + GOOD, "oversize"),
    "1,001 fixes": Case(_many(1_001), "oversize"),
    "attributes of 9 KiB": Case(
        json.dumps({**json.loads(GOOD), "note": "x" * 9_000}).encode(), "oversize"
    ),
}  # fmt: skip


Strict = Callable[[Acceptance], AbstractAsyncContextManager[IngestRuntime]]


@pytest.fixture
def strict(database: DatabaseUnderTest, broker: BrokerUnderTest) -> Strict:
    """Ingest with rules of the test's own: `async with strict(Acceptance(...))`."""

    def start(acceptance: Acceptance) -> AbstractAsyncContextManager[IngestRuntime]:
        client_id = f"ingest-{secrets.token_hex(4)}"
        leader = runtime(database.url("opsc_ingest"), broker.url, client_id)
        leader.acceptance = acceptance
        return running(leader)

    return start


async def test_bad_input_is_kept_by_its_reason_and_the_good_input_behind_it_is_stored(
    tenant: Tenant, device: Device, strict: Strict
) -> None:
    vehicle = await tenant.vehicle()
    async with strict(Acceptance(max_fixes_per_s=2, retention_days=3_650)):
        for number, case in enumerate(CASES.values()):
            await device.send_raw(f"trackers/{vehicle.name}/{case.level}", case.payload)
            await device.send(vehicle, fix(soon(-100 + number), *PLACE))
        good = "SELECT FROM gps_events WHERE time > now() - interval '1 hour'"
        await until(lambda: len(tenant.rows(good)) == len(CASES))
    rows = tenant.rows(
        "SELECT payload_sha256, reason, cardinality(positions), payload, payload_bytes, tracker_id"
        " FROM quarantine"
    )
    expected = {
        (
            hashlib.sha256(case.payload).digest(),
            case.reason,
            case.refused,
            case.payload if len(case.payload) <= 64 * 1024 else None,
            len(case.payload),
            vehicle.tracker_id,
        )
        for case in CASES.values()
    }
    assert set(rows) == expected
    assert len(rows) == len(CASES)
    assert len(tenant.rows("SELECT FROM gps_events")) == len(CASES) + 20  # of the 25


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


async def test_a_clock_that_lost_1024_weeks_is_mended_unless_its_track_is_of_then(
    tenant: Tenant, device: Device, ingest: IngestRuntime
) -> None:
    vehicle, historian = await tenant.vehicle(), await tenant.vehicle()
    at = soon(-3_600)
    before = at - ROUND - timedelta(hours=23, minutes=50)
    await device.send(vehicle, fix(at - ROUND, *PLACE), fix(at - 2 * ROUND, *PLACE, seq=1))
    await device.send(historian, fix(before, *PLACE))
    for one in (vehicle, historian):
        await device.send(one, fix(at + timedelta(minutes=1), *PLACE))
        # Memory knows of a newer fix only: the database is asked.
        await device.send(one, fix(at - ROUND - timedelta(minutes=1), *PLACE))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 7)

    def stored(one: Vehicle) -> list[tuple[Any, ...]]:
        query = "SELECT time, flags & {} FROM gps_events WHERE tracker_id = '{}' ORDER BY 1, seq"
        return tenant.rows(query.format(int(Flag.ROLLOVER), one.tracker_id))

    minute = timedelta(minutes=1)
    assert stored(vehicle) == [(at - minute, 2), (at, 2), (at, 2), (at + minute, 0)]
    assert stored(historian) == [(before, 0), (at - ROUND - minute, 0), (at + minute, 0)]


async def test_what_is_kept_of_a_day_is_bounded_and_the_rest_is_counted(
    tenant: Tenant, device: Device, strict: Strict, database: DatabaseUnderTest
) -> None:
    noisy, other = await tenant.vehicle(), await tenant.vehicle()
    unknown = [f"trackers/trk_{secrets.token_hex(13)}/fixes" for _ in range(5)]
    bound = DailyBound(rows=3, bytes=1_000)
    bounds = Bounds(of_tracker=bound, without_organization=bound)
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute("DELETE FROM quarantine_usage")  # of other tests
    async with strict(Acceptance(bounds=bounds)):
        for number in range(8):
            await device.send_raw(f"trackers/{noisy.name}/fixes", b"bad %d" % number)
        await device.send_raw(f"trackers/{noisy.name}/fixes", b"bad 1")
        await device.send_raw(f"trackers/{other.name}/fixes", b"x" * 1_001)
        await device.send_raw(f"trackers/{other.name}/fixes", b"y" * 1_000)
        for topic in unknown:
            await device.send_raw(topic, GOOD)
        await device.send(other, fix(soon(-1), *PLACE))
        await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 1)
    query = (
        "SELECT convert_from(payload, 'UTF8'), seen FROM quarantine WHERE tracker_id = '{}'"
        " AND counts_only = {} ORDER BY payload"
    )
    assert tenant.rows(query.format(noisy.tracker_id, False)) == [
        ("bad 0", 1),
        ("bad 1", 2),
        ("bad 2", 1),
    ]
    assert tenant.rows(query.format(noisy.tracker_id, True)) == [(None, 5)]
    assert tenant.rows(query.format(other.tracker_id, False)) == [("y" * 1_000, 1)]
    assert tenant.rows(query.format(other.tracker_id, True)) == [(None, 1)]
    with psycopg.connect(database.url("admin")) as conn:
        rows = conn.execute(
            "SELECT counts_only, seen FROM quarantine WHERE topic = ANY (%s) ORDER BY 1", (unknown,)
        ).fetchall()
    assert rows == [(False, 1)] * 3 + [(True, 2)]
