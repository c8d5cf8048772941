"""The check of a geometry: an area that fixes can be judged by, or the problem to answer."""

from collections.abc import Mapping
from typing import Any

from api.http.problems import Problem, bad_field, busy, unavailable
from api.limits.geometry_checks import TooManyOfAll, TooManyOfOne
from api.request.access import Access
from geofence.geometry.measures import Measures
from geofence.shapes.geojson import ShapeError


async def check_shape(
    access: Access,
    geometry: Mapping[str, Any],
    radius_m: float | None,
    width_m: float | None,
) -> Measures:
    """Measure a shape. Raises Problem: 422 with the place of the fault and, where there is one, a
    repaired shape; 429, 503 where too many are checked.
    """
    try:
        return await access.state.shapes.measure(
            access.caller.org_id, geometry, radius_m=radius_m, width_m=width_m
        )
    except ShapeError as error:
        raise _problem(error) from None
    except TooManyOfOne:
        raise busy("Too many geometries of the organization at once.") from None
    except TooManyOfAll:
        raise unavailable("Too many geometries at once.") from None


def _problem(error: ShapeError) -> Problem:
    """Return a problem from ShapeError, which points into the geometry, but for radius and width,
    which stand beside it.
    """
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
