"""The fixes of one thing in order of time, as trips and stops are worked out from them."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (pyproj's arrays have no types)

from dataclasses import dataclass
from math import cos, hypot, radians
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod

_EARTH = Geod(ellps="WGS84")
_M_PER_DEGREE = 111_195.0  # of a great circle on a sphere of 6,371 km
_Degrees: TypeAlias = float | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TripRules:
    """stop_radius_m: a stop lies within it. stop_after_s: a shorter stay is no stop. trip_min_m:
    who does not get so far away from a stop has not left it. trip_gap_s: a trip with a longer time
    without a fix is marked. Raises ValueError for values that make no sense.
    """

    stop_radius_m: float = 50.0
    stop_after_s: float = 300.0
    trip_min_m: float = 200.0
    trip_gap_s: float = 3600.0

    def __post_init__(self) -> None:
        for name in ("stop_radius_m", "stop_after_s", "trip_min_m", "trip_gap_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0")
        if self.trip_min_m < self.stop_radius_m:
            raise ValueError("trip_min_m must be at least stop_radius_m")

    @property
    def stop_after_us(self) -> int:
        return round(self.stop_after_s * 1_000_000)

    @property
    def trip_gap_us(self) -> int:
        return round(self.trip_gap_s * 1_000_000)


@dataclass(frozen=True, slots=True)
class Track:
    """n fixes in order of time, without suspect ones; each column (n,).

    time_us: since 1970. lat, lon: degrees. accuracy_m: 0 where it is not stated. speed_mps,
    odometer_m: NaN where they are not known. ignition: 1 on, 0 off, -1 not known.
    """

    time_us: NDArray[np.int64]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    accuracy_m: NDArray[np.float64]
    speed_mps: NDArray[np.float64]
    odometer_m: NDArray[np.float64]
    ignition: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.time_us)

    def beyond_m(self, rows: slice, lat: float, lon: float) -> NDArray[np.float64]:
        """Return how far from a place fixes are at least, by their accuracy."""
        away_m = np.hypot(*flat_offsets_m(self.lat[rows], self.lon[rows], lat, lon))
        return away_m - self.accuracy_m[rows]

    def steps_m(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the geodesic lengths between fixes that follow each other in `rows`."""
        lon, lat = self.lon[rows], self.lat[rows]
        return np.asarray(_EARTH.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])[2], np.float64)


def flat_offsets_m(lat: _Degrees, lon: _Degrees, from_lat: _Degrees, from_lon: _Degrees) -> Any:
    """Return how far to the east and to the north of places others lie, on a plane: two arrays.

    Right to 1 % within some kilometres: enough to tell whether something is there.
    """
    east = (lon - from_lon + 540.0) % 360.0 - 180.0
    per_degree = _M_PER_DEGREE * np.cos(np.radians(from_lat))
    return east * per_degree, (lat - from_lat) * _M_PER_DEGREE


def flat_distance_m(lat: float, lon: float, from_lat: float, from_lon: float) -> float:
    """Return how far apart two places are on such a plane."""
    east = (lon - from_lon + 540.0) % 360.0 - 180.0
    return _M_PER_DEGREE * hypot(east * cos(radians(from_lat)), lat - from_lat)


def place_at(lat: float, lon: float, east_m: float, north_m: float) -> tuple[float, float]:
    """Return latitude and longitude of what lies so far from a place."""
    lon_there = lon + east_m / (_M_PER_DEGREE * cos(radians(lat)))
    return lat + north_m / _M_PER_DEGREE, (lon_there + 540.0) % 360.0 - 180.0
