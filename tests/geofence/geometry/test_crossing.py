import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from geofence.geometry import containment, crossing, geodesic
from geofence.geometry.crossing import meets_pairs
from geofence.geometry.distance import signed_distance_pairs_m
from tests.geofence.packed import callable_from_python, packed_area, packed_rows, repeated, star
from tests.geofence.worlds import polygons

WGS84 = Geod(ellps="WGS84")
covers = callable_from_python(containment.covers)
meets_with_scratch = callable_from_python(crossing.meets)
straight_m = callable_from_python(geodesic.straight_m)
NAN = (np.nan, np.nan)


def meets(arena, shape, *way):
    lon0, lat0, lon1, lat1 = np.array(way, dtype=np.float64).reshape(4, 1)
    return tuple(meets_pairs(arena, repeated(shape, 1), lon0, lat0, lon1, lat1)[0].tolist())


def geos_answer(area, way):
    """Return (first, last, metres) by shapely; all NaN where they are disjoint."""
    met = shapely.intersection(shapely.LineString([way[:2], way[2:]]), area)
    if met.is_empty:
        return np.nan, np.nan, 0.0
    start, step = np.array(way[:2]), np.array(way[2:]) - np.array(way[:2])
    along = (shapely.get_coordinates(met) - start) @ step / (step @ step)
    pieces = [shapely.get_coordinates(part) for part in shapely.get_parts(met)]
    metres = [straight_m(*piece[0], *piece[-1]) for piece in pieces if len(piece) > 1]
    return along.min(), along.max(), sum(metres)


@pytest.mark.parametrize("slabs", [False, True])
@pytest.mark.parametrize(("corners", "length_deg"), [(5, 0.01), (40, 0.3), (40, 2.0), (500, 0.1)])
def test_an_area_is_met_where_geos_says(corners, length_deg, slabs):
    rng = np.random.default_rng(corners)
    area = star(rng, corners, holes=3)
    arena, shape = packed_area(area, slabs=slabs)
    begin = np.column_stack((rng.uniform(9, 11, 400), rng.uniform(49, 51, 400)))
    ways = np.column_stack((begin, begin + rng.normal(0, length_deg, (400, 2))))
    found = meets_pairs(arena, repeated(shape, 400), *(column.copy() for column in ways.T))
    truth = np.array([geos_answer(area, way) for way in ways])
    assert (np.isnan(found) == np.isnan(truth)).all()
    assert np.nanmax(np.abs(found[:, :2] - truth[:, :2])) < 1e-9
    # Of a piece that bends by latitude, the sum of parts differs a little from the whole.
    assert np.abs(found[:, 2] - truth[:, 2]).max() < 1e-3
    assert np.count_nonzero(~np.isnan(found[:, 0])) > 20


grid = st.integers(-2, 20).map(lambda half: half / 2)


@given(polygons(), st.tuples(grid, grid, grid, grid), st.booleans())
def test_touches_and_ways_along_edges_are_met_as_geos_says(polygonal, way, slabs):
    area = polygonal.geometry
    arena, shape = packed_area(area, slabs=slabs)
    first, last, length_m = meets(arena, shape, *way)
    if way[:2] == way[2:]:
        inside = bool(shapely.intersects_xy(area, *way[:2]))
        assert (first, last, length_m) == pytest.approx(
            (0.0, 1.0, 0.0) if inside else (*NAN, 0.0), nan_ok=True
        )
        return
    truth = geos_answer(area, way)
    assert (first, last) == pytest.approx(truth[:2], abs=1e-9, nan_ok=True)
    assert length_m == pytest.approx(truth[2], abs=0.1, rel=1e-6)


SQUARE = shapely.box(0, 0, 2, 2).difference(shapely.box(0.5, 0.5, 1.5, 1.5))
TABLE = {
    "through and through, over the hole": ((-1, 1, 3, 1), (0.25, 0.75)),
    "from inside to outside": ((0.25, 1, -1.75, 1), (0.0, 0.125)),
    "wholly inside": ((0.1, 0.1, 1.9, 0.2), (0.0, 1.0)),
    "in the hole": ((0.6, 0.6, 1.4, 1.4), NAN),
    "beside": ((-1, 3, 3, 2.001), NAN),
    "a corner is touched": ((-1, 1, 1, -1), (0.5, 0.5)),
    "the end touches an edge": ((-1, 1, 0, 1), (1.0, 1.0)),
    "along an edge and beyond": ((-1, 2, 3, 2), (0.25, 0.75)),
    "along the edge of the hole": ((0.5, 0.75, 0.5, 1.25), (0.0, 1.0)),
    "a corner of the hole is touched from inside it": ((1, 0.75, 1.5, 1.5), (1.0, 1.0)),
}
NO_LENGTH = ("touch", "in the hole", "beside")


