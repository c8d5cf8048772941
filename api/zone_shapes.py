"""Whether a geometry is an area that fixes can be judged by, and what to say where it is not."""

from collections.abc import Mapping
from typing import Any

from api.one_thread import QueueFull
from api.problems import Problem, bad_field, busy
from api.state import ApiState
from geofence.geojson import ShapeError, read_shape
from geofence.measures import Measures, measures


async def check_shape(
    state: ApiState,
    geometry: Mapping[str, Any],
    *,
    radius_m: float | None,
    width_m: float | None,
) -> None:
    """Raises Problem: 422 with the place of the fault and, where there is one, a repaired shape."""
    await measure_shape(state, geometry, radius_m=radius_m, width_m=width_m)


async def measure_shape(
    state: ApiState,
    geometry: Mapping[str, Any],
    *,
    radius_m: float | None,
    width_m: float | None,
) -> Measures:
    """How large it is. Raises as `check_shape` does."""
    try:
        return await state.geometry.run(_measured, geometry, radius_m, width_m)
    except ShapeError as error:
        raise _problem(error) from None
    except QueueFull:
        raise busy("Too many geometries at once.") from None


def _measured(
    geometry: Mapping[str, Any], radius_m: float | None, width_m: float | None
) -> Measures:
    return measures(read_shape(geometry, radius_m=radius_m, width_m=width_m))


def _problem(error: ShapeError) -> Problem:
    """ShapeError points into the geometry, but for radius and width, which stand beside it."""
    beside = error.pointer in ("/radius_m", "/width_m")
    pointer = error.pointer if beside else "/geometry" + error.pointer
    place = {
        "ring": error.ring,
        "vertex": error.vertex,
        "position": error.position,
        "repaired": error.repaired,
    }
    more = {name: value for name, value in place.items() if value is not None}
    return bad_field(pointer, error.problem, more=more)
