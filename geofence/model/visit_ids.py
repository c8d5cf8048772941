"""Ids of visits and events: derived, so that anyone who works them out gets the same."""

import struct
from uuid import UUID

from geofence.model.transitions import Transition
from telemetry.ids import derived_id

_first_fix = struct.Struct(">qiq").pack
_TRANSITIONS = {transition.word: bytes([transition]) for transition in Transition}


def visit_id(
    asset: UUID,
    zone: UUID,
    tracker: UUID,
    first_fix_us: int,
    first_fix_seq: int,
    change_us: int = 0,
    again: int = 0,
) -> UUID:
    """Return the id of a visit: who, where, and the fix (tracker, time, seq) that opened it.

    change_us: the instant of the zone's change where that opened the visit, else 0. again: how many
    visits that the same fix opened were known before (`geofence.late.amendments.VisitKey`). Times
    are microseconds since 1970.
    """
    first_fix = _first_fix(first_fix_us, first_fix_seq, change_us)
    parts = (asset.bytes, zone.bytes, tracker.bytes, first_fix)
    if again:
        return derived_id(b"visit_again", *parts, again.to_bytes(4, "big"))
    return derived_id(b"visit", *parts)


def event_id(visit: UUID, transition: str) -> UUID:
    """Return the id of the event that a visit's "enter", "exit", "dwell" or "overspeed" gives."""
    return derived_id(b"visit_event", visit.bytes, _TRANSITIONS[transition])


def amendment_event_id(visit: UUID, revision: int) -> UUID:
    """Return the id of the event that tells of a visit's amendment, which made it this revision."""
    return derived_id(b"visit_amended", visit.bytes, revision.to_bytes(4, "big"))


def schedule_start_event_id(asset: UUID, zone: UUID, opened_us: int) -> UUID:
    """Return the id of the event that an asset gives when the hours of a zone begin.

    opened_us: when they began, microseconds since 1970.
    """
    moment = opened_us.to_bytes(8, "big", signed=True)
    return derived_id(b"schedule_event", asset.bytes, zone.bytes, moment)