@pytest.mark.parametrize("name", TABLE)
def test_where_a_square_with_a_hole_is_met(name):
    way, truth = TABLE[name]
    for slabs in (False, True):
        arena, shape = packed_area(SQUARE, slabs=slabs)
        first, last, length_m = meets(arena, shape, *map(float, way))
        assert (first, last) == pytest.approx(truth, abs=1e-12, nan_ok=True)
        assert (length_m < 1e-6) == any(word in name for word in NO_LENGTH)
        back = meets(arena, shape, *map(float, (*way[2:], *way[:2])))
        assert back[:2] == pytest.approx((1 - last, 1 - first), abs=1e-12, nan_ok=True)
        assert back[2] == pytest.approx(length_m, abs=1e-6)


def test_a_way_along_a_slanted_edge_lies_inside():
    area = shapely.Polygon([(0.1, 0.1), (0.7, 0.3), (0.2, 0.9)])
    arena, shape = packed_area(area)
    truth_m = straight_m(0.1, 0.1, 0.7, 0.3)
    assert meets(arena, shape, 0.1, 0.1, 0.7, 0.3) == pytest.approx((0.0, 1.0, truth_m))


def test_the_metres_of_all_pieces_are_counted_together():
    arena, shape = packed_area(SQUARE)
    length_m = meets(arena, shape, -1.0, 1.0, 3.0, 1.0)[2]
    assert length_m == pytest.approx(2 * WGS84.inv(0, 1, 0.5, 1)[2], rel=1e-6)


def test_the_rows_that_close_a_shape_round_a_pole_part_the_way_but_not_its_inside():
    edge = [(-180.0, -70.0), (180.0, -70.0), NAN]
    closing = [(180.0, -70.0), (180.0, -90.0), (-180.0, -90.0), (-180.0, -70.0)]
    arena, shape = packed_rows(np.array(edge + closing), real=len(edge))
    assert meets(arena, shape, 179.0, -80.0, 181.0, -80.0)[:2] == (0.0, 0.5)
    assert meets(arena, shape, -181.0, -80.0, -179.0, -80.0)[:2] == (0.5, 1.0)
    assert meets(arena, shape, 5.0, -75.0, 5.0, -65.0)[:2] == (0.0, 0.5)


LINE = np.array([(9.0, 50.0), (9.1, 50.1), (9.3, 50.05), (9.3, 50.2)])
ROUND = {
    "a circle": (np.array([(10.0, 50.0)]), 500.0, 0.02),
    "a circle of 500 km": (np.array([(10.0, 50.0)]), 500_000.0, 9.0),
    "a circle over 180": (np.array([(179.99, -17.0)]), 50_000.0, 1.0),
    "a circle round a pole": (np.array([(0.0, 90.0)]), 30_000.0, 0.6),
    "a circle near a pole": (np.array([(50.0, 89.9)]), 5_000.0, 0.1),
    "a corridor": (LINE, 300.0, 0.3),
    "a wide corridor": (LINE, 4_000.0, 0.3),
    "a corridor over 180": (LINE + np.array([170.85, 0.0]), 900.0, 0.3),
    "a corridor far north": (LINE * np.array([3.0, 1.0]) + np.array([0.0, 33.0]), 900.0, 0.3),
}


def ways_beside(rng, rows, spread_deg, count):
    """Return ways of very different lengths about a line, at most to a pole."""
    middle = rows[rng.integers(0, len(rows), count)]
    narrow = np.cos(np.radians(np.minimum(np.abs(middle[:, 1:]), 89.0)))
    stretch = np.concatenate((1 / narrow, np.ones_like(narrow)), axis=1)
    near = spread_deg * 10.0 ** rng.uniform(-2, 0, (count, 1))
    begin = middle + near * rng.normal(0, 1, (count, 2)) * stretch
    step = rng.normal(0, spread_deg, (count, 2)) * 10.0 ** rng.uniform(-2, 0.3, (count, 1))
    end = begin + step * stretch
    begin[:, 1], end[:, 1] = np.clip(begin[:, 1], -90, 90), np.clip(end[:, 1], -90, 90)
    return np.column_stack((begin, end))


