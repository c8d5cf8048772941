"""The effect of one fix on the memberships of one asset. Compiled.

asset: whose memberships are in scratch.member. place: the fix. Every decision is looked up in
`geofence.model.transitions.ACTIONS`.
"""

import numpy as np

from geofence.judging.candidates import gather, in_force, meet, note_rows, row_of, unwrapped
from geofence.judging.evidence import is_coarse, is_unknown, is_within_margin, said
from geofence.judging.scratch import Scratch, member_of
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
def judge_fix(scratch: Scratch, asset: Record, place: Record) -> bool:
    """Judge the fix by the table. False where there is no room for what it does."""
    cursor = scratch.cursor[0]
    cursor.vague = asset.vague
    cursor.bridging = asset.bridged and _is_end_of_bridge(asset, place, scratch.zones.max_gap_us)
    start = _start(scratch, asset)
    passing = asset.located and asset.joined
    passing = passing and place.time_us - start.time_us <= scratch.zones.max_gap_us
    from_lon = start.lon if passing else place.lon
    from_lat = start.lat if passing else place.lat
    lon, lat = place.lon, place.lat
    if not gather(scratch, asset, place.time_us, from_lon, from_lat, lon, lat):
        return False
    if not begin_step(scratch):
        return False
    note_rows(scratch)
    if passing:
        _meet_on_the_way(scratch, asset, place, from_lon, from_lat)
    for number in range(cursor.members):
        _judge_member(scratch, asset, place, number)
    for slot in range(cursor.candidates):
        if not scratch.candidate[slot].dealt_with:
            _judge_newcomer(scratch, asset, place, slot)
    drop_idle(scratch)
    return True


@bare
def _is_end_of_bridge(asset: Record, place: Record, max_gap_us: int) -> bool:
    """Return whether the way to the fix leads over the coarse fixes before it."""
    return not is_coarse(place, COARSE_M) and place.time_us - asset.fine.time_us <= max_gap_us


@inlined
def _start(scratch: Scratch, asset: Record) -> Record:
    """Return the record in which the way to the fix begins."""
    return asset.fine if scratch.cursor[0].bridging else asset.good


@inlined
def _meet_on_the_way(
    scratch: Scratch, asset: Record, place: Record, from_lon: float, from_lat: float
) -> None:
    for hit in range(scratch.cursor[0].hits):
        if _may_be_passed(scratch, asset, place, scratch.hit[hit].slot):
            meet(scratch, hit, from_lon, from_lat, place.lon, place.lat)


@bare
def _may_be_passed(scratch: Scratch, asset: Record, place: Record, slot: int) -> bool:
    """Return whether the asset was outside before and after, with no run under way, no coarse end,
    and nothing to be confirmed.
    """
    if scratch.candidate[slot].inside:
        return False
    rules = scratch.zones.entry[scratch.candidate[slot].entry]
    if rules.enter_fixes > 1 or rules.enter_us > 0 or rules.gap_us == 0:
        return False
    start = _start(scratch, asset)
    if place.time_us - start.time_us > rules.gap_us:
        return False
    if is_coarse(start, rules.coarse_accuracy_m) or is_coarse(place, rules.coarse_accuracy_m):
        return False
    number = row_of(scratch, rules.zone)
    if number < 0:
        return True
    return not member_of(scratch, number).inside and member_of(scratch, number).run == 0


@inlined
def _judge_member(scratch: Scratch, asset: Record, place: Record, number: int) -> None:
    """Judge the fix in a zone with which the asset has something to do."""
    member = member_of(scratch, number)
    entry = in_force(scratch, member.zone, asset.asset, place.time_us)
    if entry < 0:
        _lose(scratch, asset, place, number)
        return
    says = _SAYS_OUTSIDE
    if scratch.slot[entry].stamp == scratch.cursor[0].stamp:
        candidate = scratch.candidate[scratch.slot[entry].place]
        candidate.dealt_with = True
        if candidate.inside:
            says = _SAYS_INSIDE
        elif not np.isnan(candidate.met_first):
            says = _SAYS_THROUGH
    if is_coarse(place, scratch.zones.entry[entry].coarse_accuracy_m):
        says = said(scratch, entry, place, says == _SAYS_INSIDE)
    elif says == _SAYS_OUTSIDE and member.inside and is_within_margin(scratch, entry, place):
        says = _SAYS_MARGIN
    was = _INSIDE
    if not member.inside:
        was = _OUTSIDE if member.run > 0 else _was_not_inside(scratch, asset, entry)
    _decide(scratch, asset, place, number, entry, was, says)


