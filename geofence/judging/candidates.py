"""The zone versions that a fix, or the way to it, has to do with: the tree first, then the exact
test.

Compiled. What is found stands in the scratch arrays until the next look-up.
"""

import numpy as np

from geofence.geometry.containment import covers
from geofence.geometry.crossing import meets
from geofence.geometry.distance import deeper_m, within_m
from geofence.geometry.packing import Arena
from geofence.judging.scratch import Scratch, member_of
from geofence.kernel.compiled import Record, Records, bare, inlined
from geofence.zones.index import SHIFT_DEG
from geofence.zones.rtree import search
from geofence.zones.versions import ALL_ASSETS


@bare
def in_force(scratch: Scratch, zone: int, asset: int, time_us: int) -> int:
    """Return the entry by which the asset is judged in the zone at that instant; -1:
    there is none.
    """
    if zone >= len(scratch.zones.newest):
        return -1
    entry = scratch.zones.newest[zone]
    while entry >= 0 and scratch.zones.entry[entry].valid_from_us > time_us:
        entry = scratch.zones.entry[entry].before
    if entry < 0 or scratch.zones.valid_to_us[entry] <= time_us:
        return -1
    number = scratch.zones.entry[entry].filter
    if number == ALL_ASSETS or _lets_through(scratch.zones.filter, number, asset, time_us):
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
    scratch: Scratch,
    asset: Record,
    time_us: int,
    from_lon: float,
    from_lat: float,
    lon: float,
    lat: float,
) -> bool:
    """Find the candidates and hits of the asset's way to a fix. False where they have no room.

    The way leads from (from_lon, from_lat), the short way round; a fix alone comes from itself.
    """
    cursor = scratch.cursor[0]
    cursor.stamp += 1
    cursor.candidates = cursor.hits = 0
    from_lon = unwrapped(from_lon, lon)
    turn = 0.0
    while _look(scratch, asset, time_us, from_lon, from_lat, lon, lat, turn):
        if turn != 0.0 or -180.0 <= from_lon <= 180.0:
            return True
        turn = 360.0 if from_lon < 0.0 else -360.0
    return False


@bare
def gather_at(scratch: Scratch, asset: Record, time_us: int) -> bool:
    """Find the candidates and hits of an asset at rest, as `gather` does for a way."""
    lon, lat = asset.good.lon, asset.good.lat
    return gather(scratch, asset, time_us, lon, lat, lon, lat)


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
    scratch: Scratch,
    asset: Record,
    time_us: int,
    from_lon: float,
    from_lat: float,
    lon: float,
    lat: float,
    turn: float,
) -> bool:
    """Find the candidates and hits of the way as it lies after a turn of the globe."""
    shift = asset.organization * SHIFT_DEG + turn
    west, east = min(from_lon, lon) + shift, max(from_lon, lon) + shift
    south, north = min(from_lat, lat), max(from_lat, lat)
    count = int(np.int64(0))  # not the literal, for which `search` would be compiled once more
    count = search(scratch.zones.base, west, south, east, north, scratch.stack, scratch.hits, count)
    if count >= 0 and len(scratch.zones.recent.item) > 0:
        count = search(
            scratch.zones.recent, west, south, east, north, scratch.stack, scratch.hits, count
        )
    if count < 0:
        return False
    for number in range(count):
        piece = scratch.hits[number]
        entry = scratch.zones.piece[piece].entry
        if scratch.zones.entry[entry].organization != asset.organization:
            continue  # a box that goes several times round the axis reaches to its neighbours
        if in_force(scratch, scratch.zones.entry[entry].zone, asset.asset, time_us) != entry:
            continue
        if scratch.slot[entry].stamp != scratch.cursor[0].stamp:
            if scratch.cursor[0].candidates == len(scratch.candidate):
                return False
            _add_candidate(scratch, entry)
        slot = scratch.slot[entry].place
        to_frame = turn + scratch.zones.piece[piece].turn
        if not scratch.candidate[slot].inside:
            scratch.candidate[slot].inside = _holds(scratch, piece, lon + to_frame, lat)
        if not _add_hit(scratch, piece, to_frame):
            return False
    return True


@bare
def _add_candidate(scratch: Scratch, entry: int) -> None:
    cursor, candidate = scratch.cursor[0], scratch.candidate[scratch.cursor[0].candidates]
    scratch.slot[entry].stamp, scratch.slot[entry].place = cursor.stamp, cursor.candidates
    cursor.candidates += 1
    candidate.entry = entry
    candidate.inside = candidate.dealt_with = False
    candidate.met_first = np.nan
    candidate.newest_hit = -1


