"""The three shapes that a zone can have, as values. `geofence.geometry.queries` answers questions
about them.

WGS 84 in degrees, longitude before latitude. Longitudes are continuous: over the 180th meridian
they run on past 180, or past -180.
"""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

MAX_RADIUS_M = 1_000_000.0
MAX_WIDTH_M = 100_000.0


@dataclass(frozen=True, slots=True, eq=False)
class Polygonal:
    """A valid polygon or multipolygon, holes included.

    An area that goes all the way round the axis lies in [-180, 180]; edges that it has on both
    meridians, and edges at 90 degrees of latitude, are none on the ground.
    """

    geometry: Polygon | MultiPolygon


@dataclass(frozen=True, slots=True)
class Circle:
    """All points whose geodesic distance to the centre is at most `radius_m`."""

    lon: float
    lat: float
    radius_m: float


@dataclass(frozen=True, slots=True, eq=False)
class Corridor:
    """All points whose distance to a line is at most half of `width_m`; its ends are round.

    vertices: (n, 2), n at least 2. Between them the line is straight in longitude and latitude;
    distances are geodesic.
    """

    vertices: NDArray[np.float64]
    width_m: float


Shape = Polygonal | Circle | Corridor
