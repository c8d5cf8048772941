"""Visits opened and closed, and the transitions that tell of it. Compiled.

The asset under judgement stands in case.asset with its memberships in desk.member.
"""

import numpy as np

from geofence.bare import bare as compiled
from geofence.transitions import Cause, Transition
from geofence.workspace import Desk

_ENTERS, _EXITS = int(Transition.ENTER), int(Transition.EXIT)
_MOVED = int(Cause.MOVED)


@compiled
def has_room(desk: Desk) -> bool:
    """Whether whatever the candidates and the memberships give has room."""
    most = desk.case[0].members + desk.case[0].candidates
    room = len(desk.transition) - 1 - desk.case[0].transitions  # one is kept free for swapping
    return most <= len(desk.member) and 2 * most <= room


@compiled
def enter(desk: Desk, number: int, at: np.void, opened_by: np.void) -> None:
    """Opens a visit, for case.cause, case.inferred and case.change_us.

    at: when and where; opened_by: the fix whose identity names the visit.
    """
    member, case = desk.member[number], desk.case[0]
    member.inside = True
    member.dwelled = False
    member.run = 0
    member.entered_us = at.time_us
    member.opening_tracker = opened_by.tracker
    member.opening_us, member.opening_seq = opened_by.time_us, opened_by.seq
    member.opening_change_us = case.change_us
    member.opening_version = version_at(desk, number, at.time_us)
    case.transition = _ENTERS
    note(desk, number, at)


@compiled
def leave(desk: Desk, number: int, at: np.void) -> None:
    """Closes the visit, for case.cause and case.inferred."""
    member, case = desk.member[number], desk.case[0]
    case.transition = _EXITS
    note(desk, number, at)
    member.inside = False
    member.run = 0
    if member.zone >= len(desk.zones.newest):
        member.returning = False
    elif not desk.zones.entry[desk.zones.newest[member.zone]].remembers_exits:
        member.returning = False
    elif case.cause == _MOVED:
        member.returning = True


@compiled
def version_at(desk: Desk, number: int, time_us: int) -> int:
    """The version in force, else the last that began, else the one that the visit began with."""
    zone = desk.member[number].zone
    entry = desk.zones.newest[zone] if zone < len(desk.zones.newest) else -1
    while entry >= 0 and desk.zones.entry[entry].valid_from_us > time_us:
        entry = desk.zones.entry[entry].before
    return desk.zones.entry[entry].version if entry >= 0 else desk.member[number].opening_version


@compiled
def note(desk: Desk, number: int, at: np.void) -> None:
    """Writes down case.transition, for case.cause and case.inferred."""
    case, member = desk.case[0], desk.member[number]
    found = desk.transition[case.transitions]
    case.transitions += 1
    found.row = case.row
    found.asset, found.organization = case.asset.asset, case.asset.organization
    found.zone, found.version = member.zone, version_at(desk, number, at.time_us)
    found.transition, found.cause, found.inferred = case.transition, case.cause, case.inferred
    found.returning = member.returning
    found.time_us, found.lat, found.lon = at.time_us, at.lat, at.lon
    found.tracker = at.tracker
    found.accuracy_m, found.speed_mps = at.accuracy_m, at.speed_mps
    found.opening_tracker, found.opening_us = member.opening_tracker, member.opening_us
    found.opening_seq, found.opening_change_us = member.opening_seq, member.opening_change_us
    found.entered_us, found.opening_version = member.entered_us, member.opening_version


@compiled
def add_member(desk: Desk, zone: int) -> int:
    """A membership of which nothing is known but its zone."""
    number = desk.case[0].members
    desk.case[0].members += 1
    member = desk.member[number]
    member.asset, member.zone = desk.case[0].asset.asset, zone
    member.inside = member.dwelled = member.returning = False
    member.run = 0
    return number


@compiled
def drop_idle(desk: Desk) -> None:
    """Forgets memberships that say nothing any more."""
    kept = 0
    for number in range(desk.case[0].members):
        member = desk.member[number]
        if member.inside or member.run > 0 or member.returning:
            if kept != number:
                desk.member[kept] = member
            kept += 1
    desk.case[0].members = kept


@compiled
def put_in_order(desk: Desk, begin: int) -> None:
    """Transitions of one instant of judgement: by time, exits before enters, then zone.

    A visit without length keeps its enter before its exit. An insertion sort: they are few.
    """
    for end in range(begin + 1, desk.case[0].transitions):
        place = end
        while place > begin and _comes_before(
            desk.transition[place], desk.transition[place - 1]
        ):
            free = len(desk.transition) - 1
            desk.transition[free] = desk.transition[place]
            desk.transition[place] = desk.transition[place - 1]
            desk.transition[place - 1] = desk.transition[free]
            place -= 1


@compiled
def _comes_before(one: np.void, other: np.void) -> bool:
    if one.time_us != other.time_us:
        return one.time_us < other.time_us
    rank, other_rank = _rank(one), _rank(other)
    if rank != other_rank:
        return rank < other_rank
    return one.zone < other.zone


@compiled
def _rank(found: np.void) -> int:
    if found.transition == _EXITS:
        return 0 if found.entered_us < found.time_us else 2
    return 1
