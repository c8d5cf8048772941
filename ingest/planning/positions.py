"""Positions of assets, as the fixes of a plan show them, and which employees may be elsewhere.

The position of an asset, or of an employee, is its newest fix that is not suspect.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from db.history.gps_events import FixKey
from ingest.registry.registry import Registry
from telemetry.fix import FixBatch, Flag, Known

POSITION_DTYPE = np.dtype(
    [
        ("asset", "<i4"),
        ("organization", "<i4"),
        ("tracker", "<i4"),
        ("time_us", "<i8"),
        ("seq", "<i4"),
        ("lat", "<f8"),
        ("lon", "<f8"),
        ("speed_mps", "<f4"),  # NaN: not known, as the next two
        ("course_deg", "<f4"),
        ("accuracy_m", "<f4"),
    ]
)
_FROM_FIX = ("organization", "tracker", "time_us", "seq", "lat", "lon")
_OPTIONAL = (
    ("speed_mps", Known.SPEED),
    ("course_deg", Known.COURSE),
    ("accuracy_m", Known.ACCURACY),
)


class PlanPositions(NamedTuple):
    """POSITION_DTYPE both. newest: the newest new fix of each asset, where that is no suspect.
    marked: stored fixes that become suspect or no longer are; of them asset, time_us and seq.
    of_employees: trackers of employees who are shown, which have new fixes.
    """

    newest: NDArray[np.void]
    marked: NDArray[np.void]
    of_employees: Sequence[int] = ()


def positions_of(
    new: FixBatch, suspect: Mapping[FixKey, bool], registry: Registry
) -> PlanPositions:
    """Return what new fixes, and stored ones with another flag, say of assets and employees."""
    return PlanPositions(
        _newest(new.rows, registry),
        _marked(list(suspect), registry),
        _of_employees(new.rows, registry.employee_trackers),
    )


def _newest(fixes: NDArray[np.void], registry: Registry) -> NDArray[np.void]:
    asset = fixes["asset"]
    apart = np.flatnonzero(asset < 0)  # on no asset, or on one with a backlog
    if len(apart):
        asset = asset.copy()
        asset[apart] = registry.assigned(fixes["tracker"][apart], fixes["time_us"][apart])
    place = np.flatnonzero((asset >= 0) & (fixes["flags"] & Flag.SUSPECT == 0))
    place = place[np.lexsort((fixes["seq"][place], fixes["time_us"][place], asset[place]))]
    is_last = np.append(asset[place[1:]] != asset[place[:-1]], True)[: len(place)]
    place = place[is_last]
    newest = np.empty(len(place), POSITION_DTYPE)
    newest["asset"] = asset[place]
    for name in _FROM_FIX:
        newest[name] = fixes[name][place]
    known = fixes["known"][place]
    for name, bit in _OPTIONAL:
        newest[name] = np.where(known & bit, fixes[name][place], np.nan)
    return newest


def _of_employees(fixes: NDArray[np.void], is_shown: Mapping[int, bool]) -> list[int]:
    if not is_shown:
        return []
    trackers = np.unique(fixes["tracker"][fixes["asset"] < 0])
    return [tracker for tracker in trackers.tolist() if is_shown.get(tracker, False)]


def _marked(fixes: list[FixKey], registry: Registry) -> NDArray[np.void]:
    marked = np.zeros(len(fixes), POSITION_DTYPE)
    if fixes:
        marked["tracker"] = [registry.trackers.number(fix.tracker_id) for fix in fixes]
        marked["time_us"] = [fix.time_us for fix in fixes]
        marked["seq"] = [fix.seq for fix in fixes]
        marked["asset"] = registry.assigned(marked["tracker"], marked["time_us"])
    return marked[marked["asset"] >= 0]
