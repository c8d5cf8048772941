"""Sequences of fixes as other projects test or dispute them, judged by the rules of this one.

Where the rules here give something else on purpose, docs/decisions/0009 says so and why.
"""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geofence.geometry.queries import covers
from geofence.judging.evaluator import NO_TIMERS_US, evaluate
from geofence.judging.state import State
from geofence.late.history import History
from geofence.late.segments import Circumstances
from geofence.model.no_fix_events import SCHEDULE_START_DTYPE, Agenda
from geofence.model.policy import Policy, event_type
from geofence.model.rules import NEVER_COARSE_M, Gates, Rules
from geofence.model.transitions import Cause, Inferred, Transition
from geofence.shapes.geojson import read_shape
from geofence.shapes.types import Circle, Corridor
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import FixBatch, Known, blank_rows
from tests.data import cases_of, fence_cases, needs_vectors
from tests.geofence.ellipsoid import WGS84

S = 1_000_000
MINUTE = 60
HOME = (8.5, 47.4)
OUTSIDE_M = 2_000.0
THROUGH = Rules(accuracy_clamp_m=0, exit_confirm_fixes=1)

SCENARIOS = [case["id"] for case in cases_of("issue_scenarios")]
SEQUENCES = [case["id"] for case in cases_of("tile38_fence_detect")]


def reported(name: str) -> None:
    """Say which report a test answers; it is among the cases where those are here."""
    assert not SCENARIOS or name in SCENARIOS


def away(metres: float) -> tuple[float, float]:
    """Return a place this far to the east of HOME."""
    lon, lat, _ = WGS84.fwd(*HOME, 90.0, metres)
    return float(lon), float(lat)


def fixes(*at: tuple[float, tuple[float, float]], accuracy_m: list | None = None) -> FixBatch:
    """Return fixes at (seconds, (longitude, latitude)); accuracy_m: None where one states none."""
    rows = blank_rows(len(at))
    rows["asset"] = rows["organization"] = rows["tracker"] = 0
    for row, (time_s, (lon, lat)) in zip(rows, at, strict=True):
        row["time_us"], row["lon"], row["lat"] = round(time_s * S), lon, lat
    for row, metres in zip(rows, accuracy_m or [], strict=False):
        if metres is not None:
            row["accuracy_m"], row["known"] = metres, Known.ACCURACY
    return FixBatch(rows)


def told(
    versions: list[ZoneVersion],
    batch: FixBatch,
    now_us: int = NO_TIMERS_US,
    gates: Gates | None = None,
    agenda: Agenda | None = None,
) -> list[tuple[str, int, float]]:
    """Return (transition, zone, seconds)."""
    found = evaluate(batch, State(), ZoneIndex(versions), now_us, gates, agenda).transitions
    names = [Transition(kind).name.lower() for kind in found["transition"].tolist()]
    return list(zip(names, found["zone"].tolist(), (found["time_us"] / S).tolist(), strict=True))


def fence(radius_m: float = 50.0, rules: Rules | None = None, **more) -> ZoneVersion:
    return ZoneVersion(0, 1, 0, Circle(*HOME, radius_m), rules=rules or Rules(), **more)


def every_minute(steps: list[dict]) -> FixBatch:
    return fixes(*((MINUTE * n, (step["lon"], step["lat"])) for n, step in enumerate(steps)))


# Tile38 -------------------------------------------------------------------------------------------


def zone_of(written: dict):
    if written["type"] == "circle":
        centre = written["center"]
        return Circle(float(centre["lon"]), float(centre["lat"]), float(written["radius_m"]))
    if written["type"] == "bounds":
        (w, s), (e, n) = ([written[end][axis] for axis in ("lon", "lat")] for end in ("min", "max"))
        ring = [[w, s], [e, s], [e, n], [w, n], [w, s]]
        return read_shape({"type": "Polygon", "coordinates": [ring]})
    return read_shape({"type": written["type"], "coordinates": written["coordinates"]})


@fence_cases(
    "in-and-away",
    "in-and-away-of-a-box",
    "tile38-basic-nearby",
    "tile38-detect-filter-inside-outside",
)
def test_a_first_fix_inside_enters_and_one_outside_leaves(case):
    versions = [ZoneVersion(0, 1, 0, zone_of(case["zone"]), rules=Rules.raw())]
    found = told(versions, every_minute(case["sequence"]), gates=Gates.open())
    assert [kind for kind, *_ in found] == ["enter", "exit"]


