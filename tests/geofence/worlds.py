"""Random small worlds on a grid, where edges and vertices are hit exactly, as hypothesis draws.

A world is a kilometre across: units of 2^-10 degree, 76 m to the east and 109 m to the north, in
which coordinates are whole numbers or halves. Instants are whole seconds from 0 to SPAN_S.
"""

from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np
import shapely
from hypothesis import strategies as st

from geofence.model.no_fix_events import MOVE_DTYPE, SCHEDULE_START_DTYPE, Agenda
from geofence.model.records import PLACE_DTYPE
from geofence.model.rules import NEVER_COARSE_M, Gates, Rules
from geofence.shapes.types import Circle, Corridor, Polygonal, Shape
from geofence.zones.index import MAX_TIME_US, MIN_TIME_US, ZoneVersion
from geofence.zones.versions import ALL_ASSETS, FILTER_DTYPE
from telemetry.fix import FixBatch, Known, blank_rows
from tests.geofence.chosen import Draw, OneOfEach
from tests.geofence.plane import ORIGIN, UNIT

ORGANIZATIONS = 2
ZONES = 6
ASSETS = 3
FILTERS = 2
SPAN_S = 60
S = 1_000_000  # microseconds
MUCH_LATER_US = 300 * S
HAIR = 2.0**-40  # degrees, a tenth of a micrometre: near misses

_CORNERS = range(6)


def lon_of(units: float) -> float:
    return ORIGIN[0] + units * UNIT


def lat_of(units: float) -> float:
    return ORIGIN[1] + units * UNIT


# Zones --------------------------------------------------------------------------------------------


_OUTLINES = OneOfEach(_CORNERS, _CORNERS, range(1, 6), range(1, 6), (False, True), (False, True))


@cache
def _outline(
    west: int, south: int, width: int, height: int, is_triangle: bool, are_two: bool
) -> shapely.Geometry:
    """Return a rectangle or a triangle on whole units, perhaps with a hole, perhaps two of them."""
    east, north = west + width, south + height
    if is_triangle:
        return shapely.Polygon([(west, south), (east, south), (west, north)])
    area = shapely.box(west, south, east, north)
    if width >= 3 and height >= 3:
        return area.difference(shapely.box(west + 1, south + 1, east - 1, north - 1))
    return area.union(shapely.box(east + 1, south, east + 2, north)) if are_two else area


def polygons() -> st.SearchStrategy[Polygonal]:
    """Return outlines whose unit is a degree."""
    return _OUTLINES.strategy().map(lambda of: Polygonal(_outline(*of)))


@cache
def _area(*of: int) -> Polygonal:
    return Polygonal(shapely.transform(_outline(*of), lambda xy: np.array(ORIGIN) + xy * UNIT))


def _corridor(ends: list[tuple[int, int]], width_m: float) -> Corridor:
    return Corridor(np.array([(lon_of(x), lat_of(y)) for x, y in ends]), width_m)


_ENDS = st.sampled_from([(x, y) for x in _CORNERS for y in _CORNERS])
_LINES = st.lists(_ENDS, min_size=2, max_size=4, unique=True)
# So long that an index keeps it in several pieces.
_LONG_LINES = st.lists(_ENDS, min_size=9, max_size=18, unique=True)
_CIRCLES = OneOfEach(_CORNERS, _CORNERS, (45.0, 100.0, 230.0))
_KINDS = st.sampled_from(["area"] * 6 + ["circle"] * 3 + ["corridor"] * 2 + ["long corridor"])


def _shape(draw: Draw) -> Shape:
    match draw(_KINDS):
        case "area":
            return _area(*_OUTLINES.drawn(draw))
        case "circle":
            x, y, radius_m = _CIRCLES.drawn(draw)
            return Circle(lon_of(x), lat_of(y), radius_m)
        case kind:
            ends = draw(_LINES if kind == "corridor" else _LONG_LINES)
            return _corridor(ends, draw(st.sampled_from([35.0, 130.0])))


