"""Changes of an asset without a fix: zones change, trackers change, deadlines pass. Compiled.

asset: whose memberships are in scratch.member. Changes between its newest fix and the next one, or
now, are taken in order of time. At one instant changes of zones come first, then changes of
tracker, then deadlines, then schedules.
"""

from geofence.judging.candidates import gather_at, in_force, note_rows, row_of
from geofence.judging.evidence import is_coarse, is_unknown, said, said_by
from geofence.judging.scratch import Scratch, member_of
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
def advance(scratch: Scratch, asset: Record, until_us: int) -> bool:
    """Take everything after the asset's clock up to until_us. False where there is no room."""
    if not asset.located and len(scratch.move) == 0:
        return True
    done_us = max(asset.newest_us, asset.clock_us)
    is_quiet = (
        scratch.zones.newest_mark_us <= done_us
        and len(scratch.move) + len(scratch.schedule_start) == 0
    )
    if is_quiet and asset.due_us > until_us:
        return True
    if asset.rewound != scratch.zones.rewound:
        asset.rewound, asset.marked_us = scratch.zones.rewound, MIN_TIME_US
    mark = _first_after(scratch.zones.mark, asset.organization, max(done_us, asset.marked_us))
    move = _first_after(scratch.move, asset.asset, done_us)
    start = _first_after(scratch.schedule_start, asset.organization, done_us)
    while True:
        mark_us = _time_us(scratch.zones.mark, asset.organization, mark)
        move_us = _time_us(scratch.move, asset.asset, move)
        start_us = _time_us(scratch.schedule_start, asset.organization, start)
        next_us = min(mark_us, move_us, asset.due_us, start_us)
        if next_us > until_us or next_us == NEVER_US:
            return True
        begin, in_the_air = scratch.cursor[0].transitions, _in_the_air(scratch)
        if next_us == mark_us:
            mark += 1
            has_had_room = _zones_change(scratch, asset, mark_us)
            asset.marked_us = mark_us
        elif next_us == move_us:
            move += 1
            has_had_room = _tracker_changes(scratch, asset, move - 1)
            # It may be of another organization now.
            mark = _first_after(scratch.zones.mark, asset.organization, move_us)
            start = _first_after(scratch.schedule_start, asset.organization, move_us - 1)
        elif next_us == asset.due_us:
            has_had_room = _fall_due(scratch, asset, next_us)
        else:
            start += 1
            has_had_room = _window_opens(scratch, asset, start - 1)
        if not has_had_room:
            return False
        has_changed = scratch.cursor[0].transitions > begin or _in_the_air(scratch) != in_the_air
        drop_idle(scratch)
        if has_changed:
            asset.clock_us = max(asset.clock_us, next_us)
        asset.due_us = next_due_us(scratch, asset)


@bare
def _in_the_air(scratch: Scratch) -> int:
    """Count the runs under way and the remembered exits.

    Both only become fewer here, and no transition shows that.
    """
    waiting = 0
    for number in range(scratch.cursor[0].members):
        member = member_of(scratch, number)
        waiting += (1 if member.run > 0 else 0) + (1 if member.returning else 0)
    return waiting


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
def next_due_us(scratch: Scratch, asset: Record) -> int:
    """Return the asset's next deadline, NEVER_US where it has none."""
    due_us = NEVER_US
    for number in range(scratch.cursor[0].members):
        if member_of(scratch, number).inside:
            due_us = min(due_us, _dwell_due_us(scratch, asset, number))
            due_us = min(due_us, _silence_due_us(scratch, asset, number))
    return due_us


@bare
def _dwell_due_us(scratch: Scratch, asset: Record, number: int) -> int:
    member = member_of(scratch, number)
    if member.dwelled or member.run > 0:  # while an exit is in the air nobody is said to stay
        return NEVER_US
    entry = in_force(scratch, member.zone, member.asset, _known_us(asset))
    if entry < 0 or scratch.zones.entry[entry].dwell_us == NEVER_US:
        return NEVER_US
    return member.entered_us + scratch.zones.entry[entry].dwell_us


