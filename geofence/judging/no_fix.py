"""Changes of an asset without a fix: zones change, trackers change, deadlines pass. Compiled.

The asset under judgement stands in judged(desk) with its memberships in desk.member. What
lies between its newest fix and the next, or now, is taken in order of time; at one instant changes
of zones come first, then changes of tracker, then deadlines, then schedules.
"""

from geofence.judging.candidates import gather_at, in_force, note_rows, row_of
from geofence.judging.evidence import is_coarse, is_unknown, said, said_by
from geofence.judging.scratch import Desk, judged, member_of
from geofence.judging.visit_log import add_member, begin_step, drop_idle, enter, leave, note
from geofence.kernel.compiled import Record, Records, bare
from geofence.model.records import copy_place
from geofence.model.rules import COARSE_M
from geofence.model.transitions import Cause, Inferred, Says, Transition
from geofence.zones.versions import MIN_TIME_US, NEVER_US

_DWELLS, _SCHEDULE = int(Transition.DWELL), int(Transition.SCHEDULE)
_MOVED, _ZONE_CHANGED = int(Cause.MOVED), int(Cause.ZONE_CHANGED)
_REASSIGNED, _SILENCE = int(Cause.REASSIGNED), int(Cause.SILENCE)
_SCHEDULE_STARTED = int(Cause.SCHEDULE_STARTED)
_SEEN, _TIMER = int(Inferred.NONE), int(Inferred.TIMER)
_INSIDE, _OUTSIDE, _UNSURE = int(Says.INSIDE), int(Says.OUTSIDE), int(Says.UNSURE)


@bare
def advance(desk: Desk, until_us: int) -> bool:
    """Take everything after the asset's clock up to until_us. False where there is no room."""
    asset = judged(desk)
    if not asset.located and len(desk.move) == 0:
        return True
    done_us = max(asset.newest_us, asset.clock_us)
    is_quiet = (
        desk.zones.newest_mark_us <= done_us and len(desk.move) + len(desk.schedule_start) == 0
    )
    if is_quiet and asset.due_us > until_us:
        return True
    if asset.rewound != desk.zones.rewound:
        asset.rewound, asset.marked_us = desk.zones.rewound, MIN_TIME_US
    mark = _first_after(desk.zones.mark, asset.organization, max(done_us, asset.marked_us))
    move = _first_after(desk.move, asset.asset, done_us)
    start = _first_after(desk.schedule_start, asset.organization, done_us)
    while True:
        mark_us = _time_us(desk.zones.mark, asset.organization, mark)
        move_us = _time_us(desk.move, asset.asset, move)
        start_us = _time_us(desk.schedule_start, asset.organization, start)
        next_us = min(mark_us, move_us, asset.due_us, start_us)
        if next_us > until_us or next_us == NEVER_US:
            return True
        begin, in_the_air = desk.case[0].transitions, _in_the_air(desk)
        if next_us == mark_us:
            mark += 1
            has_had_room = _zones_change(desk, mark_us)
            asset.marked_us = mark_us
        elif next_us == move_us:
            move += 1
            has_had_room = _tracker_changes(desk, move - 1)
            # It may be of another organization now.
            mark = _first_after(desk.zones.mark, asset.organization, move_us)
            start = _first_after(desk.schedule_start, asset.organization, move_us - 1)
        elif next_us == asset.due_us:
            has_had_room = _fall_due(desk, next_us)
        else:
            start += 1
            has_had_room = _window_opens(desk, start - 1)
        if not has_had_room:
            return False
        has_changed = desk.case[0].transitions > begin or _in_the_air(desk) != in_the_air
        drop_idle(desk)
        if has_changed:
            asset.clock_us = max(asset.clock_us, next_us)
        asset.due_us = next_due_us(desk)


@bare
def _in_the_air(desk: Desk) -> int:
    """Count the runs under way and the remembered exits.

    Both only become fewer here, and no transition shows that.
    """
    found = 0
    for number in range(desk.case[0].members):
        member = member_of(desk, number)
        found += (1 if member.run > 0 else 0) + (1 if member.returning else 0)
    return found


@bare
def _first_after(rows: Records, key: int, after_us: int) -> int:
    """Return the first of the rows, sorted by key, then time, that lies beyond (key, after_us)."""
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        row = rows[middle]
        if row.key < key or (row.key == key and row.time_us <= after_us):
            low = middle + 1
        else:
            high = middle
    return low


@bare
def _time_us(rows: Records, key: int, number: int) -> int:
    if number == len(rows) or rows[number].key != key:
        return NEVER_US
    return rows[number].time_us


