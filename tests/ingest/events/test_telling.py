"""What is told, and in which order: whole sequences of events, on both paths.

A reader who folds them has the visits; and they are the same however arrivals are cut into batches.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from db.history.visits import VisitRow
from db.ingest.registry import MAX_TIME_US, MIN_TIME_US, ZoneVersionRow
from geofence.model.policy import BREACH, SILENT_CAUSES
from geofence.shapes.types import Polygonal
from stack.verify.folding import fold
from telemetry.ids import format_id
from telemetry.times import format_time, to_us
from tests.ingest.conftest import Device, fix
from tests.ingest.planned import ORG, Planned, message, zone_id
from tests.ingest.seam import DeviceMessage, settle, term_of
from tests.ingest.tenants import Tenant, Vehicle, soon, square
from tests.servers import DatabaseUnderTest
from tests.waiting import until

STEP_DEG = 0.0005  # 56 m
LONG_AFTER_S = 3600
PLACES = [0.5, 3.5, 3.5, 4.5, 0.5, 300.5]  # outside, in some or all of the zones, too far away
HOME, AWAY = (13.4, 52.5), (13.4, 52.5013)


# Worlds -------------------------------------------------------------------------------------------


def zone(number: int, south: int, north: int, **rules: Any) -> ZoneVersionRow:
    """Return a restricted zone between two latitudes, in steps."""
    area = shapely.box(-1.0, south * STEP_DEG, 1.0, north * STEP_DEG)
    return ZoneVersionRow(
        org_id=ORG,
        zone_id=zone_id(number),
        version=1,
        name=f"Zone {number}",
        kind="restricted",
        alert_on=None,
        shape=Polygonal(area),
        rules=rules,
        schedule=None,
        assets=None,
        valid_from_us=MIN_TIME_US,
        valid_to_us=MAX_TIME_US,
        created_us=MIN_TIME_US,
    )


rules = st.fixed_dictionaries(
    {
        "enter_confirm_fixes": st.sampled_from([1, 1, 2]),
        "exit_confirm_fixes": st.sampled_from([1, 1, 2, 3]),
        "max_gap_seconds": st.sampled_from([0, 120]),
    }
)
timers = st.fixed_dictionaries(
    {
        "dwell_seconds": st.sampled_from([None, 30]),
        "close_after_silence_seconds": st.sampled_from([None, None, 40]),
    }
)


@st.composite
def zone_sets(draw: Any, more: st.SearchStrategy[dict[str, Any]]) -> list[ZoneVersionRow]:
    """Return three zones; some are alike, so that one fix enters and leaves several at once."""
    found: list[ZoneVersionRow] = []
    for number in range(3):
        south = draw(st.sampled_from([2, 2, 4]))
        chosen = draw(rules) | {k: v for k, v in draw(more).items() if v is not None}
        found.append(zone(number, south, south + draw(st.sampled_from([3, 3, 1])), **chosen))
    return found


@dataclass(frozen=True)
class Arriving:
    """A fix in order of arrival."""

    vehicle: int
    after_s: int
    north: float

    def message(self) -> DeviceMessage:
        return message(self.vehicle, (self.after_s, 0.1, self.north * STEP_DEG))


@st.composite
def arrivals(draw: Any, vehicles: int = 2, most: int = 9) -> list[Arriving]:
    """Return the days of some vehicles, each about in order of time, mixed."""
    queues: list[list[Arriving]] = []
    for vehicle in range(vehicles):
        after_s, day = 0, list[Arriving]()
        for _ in range(draw(st.integers(3, most))):
            after_s += draw(st.sampled_from([4, 10, 10, 25]))
            day.append(Arriving(vehicle, after_s, draw(st.sampled_from(PLACES))))
        for _ in range(draw(st.integers(0, 4))):
            place = draw(st.integers(0, len(day) - 1))
            day.insert(draw(st.integers(place, len(day) - 1)), day.pop(place))
        queues.append(day)
    turns = draw(st.permutations([n for n, day in enumerate(queues) for _ in day]))
    return [queues[vehicle].pop(0) for vehicle in turns]


def cuts_of(n: int) -> st.SearchStrategy[list[int]]:
    return st.sets(st.integers(1, max(1, n - 1)), max_size=6).map(sorted)


def planned(zones: list[ZoneVersionRow], arrived: list[Arriving], cuts: list[int]) -> Planned:
    world = Planned(zones, vehicles=2)
    for begin, end in pairwise([0, *cuts, len(arrived)]):
        world.settle([one.message() for one in arrived[begin:end]], LONG_AFTER_S)
    return world


# Properties ---------------------------------------------------------------------------------------

nothing_more = st.just(dict[str, Any]())


@given(zones=zone_sets(nothing_more), arrived=arrivals(), data=st.data())
def test_however_arrivals_are_cut_the_whole_sequence_of_events_is_the_same(
    zones: list[ZoneVersionRow], arrived: list[Arriving], data: st.DataObject
) -> None:
    one_by_one = planned(zones, arrived, list(range(1, len(arrived))))
    at_once = planned(zones, arrived, [])
    in_batches = planned(zones, arrived, data.draw(cuts_of(len(arrived))))
    assert at_once.events == one_by_one.events
    assert in_batches.events == one_by_one.events


@given(zones=zone_sets(nothing_more), arrived=arrivals(), data=st.data())
def test_who_folds_all_events_has_the_visits(
    zones: list[ZoneVersionRow], arrived: list[Arriving], data: st.DataObject
) -> None:
    world = planned(zones, arrived, data.draw(cuts_of(len(arrived))))
    assert_folded(world.told(), list(world.visits.values()))


@given(zones=zone_sets(timers), arrived=arrivals(), data=st.data())
def test_who_folds_all_events_has_the_visits_while_deadlines_pass(
    zones: list[ZoneVersionRow], arrived: list[Arriving], data: st.DataObject
) -> None:
    world, now_s = Planned(zones, vehicles=2), 0
    for begin, end in pairwise([0, *data.draw(cuts_of(len(arrived))), len(arrived)]):
        batch = arrived[begin:end]
        now_s = max([now_s, *(one.after_s for one in batch)]) + data.draw(st.sampled_from([1, 50]))
        world.settle([one.message() for one in batch], now_s)
        now_s += data.draw(st.sampled_from([0, 35]))
        world.settle([], now_s)
    assert_folded(world.told(), list(world.visits.values()))


def assert_folded(told: list[dict[str, Any]], visits: list[VisitRow]) -> None:
    """Assert that every visit that is told of begins with its enter; all events give the visits
    that hold.

    Silence that ends a visit is no event.
    """
    first: dict[str, dict[str, Any]] = {}
    for event in told:
        first.setdefault(event["data"]["visit_id"], event)
    for event in first.values():
        assert (event["type"], event["data"].get("transition")) == (BREACH, "enter"), told
    folded = {name: [one.entered_us, one.left_us] for name, one in fold(told).items()}
    held: dict[str, list[int | None]] = {}
    for visit in visits:
        if not visit.retracted:
            name = format_id("vis", visit.id)
            held[name] = [to_us(visit.entered_at), visit.left_at and to_us(visit.left_at)]
            if visit.exit_cause in SILENT_CAUSES:
                held[name][1] = folded.get(name, [None, None])[1] = None
    assert folded == held, told


# Cases --------------------------------------------------------------------------------------------


def told_of(world: Planned) -> list[tuple[int, str, bool]]:
    """Return (vehicle, what, late) of each event."""
    return [
        (
            int(one["data"]["asset_name"].split()[1]),
            one["data"].get("transition") or one["data"]["change"],
            one["data"]["late"],
        )
        for one in world.told()
    ]


def test_the_later_part_of_a_split_visit_begins_with_its_enter() -> None:
    inside, outside = 3, 0
    arrived = [(0, inside), (20, inside), (8, outside), (10, outside), (30, outside), (32, outside)]
    world = planned([zone(0, 2, 4)], [Arriving(0, *one) for one in arrived], [])
    assert told_of(world) == [
        (0, "enter", False),
        (0, "split", True),
        (0, "enter", True),
        (0, "exit", False),
    ]
    assert_folded(world.told(), list(world.visits.values()))


def test_a_late_asset_of_a_batch_is_told_of_in_its_turn() -> None:
    """Vehicle 0 has a late fix in it; the events of vehicle 1 come between its own."""
    arrived = [
        Arriving(0, 40, 0),
        Arriving(1, 40, 3),
        Arriving(0, 20, 3),
        Arriving(1, 50, 0),
        Arriving(1, 60, 0),
        Arriving(0, 50, 3),
    ]
    world = planned([zone(0, 2, 4, exit_confirm_fixes=1)], arrived, [1])
    assert told_of(world) == [
        (1, "enter", False),
        (0, "enter", True),
        (0, "exit", True),
        (1, "exit", False),
        (0, "enter", False),
    ]


@pytest.mark.parametrize("is_late", [False, True])
def test_what_one_fix_does_to_several_zones_is_told_by_their_ids(is_late: bool) -> None:
    zones = [zone(number, 2, 4, exit_confirm_fixes=1) for number in range(3)]
    arrived = [Arriving(0, 0, 0), Arriving(0, 10, 3), Arriving(0, 20, 0)]
    if is_late:
        arrived = [arrived[0], arrived[2], arrived[1]]
    world = planned(zones, arrived, [])
    by_id = [format_id("zon", zone_id(number)) for number in (2, 1, 0)]
    assert [one["data"]["zone_id"] for one in world.told()] == by_id * 2


# With a database ----------------------------------------------------------------------------------


async def test_a_split_is_stored_and_told_so_that_it_can_be_folded(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle, at = await tenant.vehicle(), soon(-50)
    await tenant.zone(square(*HOME))
    sent = [(0, HOME), (20, HOME), (8, AWAY), (10, AWAY), (30, AWAY), (32, AWAY)]
    for after_s, place in sent:
        await device.send(vehicle, fix(at + timedelta(seconds=after_s), *place))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == len(sent))
    query = "SELECT id, type, occurred_at, data FROM events ORDER BY position"
    told = [
        {"type": kind, "occurred_at": format_time(to_us(occurred_at)), "data": data}
        for _, kind, occurred_at, data in tenant.rows(query)
    ]
    what = [(one["data"].get("transition") or one["data"]["change"]) for one in told]
    assert what == ["enter", "split", "enter", "exit"]
    assert [one["data"]["late"] for one in told] == [False, True, True, False]
    visits = tenant.rows("SELECT id, entered_at, left_at FROM visits WHERE NOT retracted")
    held = {format_id("vis", one): (to_us(begun), to_us(ended)) for one, begun, ended in visits}
    assert {name: (one.entered_us, one.left_us) for name, one in fold(told).items()} == held
    assert len(held) == 2


async def test_events_are_stored_in_the_order_in_which_fixes_arrived(
    database: DatabaseUnderTest,
) -> None:
    """One transaction with an asset that has a late fix, and one that has none."""
    tenant, at = await Tenant.create(database), soon(-100)
    late, other = await tenant.vehicle(), await tenant.vehicle()
    await tenant.zone(square(*HOME), rules={"exit_confirm_fixes": 1})

    def one(vehicle: Vehicle, after_s: int, place: tuple[float, float]) -> DeviceMessage:
        body = json.dumps(fix(at + timedelta(seconds=after_s), *place)).encode()
        return DeviceMessage(None, f"trackers/{vehicle.name}/fixes", body)

    async with term_of(database) as term:
        await settle(term, [one(late, 40, AWAY)])
        batch = [(other, 40, HOME), (late, 20, HOME), (other, 50, AWAY), (late, 50, HOME)]
        await settle(term, [one(*each) for each in batch])
    query = "SELECT data->>'asset_id', data->>'transition' FROM events ORDER BY position"
    names = {format_id("ast", late.asset_id): "late", format_id("ast", other.asset_id): "other"}
    assert [(names[asset], what) for asset, what in tenant.rows(query)] == [
        ("other", "enter"),
        ("late", "enter"),
        ("late", "exit"),
        ("other", "exit"),
        ("late", "enter"),
    ]
