"""Ids of visits and events, and which transitions alert. Ids are derived: anyone gets the same."""

from collections.abc import Collection
from uuid import UUID

from geofence.transitions import Cause, Transition
from telemetry.ids import derived_id

NAMES = {Transition.ENTER: "enter", Transition.EXIT: "exit"}

# Kind of zone -> what alerts where the zone itself does not say.
DEFAULT_ALERTS: dict[str, frozenset[str]] = {
    "restricted": frozenset({"enter", "exit", "pass_through"}),
    "allowed": frozenset({"enter", "exit"}),
    "jobsite": frozenset(),
    "yard": frozenset(),
    "other": frozenset(),
}


def visit_id(
    asset: UUID, zone: UUID, tracker: UUID, opening_us: int, opening_seq: int, change_us: int = 0
) -> UUID:
    """The id of a visit: who, where, and the fix (tracker, time, seq) that opened it.

    change_us: the instant of the zone's change where that opened the visit, else 0. Times are
    microseconds since 1970.
    """
    return derived_id(
        b"visit",
        asset.bytes,
        zone.bytes,
        tracker.bytes,
        opening_us.to_bytes(8, "big", signed=True),
        opening_seq.to_bytes(4, "big", signed=True),
        change_us.to_bytes(8, "big", signed=True),
    )


def event_id(visit: UUID, transition: str) -> UUID:
    """The id of the event that a visit's "enter", "exit" or "dwell" gives."""
    return derived_id(b"visit_event", visit.bytes, bytes([Transition[transition.upper()]]))


def opening_event_id(asset: UUID, zone: UUID, opened_us: int) -> UUID:
    """The id of the event that an asset gives when the hours of a zone begin.

    opened_us: when they began, microseconds since 1970.
    """
    moment = opened_us.to_bytes(8, "big", signed=True)
    return derived_id(b"schedule_event", asset.bytes, zone.bytes, moment)


def alerts(
    kind: str, alert_on: Collection[str] | None, transition: Transition, cause: Cause
) -> bool:
    """Whether a transition gives an asset.geofence_breach.

    A change of the zone never does. `alert_on` (of "enter", "exit", "pass_through") decides where
    it is given; else the kind: everything of a restricted zone, leaving an allowed zone and coming
    back into it, nothing of the others.
    """
    if cause is Cause.ZONE_CHANGED:
        return False
    if alert_on is not None:
        return NAMES[transition] in alert_on
    if kind == "allowed" and cause is Cause.INITIAL:
        return False
    return NAMES[transition] in DEFAULT_ALERTS[kind]
