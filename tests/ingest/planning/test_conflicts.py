"""Two fixes with one time and seq: a repetition, or two different fixes."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.core.connect import connect
from db.history import inbox
from db.history.gps_events import SAME_PLACE_DEG, FixKey, Place
from db.history.quarantine import Bounds, DailyBound
from ingest.planning.conflicts import new_and_conflicting
from telemetry.fix import FixBatch, blank_rows
from telemetry.formats.encode import encode_packed
from telemetry.result import Result
from telemetry.times import to_us
from telemetry.topics import fixes_topic, packed_topic
from tests.ingest.conftest import Device, fix, running
from tests.ingest.planning.test_deferral import in_and_out, runtime_of, tenant_with_zones
from tests.ingest.seam import DeviceMessage, settle, term_of
from tests.ingest.tenants import Tenant, Vehicle, soon, square
from tests.servers import BrokerUnderTest, DatabaseUnderTest
from tests.waiting import until

PLACE = (13.4123456789, 52.5123456789)
ELSEWHERE = (13.5, 52.6)
REFUSED = "SELECT reason, positions, seen FROM quarantine ORDER BY reason"
PLACES = "SELECT lon, lat FROM gps_events ORDER BY time, seq"


def sent(vehicle: Vehicle, *fixes: dict[str, Any]) -> DeviceMessage:
    payload = json.dumps(fixes).encode()
    return DeviceMessage(vehicle.tracker_id, fixes_topic(vehicle.name), payload)


# The rule ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "differ"),
    [
        ((52.5, 13.4), (52.5, 13.4), False),
        ((52.5, 13.4), (52.5000005, 13.3999995), False),
        ((52.5, 13.4), (52.500002, 13.4), True),
        ((52.5, 13.4), (52.5, 13.400002), True),
        ((10, 180), (10, -180), False),
        ((10, 179.9999998), (10, -179.9999998), False),
        ((10, 179.9), (10, -179.9), True),
        ((0, 90), (0, -90), True),
        ((-0.0, 1), (0.0, 1), False),
    ],
)
def test_a_place_is_another_one_from_a_tenth_of_a_metre_on(one, other, differ):
    assert Place(*one).is_elsewhere(Place(*other)) is differ
    assert Place(*other).is_elsewhere(Place(*one)) is differ


KEYS = st.builds(FixKey, st.just(UUID(int=1)), st.integers(0, 2), st.integers(0, 1))
SPOTS = st.builds(Place, st.sampled_from([1.0, 1 + SAME_PLACE_DEG / 2, 2.0]), st.just(5.0))


@given(
    st.lists(st.tuples(KEYS, SPOTS), max_size=12),
    st.dictionaries(KEYS, SPOTS, max_size=3),
)
def test_the_first_of_each_identity_counts_and_the_others_repeat_it_or_conflict(fixes, stored):
    is_new, is_conflict = new_and_conflicting(fixes, stored)
    assert len(is_new) == len(is_conflict) == len(fixes)
    for number, (key, place) in enumerate(fixes):
        before = [p for k, p in [*stored.items(), *fixes[:number]] if k == key]
        assert is_new[number] == (not before)
        assert is_conflict[number] == (bool(before) and round(before[0].lat) != round(place.lat))


# Through ingest ------------------------------------------------------------------------------


async def test_a_fix_that_conflicts_with_a_stored_one_is_in_quarantine_and_judged_by_nobody(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    vehicle, at = await tenant.vehicle(), soon(-9)
    await tenant.zone(square(*ELSEWHERE))
    async with term_of(database) as term:
        assert await settle(term, [sent(vehicle, fix(at, *PLACE))]) == [Result.STORED]
        conflict = sent(vehicle, fix(at, *ELSEWHERE))
        assert await settle(term, [conflict]) == [Result.CONFLICT]
        assert await settle(term, [conflict, sent(vehicle, fix(at, *PLACE))]) == [
            Result.CONFLICT,
            Result.STORED,
        ]
        counted = term.metrics.registry.get_sample_value
        assert counted("opsc_ingest_quarantined_total", {"reason": "conflict"}) == 2
        assert counted("opsc_ingest_fixes_duplicate_total") == 1
    assert tenant.rows(PLACES) == [PLACE]
    assert tenant.rows(REFUSED) == [("conflict", [0], 2)]
    assert tenant.rows("SELECT FROM visits") == tenant.rows("SELECT FROM events") == []


async def test_of_conflicts_in_one_batch_the_first_is_stored(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    vehicle, at, later = await tenant.vehicle(), soon(-9), soon(-8)
    async with term_of(database) as term:
        told = await settle(
            term,
            [
                sent(vehicle, fix(at, *PLACE), fix(at, *ELSEWHERE), fix(at, *PLACE)),
                sent(vehicle, fix(at, *ELSEWHERE)),
                sent(vehicle, fix(later, *ELSEWHERE), fix(at, *ELSEWHERE)),
                sent(vehicle, fix(at, *ELSEWHERE, seq=1)),
            ],
        )
    assert told == [Result.STORED, Result.CONFLICT, Result.STORED, Result.STORED]
    assert tenant.rows(PLACES) == [PLACE, ELSEWHERE, ELSEWHERE]
    assert sorted(tenant.rows(REFUSED)) == [
        ("conflict", [0], 1),
        ("conflict", [1], 1),
        ("conflict", [1], 1),
    ]


async def test_one_fix_in_two_formats_is_no_conflict(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    vehicle, at = await tenant.vehicle(), soon(-9)
    async with term_of(database) as term:
        told = await settle(term, [sent(vehicle, fix(at, *PLACE)), packed(vehicle, at)])
        again = await settle(term, [packed(vehicle, at)])
    assert told + again == [Result.STORED] * 3
    assert tenant.rows(PLACES) == [PLACE]
    assert tenant.rows(REFUSED) == []


def packed(vehicle: Vehicle, at: datetime) -> DeviceMessage:
    """PLACE in the other format, which keeps seven decimals."""
    rows = blank_rows(1)
    rows["time_us"], rows["lon"], rows["lat"] = to_us(at), *PLACE
    payload = encode_packed(FixBatch(rows))
    return DeviceMessage(vehicle.tracker_id, packed_topic(vehicle.name), payload)


async def test_what_is_kept_of_conflicts_is_bounded(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    vehicle, at = await tenant.vehicle(), soon(-9)
    async with term_of(database) as term:
        narrow = replace(term, bounds=Bounds(of_tracker=DailyBound(2, 10_000)))
        conflicts = [sent(vehicle, fix(at, 14.0 + number, 52.5)) for number in range(4)]
        told = await settle(narrow, [sent(vehicle, fix(at, *PLACE)), *conflicts])
    assert told == [Result.STORED, *[Result.CONFLICT] * 2, *[Result.BEYOND_QUARANTINE] * 2]
    counted = "SELECT seen FROM quarantine WHERE counts_only"
    assert tenant.rows(counted) == [(2,)]


async def test_a_conflict_that_is_released_is_refused_again(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    vehicle, at = await tenant.vehicle(), soon(-9)
    async with term_of(database) as term:
        await settle(term, [sent(vehicle, fix(at, *PLACE)), sent(vehicle, fix(at, *ELSEWHERE))])
        ((row_id,),) = tenant.rows("SELECT id FROM quarantine")
        assert await tenant.release(row_id) == "released"
        async with await connect(database.url("opsc_ingest"), "test") as conn:
            released = await inbox.waiting(conn, 10, 1_000_000)
        assert await settle(term, released) == [Result.CONFLICT]
    assert tenant.rows("SELECT id, reason FROM quarantine") == [(row_id, "conflict")]


async def test_a_conflict_waits_for_a_fix_that_is_deferred_and_is_refused_once(
    database: DatabaseUnderTest, broker: BrokerUnderTest, device: Device
) -> None:
    tenant, vehicle, _ = await tenant_with_zones(database)
    fixes = in_and_out(soon(-300), 46)
    conflict = {**fixes[-1], "lat": 52.6}
    async with running(runtime_of(database, broker, 1)):
        await device.send(vehicle, *fixes, conflict)
        await until(lambda: ("conflict", [46], 1) in tenant.rows(REFUSED))
    assert tenant.rows(REFUSED) == [("bad_coordinate", [3], 1), ("conflict", [46], 1)]
    assert len(tenant.rows(PLACES)) == 45