_RULES = {
    "exit_buffer_m": (0.0, 0.0, 33.0, 120.0),
    "accuracy_clamp_m": (0.0, 50.0, 150.0),
    "coarse_accuracy_m": (10.0, 30.0, 30.0, 30.0, 100.0, NEVER_COARSE_M),
    "enter_confirm_fixes": (1, 1, 1, 2, 3),
    "exit_confirm_fixes": (1, 2, 2, 3),
    "enter_confirm_seconds": (0.0, 0.0, 0.0, 4.0),
    "exit_confirm_seconds": (0.0, 0.0, 5.0),
    "max_gap_seconds": (0.0, 3.0, 120.0, 120.0),
    "pass_min_m": (0.0, 0.0, 60.0),
    "dwell_seconds": (None, None, 3.0, 9.0),
    "close_after_silence_seconds": (None, None, None, None, 5.0, 15.0),
    "speed_limit_mps": (None, 8.3, 13.9),
}
_EVERY_RULE = OneOfEach(*_RULES.values())
_SPANS = OneOfEach(
    *((MIN_TIME_US, 0), (MAX_TIME_US, MAX_TIME_US, (SPAN_S - 1) * S), (False, True)),
    *(range(3), range(1, SPAN_S + 1), range(1, SPAN_S + 1)),
)
_ASSETS_AND_KEPT = OneOfEach([*[ALL_ASSETS] * 6, 0, 1], (True, True, True, True, False))


def _rules(draw: Draw) -> Rules:
    return Rules(**dict(zip(_RULES, _EVERY_RULE.drawn(draw), strict=True)))


@st.composite
def zone_histories(
    draw, zone: int, rules: st.SearchStrategy[Rules] | None = None
) -> list[ZoneVersion]:
    """Return the versions of one zone, one after the other, perhaps with a gap, perhaps ending."""
    begin_us, end_us, remembers, count, *cuts_s = _SPANS.drawn(draw)
    cuts_us = [cut * S for cut in sorted(set(cuts_s[:count]))]
    versions, kept = [], []
    for number, (begin, end) in enumerate(pairwise([begin_us, *cuts_us, end_us])):
        assets, is_kept = _ASSETS_AND_KEPT.drawn(draw)
        version = ZoneVersion(
            zone,
            number + 1,
            zone % ORGANIZATIONS,
            _shape(draw),
            begin,
            max(begin, end),
            _rules(draw) if rules is None else draw(rules),
            assets,
            remembers,
        )
        versions.append(version)
        kept += [version] if is_kept else []
    return kept or versions[:1]


@st.composite
def zone_sets(draw, rules: st.SearchStrategy[Rules] | None = None) -> list[ZoneVersion]:
    return [v for zone in range(ZONES) for v in draw(zone_histories(zone, rules))]


@st.composite
def filter_rows(draw) -> np.ndarray:
    """Draw FILTER_DTYPE: which assets each filter lets through, and from when to when."""
    rows = np.zeros(draw(st.integers(0, 6)), FILTER_DTYPE)
    for row in rows:
        row["asset"], row["filter"] = draw(st.integers(0, ASSETS - 1)), draw(st.integers(0, 1))
        row["organization"] = row["asset"] % ORGANIZATIONS
        begin = draw(st.sampled_from([None, 0, 10, 25]))
        row["from_us"] = MIN_TIME_US if begin is None else begin * S
        end = draw(st.sampled_from([None, None, 30, 45]))
        row["to_us"] = MAX_TIME_US if end is None else end * S
    return rows


# Assets -------------------------------------------------------------------------------------------

_HALVES = 15
_HAIRS = (0.0, 0.0, 0.0, HAIR, -HAIR)
_STEPS = (0, 1, 1, 2, 3, 5, -4)


def _at(x: int, y: int, hairs: tuple[float, float]) -> tuple[float, float]:
    """Return longitude and latitude of a place on or between the lines of the grid, or a hair
    beside.
    """
    return lon_of(x / 2) + hairs[0], lat_of(y / 2) + hairs[1]


_PLACES = OneOfEach(range(_HALVES), range(_HALVES), _HAIRS, _HAIRS)
places = _PLACES.strategy().map(lambda of: _at(of[0], of[1], of[2:]))
_JUMPS = OneOfEach(*[sorted(range(-14, 15), key=abs)] * 2)


def _leapt(place: int, by: int, most: int) -> int:
    """Return a coordinate after a leap of at most `most` halves of a unit."""
    return min(_HALVES - 1, max(0, place + (by + most) % (2 * most + 1) - most))


