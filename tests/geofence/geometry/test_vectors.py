"""Geometry in cases: ours, and those of other projects, read with the meanings of this one."""

import numpy as np
import pytest

from geofence.geometry.crossing import meets_pairs
from geofence.geometry.packing import pack
from geofence.geometry.queries import covers, signed_distance_m
from geofence.shapes.geojson import ShapeError, read_shape
from geofence.shapes.types import Polygonal
from tests.data import CASES, cases_of
from tests.geofence.ellipsoid import WGS84

GEOMETRIES = cases_of("geometry", CASES) + cases_of("traccar_geofence_geometry")
UNCLOSED = [case for case in GEOMETRIES if "UNCLOSED" in case["zone"].get("note", "")]
LEAST_WIDTH_M = 1e-6  # of a corridor whose case says 0, which is no width here


def shape_of(case):
    zone = case["zone"]
    if zone["type"] == "circle":
        centre = [zone["center"]["lon"], zone["center"]["lat"]]
        return read_shape({"type": "Point", "coordinates": centre}, radius_m=zone["radius_m"])
    geometry = {"type": zone["type"], "coordinates": zone["coordinates"]}
    if zone["type"] == "LineString":
        return read_shape(geometry, width_m=max(2 * zone["half_width_m"], LEAST_WIDTH_M))
    return read_shape(geometry)


def answer(shape, check) -> bool:
    if check["op"] == "contains":
        return bool(covers(shape, [check["point"]["lon"]], [check["point"]["lat"]])[0])
    arena, records = pack([shape])
    ends = [np.array([check[end][axis]]) for end in ("frm", "to") for axis in ("lon", "lat")]
    return not np.isnan(meets_pairs(arena, records, *ends)[0, 0])


def named(cases, op=None):
    return [
        pytest.param(case, check, id=f"{case['id']}-{number}")
        for case in cases
        for number, check in enumerate(case["checks"])
        if (check["op"] == "area_km2") == (op == "area_km2")
    ]


@pytest.mark.parametrize(("case", "check"), named(GEOMETRIES))
def test_points_and_ways_are_answered_as_elsewhere(case, check):
    assert answer(shape_of(case), check) == check["expected"]


@pytest.mark.parametrize(("case", "check"), named(GEOMETRIES, "area_km2"))
def test_an_area_has_the_size_that_it_has_elsewhere(case, check):
    shape = shape_of(case)
    assert isinstance(shape, Polygonal)
    area_km2 = abs(WGS84.geometry_area_perimeter(shape.geometry)[0]) / 1e6
    assert area_km2 == pytest.approx(check["expected"], abs=check["tolerance"])


@pytest.mark.parametrize(
    ("case", "check"),
    named(case for case in GEOMETRIES if "UNCLOSED" in case["zone"].get("note", "")),
)
def test_a_ring_left_open_is_refused_and_its_repair_answers_as_elsewhere(case, check):
    # Elsewhere such a ring is taken as it is; here it is never closed in silence.
    ring = case["zone"]["coordinates"][0][:-1]
    with pytest.raises(ShapeError, match="not closed") as caught:
        read_shape({"type": "Polygon", "coordinates": [ring]})
    assert answer(read_shape(caught.value.repaired), check) == check["expected"]


def fence_on_taveuni(centre_lon: float):
    """Return an octagon of 800 m, as it is drawn round a place where the 180th meridian runs."""
    angle = np.linspace(0, 360, 9)[:-1]
    lon, lat, _ = WGS84.fwd([centre_lon] * 8, [-16.8] * 8, angle, [800.0] * 8)
    ring = [[float(x), float(y)] for x, y in zip(lon, lat, strict=True)]
    return read_shape({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})


def test_a_fence_over_the_antimeridian_answers_as_at_greenwich():
    """The report "antimeridian-sign-flip" among the cases of other projects."""
    at_home, at_sea = fence_on_taveuni(0.0), fence_on_taveuni(180.0)
    east, north = np.random.default_rng(5).uniform(-0.05, 0.05, (2, 500))
    inside = covers(at_home, east, -16.8 + north)
    assert inside[np.hypot(east, north) < 0.005].all()
    lon = np.where(east > 0, -180 + east, 180 + east)
    assert covers(at_sea, lon, -16.8 + north).tolist() == inside.tolist()
    assert signed_distance_m(at_sea, lon, -16.8 + north) == pytest.approx(
        signed_distance_m(at_home, east, -16.8 + north), abs=1e-3
    )
