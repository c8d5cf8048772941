"""The process that checks large geometries, each in a child that is killed at its limits.

    python -m api.limits.geometry_process

A valid geometry of 100,000 vertices takes one second of the processor, a hostile one a minute.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from api.limits.forking_process import ChildLimits, serve
from geofence.geometry.measures import Measures, measures
from geofence.geometry.packing import SLABS_FROM_VERTICES
from geofence.shapes.errors import ShapeError
from geofence.shapes.geojson import read_shape

LIMITS = ChildLimits(cpu_s=2, wall_s=10, memory_bytes=1024 * 1024 * 1024)


class ShapeRequest(msgspec.Struct):
    """A geometry, and what goes with it."""

    geometry: dict[str, Any]
    radius_m: float | None
    width_m: float | None


class ShapeAnswer(msgspec.Struct):
    """The measures of a shape, or the attributes of the ShapeError."""

    measures: Measures | None = None
    problem: str = ""
    pointer: str = ""
    ring: int | None = None
    vertex: int | None = None
    position: tuple[float, float] | None = None
    repaired: Mapping[str, Any] | None = None

    def result(self) -> Measures:
        """Return the measures. Raises ShapeError where there are none."""
        if self.measures is not None:
            return self.measures
        raise ShapeError(
            self.problem,
            self.pointer,
            ring=self.ring,
            vertex=self.vertex,
            position=self.position,
            repaired=self.repaired,
        )


def judge(request: ShapeRequest) -> ShapeAnswer:
    """Read and measure one geometry."""
    try:
        shape = read_shape(request.geometry, radius_m=request.radius_m, width_m=request.width_m)
        return ShapeAnswer(measures(shape))
    except ShapeError as error:
        place = (error.ring, error.vertex, error.position, error.repaired)
        return ShapeAnswer(None, error.problem, error.pointer, *place)


def load_what_is_compiled() -> None:
    """Load compiled code, so that no child spends its time on loading or compiling."""
    teeth = [[number, 1 + number % 2] for number in range(SLABS_FROM_VERTICES)]
    ring = [[0, 0], *teeth, [SLABS_FROM_VERTICES, 0], [0, 0]]
    judge(ShapeRequest({"type": "Polygon", "coordinates": [ring]}, None, None)).result()


def _answer(message: bytes) -> bytes:
    return msgspec.json.encode(judge(msgspec.json.decode(message, type=ShapeRequest)))


if __name__ == "__main__":
    serve(load_what_is_compiled, _answer, LIMITS)
