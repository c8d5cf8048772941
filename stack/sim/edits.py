"""Edits while trackers are on the move: zones drawn, moved and ended, a tracker taken off and on.

Everything goes through the API, and the instants at which edits hold come from its answers, so that
a replay can know them. What is ambiguous by nature is kept away from:

- A zone is drawn wide round a tracker and moved far away, so that no fix under way decides.
- A tracker comes back to its asset just after a fix of it has been stored and well before its next
  one, or when the sending is over: which of its fixes is the last before that instant is certain.
- Devices' clocks must be those of the system, as those of simulated trackers on one machine are.

It is noted how long after an edit its visits are seen.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from stack.scenario.api_client import ApiClient
from stack.scenario.registration import zone_body
from stack.scenario.zones import SimZone
from stack.verify.run_history import RunHistory
from telemetry.times import parse_time_us

LEAST_INTERVAL_S = 1.0
"""Between the fixes of a tracker, if it is to be taken off while it sends."""

_RADIUS_M = 500.0
_AWAY_DEG = 1.0
_DWELL_S = 3
_POLL_S = 0.05
_LOOKED_AT_FIXES = 5
_NEAR_DEG = 0.01
_FRESH_SHARE = 0.35  # of the interval between two fixes

Json = dict[str, Any]


class _Fix(msgspec.Struct):
    time: str
    lat: float
    lon: float


class _Visit(msgspec.Struct):
    left_at: str | None


@dataclass(slots=True)
class Sending:
    """The facts of the fleet that the edits need. interval_s: least time between fixes of a
    tracker.
    """

    interval_s: float
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class EditTiming:
    """Seconds: between edits, without a tracker, and to wait for what an edit should bring."""

    pause_s: float = 1.0
    off_s: float = 2.0
    patience_s: float = 15.0


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A zone round a tracker."""

    zone: int
    tracker: int
    is_like: SimZone


