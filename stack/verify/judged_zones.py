"""The zones and trackers of a run as the evaluator takes them: index and agenda.

Positions in the run are the evaluator's ordinals; the organization is 0.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geofence.model.no_fix_events import MOVE_DTYPE, SCHEDULE_START_DTYPE, Agenda
from geofence.model.policy import DEFAULT_KIND, Policy, event_type, schedule_start_breach
from geofence.model.records import PLACE_DTYPE
from geofence.model.rules import Rules
from geofence.model.schedule import opens_between, parse_schedule
from geofence.shapes.geojson import read_shape
from geofence.zones.index import MAX_TIME_US, MIN_TIME_US, ZoneIndex, ZoneVersion
from geofence.zones.versions import ALL_ASSETS, FILTER_DTYPE
from stack.scenario.zones import SimZone
from stack.verify.run_history import AssetSpan, RunHistory, ZoneSpan
from telemetry.fix import Known


def policy_of(zone: SimZone) -> Policy:
    """Return which events a zone gives."""
    return Policy(
        kind=zone.kind or DEFAULT_KIND,
        alert_on=None if zone.alert_on is None else frozenset(zone.alert_on),
        schedule=None if zone.schedule is None else parse_schedule(zone.schedule),
    )


def zones_that_tell_all(history: RunHistory) -> set[str]:
    """Return the ids of zones that publish every enter and exit, at any time, in each version."""
    silent = {zone.zone for zone in history.zones if not _tells_all(policy_of(zone.is_like))}
    return {zone_id for zone, zone_id in enumerate(history.zone_ids) if zone not in silent}


def _tells_all(policy: Policy) -> bool:
    return policy.schedule is None and all(
        event_type(policy, word, "moved", inferred, 0, left_before=False) is not None
        for word in ("enter", "exit")
        for inferred in (None, "segment")
    )


def index_of(history: RunHistory) -> ZoneIndex:
    """Return all versions of all zones. The filter of a zone has the number of its span."""
    index = ZoneIndex(
        _version(number, span, history.rules) for number, span in enumerate(history.zones)
    )
    rows = [
        (number, 0, asset, MIN_TIME_US, MAX_TIME_US)
        for number, span in enumerate(history.zones)
        for asset, tags in enumerate(history.tags)
        if span.is_like.tags is not None and set(tags) & set(span.is_like.tags)
    ]
    return index.with_filters(np.array(rows, FILTER_DTYPE))


def _version(number: int, span: ZoneSpan, defaults: Mapping[str, Any]) -> ZoneVersion:
    zone = span.is_like
    return ZoneVersion(
        zone=span.zone,
        version=span.version,
        organization=0,
        shape=read_shape(zone.geometry, radius_m=zone.radius_m, width_m=zone.width_m),
        valid_from_us=span.from_us,
        valid_to_us=span.to_us,
        rules=Rules(**{**defaults, **zone.rules}),
        assets=ALL_ASSETS if zone.tags is None else number,
        remembers_exits=zone.kind == "allowed",
    )


def agenda_of(history: RunHistory, rows: NDArray[np.void], until_us: int) -> Agenda:
    """Return trackers that changed, each with the last of its fixes before; hours that began by
    until_us.

    rows: FIX_DTYPE, what is stored of the run. A tracker that is put on an asset must have sent.
    """
    moves = np.array(list(_moves(history, rows)), MOVE_DTYPE)
    schedule_starts = np.array(list(_schedule_starts(history, until_us)), SCHEDULE_START_DTYPE)
    return Agenda(
        *(rows[np.lexsort((rows["time_us"], rows["key"]))] for rows in (moves, schedule_starts))
    )


def _moves(history: RunHistory, rows: NDArray[np.void]) -> Iterator[tuple[Any, ...]]:
    """Yield MOVE_DTYPE rows. A tracker that had its asset from the beginning has not come to it."""
    for span in history.assignments:
        if span.from_us > history.begins_us:
            of_tracker = rows[rows["tracker"] == span.tracker]
            before = of_tracker[of_tracker["time_us"] < span.from_us]
            newest = int(np.lexsort((before["seq"], before["time_us"]))[-1])
            place = _place(before[newest])
            yield span.asset, span.from_us, 0, True, place
        if span.to_us != MAX_TIME_US and not _is_taken_over(history, span):
            yield span.asset, span.to_us, 0, False, np.zeros(1, PLACE_DTYPE)[0]


def _is_taken_over(history: RunHistory, ended: AssetSpan) -> bool:
    """Return whether the asset got another tracker in the same instant."""
    return any(
        (assignment.asset, assignment.from_us) == (ended.asset, ended.to_us)
        for assignment in history.assignments
    )


def _place(fix: np.void) -> np.void:
    place = np.zeros(1, PLACE_DTYPE)
    for name in ("tracker", "time_us", "seq", "lat", "lon"):
        place[name] = fix[name]
    for name, bit in (("accuracy_m", Known.ACCURACY), ("speed_mps", Known.SPEED)):
        place[name] = fix[name] if fix["known"] & bit else np.nan
    return place[0]


def _schedule_starts(history: RunHistory, until_us: int) -> Iterator[tuple[int, int, int, bool]]:
    for span in history.zones:
        policy = policy_of(span.is_like)
        if policy.schedule is None:
            continue
        for inside in (True, False):
            if schedule_start_breach(policy, inside=inside) is not None:
                last_us = min(until_us, span.to_us - 1)
                for time_us in opens_between(policy.schedule, history.begins_us, last_us):
                    yield 0, time_us, span.zone, inside
