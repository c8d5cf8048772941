"""Geometries that are refused, with the place; what is offered instead; zone files."""

import json
from pathlib import Path

import numpy as np
import pytest
from shapely.geometry import shape

from geofence.geometry.queries import covers
from geofence.shapes.geojson import ShapeError, ZoneFileError, read_shape, read_zones
from geofence.shapes.types import Circle, Polygonal

CASES = json.loads((Path(__file__).parents[2] / "cases" / "bad_geometries.json").read_text())
TRIANGLE = [[0, 0], [1, 0], [0, 1], [0, 0]]


def polygon(*rings) -> dict:
    return {"type": "Polygon", "coordinates": list(rings)}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_geometry_that_is_no_zone_is_refused_with_its_place(case):
    with pytest.raises(ShapeError) as caught:
        read_shape(case["geometry"], radius_m=case.get("radius_m"), width_m=case.get("width_m"))
    error = caught.value
    assert case["says"] in error.problem
    assert error.pointer == case["pointer"]
    assert (error.ring, error.vertex) == (case.get("ring"), case.get("vertex"))


@pytest.mark.parametrize(
    "case", [c for c in CASES if "repaired_area" in c], ids=lambda case: case["name"]
)
def test_an_offered_repair_is_accepted_and_has_the_right_area(case):
    with pytest.raises(ShapeError) as caught:
        read_shape(case["geometry"])
    assert caught.value.repaired is not None
    read_shape(json.loads(json.dumps(caught.value.repaired)))
    assert shape(caught.value.repaired).area == pytest.approx(case["repaired_area"])


def test_what_has_no_area_has_no_repair():
    with pytest.raises(ShapeError) as caught:
        read_shape(polygon([[0, 0], [1, 0], [2, 0], [0, 0]]))
    assert caught.value.repaired is None


def test_a_repair_over_the_180th_meridian_holds_both_sides():
    with pytest.raises(ShapeError) as caught:
        read_shape(polygon([[170, 0], [-170, 10], [-170, 0], [170, 10], [170, 0]]))
    repaired = read_shape(caught.value.repaired)
    assert covers(repaired, [171, -171, 180, -180, 0], [5] * 5).tolist() == [True] * 4 + [False]


def test_polygons_with_holes_and_either_winding_are_taken():
    for ring in (TRIANGLE, TRIANGLE[::-1]):
        found = read_shape(polygon(ring, [[0.1, 0.1], [0.2, 0.1], [0.1, 0.2], [0.1, 0.1]]))
        assert isinstance(found, Polygonal)
        assert covers(found, [0.11, 0.5], [0.11, 0.2]).tolist() == [False, True]


def test_altitudes_of_positions_are_ignored():
    found = read_shape(polygon([[*position, 100.0] for position in TRIANGLE]))
    assert covers(found, [0.2], [0.2]).all()


def test_an_edge_along_a_whole_parallel_is_no_leap():
    cap = [[-180, 60], [180, 60], [180, 90], [-180, 90], [-180, 60]]
    assert covers(read_shape(polygon(cap)), [12.0], [75.0]).all()


def test_a_point_with_a_radius_is_a_circle():
    assert read_shape({"type": "Point", "coordinates": [8, 47]}, radius_m=250) == Circle(8, 47, 250)


def test_a_ring_of_too_many_vertices_is_refused():
    ring = [[0, 0], [1, 0], [1, 1]] * 33_334 + [[0, 0]]
    with pytest.raises(ShapeError, match="at most 100,000"):
        read_shape(polygon(ring))


def test_the_most_vertices_are_taken():
    angle = np.linspace(0, 2 * np.pi, 100_000)[:-1]
    ring = np.stack((np.cos(angle), np.sin(angle)), axis=1).tolist()
    assert isinstance(read_shape(polygon([*ring, ring[0]])), Polygonal)


@pytest.mark.parametrize("vertices", [600, 99_000])
def test_a_hostile_ring_is_refused_before_it_costs_minutes(vertices):
    # GEOS alone needs minutes to repair the first and to check the second.
    random = np.random.default_rng(4).random((vertices, 2)).tolist()
    with pytest.raises(ShapeError) as caught:
        read_shape(polygon([*random, random[0]]))
    assert caught.value.repaired is None


