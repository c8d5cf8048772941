"""What a simulated run consists of: who moves, when they send, and the zones on their way.

Without a zone file, zones are put where the trackers will be, by a seeded choice: circles and
octagons round places of their tracks, so that some are entered and left in every run.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_sim.motion import StreetPlan
from device_sim.schedule import Schedule, Slice
from device_sim.trace import Trace
from geofence.geojson import ShapeError, ZoneFeature, read_shape
from geofence.rules import Rules

ZONES_ON_THE_WAY = 20
_LEAST_RADIUS_M, _GREATEST_RADIUS_M = 60.0, 150.0
_METRES_PER_DEGREE = 111_320.0
_LOOKED_AT_FIXES = 500_000
_MINUTE_US = 60_000_000
_RULES = frozenset(field.name for field in fields(Rules))


@dataclass(frozen=True, slots=True)
class SimZone:
    """A zone as it is given to the system. None, and a rule that is not there, leave it the choice.

    rules: fields of geofence.rules.Rules. schedule: as geofence.schedule.parse_schedule reads it.
    """

    external_id: str
    name: str
    geometry: Mapping[str, Any]
    radius_m: float | None = None
    kind: str | None = None
    alert_on: Sequence[str] | None = None
    width_m: float | None = None
    rules: Mapping[str, Any] = field(default_factory=dict[str, Any])
    schedule: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """devices: external id of each tracker and name of its asset, in the order of the fleet.

    oldest_us: no fix is older. fixes: how many there will be, None where the run has no end.
    """

    devices: Sequence[str]
    zones: Sequence[SimZone]
    schedule: Schedule
    oldest_us: int
    fixes: int | None


def moving_scenario(
    plan: StreetPlan, now_us: int, zones: Sequence[SimZone] | None = None
) -> Scenario:
    """Vehicles on streets; without zones of one's own, with some on their way."""
    width = len(str(plan.vehicles))
    rounds = None if plan.seconds is None else max(1, math.ceil(plan.seconds * plan.rate_hz))
    return Scenario(
        devices=[f"sim-{number:0{width}d}" for number in range(1, plan.vehicles + 1)],
        zones=zones_on_the_way(plan.slices, plan.seed) if zones is None else zones,
        schedule=plan.slices,
        oldest_us=now_us - _MINUTE_US,
        fixes=None if rounds is None else rounds * plan.vehicles,
    )


def replay_scenario(
    trace: Trace, speed: float, seed: int, zones: Sequence[SimZone] | None = None
) -> Scenario:
    """A trace whose times are final."""

    def schedule(_start_us: int) -> Iterator[Slice]:
        return trace.slices(speed)

    return Scenario(
        devices=trace.devices,
        zones=zones_on_the_way(schedule, seed) if zones is None else zones,
        schedule=schedule,
        oldest_us=trace.oldest_us,
        fixes=len(trace.fixes),
    )


def zones_on_the_way(schedule: Schedule, seed: int, count: int = ZONES_ON_THE_WAY) -> list[SimZone]:
    """`count` circles and octagons round places that the first half million fixes reach."""
    places: list[NDArray[np.float64]] = []
    seen = 0
    for one in schedule(0):
        places.append(np.stack([one.fixes.rows["lat"], one.fixes.rows["lon"]], axis=1))
        seen += len(one.due_s)
        if seen >= _LOOKED_AT_FIXES:
            break
    visited = np.concatenate(places)
    random = np.random.default_rng(seed)
    chosen = visited[random.integers(len(visited) // 4, len(visited), count)]
    radii_m = random.uniform(_LEAST_RADIUS_M, _GREATEST_RADIUS_M, count)
    return [
        _zone(number, lat, lon, round(radius_m, 1))
        for number, ((lat, lon), radius_m) in enumerate(
            zip(chosen.tolist(), radii_m.tolist(), strict=True), start=1
        )
    ]


def _zone(number: int, lat: float, lon: float, radius_m: float) -> SimZone:
    name = f"Zone {number:02d}"
    if number % 2:
        centre = {"type": "Point", "coordinates": [lon, lat]}
        return SimZone(f"sim-zone-{number:02d}", name, centre, radius_m=radius_m)
    octagon = {"type": "Polygon", "coordinates": [_octagon(lat, lon, radius_m)]}
    return SimZone(f"sim-zone-{number:02d}", name, octagon)


def _octagon(lat: float, lon: float, radius_m: float) -> list[list[float]]:
    lat_radius = radius_m / _METRES_PER_DEGREE
    lon_radius = lat_radius / max(0.01, math.cos(math.radians(lat)))
    ring = [
        [
            round(lon + lon_radius * math.cos(k * math.pi / 4), 7),
            round(lat + lat_radius * math.sin(k * math.pi / 4), 7),
        ]
        for k in range(8)
    ]
    return [*ring, ring[0]]


def zones_of_features(
    features: Sequence[ZoneFeature], warn: Callable[[str], None]
) -> list[SimZone]:
    """Zones of a file. An invalid shape is repaired where it can be, with a warning that names it.

    Raises ShapeError for one that cannot be repaired.
    """
    return [_zone_of_feature(feature, warn) for feature in features]


def _zone_of_feature(feature: ZoneFeature, warn: Callable[[str], None]) -> SimZone:
    geometry = feature.geometry
    try:
        read_shape(geometry, radius_m=feature.radius_m, width_m=feature.width_m)
    except ShapeError as error:
        if error.repaired is None:
            raise
        warn(f"zone {feature.zone_id} is repaired: {error}")
        geometry = error.repaired
    return SimZone(
        external_id=feature.zone_id,
        name=feature.name or feature.zone_id,
        geometry=geometry,
        radius_m=feature.radius_m,
        kind=feature.properties.get("kind"),
        alert_on=feature.properties.get("alert_on"),
        width_m=feature.width_m,
        rules={name: value for name, value in feature.properties.items() if name in _RULES},
        schedule=feature.properties.get("schedule"),
    )
