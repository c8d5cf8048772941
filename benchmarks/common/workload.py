"""The workload of every end-to-end figure: zones, and trackers that move among them.

Seeded and prebuilt: the same plan gives the same zones and fixes on every machine. What it holds to
(checked in tests/benchmarks/test_workload.py):

- zones of 20 to 60 vertices, 300 m median radius;
- median step between two fixes of a tracker 15 m;
- 10 % of the fixes within 50 m of a zone's edge, 2 % with at least one transition;
- 6 of the 9 optional values of a fix filled: seq, altitude, speed, course, accuracy, satellites.

A tracker drives its way out and back, so that a load generator may walk the same fixes again with
later times and never see a tracker jump.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from telemetry.fix import Known, blank_rows

Floats = NDArray[np.float64]
Messages = NDArray[np.void]  # shape (messages, fixes_per_message), FIX_DTYPE

CENTRE_LAT, CENTRE_LON = 47.0, 10.5
M_PER_DEGREE_LAT = 111_195.0
M_PER_DEGREE_LON = M_PER_DEGREE_LAT * float(np.cos(np.radians(CENTRE_LAT)))
START_US = 1_767_571_200_000_000  # 2026-01-05T00:00:00Z
INTERVAL_S = 5
FILLED = Known.ALTITUDE | Known.SPEED | Known.COURSE | Known.ACCURACY | Known.SATELLITES


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of the workload. `side_m` is the square that zones and trackers share: it sets the
    shares.
    """

    trackers: int = 2_000
    zones: int = 10_000
    side_m: float = 142_000.0
    seed: int = 1


def zone_rings(plan: Plan) -> list[Floats]:
    """Return one closed ring per zone, shape (k, 2): lon, lat in degrees; star-shaped, placed
    evenly.
    """
    random = np.random.default_rng([plan.seed, 1])
    centres_m = random.uniform(-plan.side_m / 2, plan.side_m / 2, (plan.zones, 2))
    radii_m = 300.0 * np.exp(random.normal(0.0, 0.4, plan.zones))
    vertices = random.integers(20, 61, plan.zones)
    return [
        _ring(random, centre_m, float(radius_m), int(n))
        for centre_m, radius_m, n in zip(centres_m, radii_m, vertices, strict=True)
    ]


def tracks(plan: Plan, fixes_per_tracker: int) -> NDArray[np.void]:
    """Return the fixes of every tracker in order of time, shape (trackers, fixes_per_tracker),
    FIX_DTYPE.

    `tracker` is the tracker's number; asset and organization are not resolved. The number of fixes
    is even: the second half is the way back.
    """
    n = fixes_per_tracker
    if n % 2:
        raise ValueError(f"a way out and back has an even number of fixes, not {n}")
    rows = blank_rows(plan.trackers * n).reshape(plan.trackers, n)
    _move(rows, plan)
    rows["tracker"] = np.arange(plan.trackers, dtype=np.int32)[:, None]
    rows["time_us"] = START_US + np.arange(n, dtype=np.int64) * INTERVAL_S * 1_000_000
    rows["seq"] = np.arange(n, dtype=np.int32)
    _fill_optional(rows, np.random.default_rng([plan.seed, 3]))
    return rows


def rows_in_order_of_sending(fixes: NDArray[np.void], fixes_per_message: int) -> Messages:
    """Return the fixes as messages take turns.

    The first message of every tracker, then the second of every tracker, and so on.
    """
    trackers, n = fixes.shape
    if n % fixes_per_message:
        raise ValueError(f"{n} fixes do not fill messages of {fixes_per_message}")
    by_message = fixes.reshape(trackers, n // fixes_per_message, fixes_per_message)
    return by_message.transpose(1, 0, 2).reshape(-1, fixes_per_message)


def span_us(fixes_per_tracker: int) -> int:
    """Return how much later the same fixes may be sent again: whole minutes."""
    minutes = -(-fixes_per_tracker * INTERVAL_S // 60)
    return minutes * 60_000_000


def _ring(random: np.random.Generator, centre_m: Floats, radius_m: float, vertices: int) -> Floats:
    angles = np.sort(random.uniform(0.0, 2 * np.pi, vertices))
    waves = sum(
        0.12 / order * np.cos(order * angles + random.uniform(0.0, 2 * np.pi))
        for order in (1, 2, 3)
    )
    radii_m = radius_m * (1.0 + waves + random.normal(0.0, 0.02, vertices))
    east_m = centre_m[0] + radii_m * np.cos(angles)
    north_m = centre_m[1] + radii_m * np.sin(angles)
    ring = _degrees(east_m, north_m)
    return np.vstack([ring, ring[:1]])


def _move(rows: NDArray[np.void], plan: Plan) -> None:
    """Fill positions, speed and course: speed and heading wander, the square's sides reflect."""
    random = np.random.default_rng([plan.seed, 2])
    trackers, half = plan.trackers, rows.shape[1] // 2
    step_m = 15.0 * np.exp(1.25 * _wandering(random, trackers, half).clip(-2.5, 2.5))
    heading = random.uniform(0.0, 2 * np.pi, (trackers, 1)) + np.cumsum(
        random.normal(0.0, 0.25, (trackers, half)), axis=1
    )
    start_m = random.uniform(-plan.side_m / 2, plan.side_m / 2, (trackers, 2))
    east_m = start_m[:, :1] + np.cumsum(step_m * np.sin(heading), axis=1)
    north_m = start_m[:, 1:] + np.cumsum(step_m * np.cos(heading), axis=1)
    out = _degrees(_reflected(east_m, plan.side_m), _reflected(north_m, plan.side_m)).round(7)
    there_and_back = np.concatenate([out, out[:, ::-1]], axis=1)
    rows["lon"], rows["lat"] = there_and_back[..., 0], there_and_back[..., 1]
    rows["speed_mps"][:, :half] = (step_m / INTERVAL_S).round(2)
    rows["speed_mps"][:, half:] = rows["speed_mps"][:, :half][:, ::-1]
    course_deg = np.degrees(heading) % 360.0
    rows["course_deg"][:, :half] = course_deg.round(1) % 360.0
    rows["course_deg"][:, half:] = ((course_deg + 180.0) % 360.0).round(1)[:, ::-1] % 360.0


def _wandering(random: np.random.Generator, series: int, length: int) -> Floats:
    """Return unit normal values that change slowly along axis 1."""
    keep = 0.9
    noise = random.normal(0.0, 1.0, (series, length))
    values = np.empty_like(noise)
    values[:, 0] = noise[:, 0]
    for before, now in pairwise(range(length)):
        values[:, now] = keep * values[:, before] + np.sqrt(1 - keep**2) * noise[:, now]
    return values


def _reflected(position_m: Floats, side_m: float) -> Floats:
    """Return positions folded back into [-side/2, side/2]."""
    folded = np.abs((position_m + side_m / 2) % (2 * side_m))
    return np.where(folded > side_m, 2 * side_m - folded, folded) - side_m / 2


def _degrees(east_m: Floats, north_m: Floats) -> Floats:
    lon = CENTRE_LON + east_m / M_PER_DEGREE_LON
    lat = CENTRE_LAT + north_m / M_PER_DEGREE_LAT
    return np.stack([lon, lat], axis=-1)


def _fill_optional(rows: NDArray[np.void], random: np.random.Generator) -> None:
    rows["altitude_m"] = random.uniform(350.0, 900.0, rows.shape).round(1)
    rows["accuracy_m"] = random.uniform(2.0, 12.0, rows.shape).round(1)
    rows["satellites"] = random.integers(5, 16, rows.shape)
    rows["known"] = int(FILLED)