@fence_cases("from-two-zones-into-two", "tile38-message-order-overlapping-zones")
def test_one_fix_leaves_its_zones_before_it_enters_others(case):
    names = sorted(case["zones"])
    versions = [
        ZoneVersion(n, 1, 0, zone_of(case["zones"][name]), 10 * S, rules=Rules.raw())
        for n, name in enumerate(names)
    ]
    batch = every_minute([case["setup"], *case["sequence"]])
    found = told(versions, batch, gates=Gates.open())
    assert found[:2] == [("enter", 0, 10.0), ("enter", 1, 10.0)]  # when the zones were made
    moves = [f"{kind}:{names[zone]}" for kind, zone, _ in found[2:]]
    expected = case["sequence"][0]["expected_ordered"]
    assert moves == [move for move in expected if move.startswith(("enter", "exit"))]


@fence_cases("through-a-circle", "tile38-eecio-cross")
def test_a_way_between_two_fixes_outside_passes_through(case):
    for variant in (case, case.get("model_independent_variant", case)):
        zone = ZoneVersion(0, 1, 0, zone_of(variant["zone"]), rules=THROUGH)
        batch = every_minute(variant["sequence"])
        index = ZoneIndex([zone])
        found = evaluate(batch, State(), index, NO_TIMERS_US, Gates.open()).transitions
        assert found["transition"].tolist() == [1, 2, 1, 2]
        assert found["inferred"].tolist() == [Inferred.NONE] * 2 + [Inferred.SEGMENT] * 2


@fence_cases("smaller-and-larger-again", "tile38-issue-589-zone-shrunk")
def test_a_zone_that_is_edited_over_a_parked_asset_closes_and_opens_its_visit(case):
    shapes = [zone_of(case[name]) for name in ("zone_v1", "zone_v2", "zone_v1")]
    versions = [
        ZoneVersion(0, n + 1, 0, shape, 2 * n * MINUTE * S, 2 * (n + 1) * MINUTE * S)
        for n, shape in enumerate(shapes)
    ]
    (step, *_) = (step for step in case["sequence"] if step["do"] == "fix")
    at = (step["lon"], step["lat"])
    batch = fixes((60, at), (180, at), (300, at))
    found = evaluate(batch, State(), ZoneIndex(versions), NO_TIMERS_US).transitions
    wanted = [
        step["reporter_expects"][0] for step in case["sequence"] if "reporter_expects" in step
    ]
    names = [Transition(kind).name.lower() for kind in found["transition"].tolist()]
    assert names == ["enter", *wanted]
    assert found["cause"].tolist() == [Cause.INITIAL, Cause.ZONE_CHANGED, Cause.ZONE_CHANGED]
    assert found["time_us"].tolist() == [60 * S, 120 * S, 240 * S]


@fence_cases(
    "far-south-over-the-antimeridian",
    "tile38-issue-650-antimeridian-polygon",
    "tile38-issue-244-dateline-multipolygon",
)
def test_zones_over_the_antimeridian_hold_what_they_should(case):
    shape = zone_of(case["zone"])
    for check in case["checks"]:
        inside = covers(shape, [check["point"]["lon"]], [check["point"]["lat"]])
        assert inside.tolist() == [check["expected"]], check


# From reports -------------------------------------------------------------------------------------


def _seconds(clock: str) -> float:
    parts = [float(part) for part in clock.split(":")]
    return sum(part * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))


@fence_cases("outliers-that-claim-metres", "overconfident-single-fix-flap")
def test_outliers_that_claim_to_be_exact_do_not_make_a_parked_device_leave(case):
    at = [(_seconds(fix["t"]), away(fix["dist_m"])) for fix in case["fixes"]]
    batch = fixes(*at, accuracy_m=[fix["accuracy_m"] for fix in case["fixes"]])
    zone = fence(case["zone"]["radius_m"], Rules(exit_buffer_m=20))
    assert told([zone], batch) == [("enter", 0, at[0][0])]