class Editor:
    """The maker of edits, which notes them in `history`.

    delays_s: of each edit, until its visits were seen.
    """

    def __init__(
        self,
        client: ApiClient,
        history: RunHistory,
        sending: Sending,
        pace: EditTiming | None = None,
    ) -> None:
        self._client = client
        self._history = history
        self._sending = sending
        self._pace = pace or EditTiming()
        self._drawn: _Drawn | None = None
        self._rounds = 0
        self.delays_s: list[float] = []

    async def make(self, count: int, stop: asyncio.Event) -> None:
        """Make this many edits, one after the other, none begun after `stop`. Raises ApiError."""
        await self._sending.has_begun.wait()
        steps = (self._draw, self._move_away, self._draw, self._reassign, self._end)
        for number in range(count):
            await asyncio.sleep(self._pace.pause_s)
            if stop.is_set():
                return
            await steps[number % len(steps)]()

    async def _draw(self) -> None:
        """Create a new zone round a tracker's place."""
        tracker = self._rounds % len(self._history.tracker_ids)
        self._rounds += 1
        fixes = await self._newest_fixes(tracker)
        if not fixes:
            return
        name = f"Drawn {self._rounds}"
        centre = {"type": "Point", "coordinates": list(_usual_place(fixes))}
        rules = {"dwell_seconds": _DWELL_S}
        zone = SimZone(f"sim-{name}", name, centre, radius_m=_RADIUS_M, rules=rules)
        answer = await self._client.post("/v1/zones", zone_body(zone))
        at_us = parse_time_us(answer["valid_from"])
        position = self._history.zone_begins(answer["id"], zone, at_us)
        self._drawn = _Drawn(position, tracker, zone)
        await self._seen(at_us, self._is_in)

    async def _move_away(self) -> None:
        """Move the drawn zone elsewhere."""
        if self._drawn is None:
            return
        lon, lat = self._drawn.is_like.geometry["coordinates"]
        away = {"type": "Point", "coordinates": [lon, lat + (_AWAY_DEG if lat < 0 else -_AWAY_DEG)]}
        answer = await self._client.patch(self._zone_path(), {"geometry": away})
        at_us = parse_time_us(answer["valid_from"])
        is_like = replace(self._drawn.is_like, geometry=away)
        self._history.zone_becomes(self._drawn.zone, is_like, at_us)
        await self._seen(at_us, self._is_out)
        self._drawn = None

    async def _end(self) -> None:
        """Delete the drawn zone."""
        if self._drawn is None:
            return
        await self._client.delete(self._zone_path())
        [newest] = (await self._client.get(f"{self._zone_path()}/versions", {"limit": 1}))["data"]
        at_us = parse_time_us(newest["valid_to"])
        self._history.zone_ends(self._drawn.zone, at_us)
        await self._seen(at_us, self._is_out)
        self._drawn = None

    async def _reassign(self) -> None:
        """Take the tracker in the drawn zone off its asset for a while."""
        if self._drawn is None:
            return
        tracker = self._drawn.tracker
        if self._sending.interval_s < LEAST_INTERVAL_S:
            await self._sending.is_over.wait()
        path = f"/v1/trackers/{self._history.tracker_ids[tracker]}"
        # A name that it never had makes the answer tell the instant.
        name = f"in the workshop, {self._rounds}"
        answer = await self._client.patch(path, {"asset_id": None, "name": name})
        at_us = parse_time_us(answer["updated_at"])
        asset = self._history.tracker_leaves(tracker, at_us).asset
        await self._seen(at_us, self._is_out)
        await asyncio.sleep(self._pace.off_s)
        await self._between_fixes(tracker)
        answer = await self._client.patch(path, {"asset_id": self._history.asset_ids[asset]})
        at_us = parse_time_us(answer["assigned_from"])
        self._history.tracker_joins(tracker, asset, at_us)
        await self._seen(at_us, self._is_in)

    async def _between_fixes(self, tracker: int) -> None:
        """Wait until just after a fix of the tracker was stored, or until no more are sent.

        A fix that lies far off the others does not count: ingest may take it for impossible.
        """
        fresh_us = round(self._sending.interval_s * _FRESH_SHARE * 1e6)
        while not self._sending.is_over.is_set():
            fixes = await self._newest_fixes(tracker)
            is_fresh = _now_us() - parse_time_us(fixes[0].time) < fresh_us if fixes else False
            if is_fresh and _is_usual(fixes):
                return
            await asyncio.sleep(_POLL_S)

    async def _newest_fixes(self, tracker: int) -> list[_Fix]:
        """Read the newest stored fixes of a tracker, the newest first."""
        query = {"tracker_id": self._history.tracker_ids[tracker], "limit": _LOOKED_AT_FIXES}
        rows = (await self._client.get("/v1/gps-events", query))["data"]
        return msgspec.convert(rows, list[_Fix])

    async def _seen(self, at_us: int, is_so: Callable[[], Awaitable[bool]]) -> None:
        """Wait until the change is seen, and note how long that takes; what never comes is found
        when the run is compared.
        """
        deadline = time.monotonic() + self._pace.patience_s
        while time.monotonic() < deadline:
            if await is_so():
                self.delays_s.append((_now_us() - at_us) / 1e6)
                return
            await asyncio.sleep(_POLL_S)

    async def _is_in(self) -> bool:
        return any(visit.left_at is None for visit in await self._visits())

    async def _is_out(self) -> bool:
        return all(visit.left_at is not None for visit in await self._visits())

    async def _visits(self) -> list[_Visit]:
        """Return the visits of the drawn zone, by the asset round which it was drawn."""
        assert self._drawn is not None
        of_tracker = list(self._history.assigned(self._drawn.tracker))
        query = {
            "zone_id": self._history.zone_ids[self._drawn.zone],
            "asset_id": self._history.asset_ids[of_tracker[-1].asset],
        }
        return msgspec.convert((await self._client.get("/v1/visits", query))["data"], list[_Visit])

    def _zone_path(self) -> str:
        assert self._drawn is not None
        return f"/v1/zones/{self._history.zone_ids[self._drawn.zone]}"


def _usual_place(fixes: Sequence[_Fix]) -> tuple[float, float]:
    """Return longitude and latitude in the middle of them."""
    return statistics.median(fix.lon for fix in fixes), statistics.median(fix.lat for fix in fixes)


def _is_usual(fixes: Sequence[_Fix]) -> bool:
    """Return whether the newest is near the others."""
    lon, lat = _usual_place(fixes)
    return abs(fixes[0].lon - lon) < _NEAR_DEG and abs(fixes[0].lat - lat) < _NEAR_DEG


def _now_us() -> int:
    return time.time_ns() // 1000