@bare
def _silence_due_us(scratch: Scratch, asset: Record, number: int) -> int:
    member = member_of(scratch, number)
    entry = in_force(scratch, member.zone, member.asset, _known_us(asset))
    if entry < 0 or scratch.zones.entry[entry].silence_us == NEVER_US:
        return NEVER_US
    return asset.newest_us + scratch.zones.entry[entry].silence_us


@bare
def _known_us(asset: Record) -> int:
    """Return when something was last known of the asset: a deadline is that of the
    rules of then.
    """
    return max(asset.newest_us, asset.clock_us)


# Zones --------------------------------------------------------------------------------------------


@bare
def _zones_change(scratch: Scratch, asset: Record, mark_us: int) -> bool:
    """Hold the zones that are others from mark_us on against the place where the asset is."""
    cursor = scratch.cursor[0]
    if not asset.located:
        return True
    if not (gather_at(scratch, asset, mark_us) and begin_step(scratch)):
        return False
    note_rows(scratch)
    copy_place(cursor.way, asset.good)
    for number in range(cursor.members):
        _end_by_change(scratch, asset, number, mark_us)
    for slot in range(cursor.candidates):
        if scratch.candidate[slot].inside:
            _begin_by_change(scratch, asset, scratch.candidate[slot].entry, mark_us)
    return True


@bare
def _end_by_change(scratch: Scratch, asset: Record, number: int, mark_us: int) -> None:
    """End a stay that a change of the zone has ended."""
    member, at = member_of(scratch, number), scratch.cursor[0].way
    before = in_force(scratch, member.zone, asset.asset, mark_us - 1)
    now = in_force(scratch, member.zone, asset.asset, mark_us)
    if now == before:
        return
    says = _OUTSIDE
    if now >= 0:
        is_near = scratch.slot[now].stamp == scratch.cursor[0].stamp
        is_covered = is_near and scratch.candidate[scratch.slot[now].place].inside
        says = said(scratch, now, asset.good, is_covered)
    if says == _UNSURE:
        return
    if member.inside == (says == _INSIDE):
        member.run = 0  # an enter or an exit that was in the air
    elif member.inside and (
        now < 0 or before < 0 or said_by(scratch, before, asset.good) != _OUTSIDE
    ):
        at.time_us = max(mark_us, member.entered_us)
        leave(scratch, asset, number, at, asset.good, _ZONE_CHANGED, _SEEN)
    if now < 0:
        member.returning = False


@bare
def _begin_by_change(scratch: Scratch, asset: Record, entry: int, mark_us: int) -> None:
    """Begin a visit where the zone came to the asset."""
    at, zone = scratch.cursor[0].way, scratch.zones.entry[entry].zone
    made_us = scratch.zones.entry[entry].made_us
    before = in_force(scratch, zone, asset.asset, mark_us - 1)
    if made_us > mark_us:
        return  # it was made later
    if said_by(scratch, entry, asset.good) != _INSIDE:
        return
    if made_us == mark_us:
        if asset.newest_us >= scratch.zones.entry[entry].valid_from_us:
            return  # what was received before it was made opens nothing: it comes with the next fix
    elif before == entry or (before >= 0 and said_by(scratch, before, asset.good) == _INSIDE):
        return
    number = row_of(scratch, zone)
    if number < 0:
        number = add_member(scratch, asset, zone)
    if member_of(scratch, number).inside:
        return
    at.time_us = mark_us
    enter(scratch, asset, number, at, asset.good, _ZONE_CHANGED, _SEEN, mark_us)


# Trackers -----------------------------------------------------------------------------------------


@bare
def _tracker_changes(scratch: Scratch, asset: Record, number: int) -> bool:
    """Note that the asset is elsewhere, or nowhere, from now on."""
    move, cursor = scratch.move[number], scratch.cursor[0]
    way = cursor.way
    cursor.candidates = 0
    if not begin_step(scratch):
        return False
    for member in range(cursor.members):
        if member_of(scratch, member).inside:
            copy_place(cursor.way, asset.good)
            way.time_us = max(move.time_us, member_of(scratch, member).entered_us)
            leave(scratch, asset, member, way, asset.good, _REASSIGNED, _SEEN)
        member_of(scratch, member).run = 0
    asset.located = asset.joined = asset.bridged = asset.vague = False
    asset.suspects, asset.marked_us = 0, MIN_TIME_US
    asset.clock_us = max(asset.clock_us, move.time_us)
    if not move.located:
        return True
    asset.organization, asset.located = move.organization, True
    copy_place(asset.good, move.place)
    asset.vague = is_coarse(move.place, COARSE_M)
    _hear(asset, move.place)
    return _appear(scratch, asset, move.time_us)


