"""Visits opened and closed, and the transitions that tell of it. Compiled.

The asset under judgement stands in judged(desk) with its memberships in desk.member.
"""

from geofence.judging.scratch import Desk, judged, member_of
from geofence.kernel.compiled import Record, bare
from geofence.model.records import copy_membership
from geofence.model.transitions import Cause, Transition

_ENTERS, _EXITS = int(Transition.ENTER), int(Transition.EXIT)
_MOVED = int(Cause.MOVED)


@bare
def begin_step(desk: Desk) -> bool:
    """Begin an instant of judgement. False where what it may give has no room."""
    case = desk.case[0]
    case.step += 1
    most = case.members + case.candidates
    if case.base + most > len(desk.member):
        return False
    return case.transitions + 2 * most <= len(desk.transition)


@bare
def enter(desk: Desk, number: int, at: Record, opened_by: Record) -> None:
    """Open a visit, for case.cause, case.inferred and case.change_us.

    at: when and where; opened_by: the fix whose identity names the visit.
    """
    member, case = member_of(desk, number), desk.case[0]
    member.inside = True
    member.dwelled = member.overspeed = False
    member.run = 0
    member.entered_us = at.time_us
    member.opening_tracker = opened_by.tracker
    member.opening_us, member.opening_seq = opened_by.time_us, opened_by.seq
    member.opening_change_us = case.change_us
    member.opening_version = version_at(desk, number, at.time_us)
    member.opening_again = 0
    case.transition = _ENTERS
    note(desk, number, at, opened_by)


@bare
def leave(desk: Desk, number: int, at: Record, closed_by: Record) -> None:
    """Close the visit, for case.cause and case.inferred.

    at: when and where; closed_by: the fix that shows it.
    """
    member, case = member_of(desk, number), desk.case[0]
    case.transition = _EXITS
    note(desk, number, at, closed_by)
    member.inside = False
    member.run = 0
    judged(desk).vague = False
    if not _remembers_exits(desk, member.zone):
        member.returning = False
    elif case.cause == _MOVED:
        member.returning = True


@bare
def _remembers_exits(desk: Desk, zone: int) -> bool:
    newest = desk.zones.newest[zone] if zone < len(desk.zones.newest) else -1
    return newest >= 0 and desk.zones.entry[newest].remembers_exits


@bare
def version_at(desk: Desk, number: int, time_us: int) -> int:
    """Return the version in force, else the last that began, else the one that the visit began
    with.
    """
    zone = member_of(desk, number).zone
    entry = desk.zones.newest[zone] if zone < len(desk.zones.newest) else -1
    while entry >= 0 and desk.zones.entry[entry].valid_from_us > time_us:
        entry = desk.zones.entry[entry].before
    if entry < 0:
        return member_of(desk, number).opening_version
    return desk.zones.entry[entry].version


@bare
def note(desk: Desk, number: int, at: Record, shown_by: Record) -> None:
    """Write down case.transition, for case.cause and case.inferred.

    at: when and where; shown_by: the fix that shows it.
    """
    case, member = desk.case[0], member_of(desk, number)
    found = desk.transition[case.transitions]
    case.transitions += 1
    found.row, found.step = case.row, case.step
    asset = judged(desk)
    found.asset, found.organization = asset.asset, asset.organization
    found.zone, found.version = member.zone, version_at(desk, number, at.time_us)
    found.transition, found.cause, found.inferred = case.transition, case.cause, case.inferred
    found.returning = member.returning
    found.time_us, found.lat, found.lon = at.time_us, at.lat, at.lon
    found.tracker, found.fix_us, found.fix_seq = at.tracker, shown_by.time_us, shown_by.seq
    found.accuracy_m, found.speed_mps = at.accuracy_m, at.speed_mps
    found.opening_tracker, found.opening_us = member.opening_tracker, member.opening_us
    found.opening_seq, found.opening_change_us = member.opening_seq, member.opening_change_us
    found.entered_us, found.opening_version = member.entered_us, member.opening_version
    found.opening_again = member.opening_again


@bare
def add_member(desk: Desk, zone: int) -> int:
    """Return a membership of which nothing is known but its zone."""
    number = desk.case[0].members
    desk.case[0].members += 1
    member = member_of(desk, number)
    member.asset, member.zone = judged(desk).asset, zone
    member.inside = member.dwelled = member.overspeed = member.returning = False
    member.entered_us = member.opening_us = member.opening_change_us = 0
    member.opening_tracker = member.opening_seq = member.opening_version = 0
    member.opening_again = 0
    member.run = 0
    return number


@bare
def drop_idle(desk: Desk) -> None:
    """Forget memberships that say nothing any more."""
    kept = 0
    for number in range(desk.case[0].members):
        member = member_of(desk, number)
        if member.inside or member.run > 0 or member.returning:
            if kept != number:
                copy_membership(member_of(desk, kept), member)
            kept += 1
    desk.case[0].members = kept
