"""Shapes as plain numbers, many at once, and the boxes that hold them."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geofence.geometry.boxes import EDGES_PER_PIECE, MOST_PIECES, boxes
from geofence.geometry.containment import covers_pairs
from geofence.geometry.packing import SLABS_FROM_VERTICES, ArenaBuilder, pack
from geofence.geometry.queries import covers
from geofence.shapes.geojson import read_shape
from geofence.shapes.types import Circle, Corridor, Polygonal
from tests.geofence.ellipsoid import WGS84
from tests.geofence.packed import ring_rows, star

RNG = np.random.default_rng(11)
CAP = read_shape(
    {"type": "Polygon", "coordinates": [[[-90, 60], [0, 65], [90, 60], [180, 62], [-90, 60]]]}
)
MANY = [
    Polygonal(star(RNG, 12, holes=2)),
    Circle(10.0, 50.0, 20_000.0),
    CAP,
    Polygonal(shapely.MultiPolygon([shapely.box(9, 49, 10, 50), shapely.box(10.5, 50, 11, 51)])),
    Corridor(np.array([[9.0, 50.0], [10.0, 50.5], [10.0, 50.5], [11.0, 50.0]]), 5_000.0),
    Polygonal(star(RNG, 300, holes=3)),
    Polygonal(star(RNG, 3)),
    Polygonal(star(RNG, 500)),
]


def same_rows(one, other) -> bool:
    return np.array_equal(one, other, equal_nan=True)


def rows_of(arena, record) -> np.ndarray:
    return arena.vertices[record["first"] : record["last"]]


def test_the_rings_of_an_area_are_apart_and_those_of_two_areas_too():
    arena, records = pack(MANY)
    for number in (0, 3, 5, 6, 7):
        expected = ring_rows(MANY[number].geometry)[:-1]
        assert same_rows(rows_of(arena, records[number]), expected)
        assert records["real"][number] == records["last"][number]
    assert records["last"].sum() - records["first"].sum() == len(arena.vertices)


def test_a_shape_is_packed_alike_alone_and_among_others():
    arena, records = pack(MANY)
    lon, lat = RNG.uniform(8.5, 11.5, 500), RNG.uniform(48.5, 51.5, 500)
    for number, shape in enumerate(MANY):
        alone, record = pack([shape])
        assert same_rows(rows_of(arena, records[number]), rows_of(alone, record[0]))
        assert records["slabs"][number] == record["slabs"][0]
        among = covers_pairs(arena, np.repeat(records[number : number + 1], 500), lon, lat)
        assert among.tolist() == covers(shape, lon, lat).tolist()


def test_only_areas_of_many_vertices_have_slabs():
    _, records = pack(MANY)
    many = [5, 7]
    assert np.flatnonzero(records["slabs"]).tolist() == many
    assert (records["last"] - records["first"])[many].min() >= SLABS_FROM_VERTICES


def test_an_arena_that_grows_leaves_what_was_given_out():
    builder = ArenaBuilder()
    lon, lat = RNG.uniform(8.5, 11.5, 200), RNG.uniform(48.5, 51.5, 200)
    given_out = []
    for shape in MANY * 3:
        record = builder.add([shape])
        given_out.append((shape, builder.arena, record, builder.arena.vertices.copy()))
    for shape, arena, record, vertices in given_out:
        assert same_rows(arena.vertices, vertices)
        for known in (arena, builder.arena):
            found = covers_pairs(known, np.repeat(record, 200), lon, lat)
            assert found.tolist() == covers(shape, lon, lat).tolist()


def test_no_shapes_are_packed_into_nothing():
    arena, records = pack([])
    assert (len(arena.vertices), len(records), len(boxes([], records))) == (0, 0, 0)
    assert arena.slab_start.tolist() == [0]


def test_what_closes_an_area_round_a_pole_stands_behind_what_bounds_it():
    arena, records = pack([CAP])
    record = records[0]
    bounding = arena.vertices[record["first"] : record["real"]]
    closing = arena.vertices[record["real"] : record["last"]]
    assert np.nanmax(bounding[:, 1]) == 65
    on_seam = np.abs(closing[:, 0]) == 180
    assert (np.isnan(closing[:, 0]) | on_seam | (closing[:, 1] == 90)).all()
    edges = np.diff(bounding[:, 0])
    assert np.nansum(np.abs(edges)) == pytest.approx(360)


@given(
    lon=st.floats(-180, 180),
    lat=st.floats(-90, 90),
    radius_m=st.floats(1, 900_000),
    bearing=st.floats(0, 360),
)
def test_the_box_of_a_circle_holds_it(lon, lat, radius_m, bearing):
    circle = Circle(lon, lat, radius_m)
    (box,) = boxes([circle], pack([circle])[1])
    edge_lon, edge_lat, _ = WGS84.fwd(lon, lat, bearing, radius_m * (1 - 1e-9))
    assert holds(box, edge_lon, edge_lat)


def holds(box, lon: float, lat: float) -> bool:
    turned = [lon + turn for turn in (-720, -360, 0, 360, 720)]
    return box["south"] <= lat <= box["north"] and any(
        box["west"] <= x <= box["east"] for x in turned
    )


@given(
    seed=st.integers(0, 2**32),
    vertices=st.integers(2, 40),
    width_m=st.floats(1, 100_000),
    most=st.sampled_from([1, 2, 3, MOST_PIECES]),
)
def test_the_boxes_of_a_corridor_hold_its_pieces(seed, vertices, width_m, most):
    rng = np.random.default_rng(seed)
    steps = rng.uniform(-0.3, 0.3, (vertices, 2))
    line = np.cumsum(steps, axis=0) + rng.uniform((-180, -85), (180, 85))
    line[:, 1] = np.clip(line[:, 1], -90, 90)
    corridor = Corridor(line, width_m)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("geofence.geometry.boxes.MOST_PIECES", most)
        found = boxes([Circle(0, 0, 1), corridor], pack([Circle(0, 0, 1), corridor])[1])[1:]
    edges = max(EDGES_PER_PIECE, math.ceil((vertices - 1) / most))
    assert found["shape"].tolist() == [1] * len(found)
    assert found["first"].tolist() == list(range(0, vertices - 1, edges))
    assert len(found) <= most
    assert found["last"].tolist() == [*(found["first"][1:] + 1), vertices]
    for edge in range(vertices - 1):
        lon, lat = line[edge] + rng.uniform(0, 1) * (line[edge + 1] - line[edge])
        out_lon, out_lat, _ = WGS84.fwd(lon, lat, rng.uniform(0, 360), width_m / 2 * (1 - 1e-9))
        assert holds(found[edge // edges], out_lon, out_lat)


def test_the_box_of_an_area_is_its_bounds_in_its_own_frame():
    over = {"type": "Polygon", "coordinates": [[[170, 0], [-170, 0], [-170, 9], [170, 0]]]}
    shapes = [read_shape(over), CAP]
    found = boxes(shapes, pack(shapes)[1])
    sides = [[box[side] for side in ("west", "south", "east", "north")] for box in found]
    assert sides == [[170, 0, 190, 9], [-180, 60, 180, 90]]
    assert (found["first"].tolist(), found["last"][0]) == ([0, 0], 4)