@bare
def next_due_us(desk: Desk) -> int:
    """Return the asset's next deadline, NEVER_US where it has none."""
    due_us = NEVER_US
    for number in range(desk.case[0].members):
        if member_of(desk, number).inside:
            due_us = min(due_us, _dwell_due_us(desk, number))
            due_us = min(due_us, _silence_due_us(desk, number))
    return due_us


@bare
def _dwell_due_us(desk: Desk, number: int) -> int:
    member = member_of(desk, number)
    if member.dwelled or member.run > 0:  # while an exit is in the air nobody is said to stay
        return NEVER_US
    entry = in_force(desk, member.zone, member.asset, _known_us(desk))
    if entry < 0 or desk.zones.entry[entry].dwell_us == NEVER_US:
        return NEVER_US
    return member.entered_us + desk.zones.entry[entry].dwell_us


@bare
def _silence_due_us(desk: Desk, number: int) -> int:
    member = member_of(desk, number)
    entry = in_force(desk, member.zone, member.asset, _known_us(desk))
    if entry < 0 or desk.zones.entry[entry].silence_us == NEVER_US:
        return NEVER_US
    return judged(desk).newest_us + desk.zones.entry[entry].silence_us


@bare
def _known_us(desk: Desk) -> int:
    """Return when something was last known of the asset: a deadline is that of the
    rules of then.
    """
    return max(judged(desk).newest_us, judged(desk).clock_us)


# Zones --------------------------------------------------------------------------------------------


@bare
def _zones_change(desk: Desk, mark_us: int) -> bool:
    """Hold the zones that are others from mark_us on against the place where the asset is."""
    case = desk.case[0]
    if not judged(desk).located:
        return True
    lon, lat = judged(desk).good.lon, judged(desk).good.lat
    if not (gather_at(desk, mark_us, lon, lat) and begin_step(desk)):
        return False
    note_rows(desk)
    copy_place(case.way, judged(desk).good)
    for number in range(case.members):
        _end_by_change(desk, number, mark_us)
    for slot in range(case.candidates):
        if desk.candidate[slot].inside:
            _begin_by_change(desk, desk.candidate[slot].entry, mark_us)
    return True


@bare
def _end_by_change(desk: Desk, number: int, mark_us: int) -> None:
    """End a stay that a change of the zone has ended."""
    member, asset, at = member_of(desk, number), judged(desk), desk.case[0].way
    before = in_force(desk, member.zone, asset.asset, mark_us - 1)
    now = in_force(desk, member.zone, asset.asset, mark_us)
    if now == before:
        return
    says = _OUTSIDE
    if now >= 0:
        is_near = desk.slot[now].stamp == desk.case[0].stamp
        is_covered = is_near and desk.candidate[desk.slot[now].place].inside
        says = said(desk, now, asset.good, is_covered)
    if says == _UNSURE:
        return
    if member.inside == (says == _INSIDE):
        member.run = 0  # an enter or an exit that was in the air
    elif member.inside and (now < 0 or before < 0 or said_by(desk, before, asset.good) != _OUTSIDE):
        at.time_us = max(mark_us, member.entered_us)
        desk.case[0].cause, desk.case[0].inferred = _ZONE_CHANGED, _SEEN
        leave(desk, number, at, asset.good)
    if now < 0:
        member.returning = False


@bare
def _begin_by_change(desk: Desk, entry: int, mark_us: int) -> None:
    """Begin a visit where the zone came to the asset."""
    asset, at, zone = judged(desk), desk.case[0].way, desk.zones.entry[entry].zone
    made_us = desk.zones.entry[entry].made_us
    before = in_force(desk, zone, asset.asset, mark_us - 1)
    if made_us > mark_us:
        return  # it was made later
    if said_by(desk, entry, asset.good) != _INSIDE:
        return
    if made_us == mark_us:
        if asset.newest_us >= desk.zones.entry[entry].valid_from_us:
            return  # what was received before it was made opens nothing: it comes with the next fix
    elif before == entry or (before >= 0 and said_by(desk, before, asset.good) == _INSIDE):
        return
    number = row_of(desk, zone)
    if number < 0:
        number = add_member(desk, zone)
    if member_of(desk, number).inside:
        return
    at.time_us = desk.case[0].change_us = mark_us
    desk.case[0].cause, desk.case[0].inferred = _ZONE_CHANGED, _SEEN
    enter(desk, number, at, asset.good)


# Trackers -----------------------------------------------------------------------------------------