@pytest.mark.parametrize("seed", range(5))
def test_a_device_at_rest_with_noise_and_outliers_enters_once_and_stays(seed):
    rng = np.random.default_rng(seed)
    n = 1_000
    error_m = rng.uniform(5, 50, n)
    outlier = rng.random(n) < 0.05
    outlier[1:] &= ~outlier[:-1]  # one at a time, as in the report
    outlier[0] = False
    off_m = np.where(outlier, rng.uniform(150, 250, n), np.minimum(50, error_m * rng.random(n)))
    claimed_m = np.where(outlier, 1.9, error_m)
    lon, lat, _ = WGS84.fwd([HOME[0]] * n, [HOME[1]] * n, rng.uniform(0, 360, n), off_m)
    at = [(10.0 * k, (float(x), float(y))) for k, (x, y) in enumerate(zip(lon, lat, strict=True))]
    found = told([fence(75.0)], fixes(*at, accuracy_m=claimed_m.tolist()))
    assert found == [("enter", 0, 0.0)]


@fence_cases("exits-by-accuracy", "accuracy-aware-exit-table")
def test_accuracy_moves_the_place_where_an_exit_fires(case):
    for clamp_m in (10_000.0, 50.0):
        rules = Rules(
            exit_buffer_m=case["exit_buffer_m"],
            accuracy_clamp_m=clamp_m,
            coarse_accuracy_m=NEVER_COARSE_M,
            exit_confirm_fixes=1,
        )
        zone = fence(case["zone"]["radius_m"], rules)
        for line in case["table"]:
            over_m = max(0, line["accuracy_m"] - clamp_m)  # which the clamp leaves out
            for beside_m, kinds in ((-0.1, ["enter"]), (0.1, ["enter", "exit"])):
                at = away(line["exit_fires_at_m"] - over_m + beside_m)
                batch = fixes((0, HOME), (60, at), accuracy_m=[None, line["accuracy_m"]])
                assert [kind for kind, *_ in told([zone], batch)] == kinds


@fence_cases("a-backlog-backwards", "newest-first-backfill")
def test_a_backlog_that_arrives_newest_first_is_judged_in_order_of_time(case):
    where = {"inside": HOME, "outside": away(OUTSIDE_M)}
    order = [(_seconds(fix["fix_t"]), where[fix["where"]]) for fix in case["arrival_order"]]
    index = ZoneIndex([fence(rules=THROUGH)])
    history = History(0, State())
    for row in fixes(*order).rows:
        history.take(row, Circumstances(index))
    (visit,) = history.visits.values()
    entered, _, after, until = re.findall(r"\d\d:\d\d", " ".join(case["expected"]))
    assert visit.entered.time_us == _seconds(entered) * S
    assert visit.left is not None
    assert _seconds(after) * S < visit.left.time_us <= _seconds(until) * S


def test_a_late_outlier_is_held_against_its_neighbours_in_time():
    reported("late-outlier-bypasses-speed-filter")
    index, history = ZoneIndex([fence()]), History(0, State())
    order = [(0, away(OUTSIDE_M)), (60, away(OUTSIDE_M)), (30, (HOME[0], HOME[1] + 10)), (50, HOME)]
    revisions = [history.take(row, Circumstances(index)) for row in fixes(*order).rows]
    assert revisions[2].suspect == {(0, 30 * S, 0): True}
    assert [v.entered.time_us for v in history.visits.values()] == [50 * S]


def test_a_far_place_is_believed_when_three_fixes_agree():
    reported("outlier-then-stuck")
    far = (HOME[0] + 20, HOME[1])
    batch = fixes((0, far), *((10 * k, HOME) for k in range(1, 6)))
    evaluation = evaluate(batch, State(), ZoneIndex([fence()]), NO_TIMERS_US)
    assert evaluation.suspect.tolist() == [False, True, True, False, False, False]
    assert evaluation.healed["time_us"].tolist() == [10 * S, 20 * S]
    assert evaluation.transitions["time_us"].tolist() == [10 * S]


def test_a_zone_drawn_round_a_parked_vehicle_opens_a_visit_and_alerts_nobody():
    reported("zone-drawn-around-parked-vehicle")
    versions = [fence(valid_from_us=60 * S)]
    batch = fixes((0, HOME), (7_200, HOME))
    found = evaluate(batch, State(), ZoneIndex(versions), NO_TIMERS_US).transitions
    assert [tuple(t) for t in found[["transition", "cause", "time_us"]].tolist()] == [
        (Transition.ENTER, Cause.ZONE_CHANGED, 60 * S)
    ]
    assert event_type(Policy(), "enter", "zone_changed", None, 60 * S, left_before=False) is None


