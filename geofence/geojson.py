"""Zones as GeoJSON (RFC 7946) writes them: geometries into shapes, zone files into features.

Values in, values out. A geometry is taken as it stands or refused with a `ShapeError` that names
the place; nothing is closed, turned or repaired in silence. A circle is a Point with a radius. A
position's third and further numbers are ignored.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from geofence.antimeridian import leaps
from geofence.shapes import MAX_RADIUS_M, Circle, Polygonal, Shape
from geofence.validity import MAX_VERTICES, Rings, ShapeError, area, repair

__all__ = ["ShapeError", "ZoneFeature", "ZoneFileError", "read_shape", "read_zones"]


class ZoneFileError(ValueError):
    """A zone file that cannot be read. feature: its number in the file, from 0, where known."""

    def __init__(self, problem: str, feature: int | None = None) -> None:
        super().__init__(problem if feature is None else f"feature {feature}: {problem}")
        self.problem = problem
        self.feature = feature


@dataclass(frozen=True, slots=True)
class ZoneFeature:
    """One feature of a zone file, its geometry as found.

    radius_m and width_m are None where the geometry's type has no use for them.
    """

    zone_id: str
    name: str | None
    geometry: Mapping[str, Any]
    radius_m: float | None
    properties: Mapping[str, Any]
    width_m: float | None = None


def read_shape(
    geometry: Mapping[str, Any], *, radius_m: float | None = None, width_m: float | None = None
) -> Shape:
    """The shape of a GeoJSON geometry: Polygon, MultiPolygon, or Point with `radius_m`.

    Raises ShapeError where it is not the shape of a zone, with a repaired geometry if there is one.
    """
    kind = geometry.get("type")
    if kind == "LineString" or width_m is not None:
        raise ShapeError("corridors (LineString with width_m) are not supported yet", "/type")
    if kind == "Point":
        return _circle(geometry.get("coordinates"), radius_m)
    if radius_m is not None:
        raise ShapeError("radius_m goes with a Point only", "/type")
    if kind == "Polygon":
        polygons = [_rings(geometry.get("coordinates"), "/coordinates")]
    elif kind == "MultiPolygon":
        polygons = [
            _rings(rings, f"/coordinates/{number}")
            for number, rings in enumerate(_array(geometry.get("coordinates"), "/coordinates"))
        ]
    else:
        raise ShapeError("type must be Polygon, MultiPolygon, or Point with radius_m", "/type")
    return Polygonal(_checked_area(polygons, multi=kind == "MultiPolygon"))


def read_zones(data: bytes) -> list[ZoneFeature]:
    """The features of a FeatureCollection. Shapes are not looked at: see `read_shape`.

    A zone's id is the feature's `id`, else `properties.zone_id`. Raises ZoneFileError.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ZoneFileError(f"not JSON: {error}") from error
    collection = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    if collection.get("type") != "FeatureCollection":
        raise ZoneFileError("not a GeoJSON FeatureCollection")
    found = collection.get("features")
    if not isinstance(found, list):
        raise ZoneFileError("a FeatureCollection has an array of features")
    features = [_feature(item, number) for number, item in enumerate(cast("list[Any]", found))]
    _refuse_repeats(features)
    return features


def _refuse_repeats(features: Sequence[ZoneFeature]) -> None:
    seen: dict[str, int] = {}
    for number, feature in enumerate(features):
        first = seen.setdefault(feature.zone_id, number)
        if first != number:
            raise ZoneFileError(f"zone id {feature.zone_id!r} is that of feature {first}", number)


def _feature(item: Any, number: int) -> ZoneFeature:
    feature = _object(item, "not a Feature", number)
    if feature.get("type") != "Feature":
        raise ZoneFileError("not a Feature", number)
    properties = _object(feature.get("properties") or {}, "properties must be an object", number)
    geometry = _object(feature.get("geometry"), "has no geometry", number)
    zone_id = feature.get("id", properties.get("zone_id"))
    if isinstance(zone_id, bool) or not isinstance(zone_id, str | int) or zone_id == "":
        raise ZoneFileError("needs an id, or properties.zone_id", number)
    name = properties.get("name")
    return ZoneFeature(
        zone_id=str(zone_id),
        name=name if isinstance(name, str) else None,
        geometry=geometry,
        radius_m=_measure(properties, "radius_m", geometry, "Point", number),
        properties=properties,
        width_m=_measure(properties, "width_m", geometry, "LineString", number),
    )


def _object(value: Any, problem: str, number: int) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ZoneFileError(problem, number)
    return cast("dict[str, Any]", value)


def _measure(
    properties: Mapping[str, Any], key: str, geometry: Mapping[str, Any], kind: str, number: int
) -> float | None:
    value = properties.get(key)
    if value is None or geometry.get("type") != kind:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ZoneFileError(f"properties.{key} must be a number", number)
    return float(value)