@pytest.mark.parametrize("name", ROUND)
def test_a_circle_or_corridor_is_met_where_the_distance_is_short_enough(name):
    rows, radius_m, spread_deg = ROUND[name]
    arena, shape = packed_rows(rows, radius_m)
    samples = 2_001
    met = 0
    for way in ways_beside(np.random.default_rng(11), rows, spread_deg, 60):
        first, last, length_m = meets(arena, shape, *map(float, way))
        lon, lat = np.linspace(way[0], way[2], samples), np.linspace(way[1], way[3], samples)
        over_m = signed_distance_pairs_m(arena, repeated(shape, samples), lon, lat)
        near = np.flatnonzero(over_m <= 0)
        if np.isnan(first):
            assert len(near) == 0
            continue
        met += 1
        if len(near) == 0:
            assert (last - first) * (samples - 1) < 2
            continue
        assert first * (samples - 1) == pytest.approx(near[0] - 0.5, abs=0.51)
        assert last * (samples - 1) == pytest.approx(near[-1] + 0.5, abs=0.51)
        step_m = WGS84.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])[2]
        both, one = over_m <= 0, (over_m[:-1] <= 0) != (over_m[1:] <= 0)
        least_m = step_m[both[:-1] & both[1:]].sum()
        assert least_m * (1 - 1e-5) <= length_m <= (least_m + step_m[one].sum()) * (1 + 1e-5) + 1e-6
        for at in {first, last} - {0.0, 1.0}:
            place = way[:2] + at * (way[2:] - way[:2])
            over_m = signed_distance_pairs_m(arena, repeated(shape, 1), *place.reshape(2, 1))[0]
            assert -1.2e-3 < over_m < 1e-6
    assert met > 10


def test_a_circle_is_grazed_or_missed_by_a_millimetre():
    for off_m, hit in ((999.999, True), (1000.001, False)):
        north = WGS84.fwd(10, 50, 0, off_m)[1]
        arena, shape = packed_rows(np.array([(10.0, 50.0)]), 1000.0)
        first, last, length_m = meets(arena, shape, 9.9, north, 10.1, north)
        assert (not np.isnan(first)) == hit
        if hit:
            # A parallel bends: the chord is not quite 2 sqrt(2 r d).
            assert length_m == pytest.approx(2 * np.sqrt(2 * 1000 * 0.001), rel=0.2)
            assert first < 0.5 < last


def test_what_covers_both_ends_of_a_short_way_covers_the_way():
    arena, shape = packed_rows(np.array([(10.0, 50.0)]), 1000.0)
    assert covers(arena, shape, 10.0, 50.0)
    assert meets(arena, shape, 10.0, 50.0, 10.0, 50.0) == (0.0, 1.0, 0.0)
    assert meets(arena, shape, 10.1, 50.0, 10.1, 50.0) == pytest.approx((*NAN, 0.0), nan_ok=True)
    assert meets(arena, shape, 10.0, 50.0, 370.0, 50.0)[:2] == (0.0, 1.0)


def test_with_little_scratch_the_ends_are_the_same_and_no_metre_is_lost():
    comb = [(9 + column / 100, 50.1 * (column % 4 in (1, 2)) or 50.0) for column in range(60)]
    arena, shape = packed_rows(np.array(comb), 100.0)
    way = (8.9, 50.05, 9.7, 50.05)
    every = meets_with_scratch(arena, shape, *way, np.empty((100, 2)))
    assert every == meets(arena, shape, *way)
    length_m = every[2]
    for rows in (20, 5, 2):
        first, last, more_m = meets_with_scratch(arena, shape, *way, np.empty((rows, 2)))
        assert (first, last) == every[:2]
        assert more_m >= length_m
        length_m = more_m
    assert length_m <= straight_m(*way)


@pytest.mark.parametrize("way", [(9.9, 50.5, 10.9, 50.5), (10.9, 50.5, 9.9, 50.5)])
@pytest.mark.parametrize("slabs", [False, True])
def test_a_way_through_all_teeth_of_a_comb_lies_half_in_them(slabs, way):
    teeth = 10_000
    lon = np.linspace(10.0, 10.8, 4 * teeth + 1)[:-1]
    lat = np.where(np.arange(4 * teeth) % 4 < 2, 51.0, 50.0)
    comb = shapely.Polygon([(10.0, 49.0), *zip(lon, lat, strict=True), (lon[-1], 49.0)])
    arena, shape = packed_area(comb, slabs=slabs)
    first, last, length_m = meets(arena, shape, *way)
    assert {round(first, 4), round(last, 4)} == {0.1, 0.9}
    assert length_m == pytest.approx(0.4 * straight_m(*way), rel=1e-4)
