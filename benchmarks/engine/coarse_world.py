"""Devices whose position is coarse: parked beside or in a zone, or driving in and out again.

All in metres on a plane round one place; the error of a fix is normal on each axis.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from geofence.shapes.types import Circle, Polygonal, Shape
from telemetry.fix import FixBatch, Known, blank_rows

Floats = NDArray[np.float64]
Noise = Literal["independent", "walking"]
Reading = Literal["radius", "axis"]

EVERY_S = 60
WALKING_S = 300.0  # the correlation time of walking errors
RADIUS_PER_SIGMA = math.sqrt(-2 * math.log(1 - 0.68))  # the radius that holds 68 % of the errors
MIXED_M = (10.0, 30.0, 65.0, 100.0, 150.0)
CENTRE = (8.0, 47.0)
M_PER_DEGREE = (76_053.0, 111_170.0)  # of longitude and latitude there
STAY_FIXES = 20
FAR_M = (1_500.0, 1_100.0, 700.0, 300.0)  # the way in; the way out is the same


@dataclass(frozen=True, slots=True)
class Site:
    """A circle of a radius, or a square of a side, round the origin. at_m: where devices park."""

    name: str
    at_m: float
    radius_m: float = 0.0
    side_m: float = 0.0

    @property
    def holds_them(self) -> bool:
        """Whether devices parked there are inside."""
        return self.at_m < (self.radius_m or self.side_m / 2)

    def shape(self) -> Shape:
        if self.radius_m:
            return Circle(*CENTRE, self.radius_m)
        half = self.side_m / 2
        west, south = degrees(np.array([-half]), np.array([-half]))
        east, north = degrees(np.array([half]), np.array([half]))
        return Polygonal(shapely.box(west[0], south[0], east[0], north[0]))

    def distance_m(self, east_m: Floats, north_m: Floats) -> Floats:
        """Return the distance to the edge, negative inside."""
        if self.radius_m:
            return np.hypot(east_m, north_m) - self.radius_m
        over_x, over_y = np.abs(east_m) - self.side_m / 2, np.abs(north_m) - self.side_m / 2
        outside = np.hypot(np.maximum(over_x, 0), np.maximum(over_y, 0))
        return outside + np.minimum(np.maximum(over_x, over_y), 0)


PARKED = (
    Site("centre of a 50 m circle", 0.0, radius_m=50.0),
    Site("60 m outside a 50 m circle", 110.0, radius_m=50.0),
    Site("centre of a 30 m square", 0.0, side_m=30.0),
    Site("500 m yard, 100 m from its edge", 150.0, side_m=500.0),
)
VISITED = (
    Site("50 m circle", 0.0, radius_m=50.0),
    Site("30 m square", 0.0, side_m=30.0),
    Site("500 m yard", 0.0, side_m=500.0),
)


@dataclass(frozen=True, slots=True)
class Fixes:
    """The fixes of devices, shape (devices, fixes) each: where they are said to be, and how
    accurately.
    """

    east_m: Floats
    north_m: Floats
    accuracy_m: Floats

    def batch(self) -> FixBatch:
        """Return the same for the engine: device k is asset and tracker k, a fix a minute."""
        devices, fixes = self.east_m.shape
        rows = blank_rows(devices * fixes)
        rows["asset"] = rows["tracker"] = np.repeat(np.arange(devices), fixes)
        rows["organization"] = 0
        rows["time_us"] = np.tile(np.arange(fixes) * EVERY_S * 1_000_000, devices)
        rows["lon"], rows["lat"] = degrees(self.east_m.ravel(), self.north_m.ravel())
        rows["accuracy_m"], rows["known"] = self.accuracy_m.ravel(), Known.ACCURACY
        return FixBatch(rows)


def degrees(east_m: Floats, north_m: Floats) -> tuple[Floats, Floats]:
    """Return longitude and latitude."""
    return CENTRE[0] + east_m / M_PER_DEGREE[0], CENTRE[1] + north_m / M_PER_DEGREE[1]


def parked(
    site: Site,
    accuracy_m: float | None,
    noise: Noise,
    reading: Reading,
    shape: tuple[int, int],
    seed: int,
) -> Fixes:
    """Return devices at rest. accuracy_m: None: another one with each fix. shape:
    (devices, fixes).
    """
    random = np.random.default_rng(seed)
    return _seen(np.full(shape, site.at_m), accuracy_m, noise, reading, random)


def visiting(
    accuracy_m: float | None, noise: Noise, reading: Reading, devices: int, seed: int
) -> Fixes:
    """Return devices that come from the east, stay at the origin for STAY_FIXES fixes, and go
    again.
    """
    random = np.random.default_rng(seed)
    way_m = np.array([*FAR_M, *[0.0] * STAY_FIXES, *reversed(FAR_M)])
    return _seen(np.tile(way_m, (devices, 1)), accuracy_m, noise, reading, random)


def _seen(
    east_m: Floats,
    accuracy_m: float | None,
    noise: Noise,
    reading: Reading,
    random: np.random.Generator,
) -> Fixes:
    stated_m = np.full(east_m.shape, accuracy_m or 0.0)
    if accuracy_m is None:
        stated_m = random.choice(MIXED_M, east_m.shape)
    error = _errors(east_m.shape, noise, random) * stated_m
    if reading == "radius":
        error = error / RADIUS_PER_SIGMA
    return Fixes(east_m + error[0], error[1], stated_m)


def _errors(shape: tuple[int, int], noise: Noise, random: np.random.Generator) -> Floats:
    """Return errors of variance 1 on each axis, shape (2, devices, fixes)."""
    errors = random.normal(size=(2, *shape))
    if noise == "walking":
        kept = math.exp(-EVERY_S / WALKING_S)
        for number in range(1, shape[1]):
            fresh = math.sqrt(1 - kept * kept) * errors[..., number]
            errors[..., number] = kept * errors[..., number - 1] + fresh
    return errors