def _circle(coordinates: Any, radius_m: float | None) -> Circle:
    lon, lat = _position(coordinates, "/coordinates")
    if radius_m is None:
        raise ShapeError("a Point is a zone only with radius_m", "/type")
    if not 0 < radius_m <= MAX_RADIUS_M:
        raise ShapeError(f"radius_m must be above 0 and at most {MAX_RADIUS_M:,.0f}", "/radius_m")
    return Circle(lon, lat, float(radius_m))


def _checked_area(polygons: Sequence[Rings], *, multi: bool) -> Polygon | MultiPolygon:
    vertices = sum(len(ring) for rings in polygons for ring in rings)
    if vertices > MAX_VERTICES:
        raise ShapeError(f"{vertices:,} vertices: at most {MAX_VERTICES:,} are allowed")
    named = [
        (ring, positions, f"/coordinates/{number}/{ring}" if multi else f"/coordinates/{ring}")
        for number, rings in enumerate(polygons)
        for ring, positions in enumerate(rings)
    ]
    for ring, positions, pointer in named:
        _check_closed(positions, ring, pointer, polygons)
    for ring, positions, pointer in named:
        _check_steps(positions, ring, pointer, polygons)
    return area(polygons, multi=multi)


def _check_closed(
    positions: NDArray[np.float64], ring: int, pointer: str, polygons: Sequence[Rings]
) -> None:
    closed = bool(np.array_equal(positions[0], positions[-1]))
    if len(positions) < 4 - (not closed):
        raise ShapeError(
            f"ring {ring} has {len(positions)} positions: at least 4 are needed, "
            "the last the same as the first",
            pointer,
            ring=ring,
        )
    if not closed:
        last = len(positions) - 1
        raise ShapeError(
            f"ring {ring} is not closed: its last position (vertex {last}) differs from its first",
            f"{pointer}/{last}",
            ring=ring,
            vertex=last,
            position=(float(positions[-1, 0]), float(positions[-1, 1])),
            repaired=_with_closed_rings(polygons),
        )


def _with_closed_rings(polygons: Sequence[Rings]) -> dict[str, Any] | None:
    closed = [[_closed(ring) for ring in rings] for rings in polygons]
    return repair(closed) if all(len(r) >= 4 for rings in closed for r in rings) else None


def _closed(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    return ring if np.array_equal(ring[0], ring[-1]) else np.concatenate((ring, ring[:1]))


def _check_steps(
    positions: NDArray[np.float64], ring: int, pointer: str, polygons: Sequence[Rings]
) -> None:
    leap = np.flatnonzero(leaps(positions))
    if len(leap):
        vertex = int(leap[0])
        raise ShapeError(
            f"ring {ring} crosses the 180th meridian after vertex {vertex}: "
            "split the zone there (RFC 7946, 3.1.9)",
            f"{pointer}/{vertex}",
            ring=ring,
            vertex=vertex,
            position=(float(positions[vertex, 0]), float(positions[vertex, 1])),
            repaired=repair(polygons),
        )


def _rings(coordinates: Any, pointer: str) -> Rings:
    return [
        _ring(positions, f"{pointer}/{number}", number)
        for number, positions in enumerate(_array(coordinates, pointer))
    ]


def _ring(positions: Any, pointer: str, ring: int) -> NDArray[np.float64]:
    found = _array(positions, pointer)
    if len(found) > MAX_VERTICES:
        raise ShapeError(
            f"ring {ring} has {len(found):,} vertices: at most {MAX_VERTICES:,} are allowed",
            pointer,
            ring=ring,
        )
    pairs = [
        _position(position, pointer, ring=ring, vertex=vertex)
        for vertex, position in enumerate(found)
    ]
    return np.array(pairs, dtype=np.float64)


def _position(
    value: Any, pointer: str, *, ring: int | None = None, vertex: int | None = None
) -> tuple[float, float]:
    place = "" if vertex is None else f"ring {ring} vertex {vertex}: "
    at = pointer if vertex is None else f"{pointer}/{vertex}"
    if not isinstance(value, list | tuple) or len(cast("list[Any]", value)) < 2:
        problem = f"{place}a position is an array of longitude and latitude"
        raise ShapeError(problem, at, ring=ring, vertex=vertex)
    lon, lat = cast("list[Any]", value)[:2]
    for number, name, limit in ((lon, "longitude", 180), (lat, "latitude", 90)):
        if isinstance(number, bool) or not isinstance(number, int | float):
            problem = f"{place}{name} is not a number"
        elif not -limit <= number <= limit:  # NaN lies in no range
            problem = f"{place}{name} {str(number)[:24]} is not in [-{limit}, {limit}]"
        else:
            continue
        raise ShapeError(problem, at, ring=ring, vertex=vertex)
    return float(lon), float(lat)


def _array(value: Any, pointer: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple) or not value:
        raise ShapeError("coordinates must be arrays that are not empty", pointer)
    return cast("list[Any]", value)