@bare
def _hear(asset: Record, place: Record) -> None:
    """Note the place as the newest one at which the new tracker was heard."""
    is_newer = place.time_us > asset.newest_us
    if is_newer or (place.time_us == asset.newest_us and place.seq > asset.newest_seq):
        asset.newest_us, asset.newest_seq = place.time_us, place.seq


@bare
def _appear(scratch: Scratch, asset: Record, time_us: int) -> bool:
    """Open visits where the asset's new tracker was last."""
    cursor = scratch.cursor[0]
    if not (gather_at(scratch, asset, time_us) and begin_step(scratch)):
        return False
    note_rows(scratch)
    copy_place(cursor.way, asset.good)
    cursor.way.time_us = time_us
    for slot in range(cursor.candidates):
        entry, is_covered = scratch.candidate[slot].entry, scratch.candidate[slot].inside
        if scratch.zones.entry[entry].made_us > time_us:
            continue
        if said(scratch, entry, asset.good, is_covered) == _INSIDE:
            zone = scratch.zones.entry[entry].zone
            number = row_of(scratch, zone)
            if number < 0:
                number = add_member(scratch, asset, zone)
            enter(scratch, asset, number, cursor.way, asset.good, _REASSIGNED, _SEEN, time_us)
    return True


# Deadlines ----------------------------------------------------------------------------------------


@bare
def _fall_due(scratch: Scratch, asset: Record, due_us: int) -> bool:
    cursor = scratch.cursor[0]
    cursor.candidates = 0
    if not begin_step(scratch):
        return False
    for number in range(cursor.members):
        member = member_of(scratch, number)
        if member.inside and _dwell_due_us(scratch, asset, number) == due_us:
            member.dwelled = True
            _note_timer(scratch, asset, number, due_us, _DWELLS, _MOVED)
        if member.inside and _silence_due_us(scratch, asset, number) == due_us:
            copy_place(cursor.way, asset.good)
            cursor.way.time_us = max(due_us, member.entered_us)
            leave(scratch, asset, number, cursor.way, asset.good, _SILENCE, _TIMER)
            asset.joined = False  # who knows where it has been
    return True


@bare
def _window_opens(scratch: Scratch, asset: Record, number: int) -> bool:
    """Note an asset that is where it should not be when a window of the schedule opens."""
    start, cursor = scratch.schedule_start[number], scratch.cursor[0]
    cursor.candidates = 1
    if not begin_step(scratch):
        return False
    if number > 0 and _time_us(scratch.schedule_start, start.key, number - 1) == start.time_us:
        cursor.step -= 1  # with those before, which are known together
    if not asset.located:
        return True
    entry = in_force(scratch, start.zone, asset.asset, start.time_us)
    if entry < 0:
        return True
    member = 0
    while member < cursor.members and member_of(scratch, member).zone != start.zone:
        member += 1
    is_known = member < cursor.members
    is_inside = is_known and member_of(scratch, member).inside
    if is_inside != start.inside:
        return True
    if not is_inside and is_unknown(scratch, asset, entry, asset.vague):
        return True
    if not is_known:
        add_member(scratch, asset, start.zone)  # says nothing, and is forgotten at once
    _note_timer(scratch, asset, member, start.time_us, _SCHEDULE, _SCHEDULE_STARTED)
    return True


@bare
def _note_timer(
    scratch: Scratch, asset: Record, number: int, time_us: int, kind: int, cause: int
) -> None:
    way = scratch.cursor[0].way
    copy_place(way, asset.good)
    way.time_us = time_us
    note(scratch, asset, number, way, asset.good, kind, cause, _TIMER)
