"""The process that checks large geometries and decodes large bodies, each request in a child that
is killed at its limits.

    python -m api.limits.geometry_process

A valid geometry of 100,000 vertices takes one second of the processor, a hostile one a minute.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

import msgspec

from api.http.problems import Problem
from api.limits.forking_process import ChildLimits, serve
from api.limits.json_body import decode_json
from geofence.geometry.measures import Measures, measures_of
from geofence.geometry.packing import SLABS_FROM_VERTICES
from geofence.shapes.errors import ShapeError
from geofence.shapes.geojson import read_shape
from geofence.shapes.stored import write_wkb
from geofence.shapes.types import Shape

LIMITS = ChildLimits(cpu_s=2, wall_s=10, memory_bytes=1024 * 1024 * 1024)


class CheckedShape(NamedTuple):
    """The shape of a geometry. wkb: as it is stored (`geofence.shapes.stored`)."""

    measures: Measures
    wkb: bytes


class ShapeRequest(msgspec.Struct, frozen=True):
    """A geometry as the text of a JSON object, and what goes with it."""

    geometry: str
    radius_m: float | None = None
    width_m: float | None = None


class ShapesRequest(msgspec.Struct, tag="shapes"):
    shapes: list[ShapeRequest]


class ShapeAnswer(msgspec.Struct):
    """The shape, or the attributes of the ShapeError."""

    measures: Measures | None = None
    wkb: bytes = b""
    problem: str = ""
    pointer: str = ""
    ring: int | None = None
    vertex: int | None = None
    position: tuple[float, float] | None = None
    repaired: Mapping[str, Any] | None = None

    def result(self) -> CheckedShape:
        """Return the shape. Raises ShapeError where there is none."""
        if self.measures is not None:
            return CheckedShape(self.measures, self.wkb)
        raise ShapeError(
            self.problem,
            self.pointer,
            ring=self.ring,
            vertex=self.vertex,
            position=self.position,
            repaired=self.repaired,
        )


class BodyRequest(msgspec.Struct, tag="body"):
    """A body to decode, as `api.limits.json_body` does."""

    content: bytes
    most_values: int


class BodyAnswer(msgspec.Struct):
    """The JSON of a body whose geometries have no coordinates, and these coordinates as texts, in
    their order; or the attributes of the Problem.
    """

    content: bytes = b""
    coordinates: list[bytes] = []
    status: int = 0
    code: str = ""
    detail: str = ""

    def result(self) -> object:
        """Return the value, with coordinates as `msgspec.Raw`. Raises Problem."""
        if self.status:
            raise Problem(self.status, self.code, self.detail)
        value = msgspec.json.decode(self.content)
        for geometry, text in zip(_geometries(value), self.coordinates, strict=True):
            geometry["coordinates"] = msgspec.Raw(text)
        return value


Request: TypeAlias = ShapesRequest | BodyRequest
_requests = msgspec.msgpack.Decoder[Request](Request)


def judge(requests: Sequence[ShapeRequest]) -> list[ShapeAnswer]:
    """Read and measure geometries."""
    read = [_read(request) for request in requests]
    measured = iter(measures_of([shape for shape in read if not isinstance(shape, ShapeError)]))
    return [
        _refusal(shape)
        if isinstance(shape, ShapeError)
        else ShapeAnswer(next(measured), write_wkb(shape))
        for shape in read
    ]


def _read(request: ShapeRequest) -> Shape | ShapeError:
    geometry = msgspec.json.decode(request.geometry)
    try:
        return read_shape(geometry, radius_m=request.radius_m, width_m=request.width_m)
    except ShapeError as error:
        return error


def _refusal(error: ShapeError) -> ShapeAnswer:
    place = (error.ring, error.vertex, error.position, error.repaired)
    return ShapeAnswer(None, b"", error.problem, error.pointer, *place)


def _decoded(request: BodyRequest) -> BodyAnswer:
    try:
        value = decode_json(request.content, request.most_values)
    except Problem as problem:
        return BodyAnswer(status=problem.status, code=problem.code, detail=problem.detail)
    coordinates: list[bytes] = []
    for geometry in _geometries(value):
        coordinates.append(msgspec.json.encode(geometry["coordinates"], order="sorted"))
        geometry["coordinates"] = None
    return BodyAnswer(msgspec.json.encode(value), coordinates)


def _geometries(body: object) -> Iterator[dict[str, Any]]:
    """Yield the members `geometry` that have coordinates, of an object or of those of an array."""
    for item in cast("list[object]", body) if isinstance(body, list) else (body,):
        geometry = cast("dict[str, Any]", item).get("geometry") if isinstance(item, dict) else None
        if isinstance(geometry, dict) and "coordinates" in geometry:
            yield cast("dict[str, Any]", geometry)


def load_what_is_compiled() -> None:
    """Load compiled code, so that no child spends its time on loading or compiling."""
    teeth = [[number, 1 + number % 2] for number in range(SLABS_FROM_VERTICES)]
    ring = [[0, 0], *teeth, [SLABS_FROM_VERTICES, 0], [0, 0]]
    text = msgspec.json.encode({"type": "Polygon", "coordinates": [ring]}).decode()
    judge([ShapeRequest(text)])[0].result()


def _answer(message: bytes) -> bytes:
    request = _requests.decode(message)
    if isinstance(request, BodyRequest):
        return msgspec.msgpack.encode(_decoded(request))
    return msgspec.msgpack.encode(judge(request.shapes))


if __name__ == "__main__":
    serve(load_what_is_compiled, _answer, LIMITS)
