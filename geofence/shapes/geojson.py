"""Zones as GeoJSON (RFC 7946) writes them: geometries into shapes, zone files into features.

Values in, values out. A geometry is accepted as it is or refused with a `ShapeError` that names the
place; nothing is closed or repaired silently. A circle is a Point with a radius, a corridor a
LineString with a width.

Longitudes may run on past 180 by up to a turn, as where a line was drawn over the 180th meridian. A
position's third and further numbers are ignored.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from geofence.shapes.antimeridian import continued
from geofence.shapes.errors import Places, Rings, ShapeError
from geofence.shapes.types import MAX_RADIUS_M, MAX_WIDTH_M, Circle, Corridor, Polygonal, Shape
from geofence.shapes.validity import area, repair

MAX_VERTICES = 100_000
MAX_LON_DEG = 540
MAX_LAT_DEG = 90


def read_polygons(coordinates: Any, pointer: str) -> list[Rings]:
    """Return the rings of each polygon of a MultiPolygon."""
    return [
        read_rings(rings, f"{pointer}/{number}")
        for number, rings in enumerate(_array(coordinates, pointer))
    ]


def read_rings(coordinates: Any, pointer: str) -> Rings:
    """Return the rings of a polygon, each (vertices, 2), as they stand."""
    return [
        read_line(positions, f"{pointer}/{number}", number)
        for number, positions in enumerate(_array(coordinates, pointer))
    ]


def read_line(positions: Any, pointer: str, ring: int | None = None) -> NDArray[np.float64]:
    """Return the positions of a line, or of a ring with its number: (vertices, 2)."""
    vertices = _array(positions, pointer)
    if len(vertices) > MAX_VERTICES:
        raise ShapeError(
            f"{_place(ring)} has {len(vertices):,} vertices: at most {MAX_VERTICES:,} are allowed",
            pointer,
            ring=ring,
        )
    pairs = [
        read_position(position, pointer, ring=ring, vertex=vertex)
        for vertex, position in enumerate(vertices)
    ]
    return np.array(pairs, dtype=np.float64)


def read_position(
    value: Any, pointer: str, *, ring: int | None = None, vertex: int | None = None
) -> tuple[float, float]:
    """Return a position's longitude and latitude, degrees. pointer: of the line, or of itself."""
    if isinstance(value, list | tuple) and len(cast("list[Any]", value)) >= 2:
        lon, lat = cast("list[Any]", value)[:2]
        problem = _problem(lon, "longitude", MAX_LON_DEG) or _problem(lat, "latitude", MAX_LAT_DEG)
        if problem is None:
            return float(lon), float(lat)
    else:
        problem = "a position is an array of longitude and latitude"
    if vertex is not None:
        problem = f"{_place(ring)} vertex {vertex}: {problem}"
        pointer = f"{pointer}/{vertex}"
    raise ShapeError(problem, pointer, ring=ring, vertex=vertex)


def _problem(number: Any, name: str, limit: int) -> str | None:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return f"{name} is not a number"
    if not -limit <= number <= limit:  # NaN lies in no range
        return f"{name} {str(number)[:24]} is not in [-{limit}, {limit}]"
    return None


def _place(ring: int | None) -> str:
    return "the line" if ring is None else f"ring {ring}"


def _array(value: Any, pointer: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple) or not value:
        raise ShapeError("coordinates must be arrays that are not empty", pointer)
    return cast("list[Any]", value)


__all__ = ["ShapeError", "ZoneFeature", "ZoneFileError", "read_shape", "read_zones"]

_MAX_WAY_ROUND_DEG = 540  # once round the axis, and half a turn to spare


class ZoneFileError(ValueError):
    """A zone file that cannot be read. feature: its number in the file, from 0, where known."""

    def __init__(self, problem: str, feature: int | None = None) -> None:
        super().__init__(problem if feature is None else f"feature {feature}: {problem}")
        self.problem = problem
        self.feature = feature


@dataclass(frozen=True, slots=True)
class ZoneFeature:
    """One feature of a zone file, its geometry as found.

    radius_m and width_m are None where the geometry's type has no use for them. is_numbered: its id
    is not in the file, but made of its number there.
    """

    zone_id: str
    name: str | None
    geometry: Mapping[str, Any]
    radius_m: float | None
    properties: Mapping[str, Any]
    width_m: float | None = None
    is_numbered: bool = False


def read_shape(
    geometry: Mapping[str, Any], *, radius_m: float | None = None, width_m: float | None = None
) -> Shape:
    """Return the shape of a GeoJSON geometry, once each of:

    Polygon, MultiPolygon; Point with `radius_m`; LineString with `width_m`, its full width.

    Raises ShapeError where it is not the shape of a zone, with a repaired geometry if there is one.
    """
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind == "Point":
        _refuse_measure("width_m", width_m, "LineString")
        return _circle(coordinates, radius_m)
    _refuse_measure("radius_m", radius_m, "Point")
    if kind == "LineString":
        return _corridor(coordinates, width_m)
    _refuse_measure("width_m", width_m, "LineString")
    if kind == "Polygon":
        return Polygonal(_area([read_rings(coordinates, "/coordinates")], multi=False))
    if kind == "MultiPolygon":
        return Polygonal(_area(read_polygons(coordinates, "/coordinates"), multi=True))
    raise ShapeError(
        "type must be Polygon, MultiPolygon, Point with radius_m, or LineString with width_m",
        "/type",
    )


