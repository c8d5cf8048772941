"""Areas and corridors over the 180th meridian and round the poles, however they are written."""

import gzip
import json

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geofence.geometry.queries import covers, signed_distance_m
from geofence.shapes.geojson import read_shape, read_zones
from geofence.shapes.seams import folded
from geofence.shapes.types import Corridor, Polygonal
from tests.data import DATA, needs_data
from tests.geofence.ellipsoid import WGS84

GRID = 2.0**-20
CLOSE_M = 0.01


def polygon(*rings) -> dict:
    return {"type": "Polygon", "coordinates": [np.asarray(ring).tolist() for ring in rings]}


def closed(ring) -> np.ndarray:
    return np.concatenate((ring, ring[:1]))


def in_range(lon):
    """Return longitudes in [-180, 180), moved by whole turns: exact on the grid."""
    return (np.asarray(lon) + 180) % 360 - 180


def on_grid(values):
    return np.round(np.asarray(values) / GRID) * GRID


@st.composite
def stars(draw) -> np.ndarray:
    """Return a closed ring on the grid, jagged, up to 100 degrees wide, about longitude 0."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    corners = draw(st.integers(3, 40))
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    reach = rng.uniform(0.3, 1, corners) * draw(st.sampled_from([0.01, 1.0, 50.0]))
    lat = draw(st.sampled_from([-70.0, -30.0, 0.0, 65.0]))
    ring = np.column_stack((reach * np.cos(angles), lat + reach * np.sin(angles) * 0.3))
    return closed(on_grid(ring))


def points_about(ring: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(len(ring))
    (west, south), (east, north) = ring.min(axis=0), ring.max(axis=0)
    lon = rng.uniform(west - 0.1 * (east - west), east + 0.1 * (east - west), 200)
    lat = rng.uniform(south, north, 200)
    return on_grid(lon), on_grid(lat)


def answers(shape, lon, lat) -> tuple[np.ndarray, np.ndarray]:
    return covers(shape, lon, lat), signed_distance_m(shape, lon, lat)


def assert_same(one, other) -> None:
    clear = np.abs(one[1]) > CLOSE_M
    assert one[0][clear].tolist() == other[0][clear].tolist()
    assert other[1] == pytest.approx(one[1], abs=CLOSE_M, rel=1e-6)


@given(ring=stars(), steps=st.integers(-180 * 2**20, 180 * 2**20))
def test_moving_a_zone_and_its_points_along_changes_no_answer(ring, steps):
    if not shapely.Polygon(ring).is_valid:
        return
    lon, lat = points_about(ring)
    here = read_shape(polygon(ring))
    there = read_shape(polygon(np.column_stack((in_range(ring[:, 0] + steps * GRID), ring[:, 1]))))
    assert_same(answers(here, lon, lat), answers(there, in_range(lon + steps * GRID), lat))


@given(ring=stars(), share=st.floats(0.05, 0.95), turn=st.sampled_from([-360, 0, 360]))
def test_split_and_unsplit_and_running_on_are_one_zone(ring, share, turn):
    if not shapely.Polygon(ring).is_valid:
        return
    lon, lat = points_about(ring)
    width = np.ptp(ring[:, 0])
    shift = on_grid(180 - ring[:, 0].min() - share * width)
    running_on = np.column_stack((ring[:, 0] + shift, ring[:, 1]))
    split = json.loads(
        shapely.to_geojson(shapely.MultiPolygon(folded(shapely.Polygon(running_on))))
    )
    unsplit = polygon(np.column_stack((in_range(running_on[:, 0]), ring[:, 1])))
    beyond = running_on[:, 0].max() + turn > 540
    written = polygon(running_on + np.array([0 if beyond else turn, 0]))
    found = [answers(read_shape(g), in_range(lon + shift), lat) for g in (unsplit, split, written)]
    assert_same(found[0], found[1])
    assert_same(found[0], found[2])


def ring_about_pole(rng, corners: int, pole: float) -> np.ndarray:
    """Return a closed ring on the grid, with steps of less than half a turn."""
    lon = (np.arange(corners) + rng.uniform(0, 1, corners)) / corners * 360
    lat = pole * rng.uniform(0.5, 0.95, corners)
    return closed(on_grid(np.column_stack((in_range(lon + rng.uniform(0, 360)), lat))))


def on_polar_plane(ring: np.ndarray, pole: float) -> shapely.Polygon:
    """Return the ring seen from above the pole, where no meridian is special; edges finely cut."""
    step = np.diff(ring[:, 0])
    lon = np.concatenate((ring[:1, 0], ring[0, 0] + np.cumsum(step - 360 * np.round(step / 360))))
    share = np.arange(400) / 400
    at = np.arange(len(ring) - 1)[:, None] + share
    lon, lat = (np.interp(at.ravel(), np.arange(len(ring)), x) for x in (lon, ring[:, 1]))
    angle, away = np.radians(lon), 90 - np.sign(pole) * lat
    return shapely.Polygon(np.column_stack((away * np.cos(angle), away * np.sin(angle))))


@given(
    seed=st.integers(0, 2**32),
    corners=st.integers(5, 60),
    pole=st.sampled_from([-90.0, 90.0]),
    backwards=st.booleans(),
)
def test_a_ring_round_the_axis_holds_its_pole(seed, corners, pole, backwards):
    rng = np.random.default_rng(seed)
    ring = ring_about_pole(rng, corners, pole)
    shape = read_shape(polygon(ring[::-1] if backwards else ring))
    seen = on_polar_plane(ring, pole)
    lon, lat = rng.uniform(-180, 180, 300), np.sign(pole) * rng.uniform(30, 90, 300)
    angle, away = np.radians(lon), 90 - np.abs(lat)
    points = shapely.points(away * np.cos(angle), away * np.sin(angle))
    clear = shapely.distance(seen.exterior, points) > 0.05
    expected = shapely.covers(seen, points)
    assert covers(shape, lon, lat)[clear].tolist() == expected[clear].tolist()
    assert covers(shape, [0.0, 90.0, -180.0, 180.0], [pole] * 4).all()
    assert not covers(shape, [0.0, 180.0], [-pole] * 2).any()


CAP = [[-180, 60], [-90, 60], [0, 60], [90, 60], [180, 60]]  # north of 60, from west to east


@pytest.mark.parametrize(
    "ring",
    [
        [[-90, 60], [0, 60], [90, 60], [180, 60], [-90, 60]],
        [[-180, 60], [180, 60], [180, 90], [-180, 90], [-180, 60]],
        [[0, 60], [360, 60], [360, 90], [0, 90], [0, 60]],
        [*CAP, [180, 89.999], [-180, 89.999], [-180, 60]],
        [*CAP, [180, 90], [90, 90], [0, 90], [-90, 90], [-180, 90], [-180, 60]],
        [*CAP, [180, 89.995], [-178, 89.995], [-180, 89.995], [-180, 60]],
    ],
    ids=[
        "unclosed over the pole",
        "a box",
        "from 0 to 360",
        "at 89.999",
        "in steps",
        "a long step",
    ],
)
def test_a_cap_is_the_same_however_it_is_written(ring):
    shape = read_shape(polygon(ring))
    lon, lat = np.meshgrid(np.linspace(-180, 180, 25), [-90, 0, 59, 60, 61, 80, 89.9999, 90])
    assert covers(shape, lon.ravel(), lat.ravel()).tolist() == (lat >= 60).ravel().tolist()
    # The edge is the parallel alone: no seam on a meridian, nothing at the pole.
    to_edge_m = [-along_meridian_m(60, lat) for lat in (90, 75, 75, 89.9999)]
    found = signed_distance_m(shape, [0, 180, -180, 45], [90, 75, 75, 89.9999])
    assert found == pytest.approx(to_edge_m, abs=1)


def along_meridian_m(lat0: float, lat1: float) -> float:
    return WGS84.inv(0, lat0, 0, lat1)[2]


def test_a_belt_and_a_hole_round_the_pole_have_no_edge_on_the_meridian():
    belt = read_shape(polygon([[-180, -10], [180, -10], [180, 10], [-180, 10], [-180, -10]]))
    assert covers(belt, [180, -180, 0, 180, 0], [0, 9, -10, 11, -10.1]).tolist() == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert signed_distance_m(belt, [180.0], [9.0]) == pytest.approx(
        -along_meridian_m(9, 10), abs=0.01
    )
    around = read_shape(polygon(CAP[1:] + CAP[1:2], [[0, 80], [120, 80], [-120, 80], [0, 80]]))
    assert covers(around, [0, 180, -180, 10, 0], [70, 70, 79, 80.5, 90]).tolist() == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert signed_distance_m(around, [180.0], [79.0])[0] == pytest.approx(
        -along_meridian_m(79, 80), abs=0.01
    )


@pytest.mark.parametrize("turn", [-360, 0, 360])
def test_parts_that_meet_on_the_meridian_are_joined_where_they_meet_only(turn):
    west = np.array([[170, 0], [180, 0], [180, 10], [170, 10], [170, 0]])
    east = np.array([[-180, 5], [-170, 5], [-170, 15], [-180, 15], [-180, 5]])
    west[:, 0] += min(turn, 0)
    east[:, 0] += max(turn, 0)
    parts = [[west.tolist()], [east.tolist()]]
    shape = read_shape({"type": "MultiPolygon", "coordinates": parts})
    assert isinstance(shape, Polygonal)
    assert isinstance(shape.geometry, shapely.Polygon)
    found = signed_distance_m(shape, [180, -180, 179.9, 180], [7.5, 2, 12, 20])
    assert found[0] == pytest.approx(-276_000, rel=1e-2)  # to the corners at (180, 5) and (180, 10)
    assert found[1] == pytest.approx(
        0, abs=1e-6
    )  # an edge of the western part, with the sea on the other side
    assert found[2] == pytest.approx(0.1 * 111_320 * np.cos(np.radians(12)), rel=1e-3)
    assert found[3] == pytest.approx(along_meridian_m(15, 20), abs=0.01)


def test_a_zone_of_islands_on_both_sides_is_narrow():
    islands = [[polygon_box(178, 179)], [polygon_box(-179, -178)], [polygon_box(175, 176)]]
    shape = read_shape({"type": "MultiPolygon", "coordinates": islands})
    assert isinstance(shape, Polygonal)
    west, _, east, _ = shape.geometry.bounds
    assert east - west == 7
    assert (
        covers(shape, [178.5, -178.5, 175.5, 180, 0], [0.5] * 5).tolist()
        == [True] * 3 + [False] * 2
    )


def polygon_box(west: float, east: float) -> list:
    return [[west, 0], [east, 0], [east, 1], [west, 1], [west, 0]]


def test_a_corridor_goes_over_the_meridian_the_short_way():
    line = {"type": "LineString", "coordinates": [[179, 0], [-179, 0], [-179, 0], [-178, 1]]}
    shape = read_shape(line, width_m=2_000)
    assert isinstance(shape, Corridor)
    assert shape.vertices[:, 0].tolist() == [179, 181, 181, 182]
    metre = 1 / 110_574.0
    found = covers(shape, [180, -180, 180, 0, -178], [0, 999 * metre, 1001 * metre, 0, 1])
    assert found.tolist() == [True, True, False, False, True]
    assert signed_distance_m(shape, [-179.5], [500 * metre])[0] == pytest.approx(-500, abs=0.1)


def countries() -> dict:
    with gzip.open(DATA / "zones_world_countries_50m.geojson.gz") as file:
        return {zone.zone_id: read_shape(zone.geometry) for zone in read_zones(file.read())}


@needs_data
def test_the_countries_of_the_world_are_taken_as_they_are_drawn():
    found = countries()
    assert len(found) == 241
    antarctica, russia, fiji = (found[f"ne50-{code}"] for code in ("010", "643", "242"))
    poles = covers(antarctica, [0, 180, -180, 77, 180], [-90, -90, -89.9995, -90, -86])
    assert poles.all()
    assert not covers(antarctica, [0, 180], [-60, -70]).any()
    assert signed_distance_m(antarctica, [180.0], [-86.0])[0] < -100_000
    assert covers(russia, [180, -180, 179.9, -179.9, 185], [67] * 5).all()
    assert signed_distance_m(russia, [180.0], [67.0])[0] < -50_000
    for shape, width in ((russia, 171), (fiji, 8)):
        west, _, east, _ = shape.geometry.bounds
        assert east - west < width


@needs_data
def test_no_iceberg_is_in_a_country():
    with gzip.open(DATA / "traces_icebergs_small.csv.gz", "rt") as file:
        rows = np.genfromtxt(file, delimiter=",", names=True, dtype=None, encoding="utf-8")
    for zone_id, shape in countries().items():
        assert not covers(shape, rows["lon"], rows["lat"]).any(), zone_id
