"""The zone versions that a fix, or the way to it, has to do with: the tree first, then the exact
test.

Compiled. What is found stands in the scratch arrays until the next look-up.
"""

import numpy as np

from geofence.geometry.containment import covers
from geofence.geometry.crossing import meets
from geofence.geometry.distance import deeper_m, within_m
from geofence.geometry.packing import Arena
from geofence.judging.scratch import Desk, judged, member_of
from geofence.kernel.compiled import Record, Records, bare, inlined
from geofence.zones.index import SHIFT_DEG
from geofence.zones.rtree import search
from geofence.zones.versions import ALL_ASSETS


@bare
def in_force(desk: Desk, zone: int, asset: int, time_us: int) -> int:
    """Return the entry by which the asset is judged in the zone at that instant; -1:
    there is none.
    """
    if zone >= len(desk.zones.newest):
        return -1
    entry = desk.zones.newest[zone]
    while entry >= 0 and desk.zones.entry[entry].valid_from_us > time_us:
        entry = desk.zones.entry[entry].before
    if entry < 0 or desk.zones.valid_to_us[entry] <= time_us:
        return -1
    number = desk.zones.entry[entry].filter
    if number == ALL_ASSETS or _lets_through(desk.zones.filter, number, asset, time_us):
        return entry
    return -1


@bare
def _lets_through(rows: Records, number: int, asset: int, time_us: int) -> bool:
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        row = rows[middle]
        if (row.filter, row.asset) < (number, asset):
            low = middle + 1
        else:
            high = middle
    while low < len(rows) and rows[low].filter == number and rows[low].asset == asset:
        if rows[low].from_us <= time_us < rows[low].to_us:
            return True
        low += 1
    return False


@inlined
def gather(
    desk: Desk, time_us: int, from_lon: float, from_lat: float, lon: float, lat: float
) -> bool:
    """Find the candidates and hits of the way to a fix. False where there is no room for them.

    The way leads from (from_lon, from_lat), the short way round; a fix alone comes from itself.
    """
    case = desk.case[0]
    case.stamp += 1
    case.candidates = case.hits = 0
    from_lon = unwrapped(from_lon, lon)
    turn = 0.0
    while _look(desk, time_us, from_lon, from_lat, lon, lat, turn):
        if turn != 0.0 or -180.0 <= from_lon <= 180.0:
            return True
        turn = 360.0 if from_lon < 0.0 else -360.0
    return False


@bare
def gather_at(desk: Desk, time_us: int, lon: float, lat: float) -> bool:
    """Find the candidates and hits of an asset at rest, as `gather` does for a way."""
    return gather(desk, time_us, lon, lat, lon, lat)


@bare
def unwrapped(from_lon: float, lon: float) -> float:
    """Return from_lon moved by a whole turn, if need be, so that the way to lon is
    the short one.
    """
    if from_lon - lon > 180.0:
        return from_lon - 360.0
    if from_lon - lon < -180.0:
        return from_lon + 360.0
    return from_lon


@inlined
def _look(
    desk: Desk,
    time_us: int,
    from_lon: float,
    from_lat: float,
    lon: float,
    lat: float,
    turn: float,
) -> bool:
    """Find the candidates and hits of the way as it lies after a turn of the globe."""
    asset = judged(desk)
    shift = asset.organization * SHIFT_DEG + turn
    west, east = min(from_lon, lon) + shift, max(from_lon, lon) + shift
    south, north = min(from_lat, lat), max(from_lat, lat)
    found = int(np.int64(0))  # not the literal, for which `search` would be compiled once more
    found = search(desk.zones.base, west, south, east, north, desk.stack, desk.found, found)
    if found >= 0 and len(desk.zones.recent.item) > 0:
        found = search(desk.zones.recent, west, south, east, north, desk.stack, desk.found, found)
    if found < 0:
        return False
    for number in range(found):
        piece = desk.found[number]
        entry = desk.zones.piece[piece].entry
        if desk.zones.entry[entry].organization != asset.organization:
            continue  # a box that goes several times round the axis reaches to its neighbours
        if in_force(desk, desk.zones.entry[entry].zone, asset.asset, time_us) != entry:
            continue
        if desk.slot[entry].stamp != desk.case[0].stamp:
            if desk.case[0].candidates == len(desk.candidate):
                return False
            _add_candidate(desk, entry)
        slot = desk.slot[entry].place
        to_frame = turn + desk.zones.piece[piece].turn
        if not desk.candidate[slot].inside:
            desk.candidate[slot].inside = _holds(desk, piece, lon + to_frame, lat)
        if not _add_hit(desk, piece, to_frame):
            return False
    return True


@bare
def _add_candidate(desk: Desk, entry: int) -> None:
    case, candidate = desk.case[0], desk.candidate[desk.case[0].candidates]
    desk.slot[entry].stamp, desk.slot[entry].place = case.stamp, case.candidates
    case.candidates += 1
    candidate.entry = entry
    candidate.inside = candidate.dealt_with = False
    candidate.met_first = np.nan
    candidate.newest_hit = -1


