"""The rows that late fixes change: visits and events."""

from collections.abc import Sequence
from functools import partial
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.history.events import Event
from db.history.visits import VisitRow
from geofence.late import amendments
from geofence.late.amendments import Announcement, AnnouncementKind, VisitKey
from geofence.late.revision import Revision
from geofence.model.transitions import (
    TRANSITION_DTYPE,
    Cause,
    Inferred,
    Transition,
    rank_in_instant,
)
from geofence.model.visit_ids import visit_id
from ingest.events.amendment import amendment_event
from ingest.events.detected import DetectedEvent, Detection, FlagsOf
from ingest.events.transition_rows import TransitionRow, read_transitions, visit_of
from ingest.events.visits import opened_visit, outcome_of, visit_event
from ingest.registry.registry import Registry
from telemetry.times import format_time, to_datetime

_Order = tuple[int, int, int, int, UUID]
_FIRST = {
    AnnouncementKind.ENTER: Transition.ENTER,
    AnnouncementKind.EXIT: Transition.EXIT,
    AnnouncementKind.DWELL: Transition.DWELL,
    AnnouncementKind.OVERSPEED: Transition.OVERSPEED,
}


def events(
    asset: int,
    revision: Revision,
    fixes: Sequence[int],
    registry: Registry,
    clock_us: int,
    flags_of: FlagsOf,
) -> list[DetectedEvent]:
    """Return the events of one revision of an asset's visits, in order.

    fixes: the numbers of the fixes that the revision covers, see `ingest.events.detected`.
    """
    detected_at = format_time(clock_us)
    found: list[tuple[_Order, DetectedEvent]] = []
    transitions = read_transitions(_rows(asset, revision.announcements, registry), registry)
    for transition, one in zip(transitions, revision.announcements, strict=True):
        fix = fixes[one.fix]
        detection = Detection(detected_at, one.late, flags_of(fix, transition))
        event = _event(transition, one, detection, registry)
        if event is not None:
            order = (*one.order, registry.zones[one.visit.key.zone])
            found.append((order, DetectedEvent(fix, event)))
    for start in revision.schedule_starts:
        rows, fix = np.array([start], TRANSITION_DTYPE), fixes[int(start["row"])]
        told = outcome_of(rows, registry, clock_us, {}, partial(_flags_by, flags_of, fix))
        for _, event in told.events:
            found.append((_order(start, registry), DetectedEvent(fix, event)))
    return [known for _, known in sorted(found, key=lambda one: one[0])]


def _flags_by(flags_of: FlagsOf, fix: int, _: int, transition: TransitionRow) -> int:
    """Return the flags of a transition that this fix made known, whatever its row says."""
    return flags_of(fix, transition)


def _order(start: np.void, registry: Registry) -> _Order:
    """Return a sort key: as `Announcement.order`, then the zone's id."""
    kind, time_us = int(start["transition"]), int(start["time_us"])
    rank = rank_in_instant(kind, int(start["entered_us"]), time_us)
    zone_id = registry.zones[int(start["zone"])]
    return int(start["row"]), int(start["step"]), time_us, rank, zone_id


def _event(
    transition: TransitionRow, one: Announcement, detection: Detection, registry: Registry
) -> Event | None:
    if one.kind in _FIRST:
        visit = visit_of(transition, registry)
        return visit_event(transition, visit, detection, registry)
    left_us = None if one.visit.left is None else one.visit.left.time_us
    amended = (one.kind, one.visit.revision, left_us)
    return amendment_event(transition, *amended, detection, registry)


def _rows(
    asset: int, announcements: Sequence[Announcement], registry: Registry
) -> NDArray[np.void]:
    """Return the announcements as transitions, TRANSITION_DTYPE, (n,)."""
    rows = np.zeros(len(announcements), TRANSITION_DTYPE)
    rows["asset"], rows["organization"] = asset, registry.organization_of_asset(asset)
    for row, one in zip(rows, announcements, strict=True):
        visit, at = one.visit, one.occurred
        row["zone"], row["version"] = visit.key.zone, visit.version
        if one.kind is AnnouncementKind.OVERSPEED:  # the limit is that of its own time
            row["version"] = registry.index.version_at(visit.key.zone, at.time_us)
        row["transition"] = _FIRST.get(one.kind, Transition.NONE)
        row["cause"], row["inferred"], row["returning"] = at.cause, at.inferred, visit.returning
        row["time_us"], row["lat"], row["lon"] = at.time_us, at.lat, at.lon
        row["tracker"], row["fix_us"], row["fix_seq"] = at.tracker, at.fix_us or 0, at.fix_seq
        row["accuracy_m"] = np.nan if at.accuracy_m is None else at.accuracy_m
        row["speed_mps"] = np.nan if at.speed_mps is None else at.speed_mps
        row["first_fix_tracker"], row["first_fix_us"] = visit.key.tracker, visit.key.time_us
        row["first_fix_seq"], row["change_us"] = visit.key.seq, visit.key.change_us
        row["again"], row["entered_version"] = visit.key.again, visit.version
        row["entered_us"] = visit.entered.time_us
    return rows


def visit_id_of(asset: int, key: VisitKey, registry: Registry) -> UUID:
    """Return the id of the visit that has this key."""
    tracker = registry.trackers[key.tracker]
    first_fix = (key.time_us, key.seq, key.change_us, key.again)
    return visit_id(registry.assets[asset], registry.zones[key.zone], tracker, *first_fix)


def visit_row(asset: int, visit: amendments.Visit, registry: Registry) -> VisitRow:
    """Return the whole present row of a visit."""
    (transition,) = read_transitions(
        _rows(asset, [Announcement(AnnouncementKind.ENTER, visit, late=True)], registry), registry
    )
    row = opened_visit(transition, visit_of(transition, registry), registry)._replace(
        zone_version=visit.version,
        revision=visit.revision,
        retracted=visit.retracted,
        exit_announced=visit.exit_announced,
        dwell_announced=visit.dwell_announced,
        dwelled_at=None if visit.dwelled is None else to_datetime(visit.dwelled.time_us),
        overspeed_announced=visit.overspeed_announced,
    )
    if visit.overspeed is not None:
        row = row._replace(
            overspeed_at=to_datetime(visit.overspeed.time_us),
            overspeed_lat=visit.overspeed.lat,
            overspeed_lon=visit.overspeed.lon,
            overspeed_mps=visit.overspeed.speed_mps,
        )
    if visit.left is None:
        return row
    left = visit.left
    row = row._replace(
        left_at=to_datetime(left.time_us),
        exit_lat=left.lat,
        exit_lon=left.lon,
        exit_cause=Cause(left.cause).word,
        exit_inferred=Inferred(left.inferred).word,
    )
    if left.fix_us is None:
        return row
    return row._replace(
        exit_tracker_id=registry.trackers[left.tracker],
        exit_fix_time=to_datetime(left.fix_us),
        exit_fix_seq=left.fix_seq,
    )
