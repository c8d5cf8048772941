"""Zones where the trackers of a run will be, so that every rule has something to judge.

A seeded choice: the same schedule and seed give the same zones. Circles and octagons lie round
places that trackers reach, spots between two fixes of one tracker, a lane along a tracker's way.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device_sim.schedule import Schedule
from geofence.model.schedule import DAYS
from stack.scenario.zones import SimZone

NIGHT_SHIFT = "night-shift"
"""The tag that half of the assets of a run have."""

_LEAST_RADIUS_M, _GREATEST_RADIUS_M = 60.0, 150.0
_LANE_WIDTH_M = 40.0
_LANE_FIXES = 12
_LONGEST_STEP_DEG = 0.01
_SPOT_SHARE = 0.25  # of the step between two fixes is the radius of a spot
_METRES_PER_DEGREE = 111_320.0
_NEAREST_TO_POLE_DEG = 89.0
_LOOKED_AT_FIXES = 500_000
_OPENS_AFTER_S = 10.0
_HOURS_M = 30
_TIMEZONE, _AHEAD_OF_UTC = "Asia/Kathmandu", timedelta(hours=5, minutes=45)


class RuleSet(StrEnum):
    """The rules that the zones have."""

    ALL = "all"
    UNTIMED = "untimed"  # those that need no clock, only fixes
    DEFAULT = "default"  # none of their own


@dataclass(frozen=True, slots=True)
class Character:
    """The purpose of a zone. fields: of SimZone; timed: whether something happens without a fix."""

    where: Literal["round", "spot", "lane"] = "round"
    kind: str | None = None
    alert_on: Sequence[str] | None = None
    rules: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tags: Sequence[str] | None = None
    opens: bool = False
    timed: bool = False


CHARACTERS = (
    Character(),
    Character(kind="allowed"),
    Character(where="spot"),
    Character(where="lane"),
    Character(rules={"dwell_seconds": 4}, timed=True),
    Character(rules={"exit_buffer_m": 25, "accuracy_clamp_m": 5}),
    Character(rules={"enter_confirm_fixes": 3}),
    Character(rules={"exit_confirm_fixes": 4, "speed_limit_mps": 8}),
    Character(rules={"enter_confirm_seconds": 3}),
    Character(rules={"exit_confirm_seconds": 4, "exit_confirm_fixes": 1}),
    Character(kind="jobsite", rules={"dwell_seconds": 7, "exit_buffer_m": 40}, timed=True),
    Character(rules={"close_after_silence_seconds": 6}, timed=True),
    Character(tags=[NIGHT_SHIFT]),
    Character(where="spot", kind="yard", alert_on=["pass_through"]),
    Character(where="spot", rules={"pass_min_m": 1}),
    Character(where="spot", rules={"max_gap_seconds": 0}),
    Character(kind="allowed", opens=True, timed=True),
    Character(opens=True, timed=True),
    Character(where="lane", kind="other", alert_on=["enter"], rules={"exit_confirm_fixes": 1}),
    Character(
        kind="yard", rules={"dwell_seconds": 5, "close_after_silence_seconds": 8}, timed=True
    ),
)


def zones_on_the_way(
    schedule: Schedule, seed: int, now_us: int, rule_set: RuleSet = RuleSet.ALL
) -> list[SimZone]:
    """Return one zone for each of CHARACTERS where the first half million fixes go.

    None where they go nowhere, or to a pole only. now_us: about when the run begins; hours begin
    soon after.
    """
    way = _Way(schedule, np.random.default_rng(seed))
    if way.leads_nowhere:
        return []
    hours = hours_from(now_us + round(_OPENS_AFTER_S * 1e6))
    return [
        _zone(number, character, way, hours, rule_set)
        for number, character in enumerate(CHARACTERS, start=1)
    ]


def hours_from(instant_us: int) -> dict[str, Any]:
    """Return a schedule that opens at the next full minute."""
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant_us) + _AHEAD_OF_UTC
    opens = (local + timedelta(minutes=1)).replace(second=0, microsecond=0)
    closes = opens + timedelta(minutes=_HOURS_M)
    window = {"days": list(DAYS), "from": f"{opens:%H:%M}", "to": f"{closes:%H:%M}"}
    return {"timezone": _TIMEZONE, "windows": [window]}


def _zone(
    number: int, character: Character, way: "_Way", hours: dict[str, Any], rule_set: RuleSet
) -> SimZone:
    """Return a zone, whose place does not depend on rule_set."""
    plain = _placed(number, character, way)
    is_left_out = character.timed and rule_set is RuleSet.UNTIMED
    if rule_set is RuleSet.DEFAULT or is_left_out:
        return plain
    return replace(
        plain,
        kind=character.kind,
        alert_on=character.alert_on,
        rules=character.rules,
        tags=character.tags,
        schedule=hours if character.opens else None,
    )


def _placed(number: int, character: Character, way: "_Way") -> SimZone:
    zone = partial(SimZone, f"sim-zone-{number:02d}", f"Zone {number:02d}")
    line = way.lane() if character.where == "lane" else None
    if line is not None:
        return zone({"type": "LineString", "coordinates": line}, width_m=_LANE_WIDTH_M)
    lon, lat, radius_m = way.spot() if character.where == "spot" else way.round()
    if character.where == "round" and number % 2 == 0:
        return zone({"type": "Polygon", "coordinates": [_octagon(lat, lon, radius_m)]})
    return zone({"type": "Point", "coordinates": [lon, lat]}, radius_m=radius_m)


class _Way:
    """The places (lon, lat) that the trackers reach, in order of time, and choices among them."""

    def __init__(self, schedule: Schedule, random: np.random.Generator) -> None:
        self._random = random
        parts: list[NDArray[np.void]] = []
        seen = 0
        for part in schedule(0):
            parts.append(part.fixes.rows[["tracker", "lon", "lat"]])
            seen += len(part.due_s)
            if seen >= _LOOKED_AT_FIXES:
                break
        rows = np.concatenate(parts)
        rows = rows[(np.abs(rows["lat"]) <= _NEAREST_TO_POLE_DEG) & (np.abs(rows["lon"]) <= 180)]
        by_tracker = rows[np.argsort(rows["tracker"], kind="stable")]
        self._in_time = np.stack([rows["lon"], rows["lat"]], axis=1)
        self._place = np.stack([by_tracker["lon"], by_tracker["lat"]], axis=1)
        self._tracker = by_tracker["tracker"]

    @property
    def leads_nowhere(self) -> bool:
        return not len(self._in_time)

    def round(self) -> tuple[float, float, float]:
        """Return a place that is reached when a quarter of the way is done, and a radius."""
        chosen = self._random.integers(len(self._in_time) // 4, len(self._in_time))
        radius_m = self._random.uniform(_LEAST_RADIUS_M, _GREATEST_RADIUS_M)
        lon, lat = self._in_time[chosen].tolist()
        return lon, lat, round(radius_m, 1)

    def spot(self) -> tuple[float, float, float]:
        """Return a place in the middle between two fixes of a tracker, and a radius that reaches
        neither.

        Round a place like any other where no tracker moves.
        """
        east, north = self._steps_m()
        step_m = np.hypot(east, north)
        moves = step_m > 0
        if not moves.any():
            return self.round()
        chosen = int(self._random.choice(np.flatnonzero(step_m >= np.median(step_m[moves]))))
        lon, lat = self._place[chosen : chosen + 2].mean(axis=0).tolist()
        return lon, lat, max(0.01, round(float(step_m[chosen]) * _SPOT_SHARE, 2))

    def lane(self) -> list[list[float]] | None:
        """Return some places that one tracker passes one after the other; None where none moves."""
        near = np.abs(np.diff(self._place, axis=0)).max(axis=1, initial=0) <= _LONGEST_STEP_DEG
        same = near & (self._tracker[1:] == self._tracker[:-1])
        begins = np.flatnonzero(_all_of_next(same, _LANE_FIXES - 1))
        if not len(begins):
            return None
        chosen = int(self._random.choice(begins))
        line = self._place[chosen : chosen + _LANE_FIXES].tolist()
        kept = [line[0]] + [place for k, place in enumerate(line[1:]) if place != line[k]]
        return kept if len(kept) >= 2 else None

    def _steps_m(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the metres from each fix to the next of its tracker, east and north; 0 where there
        is no way.
        """
        step = np.diff(self._place, axis=0)
        same = self._tracker[1:] == self._tracker[:-1]
        step[~same | (np.abs(step).max(axis=1, initial=0) > _LONGEST_STEP_DEG)] = 0
        shrink = np.cos(np.radians(self._place[1:, 1]))
        return step[:, 0] * _METRES_PER_DEGREE * shrink, step[:, 1] * _METRES_PER_DEGREE


def _all_of_next(holds: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """Return for each place whether it holds there and at the next ones, `count` in all."""
    if len(holds) < count:
        return np.zeros(0, np.bool_)
    sums = np.concatenate(([0], np.cumsum(holds)))
    return sums[count:] - sums[:-count] == count


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
