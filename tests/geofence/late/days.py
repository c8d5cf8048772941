"""Days of one tracker along the equator, what a history makes of them, and random ones."""

import numpy as np
import shapely
from hypothesis import strategies as st

from geofence.judging.evaluator import NO_TIMERS_US
from geofence.judging.state import State
from geofence.late.amendments import Visit, VisitKey
from geofence.late.history import History
from geofence.late.revision import Revision
from geofence.late.segments import Circumstances
from geofence.model.rules import Gates, Rules
from geofence.shapes.types import Circle, Polygonal
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import Known, blank_rows
from tests.geofence.chosen import OneOfEach

MINUTE_US = 60_000_000
PLAIN = Rules(exit_confirm_fixes=1, max_gap_seconds=0)


def square(west: float, east: float) -> Polygonal:
    return Polygonal(shapely.box(west, -1.0, east, 1.0))


def blank_fixes(count: int) -> np.ndarray:
    """Return rows of the tracker, whose times and places are to be set."""
    rows = blank_rows(count)
    rows["asset"] = rows["organization"] = 0
    rows["tracker"] = 7
    return rows


def fixes(*places: tuple[float, float], accuracy_m: float | None = None) -> np.ndarray:
    """Return rows of (minute, longitude) on the equator."""
    rows = blank_fixes(len(places))
    rows["time_us"] = [round(minute * MINUTE_US) for minute, _ in places]
    rows["lon"] = [lon for _, lon in places]
    if accuracy_m is not None:
        rows["accuracy_m"], rows["known"] = accuracy_m, Known.ACCURACY
    return rows


def took(
    rows: np.ndarray, index: ZoneIndex, now_us: int = NO_TIMERS_US, gates: Gates | None = None
) -> tuple[History, list[Revision]]:
    history = History(0, State())
    circumstances = Circumstances(index, gates or Gates.open())
    revisions = [history.take(row, circumstances) for row in rows]
    if now_us != NO_TIMERS_US:
        revisions.append(history.pass_time(now_us, circumstances))
    return history, revisions


def stays(history: History) -> list[tuple[int, int, int | None]]:
    """Return (zone, start, end) of the visits that hold, in order."""
    return sorted(
        (v.key.zone, v.entered.time_us, None if v.left is None else v.left.time_us)
        for v in history.visits.values()
        if not v.retracted
    )


def told(revisions: list[Revision]) -> list[list[tuple[str, bool]]]:
    return [
        [(one.kind.value, one.late) for one in revision.announcements] for revision in revisions
    ]


SILENCE = Rules(exit_confirm_fixes=1, max_gap_seconds=0, close_after_silence_seconds=600)
PASSING = Rules(exit_confirm_fixes=1, max_gap_seconds=600)
SPEEDS_AND_ACCURACIES = Gates(np.empty(0), 1_000.0, 200.0)


def states_less_exactly(rows: np.ndarray, *accuracies_m: float | None) -> np.ndarray:
    """Return the fixes, with these accuracies."""
    rows["known"] = [0 if one is None else Known.ACCURACY for one in accuracies_m]
    rows["accuracy_m"] = [one or 0.0 for one in accuracies_m]
    return rows


_RULES = {
    "exit_buffer_m": (0.0, 2_000.0),
    "enter_confirm_fixes": (1, 2, 3),
    "exit_confirm_fixes": (1, 2, 3),
    "enter_confirm_seconds": (0.0, 90.0),
    "exit_confirm_seconds": (0.0, 90.0),
    "max_gap_seconds": (0.0, 120.0, 600.0),
    "dwell_seconds": (None, 150.0),
    "close_after_silence_seconds": (None, 400.0),
    "speed_limit_mps": (None, 20.0),
}
_EVERY_RULE = OneOfEach(*_RULES.values())
_ZONES = OneOfEach(range(9), (False, True), (None, 13 * MINUTE_US + 5))


@st.composite
def rules(draw) -> Rules:
    return Rules(**dict(zip(_RULES, _EVERY_RULE.drawn(draw), strict=True)))


@st.composite
def zones(draw) -> ZoneIndex:
    versions = []
    for zone in range(3):
        tenths, is_round, cut = _ZONES.drawn(draw)
        west = tenths / 10 + 0.017
        shape = Circle(west, 0.0, 11_111.0) if is_round else square(west, west + 0.23)
        first = ZoneVersion(zone, 1, 0, shape, rules=draw(rules()))
        if cut is None:
            versions.append(first)
            continue
        moved = square(west + 0.1, west + 0.3)
        versions += [
            ZoneVersion(zone, 1, 0, shape, valid_to_us=cut, rules=first.rules),
            ZoneVersion(zone, 2, 0, moved, valid_from_us=cut, rules=draw(rules())),
        ]
    return ZoneIndex(versions)


_STEPS = OneOfEach(
    *((1, 1, 1, 2, 9), (0, 0, 1, -1, 2, 40, -40)),
    *((None, 5.0, 6_000.0, 40_000.0), (None, None, 15.0, 25.0)),
)


@st.composite
def days(draw, most: int = 30) -> np.ndarray:
    """Return a tracker's day, in order: slow, sometimes with a jump, coarse, or inaccurate."""
    minute, lon = 0, 5
    steps = [_STEPS.drawn(draw) for _ in range(draw(st.integers(1, most)))]
    rows = blank_fixes(len(steps))
    for row, (minutes, tenths, accuracy_m, speed_mps) in zip(rows, steps, strict=True):
        minute, lon = minute + minutes, lon + tenths
        row["time_us"], row["lon"] = minute * MINUTE_US, lon / 10
        if accuracy_m is not None:
            row["accuracy_m"], row["known"] = accuracy_m, Known.ACCURACY
        if speed_mps is not None:
            row["speed_mps"] = speed_mps
            row["known"] |= Known.SPEED
    return rows


@st.composite
def roads(draw, most: int = 30) -> tuple[ZoneIndex, np.ndarray]:
    """Return narrow zones along a road, and a day of passing through them, also by coarse fixes."""
    west = draw(st.sets(st.integers(0, 60), min_size=3, max_size=20))
    versions = [
        ZoneVersion(zone, 1, 0, square(one / 20 + 0.01, one / 20 + 0.02), rules=PASSING)
        for zone, one in enumerate(sorted(west))
    ]
    steps = draw(st.lists(st.integers(-1, 3), min_size=3, max_size=most))
    rows = fixes(*((minute, lon / 10) for minute, lon in enumerate(np.cumsum(steps).tolist())))
    accuracies_m = [draw(st.sampled_from([5.0, 60.0, 40_000.0])) for _ in rows]
    return ZoneIndex(versions), states_less_exactly(rows, *accuracies_m)


def whole(history: History) -> list[tuple]:
    """Return all that is the same whatever the order of arrival."""
    return whole_of(history.visits)


def whole_of(visits: dict[VisitKey, Visit]) -> list[tuple]:
    return sorted(
        (
            visit.key.zone,
            *map(str, (visit.entered, visit.left, visit.dwelled, visit.overspeed)),
            visit.version,
        )
        for visit in visits.values()
        if not visit.retracted
    )


@st.composite
def shuffled(draw, n: int) -> list[int]:
    """Return an order of arrival: any, or that of time but for some that come late."""
    order = list(range(n))
    if draw(st.booleans()):
        return draw(st.permutations(order))
    for _ in range(draw(st.integers(0, 3))):
        order.insert(draw(st.integers(0, n - 1)), order.pop(draw(st.integers(0, n - 1))))
    return order
