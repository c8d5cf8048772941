"""Parts of `benchmarks.engine.run`: one asset's day by the careful path, fix by fix.

A day is a walk among zones of the size of a yard, within a large one that the asset never leaves,
as a vehicle that stays in its country does. A twentieth of the fixes arrives late, each behind the
fixes of the hour that follows it.
"""

import time
from functools import cache

import numpy as np
import shapely
from numpy.typing import NDArray

from geofence.judging.evaluator import NO_TIMERS_US
from geofence.judging.state import State
from geofence.late.history import History
from geofence.late.segments import Circumstances
from geofence.model.rules import Gates
from geofence.shapes.types import Polygonal
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import blank_rows

DAY_FIXES = 10_000
HOUR_FIXES = 400
LATE_SHARE = 0.05
_STEP_US = 8_640_000
_STEP_DEG = 0.0005  # some 50 m
_YARDS = 10  # in each direction


@cache
def circumstances() -> Circumstances:
    """Return the large zone, and yards of 200 m, 400 m apart."""
    areas = [shapely.box(-1.0, -1.0, 1.0, 1.0)]
    places = (np.arange(_YARDS) - _YARDS / 2) * 0.004
    areas += [shapely.box(lon, lat, lon + 0.002, lat + 0.002) for lon in places for lat in places]
    versions = [ZoneVersion(number, 1, 0, Polygonal(area)) for number, area in enumerate(areas)]
    return Circumstances(ZoneIndex(versions), Gates.open())


@cache
def day(fixes: int) -> NDArray[np.void]:
    """Return FIX_DTYPE, in order of time."""
    random = np.random.default_rng(20)
    rows = blank_rows(fixes)
    rows["asset"] = rows["organization"] = rows["tracker"] = 0
    rows["time_us"] = np.arange(1, fixes + 1) * _STEP_US
    for name in ("lon", "lat"):
        way = np.cumsum(random.choice([-1, 0, 1], fixes)) * _STEP_DEG
        rows[name] = np.abs((way + 0.02) % 0.08 - 0.04) - 0.02  # back at the edge of the yards
    return rows


def warm_up() -> None:
    """Load all code."""
    late_us(500)


def _split(fixes: int) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Return the fixes that come in order, and the late ones, which lie in the day's first half."""
    rows, late = day(fixes), np.zeros(fixes, np.bool_)
    step = round(1 / LATE_SHARE)
    late[step : fixes // 2 : step] = True
    return rows[~late], rows[late]


def in_order_us() -> float:
    """Return microseconds a fix of a day in which each comes by itself, in order."""
    warm_up()
    rows, given = day(DAY_FIXES), circumstances()
    history = History(0, State())
    begin = time.thread_time_ns()
    for fix in rows:
        history.take(fix, given)
    return (time.thread_time_ns() - begin) / 1e3 / len(rows)


def late_us(fixes: int) -> float:
    """Measure microseconds a late fix, of a day of this many fixes that are known."""
    rows, late = _split(fixes)
    given, history = circumstances(), History(0, State())
    for _ in history.take_all(rows, given):
        pass
    begin = time.thread_time_ns()
    for fix in late:
        history.take(fix, given)
    return (time.thread_time_ns() - begin) / 1e3 / len(late)


def day_us() -> float:
    """Return microseconds a fix of a day with late ones, in the order in which they arrive."""
    rows, late = day(DAY_FIXES).copy(), np.zeros(DAY_FIXES, np.bool_)
    late[:: round(1 / LATE_SHARE)] = True
    arrival = np.arange(DAY_FIXES) + late * (HOUR_FIXES + 0.5)
    given, history = circumstances(), History(0, State())
    begin = time.thread_time_ns()
    for fix in rows[np.argsort(arrival)]:
        history.take(fix, given)
    return (time.thread_time_ns() - begin) / 1e3 / len(rows)


def recall_us() -> float:
    """Return microseconds a fix of an hour that is read back: of 3,600 fixes, one a second."""
    rows, given, found = day(3_600), circumstances(), list[float]()
    first = History(0, State())
    for _ in first.take_all(rows, given):
        pass
    for _ in range(5):
        history = History(0, State())
        begin = time.thread_time_ns()
        history.recall(rows, first.visits.values(), NO_TIMERS_US, given)
        found.append((time.thread_time_ns() - begin) / 1e3 / len(rows))
    return sorted(found)[2]