@bare
def _judge_newcomer(scratch: Scratch, asset: Record, place: Record, slot: int) -> None:
    """Judge the fix in a zone with which the asset had nothing to do."""
    candidate = scratch.candidate[slot]
    if candidate.inside:
        says = _SAYS_INSIDE
        if is_coarse(place, scratch.zones.entry[candidate.entry].coarse_accuracy_m):
            says = said(scratch, candidate.entry, place, candidate.inside)
    elif not np.isnan(candidate.met_first):
        says = _SAYS_THROUGH
    else:
        return
    was = _was_not_inside(scratch, asset, candidate.entry)
    number = add_member(scratch, asset, scratch.zones.entry[candidate.entry].zone)
    _decide(scratch, asset, place, number, candidate.entry, was, says)


@bare
def _was_not_inside(scratch: Scratch, asset: Record, entry: int) -> int:
    """Return what is known of a zone in which the asset has no visit."""
    vague = scratch.cursor[0].vague
    if asset.located and not vague:
        return _OUTSIDE
    return _UNKNOWN if is_unknown(scratch, asset, entry, vague) else _OUTSIDE


@bare
def _lose(scratch: Scratch, asset: Record, place: Record, number: int) -> None:
    """End a stay in a zone that the index does not know, or whose end was not seen."""
    member, way = member_of(scratch, number), scratch.cursor[0].way
    if member.inside:
        copy_place(way, asset.good)
        way.time_us = max(place.time_us, member.entered_us)
        leave(scratch, asset, number, way, asset.good, _ZONE_CHANGED, _SEEN)
    member.run = 0
    member.returning = False


@bare
def _decide(
    scratch: Scratch, asset: Record, place: Record, number: int, entry: int, was: int, says: int
) -> None:
    """Do what the table says."""
    member, rules = member_of(scratch, number), scratch.zones.entry[entry]
    run_us = place.time_us - member.run_first.time_us if member.run > 0 else 0
    if was == _INSIDE:
        confirmed = member.run + 1 >= rules.exit_fixes and run_us >= rules.exit_us
    else:
        confirmed = member.run + 1 >= rules.enter_fixes and run_us >= rules.enter_us
    action = ACTIONS[was, says, 1 if confirmed else 0]
    if action == _FORGET:
        member.run = 0
    elif was != _INSIDE and rules.made_us > scratch.cursor[0].received_us:
        return  # the zone was made later: what is stored opens nothing
    elif action == _PASS:
        _pass_through(scratch, asset, place, number, entry)
    elif action != _NOTHING:
        if member.run == 0:
            copy_place(member.run_first, place)
        member.run += 1
    if action == _ENTER:
        cause = _INITIAL if was == _UNKNOWN else _MOVED
        enter(scratch, asset, number, member.run_first, member.run_first, cause, _SEEN, 0)
    elif action == _EXIT:
        way = scratch.cursor[0].way
        copy_place(way, member.run_first)
        way.time_us = max(way.time_us, member.entered_us)
        leave(scratch, asset, number, way, member.run_first, _MOVED, _SEEN)
    if says == _SAYS_INSIDE and member.inside and place.speed_mps > rules.speed_limit_mps:
        _exceed_limit(scratch, asset, place, number)


@bare
def _exceed_limit(scratch: Scratch, asset: Record, place: Record, number: int) -> None:
    """Note the first fix of a stay that states a speed above the zone's limit."""
    member = member_of(scratch, number)
    if member.overspeed:
        return
    member.overspeed = True
    note(scratch, asset, number, place, place, _OVERSPEED, _MOVED, _SEEN)


@bare
def _pass_through(scratch: Scratch, asset: Record, place: Record, number: int, entry: int) -> None:
    candidate, way = scratch.candidate[scratch.slot[entry].place], scratch.cursor[0].way
    zone = scratch.zones.entry[entry].zone
    if candidate.met_m < scratch.zones.entry[entry].pass_min_m:
        return
    _put_on_the_way(scratch, asset, place, candidate.met_first)
    if in_force(scratch, zone, asset.asset, way.time_us) != entry:
        return  # the zone was another one then
    enter(scratch, asset, number, way, place, _MOVED, _SEGMENT, 0)
    _put_on_the_way(scratch, asset, place, candidate.met_last)
    leave(scratch, asset, number, way, place, _MOVED, _SEGMENT)


@bare
def _put_on_the_way(scratch: Scratch, asset: Record, place: Record, share: float) -> None:
    """Move cursor.way to the place at that share of the way to the fix."""
    start, way = _start(scratch, asset), scratch.cursor[0].way
    from_lon = unwrapped(start.lon, place.lon)
    lon = from_lon + share * (place.lon - from_lon)
    way.lon = lon - 360.0 if lon > 180.0 else (lon + 360.0 if lon < -180.0 else lon)
    way.lat = start.lat + share * (place.lat - start.lat)
    way.time_us = start.time_us + int(np.floor(share * (place.time_us - start.time_us) + 0.5))
    way.tracker, way.seq = place.tracker, place.seq
    way.accuracy_m = way.speed_mps = np.nan
