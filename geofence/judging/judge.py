"""The effect of one fix on the memberships of one asset. Compiled.

The asset under judgement stands in judged(desk) with its memberships in desk.member, the fix
in desk.case[0].place. Every decision is looked up in `geofence.model.transitions.ACTIONS`.
"""

import numpy as np

from geofence.judging.candidates import gather, in_force, meet, note_rows, row_of, unwrapped
from geofence.judging.evidence import is_coarse, is_unknown, is_within_margin, said
from geofence.judging.scratch import Desk, judged, member_of
from geofence.judging.visit_log import add_member, begin_step, drop_idle, enter, leave, note
from geofence.kernel.compiled import Record, bare, inlined
from geofence.model.records import copy_place
from geofence.model.rules import COARSE_M
from geofence.model.transitions import ACTIONS, Action, Cause, Inferred, Says, Transition, Was

_ENTER, _EXIT, _PASS = int(Action.ENTER), int(Action.EXIT), int(Action.PASS)
_NOTHING, _FORGET = int(Action.NOTHING), int(Action.FORGET)
_UNKNOWN, _OUTSIDE, _INSIDE = int(Was.UNKNOWN), int(Was.OUTSIDE), int(Was.INSIDE)
_SAYS_OUTSIDE, _SAYS_MARGIN = int(Says.OUTSIDE), int(Says.MARGIN)
_SAYS_INSIDE, _SAYS_THROUGH = int(Says.INSIDE), int(Says.THROUGH)
_MOVED, _INITIAL, _ZONE_CHANGED = int(Cause.MOVED), int(Cause.INITIAL), int(Cause.ZONE_CHANGED)
_SEEN, _SEGMENT = int(Inferred.NONE), int(Inferred.SEGMENT)
_OVERSPEED = int(Transition.OVERSPEED)


@inlined
def judge_fix(desk: Desk) -> bool:
    """Judge the fix by the table. False where there is no room for what it does."""
    case = desk.case[0]
    asset, place = judged(desk), case.place
    case.vague = asset.vague
    case.bridging = asset.bridged and _is_end_of_bridge(asset, place, desk.zones.max_gap_us)
    start = _start(desk)
    passing = asset.located and asset.joined
    passing = passing and place.time_us - start.time_us <= desk.zones.max_gap_us
    from_lon = start.lon if passing else place.lon
    from_lat = start.lat if passing else place.lat
    if not gather(desk, place.time_us, from_lon, from_lat, place.lon, place.lat):
        return False
    if not begin_step(desk):
        return False
    note_rows(desk)
    if passing:
        _meet_on_the_way(desk, from_lon, from_lat)
    for number in range(case.members):
        _judge_member(desk, number)
    for slot in range(case.candidates):
        if not desk.candidate[slot].dealt_with:
            _judge_newcomer(desk, slot)
    drop_idle(desk)
    return True


@bare
def _is_end_of_bridge(asset: Record, place: Record, max_gap_us: int) -> bool:
    """Return whether the way to the fix leads over the coarse fixes before it."""
    return not is_coarse(place, COARSE_M) and place.time_us - asset.fine.time_us <= max_gap_us


@inlined
def _start(desk: Desk) -> Record:
    """Return the record in which the way to the fix begins."""
    return judged(desk).fine if desk.case[0].bridging else judged(desk).good


@inlined
def _meet_on_the_way(desk: Desk, from_lon: float, from_lat: float) -> None:
    place = desk.case[0].place
    for hit in range(desk.case[0].hits):
        if _may_be_passed(desk, desk.hit[hit].slot):
            meet(desk, hit, from_lon, from_lat, place.lon, place.lat)


@bare
def _may_be_passed(desk: Desk, slot: int) -> bool:
    """Return whether the asset was outside before and after, with no run under way, no coarse end,
    and nothing to be confirmed.
    """
    if desk.candidate[slot].inside:
        return False
    rules = desk.zones.entry[desk.candidate[slot].entry]
    if rules.enter_fixes > 1 or rules.enter_us > 0 or rules.gap_us == 0:
        return False
    start, place = _start(desk), desk.case[0].place
    if place.time_us - start.time_us > rules.gap_us:
        return False
    if is_coarse(start, rules.coarse_accuracy_m) or is_coarse(place, rules.coarse_accuracy_m):
        return False
    number = row_of(desk, rules.zone)
    if number < 0:
        return True
    return not member_of(desk, number).inside and member_of(desk, number).run == 0


@inlined
def _judge_member(desk: Desk, number: int) -> None:
    """Judge the fix in a zone with which the asset has something to do."""
    member, asset, place = member_of(desk, number), judged(desk), desk.case[0].place
    entry = in_force(desk, member.zone, asset.asset, place.time_us)
    if entry < 0:
        _lose(desk, number)
        return
    says = _SAYS_OUTSIDE
    if desk.slot[entry].stamp == desk.case[0].stamp:
        candidate = desk.candidate[desk.slot[entry].place]
        candidate.dealt_with = True
        if candidate.inside:
            says = _SAYS_INSIDE
        elif not np.isnan(candidate.met_first):
            says = _SAYS_THROUGH
    if is_coarse(place, desk.zones.entry[entry].coarse_accuracy_m):
        says = said(desk, entry, place, says == _SAYS_INSIDE)
    elif says == _SAYS_OUTSIDE and member.inside and is_within_margin(desk, entry, place):
        says = _SAYS_MARGIN
    was = _INSIDE
    if not member.inside:
        was = _OUTSIDE if member.run > 0 else _was_not_inside(desk, entry)
    _decide(desk, number, entry, was, says)