@bare
def _add_hit(scratch: Scratch, piece: int, turn: float) -> bool:
    """Merge the pieces of one candidate in one frame into one hit: of a corridor the run that holds
    them.
    """
    slot = scratch.slot[scratch.zones.piece[piece].entry].place
    first, last = scratch.zones.piece[piece].first, scratch.zones.piece[piece].last
    number = scratch.candidate[slot].newest_hit
    while number >= 0 and scratch.hit[number].turn != turn:
        number = scratch.hit[number].before
    if number >= 0:
        scratch.hit[number].first = min(scratch.hit[number].first, first)
        scratch.hit[number].last = max(scratch.hit[number].last, last)
        return True
    number = scratch.cursor[0].hits
    if number == len(scratch.hit):
        return False
    scratch.cursor[0].hits += 1
    hit = scratch.hit[number]
    hit.slot, hit.turn, hit.first, hit.last = slot, turn, first, last
    hit.before = scratch.candidate[slot].newest_hit
    scratch.candidate[slot].newest_hit = number
    return True


@bare
def _holds(scratch: Scratch, piece: int, lon: float, lat: float) -> bool:
    part = scratch.zones.piece[piece]
    shape = scratch.zones.entry[part.entry].shape
    if np.isnan(shape.radius_m):
        return covers(scratch.zones.arena, shape, lon, lat)
    return covers(
        scratch.zones.arena, _narrowed(scratch, part.entry, part.first, part.last), lon, lat
    )


@bare
def holds(scratch: Scratch, entry: int, lon: float, lat: float) -> bool:
    """Return whether an entry covers a place, in whichever frame; without the tree."""
    for turn in (0.0, -360.0, 360.0, -720.0, 720.0):
        if covers(scratch.zones.arena, scratch.zones.entry[entry].shape, lon + turn, lat):
            return True
    return False


@bare
def in_frame(arena: Arena, shape: Record, lon: float) -> float:
    """Return the longitude moved by whole turns until it is near the shape's first vertex."""
    turns = (float(arena.vertices[shape.first, 0]) - lon) / 360.0
    return lon + 360.0 * float(np.round(turns))


@bare
def is_within(scratch: Scratch, entry: int, lon: float, lat: float, reach_m: float) -> bool:
    """Return whether a place lies in the entry's zone or no farther away than that,
    in any frame.
    """
    shape, arena = scratch.zones.entry[entry].shape, scratch.zones.arena
    near_lon = in_frame(arena, shape, lon)
    if within_m(arena, shape, near_lon, lat, reach_m):
        return True
    if shape.real == shape.last and abs(near_lon - arena.vertices[shape.first, 0]) <= 90.0:
        return False  # in another frame it is only farther away
    return within_m(arena, shape, near_lon - 360.0, lat, reach_m) or within_m(
        arena, shape, near_lon + 360.0, lat, reach_m
    )


@bare
def is_deeper(scratch: Scratch, entry: int, lon: float, lat: float, depth_m: float) -> bool:
    """Return whether a place that lies in the entry's zone is farther than that from its edge."""
    shape, arena = scratch.zones.entry[entry].shape, scratch.zones.arena
    return deeper_m(arena, shape, in_frame(arena, shape, lon), lat, depth_m)


@bare
def note_rows(scratch: Scratch) -> None:
    """Let `row_of` find the memberships of the newest look-up's zones."""
    for number in range(scratch.cursor[0].members):
        zone = member_of(scratch, number).zone
        if zone < len(scratch.row):
            scratch.row[zone].place, scratch.row[zone].stamp = number, scratch.cursor[0].stamp


@bare
def row_of(scratch: Scratch, zone: int) -> int:
    """Return the asset's membership of the zone, -1 where there is none."""
    return scratch.row[zone].place if scratch.row[zone].stamp == scratch.cursor[0].stamp else -1


@bare
def _narrowed(scratch: Scratch, entry: int, first: int, last: int) -> Record:
    """Return some vertices of a circle or a corridor as a shape of its own."""
    whole, piece = scratch.zones.entry[entry].shape, scratch.cursor[0].shape
    piece.first, piece.real, piece.last = first, last, last
    piece.radius_m, piece.slabs = whole.radius_m, 0
    return piece


@bare
def meet(
    scratch: Scratch, hit: int, from_lon: float, from_lat: float, lon: float, lat: float
) -> None:
    """Note where the way meets the candidate of a hit, together with what its other hits gave."""
    turn = scratch.hit[hit].turn
    candidate = scratch.candidate[scratch.hit[hit].slot]
    west, east = unwrapped(from_lon, lon) + turn, lon + turn
    shape = scratch.zones.entry[candidate.entry].shape
    if not np.isnan(shape.radius_m):
        shape = _narrowed(scratch, candidate.entry, scratch.hit[hit].first, scratch.hit[hit].last)
    first, last, length_m = meets(
        scratch.zones.arena, shape, west, from_lat, east, lat, scratch.spans
    )
    if np.isnan(first) or first <= 0.0:  # it begins inside: the asset was there, and is told to be
        return
    if np.isnan(candidate.met_first):
        candidate.met_first, candidate.met_last, candidate.met_m = first, last, length_m
    else:
        candidate.met_first = min(candidate.met_first, first)
        candidate.met_last = max(candidate.met_last, last)
        candidate.met_m += length_m