@bare
def _add_hit(desk: Desk, piece: int, turn: float) -> bool:
    """Merge the pieces of one candidate in one frame into one hit: of a corridor the run that holds
    them.
    """
    slot = desk.slot[desk.zones.piece[piece].entry].place
    first, last = desk.zones.piece[piece].first, desk.zones.piece[piece].last
    number = desk.candidate[slot].newest_hit
    while number >= 0 and desk.hit[number].turn != turn:
        number = desk.hit[number].before
    if number >= 0:
        desk.hit[number].first = min(desk.hit[number].first, first)
        desk.hit[number].last = max(desk.hit[number].last, last)
        return True
    number = desk.case[0].hits
    if number == len(desk.hit):
        return False
    desk.case[0].hits += 1
    hit = desk.hit[number]
    hit.slot, hit.turn, hit.first, hit.last = slot, turn, first, last
    hit.before = desk.candidate[slot].newest_hit
    desk.candidate[slot].newest_hit = number
    return True


@bare
def _holds(desk: Desk, piece: int, lon: float, lat: float) -> bool:
    held = desk.zones.piece[piece]
    shape = desk.zones.entry[held.entry].shape
    if np.isnan(shape.radius_m):
        return covers(desk.zones.arena, shape, lon, lat)
    return covers(desk.zones.arena, _narrowed(desk, held.entry, held.first, held.last), lon, lat)


@bare
def holds(desk: Desk, entry: int, lon: float, lat: float) -> bool:
    """Return whether an entry covers a place, in whichever frame; without the tree."""
    for turn in (0.0, -360.0, 360.0, -720.0, 720.0):
        if covers(desk.zones.arena, desk.zones.entry[entry].shape, lon + turn, lat):
            return True
    return False


@bare
def in_frame(arena: Arena, shape: Record, lon: float) -> float:
    """Return the longitude moved by whole turns until it is near the shape's first vertex."""
    turns = (float(arena.vertices[shape.first, 0]) - lon) / 360.0
    return lon + 360.0 * float(np.round(turns))


@bare
def is_within(desk: Desk, entry: int, lon: float, lat: float, reach_m: float) -> bool:
    """Return whether a place lies in the entry's zone or no farther away than that,
    in any frame.
    """
    shape, arena = desk.zones.entry[entry].shape, desk.zones.arena
    near_lon = in_frame(arena, shape, lon)
    if within_m(arena, shape, near_lon, lat, reach_m):
        return True
    if shape.real == shape.last and abs(near_lon - arena.vertices[shape.first, 0]) <= 90.0:
        return False  # in another frame it is only farther away
    return within_m(arena, shape, near_lon - 360.0, lat, reach_m) or within_m(
        arena, shape, near_lon + 360.0, lat, reach_m
    )


@bare
def is_deeper(desk: Desk, entry: int, lon: float, lat: float, depth_m: float) -> bool:
    """Return whether a place that lies in the entry's zone is farther than that from its edge."""
    shape, arena = desk.zones.entry[entry].shape, desk.zones.arena
    return deeper_m(arena, shape, in_frame(arena, shape, lon), lat, depth_m)


@bare
def note_rows(desk: Desk) -> None:
    """Make the memberships of the newest look-up's zones be found by `row_of`."""
    for number in range(desk.case[0].members):
        zone = member_of(desk, number).zone
        if zone < len(desk.row):
            desk.row[zone].place, desk.row[zone].stamp = number, desk.case[0].stamp


@bare
def row_of(desk: Desk, zone: int) -> int:
    """Return the asset's membership of the zone, -1 where there is none."""
    return desk.row[zone].place if desk.row[zone].stamp == desk.case[0].stamp else -1


@bare
def _narrowed(desk: Desk, entry: int, first: int, last: int) -> Record:
    """Return some vertices of a circle or a corridor as a shape of its own."""
    whole, piece = desk.zones.entry[entry].shape, desk.case[0].shape
    piece.first, piece.real, piece.last = first, last, last
    piece.radius_m, piece.slabs = whole.radius_m, 0
    return piece


@bare
def meet(desk: Desk, hit: int, from_lon: float, from_lat: float, lon: float, lat: float) -> None:
    """Note where the way meets the candidate of a hit, together with what its other hits gave."""
    turn = desk.hit[hit].turn
    candidate = desk.candidate[desk.hit[hit].slot]
    west, east = unwrapped(from_lon, lon) + turn, lon + turn
    shape = desk.zones.entry[candidate.entry].shape
    if not np.isnan(shape.radius_m):
        shape = _narrowed(desk, candidate.entry, desk.hit[hit].first, desk.hit[hit].last)
    first, last, length_m = meets(desk.zones.arena, shape, west, from_lat, east, lat, desk.spans)
    if np.isnan(first) or first <= 0.0:  # it begins inside: the asset was there, and is told to be
        return
    if np.isnan(candidate.met_first):
        candidate.met_first, candidate.met_last, candidate.met_m = first, last, length_m
    else:
        candidate.met_first = min(candidate.met_first, first)
        candidate.met_last = max(candidate.met_last, last)
        candidate.met_m += length_m
