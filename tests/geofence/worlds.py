"""Random small worlds on a grid, where edges and vertices are hit exactly, as hypothesis draws."""

import numpy as np
import shapely
from hypothesis import strategies as st

from geofence.index import MAX_TIME_US, MIN_TIME_US, ZoneVersion
from geofence.shapes import Circle, Polygonal
from telemetry.fix import FixBatch, blank_rows

ORGANIZATIONS = 2
ZONES = 4
ASSETS = 3
SPAN_US = 40  # fixes and changes of zones lie in 0..SPAN_US

_corner = st.integers(0, 5)


@st.composite
def polygons(draw) -> Polygonal:
    """A rectangle or a triangle on whole degrees, perhaps with a hole, perhaps two of them."""
    west, south = draw(_corner), draw(_corner)
    east, north = west + draw(st.integers(1, 4)), south + draw(st.integers(1, 4))
    if draw(st.booleans()):
        return Polygonal(shapely.Polygon([(west, south), (east, south), (west, north)]))
    area = shapely.box(west, south, east, north)
    if east - west >= 3 and north - south >= 3:
        area = area.difference(shapely.box(west + 1, south + 1, east - 1, north - 1))
    elif draw(st.booleans()):
        area = area.union(shapely.box(east + 1, south, east + 2, north))
    return Polygonal(area)


circles = st.builds(
    Circle,
    lon=st.integers(0, 5).map(float),
    lat=st.integers(0, 5).map(float),
    radius_m=st.sampled_from([60_000.0, 111_319.49079327358, 200_000.0]),
)
shapes = st.one_of(polygons(), polygons(), circles)


@st.composite
def zone_histories(draw, zone: int) -> list[ZoneVersion]:
    """The versions of one zone, one after the other, perhaps with a gap, perhaps ending."""
    cuts = sorted(draw(st.lists(st.integers(1, SPAN_US), max_size=3, unique=True)))
    begins = [draw(st.sampled_from([MIN_TIME_US, 0])), *cuts]
    ends = [*cuts, draw(st.sampled_from([MAX_TIME_US, SPAN_US - 1, SPAN_US + 1]))]
    versions = [
        ZoneVersion(zone, number + 1, zone % ORGANIZATIONS, draw(shapes), begin, max(begin, end))
        for number, (begin, end) in enumerate(zip(begins, ends, strict=True))
    ]
    kept = [v for v in versions if draw(st.integers(0, 4))]
    return kept or versions[:1]


@st.composite
def zone_sets(draw) -> list[ZoneVersion]:
    return [v for zone in range(ZONES) for v in draw(zone_histories(zone))]


@st.composite
def fixes(draw, most: int = 25) -> FixBatch:
    """Fixes of some assets, most of them in order, on and between the lines of the grid."""
    n = draw(st.integers(0, most))
    rows = blank_rows(n)
    now = 0
    for row in rows:
        now = max(0, now + draw(st.sampled_from([0, 1, 1, 2, 3, 5, -4])))
        asset = draw(st.integers(-1, ASSETS - 1))
        row["asset"] = asset
        row["organization"] = asset % ORGANIZATIONS
        row["tracker"] = 100 + asset
        row["time_us"] = now
        row["seq"] = draw(st.integers(0, 1))
        row["lon"] = draw(st.integers(0, 18)) / 2
        row["lat"] = draw(st.integers(0, 18)) / 2
    return FixBatch(rows)


def as_dicts(transitions: np.ndarray) -> list[dict]:
    return [dict(zip(transitions.dtype.names, row, strict=True)) for row in transitions.tolist()]
