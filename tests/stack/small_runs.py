"""Runs of two trackers in two zones, and what is expected of them; no server is needed."""

from collections.abc import Sequence

import numpy as np

from device_sim.plan import SimTracker
from stack.scenario.registration import Registered
from stack.scenario.zones import SimZone
from stack.verify.expectation import Expectation, expect
from stack.verify.fix_fates import Arrived, fates
from stack.verify.run_history import RunHistory
from telemetry.fix import blank_rows
from telemetry.ids import derived_id, format_id

START_US = 1_800_000_000_000_000
SECOND_US = 1_000_000
RUN_S = 3600
SQUARE = {
    "type": "Polygon",
    "coordinates": [[[0, 0], [0.004, 0], [0.004, 0.004], [0, 0.004], [0, 0]]],
}
INSIDE, OUTSIDE = 0.002, 0.006  # degrees, within ten seconds of each other


def an_id(prefix: str, number: int) -> str:
    return format_id(prefix, derived_id(b"test", prefix.encode(), number.to_bytes(4, "big")))


ZONES = (
    SimZone("square", "Square", SQUARE),
    SimZone("round", "Round", {"type": "Point", "coordinates": [0.002, 0.002]}, radius_m=200.0),
)


def registered(zones: Sequence[SimZone], tags: Sequence[Sequence[str]] = ((), ())) -> Registered:
    return Registered(
        trackers=[SimTracker(an_id("trk", number), "secret") for number in range(2)],
        asset_ids=[an_id("ast", number) for number in range(2)],
        zone_ids=[an_id("zon", number) for number in range(len(zones))],
        valid_from_us=START_US - SECOND_US,
        tags=tags,
    )


def history_of(*zones: SimZone, tags: Sequence[Sequence[str]] = ((), ())) -> RunHistory:
    return RunHistory.of(registered(zones, tags), zones)


def sent(*fixes: tuple[int, float, float]) -> np.ndarray:
    """Return fixes (tracker, seconds after the start, lat and lon) in order of sending."""
    rows = blank_rows(len(fixes))
    for row, (tracker, after_s, place) in zip(rows, fixes, strict=True):
        row["tracker"] = tracker
        row["time_us"] = at_us(after_s)
        row["lat"] = row["lon"] = place
    return rows


def at_us(after_s: float) -> int:
    return START_US + round(after_s * SECOND_US)


def replayed(
    *fixes: tuple[int, float, float],
    zones: Sequence[SimZone] = ZONES,
    history: RunHistory | None = None,
    until_s: float = RUN_S,
) -> Expectation:
    """Return what is expected of the fixes, and of deadlines up to until_s."""
    history = history or history_of(*zones)
    return expect(fates(arrived(sent(*fixes))), history, at_us(RUN_S), at_us(until_s))


def arrived(rows: np.ndarray, *, is_json: bool = True) -> Arrived:
    """Return each fix in a message of its own, all of them sent at the end of the run."""
    n = len(rows)
    rows["message"] = np.arange(n)
    digest = np.array([hash(row.item()) for row in rows[["time_us", "seq", "lat", "lon"]]])
    return Arrived(rows, np.ones(n, bool), digest, np.full(n, at_us(RUN_S)), is_json)