@bare
def _tracker_changes(desk: Desk, number: int) -> bool:
    """Note that the asset is elsewhere, or nowhere, from now on."""
    move, case = desk.move[number], desk.case[0]
    asset, way = judged(desk), case.way
    case.candidates = 0
    if not begin_step(desk):
        return False
    case.cause, case.inferred = _REASSIGNED, _SEEN
    for member in range(case.members):
        if member_of(desk, member).inside:
            copy_place(case.way, asset.good)
            way.time_us = max(move.time_us, member_of(desk, member).entered_us)
            leave(desk, member, way, asset.good)
        member_of(desk, member).run = 0
    asset.located = asset.joined = asset.bridged = asset.vague = False
    asset.suspects, asset.marked_us = 0, MIN_TIME_US
    asset.clock_us = max(asset.clock_us, move.time_us)
    if not move.located:
        return True
    asset.organization, asset.located = move.organization, True
    copy_place(asset.good, move.place)
    asset.vague = is_coarse(move.place, COARSE_M)
    _hear(asset, move.place)
    return _appear(desk, move.time_us)


@bare
def _hear(asset: Record, place: Record) -> None:
    """Note the place as the newest one at which the new tracker was heard."""
    is_newer = place.time_us > asset.newest_us
    if is_newer or (place.time_us == asset.newest_us and place.seq > asset.newest_seq):
        asset.newest_us, asset.newest_seq = place.time_us, place.seq


@bare
def _appear(desk: Desk, time_us: int) -> bool:
    """Open visits where the asset's new tracker was last."""
    case = desk.case[0]
    lon, lat = judged(desk).good.lon, judged(desk).good.lat
    if not (gather_at(desk, time_us, lon, lat) and begin_step(desk)):
        return False
    note_rows(desk)
    copy_place(case.way, judged(desk).good)
    case.way.time_us = case.change_us = time_us
    for slot in range(case.candidates):
        entry = desk.candidate[slot].entry
        is_made = desk.zones.entry[entry].made_us <= time_us
        if is_made and said(desk, entry, judged(desk).good, desk.candidate[slot].inside) == _INSIDE:
            zone = desk.zones.entry[entry].zone
            number = row_of(desk, zone)
            if number < 0:
                number = add_member(desk, zone)
            enter(desk, number, case.way, judged(desk).good)
    return True


# Deadlines ----------------------------------------------------------------------------------------


@bare
def _fall_due(desk: Desk, due_us: int) -> bool:
    case = desk.case[0]
    case.candidates = 0
    if not begin_step(desk):
        return False
    for number in range(case.members):
        member = member_of(desk, number)
        if member.inside and _dwell_due_us(desk, number) == due_us:
            member.dwelled = True
            case.transition, case.cause = _DWELLS, _MOVED
            _note_timer(desk, number, due_us)
        if member.inside and _silence_due_us(desk, number) == due_us:
            copy_place(case.way, judged(desk).good)
            case.way.time_us = max(due_us, member.entered_us)
            case.cause, case.inferred = _SILENCE, _TIMER
            leave(desk, number, case.way, judged(desk).good)
            judged(desk).joined = False  # who knows where it has been
    return True


@bare
def _window_opens(desk: Desk, number: int) -> bool:
    """Note an asset that is where it should not be when a window of the schedule opens."""
    start, case, asset = desk.schedule_start[number], desk.case[0], judged(desk)
    case.candidates = 1
    if not begin_step(desk):
        return False
    if number > 0 and _time_us(desk.schedule_start, start.key, number - 1) == start.time_us:
        case.step -= 1  # with those before, which are known together
    if not asset.located:
        return True
    entry = in_force(desk, start.zone, asset.asset, start.time_us)
    if entry < 0:
        return True
    member = 0
    while member < case.members and member_of(desk, member).zone != start.zone:
        member += 1
    is_known = member < case.members
    is_inside = is_known and member_of(desk, member).inside
    if is_inside != start.inside or (not is_inside and is_unknown(desk, entry, asset.vague)):
        return True
    if not is_known:
        add_member(desk, start.zone)  # says nothing, and is forgotten at once
    case.transition, case.cause = _SCHEDULE, _SCHEDULE_STARTED
    _note_timer(desk, member, start.time_us)
    return True


@bare
def _note_timer(desk: Desk, number: int, time_us: int) -> None:
    case = desk.case[0]
    copy_place(case.way, judged(desk).good)
    case.way.time_us = time_us
    case.inferred = _TIMER
    note(desk, number, case.way, judged(desk).good)
