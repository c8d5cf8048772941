"""Visits opened and closed, and the transitions that record it. Compiled.

asset: whose memberships are in scratch.member.
"""

from geofence.judging.scratch import Scratch, member_of
from geofence.kernel.compiled import Record, bare
from geofence.model.records import copy_membership
from geofence.model.transitions import Cause, Transition

_ENTERS, _EXITS = int(Transition.ENTER), int(Transition.EXIT)
_MOVED = int(Cause.MOVED)


@bare
def begin_step(scratch: Scratch) -> bool:
    """Begin an instant of judgement. False where what it may give has no room."""
    cursor = scratch.cursor[0]
    cursor.step += 1
    most = cursor.members + cursor.candidates
    if cursor.base + most > len(scratch.member):
        return False
    return cursor.transitions + 2 * most <= len(scratch.transition)


@bare
def enter(
    scratch: Scratch,
    asset: Record,
    number: int,
    at: Record,
    opened_by: Record,
    cause: int,
    inferred: int,
    change_us: int,
) -> None:
    """Open a visit.

    at: when and where; opened_by: the fix whose identity names the visit; change_us: the change
    that opens it, 0 for none.
    """
    member = member_of(scratch, number)
    member.inside = True
    member.dwelled = member.overspeed = False
    member.run = 0
    member.entered_us = at.time_us
    member.first_fix_tracker = opened_by.tracker
    member.first_fix_us, member.first_fix_seq = opened_by.time_us, opened_by.seq
    member.change_us = change_us
    member.entered_version = version_at(scratch, number, at.time_us)
    member.again = 0
    note(scratch, asset, number, at, opened_by, _ENTERS, cause, inferred)


@bare
def leave(
    scratch: Scratch,
    asset: Record,
    number: int,
    at: Record,
    closed_by: Record,
    cause: int,
    inferred: int,
) -> None:
    """Close the visit. at: when and where; closed_by: the fix that shows it."""
    member = member_of(scratch, number)
    note(scratch, asset, number, at, closed_by, _EXITS, cause, inferred)
    member.inside = False
    member.run = 0
    asset.vague = False
    if not _remembers_exits(scratch, member.zone):
        member.returning = False
    elif cause == _MOVED:
        member.returning = True


@bare
def _remembers_exits(scratch: Scratch, zone: int) -> bool:
    newest = scratch.zones.newest[zone] if zone < len(scratch.zones.newest) else -1
    return newest >= 0 and scratch.zones.entry[newest].remembers_exits


@bare
def version_at(scratch: Scratch, number: int, time_us: int) -> int:
    """Return the version in force, else the last that began, else the one that the visit began
    with.
    """
    zone = member_of(scratch, number).zone
    entry = scratch.zones.newest[zone] if zone < len(scratch.zones.newest) else -1
    while entry >= 0 and scratch.zones.entry[entry].valid_from_us > time_us:
        entry = scratch.zones.entry[entry].before
    if entry < 0:
        return member_of(scratch, number).entered_version
    return scratch.zones.entry[entry].version


@bare
def note(
    scratch: Scratch,
    asset: Record,
    number: int,
    at: Record,
    shown_by: Record,
    kind: int,
    cause: int,
    inferred: int,
) -> None:
    """Write down a transition of a kind. at: when and where; shown_by: the fix that shows it."""
    cursor, member = scratch.cursor[0], member_of(scratch, number)
    transition = scratch.transition[cursor.transitions]
    cursor.transitions += 1
    transition.row, transition.step = cursor.row, cursor.step
    transition.asset, transition.organization = asset.asset, asset.organization
    transition.zone, transition.version = member.zone, version_at(scratch, number, at.time_us)
    transition.transition, transition.cause, transition.inferred = kind, cause, inferred
    transition.returning = member.returning
    transition.time_us, transition.lat, transition.lon = at.time_us, at.lat, at.lon
    transition.tracker, transition.fix_us, transition.fix_seq = (
        at.tracker,
        shown_by.time_us,
        shown_by.seq,
    )
    transition.accuracy_m, transition.speed_mps = at.accuracy_m, at.speed_mps
    transition.first_fix_tracker, transition.first_fix_us = (
        member.first_fix_tracker,
        member.first_fix_us,
    )
    transition.first_fix_seq, transition.change_us = member.first_fix_seq, member.change_us
    transition.entered_us, transition.entered_version = member.entered_us, member.entered_version
    transition.again = member.again


@bare
def add_member(scratch: Scratch, asset: Record, zone: int) -> int:
    """Return a membership of which nothing is known but its zone."""
    number = scratch.cursor[0].members
    scratch.cursor[0].members += 1
    member = member_of(scratch, number)
    member.asset, member.zone = asset.asset, zone
    member.inside = member.dwelled = member.overspeed = member.returning = False
    member.entered_us = member.first_fix_us = member.change_us = 0
    member.first_fix_tracker = member.first_fix_seq = member.entered_version = 0
    member.again = 0
    member.run = 0
    return number


@bare
def drop_idle(scratch: Scratch) -> None:
    """Forget memberships that say nothing any more."""
    kept = 0
    for number in range(scratch.cursor[0].members):
        member = member_of(scratch, number)
        if member.inside or member.run > 0 or member.returning:
            if kept != number:
                copy_membership(member_of(scratch, kept), member)
            kept += 1
    scratch.cursor[0].members = kept