def test_a_ring_that_is_cut_to_pieces_by_the_180th_meridian_is_refused():
    lat = np.linspace(20, 75, 5_000)
    across = np.column_stack((np.where(np.arange(5_000) % 2, 179.9, -179.9), lat)).tolist()
    ring = [*across, [-90, 75], [0, 75], [90, 75], [170, 75], [175, 20]]
    with pytest.raises(ShapeError, match="meet the 180th meridian too often") as caught:
        read_shape(polygon([*ring, ring[0]]))
    assert caught.value.repaired is None


def test_the_most_vertices_are_taken_over_the_180th_meridian_and_round_a_pole():
    angle = np.linspace(0, 2 * np.pi, 100_000)[:-1]
    over = np.stack(((np.cos(angle) + 360) % 360 - 180, np.sin(angle)), axis=1).tolist()
    assert covers(read_shape(polygon([*over, over[0]])), [180, -180], [0, 0.5]).all()
    around = np.stack((np.degrees(angle) - 180, 60 + np.cos(9 * angle)), axis=1).tolist()
    assert covers(read_shape(polygon([*around, around[0]])), [0, 180, 77], [90, 62, 61.5]).all()


def collection(*features) -> bytes:
    return json.dumps({"type": "FeatureCollection", "features": list(features)}).encode()


def feature(geometry=None, **more) -> dict:
    return {"type": "Feature", "geometry": geometry or polygon(TRIANGLE), "properties": {}} | more


def test_a_zone_is_named_by_its_id_or_its_property():
    zones = read_zones(
        collection(
            feature(id="a", properties={"zone_id": "no", "name": "Yard", "kind": "yard"}),
            feature(properties={"zone_id": "b"}),
            feature(id=7, properties=None),
        )
    )
    assert [(zone.zone_id, zone.name) for zone in zones] == [
        ("a", "Yard"),
        ("b", None),
        ("7", None),
    ]
    assert zones[0].properties["kind"] == "yard"


def test_a_lone_feature_is_a_zone_file():
    (zone,) = read_zones(json.dumps(feature(id="a")).encode())
    assert (zone.zone_id, zone.is_numbered) == ("a", False)


def test_a_feature_without_an_id_is_numbered_by_its_place():
    zones = read_zones(collection(feature(), feature(id="a"), feature(id=None)))
    assert [(zone.zone_id, zone.is_numbered) for zone in zones] == [
        ("feature-0", True),
        ("a", False),
        ("feature-2", True),
    ]


def test_measures_go_with_the_geometry_that_uses_them():
    measures = {"radius_m": 5, "width_m": 6}
    point = {"type": "Point", "coordinates": [1, 2]}
    line = {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}
    found = read_zones(
        collection(
            *(
                feature(geometry, id=number, properties=measures)
                for number, geometry in enumerate((point, line, polygon(TRIANGLE)))
            )
        )
    )
    assert [(zone.radius_m, zone.width_m) for zone in found] == [(5, None), (None, 6), (None, None)]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a GeoJSON FeatureCollection"),
        (b'{"type": "Feature"}', "feature 0: has no geometry"),
        (b'{"type": "Polygon"}', "not a GeoJSON FeatureCollection or Feature"),
        (b'{"type": "FeatureCollection"}', "array of features"),
        (collection([]), "feature 0: not a Feature"),
        (collection(feature(id="a"), {"type": "Point"}), "feature 1: not a Feature"),
        (collection({"type": "Feature", "id": 1, "geometry": None}), "feature 0: has no geometry"),
        (collection(feature(id=True)), "feature 0: its id must be a text that is not empty, or"),
        (collection(feature(id="")), "feature 0: its id must be a text that is not empty, or"),
        (
            collection(feature(), feature(id="feature-0")),
            "feature 1: zone id 'feature-0' is that of feature 0",
        ),
        (
            collection(feature(id="a"), feature(id="a")),
            "feature 1: zone id 'a' is that of feature 0",
        ),
        (collection(feature(id="a", properties=[1])), "feature 0: properties must be an object"),
        (
            collection(
                feature(
                    {"type": "Point", "coordinates": [0, 0]}, id=1, properties={"radius_m": "5"}
                )
            ),
            "feature 0: properties.radius_m must be a number",
        ),
    ],
)
def test_a_file_that_is_no_zone_file_is_refused(data, says):
    with pytest.raises(ZoneFileError, match=says.replace("(", r"\(")):
        read_zones(data)