def read_zones(data: bytes) -> list[ZoneFeature]:
    """Return the features of a FeatureCollection, or a lone Feature. For shapes see `read_shape`.

    A zone's id is the feature's `id`, else `properties.zone_id`, else `feature-N` with its number
    in the file, from 0. Raises ZoneFileError.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ZoneFileError(f"not JSON: {error}") from error
    collection = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    if collection.get("type") == "Feature":
        return [_feature(collection, 0)]
    if collection.get("type") != "FeatureCollection":
        raise ZoneFileError("not a GeoJSON FeatureCollection or Feature")
    items = collection.get("features")
    if not isinstance(items, list):
        raise ZoneFileError("a FeatureCollection has an array of features")
    features = [_feature(item, number) for number, item in enumerate(cast("list[Any]", items))]
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
    given = feature.get("id", properties.get("zone_id"))
    zone_id = f"feature-{number}" if given is None else given
    if isinstance(zone_id, bool) or not isinstance(zone_id, str | int) or zone_id == "":
        raise ZoneFileError("its id must be a text that is not empty, or a whole number", number)
    name = properties.get("name")
    return ZoneFeature(
        zone_id=str(zone_id),
        name=name if isinstance(name, str) else None,
        geometry=geometry,
        radius_m=_measure(properties, "radius_m", geometry, "Point", number),
        properties=properties,
        width_m=_measure(properties, "width_m", geometry, "LineString", number),
        is_numbered=given is None,
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


def _refuse_measure(name: str, value: float | None, kind: str) -> None:
    if value is not None:
        raise ShapeError(f"{name} goes with a {kind} only", "/type")


def _circle(coordinates: Any, radius_m: float | None) -> Circle:
    lon, lat = read_position(coordinates, "/coordinates")
    if radius_m is None:
        raise ShapeError("a Point is a zone only with radius_m", "/type")
    if not 0 < radius_m <= MAX_RADIUS_M:
        raise ShapeError(f"radius_m must be above 0 and at most {MAX_RADIUS_M:,.0f}", "/radius_m")
    return Circle(_in_one_turn(lon), lat, float(radius_m))


def _corridor(coordinates: Any, width_m: float | None) -> Corridor:
    line = read_line(coordinates, "/coordinates")
    if width_m is None:
        raise ShapeError("a LineString is a zone only with width_m", "/type")
    if not 0 < width_m <= MAX_WIDTH_M:
        raise ShapeError(f"width_m must be above 0 and at most {MAX_WIDTH_M:,.0f}", "/width_m")
    if len(line) < 2:
        raise ShapeError("a line has 2 positions or more", "/coordinates")
    line[0, 0] = _in_one_turn(float(line[0, 0]))
    line = continued(line)
    beyond = np.flatnonzero(np.abs(line[:, 0] - line[0, 0]) > _MAX_WAY_ROUND_DEG)
    if len(beyond):
        vertex = int(beyond[0])
        problem = f"the line has gone round the axis once and a half at vertex {vertex}"
        raise ShapeError(problem, f"/coordinates/{vertex}", vertex=vertex)
    return Corridor(line, float(width_m))


def _in_one_turn(lon: float) -> float:
    return lon if -180 <= lon <= 180 else lon - 360 * math.floor((lon + 180) / 360)


def _area(polygons: Sequence[Rings], *, multi: bool) -> Polygon | MultiPolygon:
    vertices = sum(len(ring) for rings in polygons for ring in rings)
    if vertices > MAX_VERTICES:
        raise ShapeError(f"{vertices:,} vertices: at most {MAX_VERTICES:,} are allowed")
    places = Places(polygons, multi=multi)
    for number, rings in enumerate(polygons):
        for ring, positions in enumerate(rings):
            _check_closed(positions, number, ring, places)
    return area(polygons, multi=multi)


def _check_closed(positions: NDArray[np.float64], polygon: int, ring: int, places: Places) -> None:
    closed = bool(np.array_equal(positions[0], positions[-1]))
    if len(positions) < 4 - (not closed):
        raise ShapeError(
            f"ring {ring} has {len(positions)} positions: at least 4 are needed, "
            "the last the same as the first",
            places.pointer(polygon, ring),
            ring=ring,
        )
    if not closed:
        last = len(positions) - 1
        lon, lat = positions[0].tolist()
        raise ShapeError(
            f"ring {ring} is not closed: its last position (vertex {last}) differs from its first."
            f" Repeat the first, [{lon:.9g}, {lat:.9g}], at its end",
            places.pointer(polygon, ring, last),
            ring=ring,
            vertex=last,
            position=(float(positions[-1, 0]), float(positions[-1, 1])),
            repaired=_with_closed_rings(places.polygons),
        )


def _with_closed_rings(polygons: Sequence[Rings]) -> dict[str, Any] | None:
    closed = [[_closed(ring) for ring in rings] for rings in polygons]
    return repair(closed) if all(len(r) >= 4 for rings in closed for r in rings) else None


def _closed(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    return ring if np.array_equal(ring[0], ring[-1]) else np.concatenate((ring, ring[:1]))