@st.composite
def fixes(draw, most: int = 40, steps: tuple[int, ...] = _STEPS) -> FixBatch:
    """Return fixes of some assets, most of them in order of time, that stay, walk, or jump.

    steps: seconds from one to the next.
    """
    facts = OneOfEach(
        *(steps, range(-1, ASSETS), (0, 1, 2, 2, 14), (0, 1), _HAIRS, _HAIRS),
        (0, 0, Known.ACCURACY, Known.ACCURACY | Known.SPEED),
        *((4, 12, 40, 80, 199, 201), (4.0, 8.3, 12.5, 20.0)),
    )
    rows = blank_rows(draw(st.integers(0, most)))
    now, at = 0, {}
    for row in rows:
        step, asset, leap, seq, *hairs, known, accuracy_m, speed_mps = facts.drawn(draw)
        now = max(0, now + step)
        x, y = at.get(asset, (6, 6))
        if leap:
            east, north = _JUMPS.drawn(draw)
            x, y = _leapt(x, east, leap), _leapt(y, north, leap)
        at[asset] = x, y
        row["asset"], row["organization"], row["tracker"] = (
            asset,
            asset % ORGANIZATIONS,
            100 + asset,
        )
        row["time_us"], row["seq"] = now * S, seq
        row["lon"], row["lat"] = _at(x, y, hairs)
        row["known"], row["accuracy_m"], row["speed_mps"] = known, accuracy_m, speed_mps
    return FixBatch(rows)


gates = st.builds(
    Gates,
    st.sampled_from([np.full(ASSETS, np.inf), np.array([15.0, 40.0]), np.array([np.inf, 20.0])]),
    st.sampled_from([np.inf, 25.0]),
    st.sampled_from([np.inf, 200.0]),
    st.sampled_from([np.empty(0), np.array([50.0, np.inf]), np.array([200.0])]),
)


@st.composite
def agendas(draw) -> Agenda:
    """Return trackers that change and schedules that open, at most a few of each."""
    moves = np.zeros(draw(st.integers(0, 3)), MOVE_DTYPE)
    for move in moves:
        move["key"], move["time_us"] = draw(st.integers(0, ASSETS - 1)), draw(_seconds) * S
        move["organization"] = move["key"] % ORGANIZATIONS
        move["located"] = draw(st.booleans())
        if move["located"]:
            move["place"] = draw(_places_before(int(move["time_us"])))
    starts = np.zeros(draw(st.integers(0, 3)), SCHEDULE_START_DTYPE)
    for start in starts:
        start["zone"], start["time_us"] = draw(st.integers(0, ZONES - 1)), draw(_seconds) * S
        start["key"] = start["zone"] % ORGANIZATIONS
        start["inside"] = draw(st.booleans())
    return Agenda(*(rows[_by_key(rows)] for rows in (moves, starts)))


_seconds = st.integers(0, SPAN_S)


@st.composite
def _places_before(draw, time_us: int) -> np.void:
    place = np.zeros((), PLACE_DTYPE)
    place["tracker"], place["seq"] = 200 + draw(st.integers(0, 2)), draw(st.integers(0, 3))
    place["time_us"] = time_us - draw(st.integers(0, 20)) * S
    place["lon"], place["lat"] = draw(places)
    place["accuracy_m"] = draw(st.sampled_from([np.nan, np.nan, 40.0, 150.0]))
    place["speed_mps"] = np.nan
    return place[()]


def _by_key(rows: np.ndarray) -> np.ndarray:
    return np.lexsort((rows["time_us"], rows["key"]))


@dataclass(frozen=True)
class World:
    versions: list[ZoneVersion]
    filters: np.ndarray
    agenda: Agenda
    gates: Gates
    batch: FixBatch


worlds = st.builds(World, zone_sets(), filter_rows(), agendas(), gates, fixes())


# The same elsewhere -------------------------------------------------------------------------------


def turned(shape: Shape, east_deg: float) -> Shape:
    """Return the shape farther east; exact on the grid."""
    if isinstance(shape, Circle):
        return replace(shape, lon=shape.lon + east_deg)
    if isinstance(shape, Corridor):
        return Corridor(shape.vertices + np.array([east_deg, 0.0]), shape.width_m)
    return Polygonal(shapely.transform(shape.geometry, lambda xy: xy + np.array([east_deg, 0.0])))


def as_dicts(transitions: np.ndarray) -> list[dict]:
    return [dict(zip(transitions.dtype.names, row, strict=True)) for row in transitions.tolist()]