@bare
def _judge_newcomer(desk: Desk, slot: int) -> None:
    """Judge the fix in a zone with which the asset had nothing to do."""
    candidate, place = desk.candidate[slot], desk.case[0].place
    if candidate.inside:
        says = _SAYS_INSIDE
        if is_coarse(place, desk.zones.entry[candidate.entry].coarse_accuracy_m):
            says = said(desk, candidate.entry, place, candidate.inside)
    elif not np.isnan(candidate.met_first):
        says = _SAYS_THROUGH
    else:
        return
    was = _was_not_inside(desk, candidate.entry)
    number = add_member(desk, desk.zones.entry[candidate.entry].zone)
    _decide(desk, number, candidate.entry, was, says)


@bare
def _was_not_inside(desk: Desk, entry: int) -> int:
    """Return what is known of a zone in which the asset has no visit."""
    vague = desk.case[0].vague
    if judged(desk).located and not vague:
        return _OUTSIDE
    return _UNKNOWN if is_unknown(desk, entry, vague) else _OUTSIDE


@bare
def _lose(desk: Desk, number: int) -> None:
    """End a stay in a zone that the index does not know, or whose end was not seen."""
    member, case = member_of(desk, number), desk.case[0]
    if member.inside:
        copy_place(case.way, judged(desk).good)
        case.way.time_us = max(case.place.time_us, member.entered_us)
        case.cause, case.inferred = _ZONE_CHANGED, _SEEN
        leave(desk, number, case.way, judged(desk).good)
    member.run = 0
    member.returning = False


@bare
def _decide(desk: Desk, number: int, entry: int, was: int, says: int) -> None:
    """Do what the table says."""
    member, place, rules = member_of(desk, number), desk.case[0].place, desk.zones.entry[entry]
    run_us = place.time_us - member.run_first.time_us if member.run > 0 else 0
    if was == _INSIDE:
        confirmed = member.run + 1 >= rules.exit_fixes and run_us >= rules.exit_us
    else:
        confirmed = member.run + 1 >= rules.enter_fixes and run_us >= rules.enter_us
    action = ACTIONS[was, says, 1 if confirmed else 0]
    if action == _FORGET:
        member.run = 0
    elif was != _INSIDE and rules.made_us > desk.case[0].received_us:
        return  # the zone was made later: what is stored opens nothing
    elif action == _PASS:
        _pass_through(desk, number, entry)
    elif action != _NOTHING:
        if member.run == 0:
            copy_place(member.run_first, place)
        member.run += 1
    case = desk.case[0]
    case.inferred, case.change_us = _SEEN, 0
    if action == _ENTER:
        case.cause = _INITIAL if was == _UNKNOWN else _MOVED
        enter(desk, number, member.run_first, member.run_first)
    elif action == _EXIT:
        case.cause = _MOVED
        copy_place(case.way, member.run_first)
        case.way.time_us = max(case.way.time_us, member.entered_us)
        leave(desk, number, case.way, member.run_first)
    if says == _SAYS_INSIDE and member.inside and place.speed_mps > rules.speed_limit_mps:
        _exceed_limit(desk, number)


@bare
def _exceed_limit(desk: Desk, number: int) -> None:
    """Note the first fix of a stay that states a speed above the zone's limit."""
    member, case = member_of(desk, number), desk.case[0]
    if member.overspeed:
        return
    member.overspeed = True
    case.transition, case.cause, case.inferred = _OVERSPEED, _MOVED, _SEEN
    note(desk, number, case.place, case.place)


@bare
def _pass_through(desk: Desk, number: int, entry: int) -> None:
    candidate, case = desk.candidate[desk.slot[entry].place], desk.case[0]
    if candidate.met_m < desk.zones.entry[entry].pass_min_m:
        return
    case.cause, case.inferred, case.change_us = _MOVED, _SEGMENT, 0
    _put_on_the_way(desk, candidate.met_first)
    if in_force(desk, desk.zones.entry[entry].zone, judged(desk).asset, case.way.time_us) != entry:
        return  # the zone was another one then
    enter(desk, number, case.way, case.place)
    _put_on_the_way(desk, candidate.met_last)
    leave(desk, number, case.way, case.place)


@bare
def _put_on_the_way(desk: Desk, share: float) -> None:
    """Move case.way to the place at that share of the way to the fix."""
    start, place, way = _start(desk), desk.case[0].place, desk.case[0].way
    from_lon = unwrapped(start.lon, place.lon)
    lon = from_lon + share * (place.lon - from_lon)
    way.lon = lon - 360.0 if lon > 180.0 else (lon + 360.0 if lon < -180.0 else lon)
    way.lat = start.lat + share * (place.lat - start.lat)
    way.time_us = start.time_us + int(np.floor(share * (place.time_us - start.time_us) + 0.5))
    way.tracker, way.seq = place.tracker, place.seq
    way.accuracy_m = way.speed_mps = np.nan
