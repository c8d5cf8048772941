"""The size of a fix in the archive: the workload's fixes as the object of a day."""

from datetime import UTC, datetime
from io import BytesIO

import numpy as np

from archive import objects
from benchmarks.common.rows import ORGANIZATION, tracker_uuid
from benchmarks.common.workload import START_US, Plan, tracks

TRACKERS, FIXES = 50, 4_000


def bytes_per_fix() -> float:
    """Write an object into memory. Fixes are received one to three seconds after their time."""
    random = np.random.default_rng(1)
    lines: list[str] = []
    for tracker, fixes in enumerate(tracks(Plan(trackers=TRACKERS), FIXES)):
        delays_us = random.integers(1_000_000, 3_000_000, FIXES).tolist()
        columns = (
            fixes[name].tolist()
            for name in (
                *("time_us", "seq", "lat", "lon", "altitude_m", "speed_mps", "course_deg"),
                *("accuracy_m", "satellites"),
            )
        )
        for row, delay_us in zip(zip(*columns, strict=True), delays_us, strict=True):
            time_us, seq, lat, lon, altitude_m, speed_mps, course_deg, accuracy_m, satellites = row
            lines.append(
                f"{tracker_uuid(tracker)},{time_us},{seq},{time_us + delay_us},{lat},{lon},0,"
                f"{altitude_m},{speed_mps},{course_deg},{accuracy_m},,{satellites},,,0"
            )
    lines.sort()  # as the database gives them; times have the same number of digits
    fresh = objects.read_csv(("\n".join(lines) + "\n").encode())
    sink, day = BytesIO(), datetime.fromtimestamp(START_US / 1e6, UTC).date()
    objects.write(sink, ORGANIZATION, day, objects.split(fresh.table))
    return len(sink.getvalue()) / len(lines)
