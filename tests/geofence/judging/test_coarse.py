"""Fixes too coarse for a zone: what they say of it, and what they leave to the next fix."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely.affinity import scale

from geofence.geometry.distance import deeper_m
from geofence.geometry.queries import covers, signed_distance_m
from geofence.judging.evaluator import NO_TIMERS_US, evaluate
from geofence.judging.state import State
from geofence.model.no_fix_events import MOVE_DTYPE, SCHEDULE_START_DTYPE, Agenda
from geofence.model.records import PLACE_DTYPE
from geofence.model.rules import Rules
from geofence.model.transitions import Cause, Inferred, Transition
from geofence.shapes.types import Circle, Corridor, Polygonal
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import FixBatch, Known, blank_rows
from tests.geofence.ellipsoid import WGS84
from tests.geofence.packed import callable_from_python, packed_circle, star

S = 1_000_000
HOME = (8.5, 47.4)
RADIUS_M = 100.0
FINE, NONE = 8.0, None
FAR_M = 800.0
Fix = tuple[float, float, float | None]  # seconds, metres east of HOME, accuracy


def away(metres: float) -> tuple[float, float]:
    lon, lat, _ = WGS84.fwd(*HOME, 90.0, metres)
    return float(lon), float(lat)


def batch_of(*fixes: Fix) -> FixBatch:
    rows = blank_rows(len(fixes))
    rows["asset"] = rows["organization"] = rows["tracker"] = 0
    for row, (time_s, east_m, accuracy_m) in zip(rows, fixes, strict=True):
        row["time_us"] = round(time_s * S)
        row["lon"], row["lat"] = away(east_m)
        if accuracy_m is not None:
            row["accuracy_m"], row["known"] = accuracy_m, Known.ACCURACY
    return FixBatch(rows)


def fence(rules: Rules | None = None, radius_m: float = RADIUS_M, **more) -> ZoneVersion:
    return ZoneVersion(0, 1, 0, Circle(*HOME, radius_m), rules=rules or Rules(), **more)


def told(zone: ZoneVersion, *fixes: Fix, now_us: int = NO_TIMERS_US, **more) -> list[tuple]:
    """Return (transition, cause, seconds)."""
    versions = more.pop("versions", [zone])
    found = evaluate(batch_of(*fixes), State(), ZoneIndex(versions), now_us, **more).transitions
    return [
        (Transition(one["transition"]).name, Cause(one["cause"]).name, float(one["time_us"]) / S)
        for one in found
    ]


def kinds(zone: ZoneVersion, *fixes: Fix, **more) -> list[str]:
    return [kind for kind, *_ in told(zone, *fixes, **more)]


# What it says of a zone ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("east_m", "accuracy_m", "enters"),
    [
        (99.9, 30.0, True),  # fine
        (99.9, NONE, True),
        (99.9, 31.0, False),
        (84.4, 31.0, True),
        (84.6, 31.0, False),
        (49.9, 100.0, True),  # 50.1 m deep
        (50.1, 100.0, False),
        (0.0, 199.0, True),
        (0.0, 200.0, False),  # no place in the zone is deep enough
    ],
)
def test_a_coarse_fix_enters_where_it_lies_deeper_than_half_its_accuracy(
    east_m, accuracy_m, enters
):
    before = (0, FAR_M, FINE)
    assert kinds(fence(), before, (600, east_m, accuracy_m)) == ["ENTER"] * enters


@pytest.mark.parametrize(
    ("over_m", "accuracy_m", "buffer_m", "leaves"),
    [
        (29.9, 30.0, 0, False),  # fine: its accuracy alone
        (30.1, 30.0, 0, True),
        (59.9, 40.0, 0, False),
        (60.1, 40.0, 0, True),
        (299.9, 200.0, 0, False),  # the clamp is not for coarse fixes
        (300.1, 200.0, 0, True),
        (79.9, 40.0, 20, False),
        (80.1, 40.0, 20, True),
    ],
)
def test_a_coarse_fix_leaves_one_and_a_half_times_its_accuracy_beyond_the_edge(
    over_m, accuracy_m, buffer_m, leaves
):
    zone = fence(Rules(exit_buffer_m=buffer_m, exit_confirm_fixes=1))
    out = (60, RADIUS_M + over_m, accuracy_m)
    assert kinds(zone, (0, 0, FINE), out) == ["ENTER"] + ["EXIT"] * leaves


@pytest.mark.parametrize("coarse", [(RADIUS_M - 5, 80.0), (RADIUS_M + 110, 80.0)])
def test_a_fix_that_says_nothing_neither_counts_in_a_run_nor_ends_it(coarse):
    out, inside = (FAR_M, FINE), (0, FINE)
    leaving = [(0, *inside), (60, *out), (70, *coarse), (80, *coarse)]
    assert kinds(fence(), *leaving) == ["ENTER"]
    assert told(fence(), *leaving, (90, *out))[1:] == [("EXIT", "MOVED", 60.0)]
    zone = fence(Rules(enter_confirm_fixes=2))
    coming = [(0, *out), (600, *inside), (610, *coarse), (620, *coarse)]
    assert told(zone, *coming) == []
    assert told(zone, *coming, (630, *inside)) == [("ENTER", "MOVED", 600.0)]


@pytest.mark.parametrize(
    ("first", "cause"),
    [
        ((RADIUS_M - 5, 80.0), "INITIAL"),  # inside, not deep enough
        ((RADIUS_M + 110, 80.0), "INITIAL"),  # outside, not far enough
        ((RADIUS_M + 130, 80.0), "MOVED"),
        ((RADIUS_M + 20, FINE), "MOVED"),
    ],
)
def test_a_first_fix_that_says_nothing_leaves_the_zone_unknown(first, cause):
    zone = fence(Rules(enter_confirm_fixes=2))
    found = told(zone, (0, *first), (60, 0, FINE), (90, 0, FINE))
    assert found == [("ENTER", cause, 60.0)]


def test_a_zone_that_was_left_is_not_unknown_to_who_has_sent_coarse_fixes_only():
    zone, unsure = fence(Rules(exit_confirm_fixes=1)), (RADIUS_M, 60.0)
    fixes = [(0, *unsure), (60, 0, 60.0), (120, 400.0, 60.0), (180, *unsure), (240, 0, 60.0)]
    assert [cause for _, cause, _ in told(zone, *fixes)] == ["INITIAL", "MOVED", "MOVED"]


def test_raw_rules_know_no_coarse_fix():
    fixes = [(0, RADIUS_M - 1, 199.0), (60, RADIUS_M + 1, 199.0)]
    assert kinds(fence(Rules.raw()), *fixes) == ["ENTER", "EXIT"]


SHAPES = {
    "circle": Circle(10.0, 50.0, 500.0),
    "corridor": Corridor(np.array([[9.99, 50.0], [10.0, 50.01], [10.01, 50.0]]), 700.0),
    "star": Polygonal(scale(star(np.random.default_rng(2), 25), 0.02, 0.02, origin=(10, 50))),
    "many sides": Polygonal(shapely.Point(10, 50).buffer(0.01, quad_segs=100)),
    "two parts": Polygonal(
        shapely.box(9.99, 50, 10, 50.01).union(shapely.box(10.002, 50, 10.01, 50.01))
    ),
    "over 180": Polygonal(shapely.box(179.995, 50, 180.005, 50.01)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_depth_is_the_distance_to_the_edge_of_whatever_shape(name):
    shape, rng, n = SHAPES[name], np.random.default_rng(3), 400
    west, south, east, north = (10, 50, 10, 50) if name != "over 180" else (180, 50, 180, 50)
    lon, lat = (
        rng.uniform(west - 0.015, east + 0.015, n),
        rng.uniform(south - 0.01, north + 0.015, n),
    )
    lon = np.where(lon > 180, lon - 360, lon)
    accuracy_m = rng.uniform(35, 199, n).astype(np.float32)
    rows = blank_rows(n)
    rows["asset"], rows["organization"] = np.arange(n), 0
    rows["lon"], rows["lat"] = lon, lat
    rows["accuracy_m"], rows["known"] = accuracy_m, Known.ACCURACY
    index = ZoneIndex([ZoneVersion(0, 1, 0, shape)])
    found = evaluate(FixBatch(rows), State(), index, NO_TIMERS_US).transitions
    deep = signed_distance_m(shape, lon, lat) < -accuracy_m / 2
    assert sorted(found["asset"].tolist()) == np.flatnonzero(deep).tolist()
    assert 10 < np.count_nonzero(deep) < np.count_nonzero(covers(shape, lon, lat))


def test_a_depth_beyond_the_radius_is_nowhere():
    arena, shape = packed_circle(10.0, 50.0, 40.0)
    is_deeper = callable_from_python(deeper_m)
    assert [is_deeper(arena, shape, 10.0, 50.0, depth_m) for depth_m in (39.9, 40.0, 90.0)] == [
        True,
        False,
        False,
    ]


# What lies between two fixes ----------------------------------------------------------------------

WEST, EAST = -300.0, 300.0


def passes(*fixes: Fix, rules: Rules | None = None) -> list[float]:
    """Return when visits begin that were inferred from the way between two fixes."""
    index = ZoneIndex([fence(rules)])
    found = evaluate(batch_of(*fixes), State(), index, NO_TIMERS_US).transitions
    found = found[found["inferred"] == Inferred.SEGMENT]
    return [float(one["time_us"]) / S for one in found if one["transition"] == Transition.ENTER]


def test_a_coarse_fix_is_no_end_of_a_passing_through():
    assert passes((0, WEST, FINE), (60, EAST, FINE)) == pytest.approx([20], abs=0.1)
    assert passes((0, WEST, FINE), (60, EAST, 40.0)) == []
    assert passes((0, WEST, 40.0), (60, EAST, FINE)) == []
    assert passes((0, WEST, 40.0), (60, EAST, FINE), rules=Rules(coarse_accuracy_m=50)) != []


@pytest.mark.parametrize("between", [[(30, 50.0, 199.9)], [(20, WEST, 40.0), (40, EAST, 40.0)]])
def test_coarse_fixes_do_not_part_the_fine_ones_around_them(between):
    whole = [(0, WEST, FINE), *between, (60, EAST, FINE)]
    assert passes(*whole) == pytest.approx([20], abs=0.1)
    assert passes(*whole[1:]) == []


def test_the_gap_that_a_way_may_have_is_that_between_its_fine_ends():
    rules = Rules(max_gap_seconds=60)
    assert passes((0, WEST, FINE), (30, EAST, 40.0), (60, EAST, FINE), rules=rules) != []
    assert passes((0, WEST, FINE), (30, EAST, 40.0), (61, EAST, FINE), rules=rules) == []


def test_a_zone_that_coarse_fixes_entered_and_left_is_not_passed_through_once_more():
    fixes = [(0, WEST, FINE), (20, 0.0, 80.0), (40, 600, 80.0), (50, 600, 80.0), (60, EAST, FINE)]
    assert kinds(fence(), *fixes) == ["ENTER", "EXIT"]
    assert passes(*fixes) == []


def test_a_coarse_fix_above_the_limit_of_a_zone_does_not_hide_that_another_is_passed_through():
    yard = ZoneVersion(1, 1, 0, Circle(*away(WEST), 200.0), rules=Rules(speed_limit_mps=10.0))
    batch = batch_of((0, WEST, FINE), (30, WEST, 40.0), (60, EAST, FINE))
    batch.rows["speed_mps"][1] = 20.0
    batch.rows["known"][1] |= Known.SPEED
    index = ZoneIndex([fence(), yard])
    found = evaluate(batch, State(), index, NO_TIMERS_US).transitions
    told = sorted((int(one["zone"]), Transition(one["transition"]).name) for one in found)
    assert told == [(0, "ENTER"), (0, "EXIT"), (1, "ENTER"), (1, "OVERSPEED")]


def test_the_way_over_coarse_fixes_is_remembered_from_batch_to_batch():
    fixes = [(0, WEST, FINE), (20, WEST, 40.0), (40, EAST, 40.0), (60, EAST, FINE)]
    state, index, found = State(), ZoneIndex([fence()]), []
    for fix in fixes:
        evaluation = evaluate(batch_of(fix), state, index, NO_TIMERS_US)
        state.apply(evaluation.delta)
        found.append(len(evaluation.transitions))
    assert found == [0, 0, 0, 2]


# What happens without a fix -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "begins"),
    [((0, 60.0), True), ((RADIUS_M - 5, 60.0), False), ((RADIUS_M - 5, FINE), True)],
)
def test_a_zone_comes_to_a_coarse_place_only_where_it_lies_deep_in_it(place, begins):
    zone = fence(valid_from_us=30 * S)
    expected = [("ENTER", "ZONE_CHANGED", 30.0)] * begins
    assert told(zone, (0, *place), now_us=60 * S) == expected


@pytest.mark.parametrize(
    ("place", "ends"),
    [((60, 40.0), False), ((60, FINE), True), ((79.9, 40.0), False), ((85, 40.0), True)],
)
def test_an_edit_takes_a_zone_from_a_coarse_place_only_where_it_lies_far_outside(place, ends):
    versions = [
        fence(valid_to_us=30 * S),
        replace(fence(radius_m=20, valid_from_us=30 * S), version=2),
    ]
    expected = [("EXIT", "ZONE_CHANGED", 30.0)] * ends
    fixes = [(0, 0, FINE), (20, *place)]
    assert told(fence(), *fixes, now_us=60 * S, versions=versions)[1:] == expected


def test_a_zone_that_ends_closes_the_visit_of_who_is_coarse_there():
    zone = fence(valid_to_us=30 * S)
    found = told(zone, (0, 0, FINE), (20, RADIUS_M, 60.0), now_us=60 * S)
    assert found[1:] == [("EXIT", "ZONE_CHANGED", 30.0)]


@pytest.mark.parametrize(("accuracy_m", "is_told"), [(FINE, True), (60.0, False)])
def test_hours_do_not_tell_of_who_may_be_inside_for_all_that_is_known(accuracy_m, is_told):
    start = np.array([(0, 60 * S, 0, False)], SCHEDULE_START_DTYPE)
    agenda = Agenda.empty()._replace(schedule_start=start)
    fix = (0, RADIUS_M + 20, accuracy_m)
    assert kinds(fence(), fix, now_us=61 * S, agenda=agenda) == ["SCHEDULE"] * is_told


@pytest.mark.parametrize(("accuracy_m", "cause"), [(FINE, "REASSIGNED"), (199.9, "INITIAL")])
def test_a_tracker_brings_a_coarse_place_with_it_for_what_it_is_worth(accuracy_m, cause):
    move = np.zeros(1, MOVE_DTYPE)
    move["time_us"], move["located"] = 30 * S, True
    place = np.zeros((), PLACE_DTYPE)
    place["lon"], place["lat"] = away(50)
    place["accuracy_m"], place["speed_mps"] = accuracy_m, np.nan
    move["place"] = place
    agenda = Agenda.empty()._replace(move=move)
    found = told(fence(), (0, FAR_M, FINE), (600, 0, FINE), agenda=agenda)
    assert [why for _, why, _ in found] == [cause]


# At rest ------------------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 2**32 - 1),
    accuracy_m=st.floats(31, 199, width=32),
    from_edge_m=st.floats(-39, 100).filter(lambda metres: abs(metres) > 0.1),
)
def test_errors_of_half_an_accuracy_enter_nothing_and_of_one_and_a_half_leave_nothing(
    seed, accuracy_m, from_edge_m
):
    rng, n = np.random.default_rng(seed), 60
    most = 1.5 if from_edge_m < 0 else 0.5
    at = away(40 + from_edge_m)
    rows = batch_of(
        (0, 40 + from_edge_m, NONE), *((60 * k, 0, accuracy_m) for k in range(1, n))
    ).rows
    off_m = most * accuracy_m * np.sqrt(rng.uniform(0, 1, n - 1))
    start = np.full((n - 1, 2), at)
    rows["lon"][1:], rows["lat"][1:], _ = WGS84.fwd(*start.T, rng.uniform(0, 360, n - 1), off_m)
    index = ZoneIndex([fence(radius_m=40)])
    found = evaluate(FixBatch(rows), State(), index, NO_TIMERS_US).transitions
    assert found["transition"].tolist() == [Transition.ENTER] * (from_edge_m < 0)