def test_a_zone_that_ends_closes_its_visits_without_a_fix():
    reported("zone-ttl-expiry")
    found = told([fence(valid_to_us=60 * S)], fixes((0, HOME)), now_us=61 * S)
    assert found == [("enter", 0, 0.0), ("exit", 0, 60.0)]


def test_six_fixes_of_one_instant_are_one_fix_or_come_in_their_order():
    reported("six-fixes-same-timestamp")
    batch = fixes(*((0, at) for at in [HOME, away(OUTSIDE_M)] * 3))
    found = evaluate(batch, State(), ZoneIndex([fence()]), NO_TIMERS_US, Gates.open())
    assert found.late.tolist() == [False] + [True] * 5
    assert len(found.transitions) == 1
    batch.rows["seq"] = range(6)
    assert told([fence()], batch, gates=Gates.open()) == [("enter", 0, 0.0)]


@fence_cases("two-sources-a-second-apart", "cell-and-gps-pair")
def test_a_poor_cell_fix_beside_a_good_one_changes_nothing(case):
    where = {"inside": HOME, "outside": away(OUTSIDE_M)}
    start_s = _seconds(case["fixes"][0]["t"]) - 60
    at = [(_seconds(fix["t"]), where[fix["where"]]) for fix in case["fixes"]]
    batch = fixes((start_s, HOME), *at, accuracy_m=[10, 1_500, 10])
    assert told([fence()], batch) == [("enter", 0, start_s)]


@pytest.mark.parametrize(("inside_s", "kinds"), [(20, []), (40, ["enter"])])
def test_a_road_beside_a_zone_needs_a_while_inside_and_the_enter_has_its_first_instant(
    inside_s, kinds
):
    reported("passing-by-road")
    inside = [(10.0 + s, HOME) for s in range(0, inside_s + 1, 10)]
    rules = Rules(enter_confirm_seconds=30)
    found = told([fence(rules=rules)], fixes((0, away(200)), *inside, (60, away(200))))
    assert [(kind, time_s) for kind, _, time_s in found] == [(kind, 10.0) for kind in kinds]


def test_a_line_that_is_crossed_is_a_narrow_corridor_with_an_instant_in_between():
    reported("finish-line")
    line = Corridor(np.array([[HOME[0], HOME[1] - 0.001], [HOME[0], HOME[1] + 0.001]]), 0.2)
    zone = ZoneVersion(0, 1, 0, line)
    found = told([zone], fixes((0, away(-6)), (1, away(4))))
    assert [kind for kind, *_ in found] == ["enter", "exit"]
    assert found[0][2] == pytest.approx(0.59, abs=0.002)
    assert found[1][2] == pytest.approx(0.61, abs=0.002)


def test_an_asset_that_is_outside_when_hours_begin_is_told_of():
    reported("schedule-start-outside")
    start = np.array([(0, 60 * S, 0, False)], SCHEDULE_START_DTYPE)
    agenda = Agenda.empty()._replace(schedule_start=start)
    found = told([fence()], fixes((0, away(OUTSIDE_M))), now_us=61 * S, agenda=agenda)
    assert found == [("schedule", 0, 60.0)]


def test_leaving_one_zone_leaves_no_other():
    reported("leave-without-ever-entering")
    other = replace(fence(), zone=1, shape=Circle(*away(OUTSIDE_M / 2), 50.0))
    batch = fixes((0, HOME), (600, away(OUTSIDE_M)), (660, away(OUTSIDE_M)))
    assert told([fence(), other], batch) == [("enter", 0, 0.0), ("exit", 0, 600.0)]


# What is where ------------------------------------------------------------------------------------

# Cases that other tests hold: the file below tests/ that does, and what it says there.
ELSEWHERE = {
    "antimeridian-sign-flip": ("geofence/geometry/test_vectors.py", "antimeridian-sign-flip"),
    "future-fix-poisons-last": ("ingest/planning/test_quarantine.py", '"future"'),
    "backdated-punch": ("geofence/test_punch.py", "punches.json"),
}


@needs_vectors
def test_every_case_is_tested_or_its_difference_is_explained():
    here = Path(__file__)
    page = here.parents[3] / "docs" / "decisions" / "0009-cases-of-other-systems.md"
    texts = here.read_text(), page.read_text()
    for name in [*SCENARIOS, *SEQUENCES]:
        assert f'"{name}"' in texts[0] or f"`{name}`" in texts[1], name
    for file, says in ELSEWHERE.values():
        assert says in (here.parents[2] / file).read_text()
