"""Vehicles on a grid of streets: seeded motion with turns, stops, changing speed and noise.

The same plan gives the same tracks. Streets run north-south and east-west, `_BLOCK_M` apart, round
an origin. A vehicle keeps to its street until a crossing, goes on or turns there, sometimes stands
for a while, and speeds up by `_ACCELERATION_MPS2`. What a fix says is the true place plus an
error that wanders as a receiver's does (first-order autoregressive, some seconds long).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device_sim.schedule import Slice
from telemetry.fix import FixBatch, Known, blank_rows

_BLOCK_M = 120.0
_ACCELERATION_MPS2 = 2.0
_SLOWEST_MPS, _FASTEST_MPS = 6.0, 16.0
_STANDS_AT_CROSSING = 0.2  # share of crossings
_SHORTEST_STAND_S, _LONGEST_STAND_S = 3.0, 40.0
_TURNS = np.array([0, 0, 0, 1, 3])  # quarter turns clockwise, each as likely as the others
_NOISE_MEMORY_S = 20.0
_BEST_ACCURACY_M, _WORST_ACCURACY_M = 3.0, 12.0
_METRES_PER_DEGREE = 111_320.0
_STEP_S = 1.0  # below the time that the fastest vehicle needs for a block
_SEQ_WRAP = 60_000  # fits the 16 bits of the packed format
_NORTH = np.array([1.0, 0.0, -1.0, 0.0])  # by heading in quarter turns from north
_EAST = np.array([0.0, 1.0, 0.0, -1.0])
_KNOWN = (
    Known.SPEED | Known.COURSE | Known.ACCURACY | Known.BATTERY | Known.SATELLITES | Known.IGNITION
)


@dataclass(frozen=True, slots=True)
class StreetPlan:
    """The traffic to simulate: `vehicles` round an origin, each sending `rate_hz` fixes a second.

    seconds: how long; None = without end. blocks: how far from the origin the streets reach.
    """

    vehicles: int
    rate_hz: float
    seconds: float | None
    seed: int
    origin_lat: float = 52.52
    origin_lon: float = 13.405
    blocks: int = 12

    def __post_init__(self) -> None:
        if not 1 <= self.vehicles <= 100_000:
            raise ValueError(f"vehicles must be 1..100000, not {self.vehicles}")
        if not 0 < self.rate_hz <= 1000:
            raise ValueError(f"rate_hz must be above 0 and at most 1000, not {self.rate_hz:g}")
        if self.seconds is not None and self.seconds <= 0:
            raise ValueError(f"seconds must be above 0, not {self.seconds:g}")
        if abs(self.origin_lat) > 80 or abs(self.origin_lon) > 179:
            raise ValueError("the origin must lie within 80 degrees of latitude, 179 of longitude")
        if not 1 <= self.blocks <= 100:
            raise ValueError(f"blocks must be 1..100, not {self.blocks}")

    def slices(self, start_us: int) -> Iterator[Slice]:
        """Yield the schedule: a fix carries the moment at which it is due, in whole
        milliseconds.
        """
        traffic = Traffic(self)
        interval_s = 1 / self.rate_hz
        rounds = None if self.seconds is None else max(1, math.ceil(self.seconds * self.rate_hz))
        done = 0
        while rounds is None or done < rounds:
            due_s = traffic.phase_s + done * interval_s
            yield Slice(due_s, traffic.fixes(start_us, due_s, done % _SEQ_WRAP))
            traffic.advance(interval_s)
            done += 1


class Traffic:
    """The vehicles of a plan at one moment; columns of shape (vehicles,), distances in metres."""

    def __init__(self, plan: StreetPlan) -> None:
        n = plan.vehicles
        self._plan = plan
        self._random = np.random.default_rng(plan.seed)
        self.phase_s = np.sort(self._random.uniform(0, 1 / plan.rate_hz, n))
        """When in each interval which vehicle sends, never falling."""
        self._north_m = self._random.integers(-plan.blocks, plan.blocks + 1, n) * _BLOCK_M
        self._east_m = self._random.integers(-plan.blocks, plan.blocks + 1, n) * _BLOCK_M
        self._heading = self._random.integers(0, 4, n)
        self._to_crossing_m = np.zeros(n)
        self._speed_mps = np.zeros(n)
        self._wanted_mps = self._random.uniform(_SLOWEST_MPS, _FASTEST_MPS, n)
        self._stands_s = np.zeros(n)
        self._accuracy_m = self._random.uniform(_BEST_ACCURACY_M, _WORST_ACCURACY_M, n)
        self._noise_m = self._random.normal(0, 0.5, (2, n)) * self._accuracy_m
        self._battery_pct = self._random.uniform(50, 100, n)

    def advance(self, seconds: float) -> None:
        """Drive on, in steps in which nobody passes more than one crossing."""
        steps = max(1, math.ceil(seconds / _STEP_S))
        for _ in range(steps):
            self._step(seconds / steps)
        self._wander(seconds)

    def _step(self, seconds: float) -> None:
        self._stands_s = np.maximum(0, self._stands_s - seconds)
        wanted_mps = np.where(self._stands_s > 0, 0, self._wanted_mps)
        change_mps = np.minimum(wanted_mps - self._speed_mps, _ACCELERATION_MPS2 * seconds)
        self._speed_mps = self._speed_mps + change_mps
        way_m = self._speed_mps * seconds
        before_m = np.minimum(way_m, self._to_crossing_m)
        self._move(before_m)
        self._to_crossing_m -= before_m
        at_crossing = (self._to_crossing_m <= 0) & (self._speed_mps > 0)
        if at_crossing.any():
            self._turn(at_crossing)
            after_m = np.where(at_crossing, way_m - before_m, 0)
            self._move(after_m)
            self._to_crossing_m -= after_m

    def _move(self, way_m: NDArray[np.float64]) -> None:
        self._north_m = self._north_m + way_m * _NORTH[self._heading]
        self._east_m = self._east_m + way_m * _EAST[self._heading]

    def _turn(self, at_crossing: NDArray[np.bool_]) -> None:
        n = len(at_crossing)
        turned = (self._heading + self._random.choice(_TURNS, n)) % 4
        limit_m = self._plan.blocks * _BLOCK_M - _BLOCK_M / 2
        outwards = np.maximum(
            self._north_m * _NORTH[turned] - limit_m, self._east_m * _EAST[turned] - limit_m
        )
        turned = np.where(outwards > 0, (turned + 2) % 4, turned)
        stands = at_crossing & (self._random.random(n) < _STANDS_AT_CROSSING)
        stand_s = self._random.uniform(_SHORTEST_STAND_S, _LONGEST_STAND_S, n)
        wanted_mps = self._random.uniform(_SLOWEST_MPS, _FASTEST_MPS, n)
        self._heading = np.where(at_crossing, turned, self._heading)
        self._to_crossing_m = np.where(at_crossing, _BLOCK_M, self._to_crossing_m)
        self._stands_s = np.where(stands, stand_s, self._stands_s)
        self._wanted_mps = np.where(at_crossing, wanted_mps, self._wanted_mps)

    def _wander(self, seconds: float) -> None:
        kept = math.exp(-seconds / _NOISE_MEMORY_S)
        fresh = self._random.normal(0, 0.5, self._noise_m.shape) * self._accuracy_m
        self._noise_m = kept * self._noise_m + math.sqrt(1 - kept * kept) * fresh
        self._battery_pct = np.maximum(1, self._battery_pct - seconds / 600)

    def fixes(self, start_us: int, due_s: NDArray[np.float64], seq: int) -> FixBatch:
        """Return what the receivers report now, at `due_s` after the start."""
        rows = blank_rows(self._plan.vehicles)
        rows["tracker"] = np.arange(self._plan.vehicles)
        rows["time_us"] = (start_us // 1000 + (due_s * 1000).astype(np.int64)) * 1000
        rows["seq"] = seq
        rows["lat"], rows["lon"] = self._places()
        rows["speed_mps"] = np.round(self._speed_mps, 1)
        rows["course_deg"] = self._heading * 90
        rows["accuracy_m"] = np.round(self._accuracy_m, 1)
        rows["battery_pct"] = np.round(self._battery_pct)
        rows["satellites"] = np.round(18 - self._accuracy_m)
        rows["ignition"] = True
        rows["known"] = _KNOWN
        return FixBatch(rows)

    def _places(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        origin_lat, origin_lon = self._plan.origin_lat, self._plan.origin_lon
        metres_per_lon_degree = _METRES_PER_DEGREE * math.cos(math.radians(origin_lat))
        north_m, east_m = self._north_m + self._noise_m[0], self._east_m + self._noise_m[1]
        return (
            np.round(origin_lat + north_m / _METRES_PER_DEGREE, 7),
            np.round(origin_lon + east_m / metres_per_lon_degree, 7),
        )
