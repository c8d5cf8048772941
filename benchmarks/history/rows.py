"""The fixes that `benchmarks.history.run` asks about: two months of a fleet.

Fifty machines send every ten seconds for a week, half of which lies behind the edge of the archive.
The others send now and then in all the days. Within an hour a machine stays within one of `CELLS`
places, 0.02 degrees apart, so that a zone around one of them meets a twentieth of all hours.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.common import rows as setup_rows
from benchmarks.common.rows import ORGANIZATION, Admin, asset_uuid, tracker_uuid

CELLS = 20
DENSE = 50
DENSE_STEP = timedelta(seconds=10)
WEEK = timedelta(days=7)
ARCHIVED_AFTER_DAYS = 31
_CELL_DEG = 0.02
_SOUTH, _WEST = 47.0, 10.0
_PER_STATEMENT = timedelta(hours=6)

_ADD = """
INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon, altitude_m, speed_mps,
                        course_deg, accuracy_m, satellites)
SELECT %(org)s, tracker, at + number * interval '1 ms', 0, at + interval '1 s',
       %(south)s + extract(epoch FROM at)::bigint %% 3600 * 0.000002,
       %(west)s + extract(epoch FROM at)::bigint %% 600 * 0.00001
         + (number * 7 + extract(epoch FROM at)::bigint / 3600 * 13) %% %(cells)s * %(cell)s,
       441, 12.5, 90, 5, 11
  FROM generate_series(%(since)s, %(until)s - interval '1 us', %(step)s) AS at, fleet
 WHERE number >= %(first)s AND number < %(last)s
"""


@dataclass(frozen=True, slots=True)
class Months:
    """fixes: millions. edge: where the archive ends, once days have moved."""

    fixes: float
    now: datetime
    days: int = 60
    trackers: int = 1_000

    @property
    def edge(self) -> datetime:
        day = self.now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return day - timedelta(days=ARCHIVED_AFTER_DAYS)

    @property
    def week(self) -> tuple[datetime, datetime]:
        """The week in which DENSE machines sent every ten seconds."""
        return self.edge - WEEK / 2, self.edge + WEEK / 2

    @property
    def sparse_step(self) -> timedelta:
        rest = self.fixes * 1e6 - DENSE * (WEEK / DENSE_STEP)
        return timedelta(days=self.days) * (self.trackers - DENSE) / rest


def zone(cells: int) -> dict[str, object]:
    """Return a polygon that is no box: around the first places, with a corner cut off."""
    west, east = _WEST - 0.005, _WEST + (cells - 1) * _CELL_DEG + 0.012
    south, north = _SOUTH - 0.01, _SOUTH + 0.02
    ring = [
        (west, south),
        (east, south),
        (east, north),
        (west + 0.001, north),
        (west, south + 0.02),
    ]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def add_months(conn: Admin, months: Months) -> None:
    """Add everything. The connection's triggers are off meanwhile."""
    conn.execute("SET session_replication_role = replica")
    setup_rows.add_fleet(conn, months.trackers, [])
    conn.execute("CREATE TEMPORARY TABLE fleet (number integer, tracker uuid, asset uuid)")
    setup_rows.copy_rows(
        conn,
        "fleet",
        ((n, tracker_uuid(n), asset_uuid(n)) for n in range(months.trackers)),
    )
    conn.execute("ANALYZE fleet")
    since, until = months.week
    _add(conn, since, until, DENSE_STEP, (0, DENSE))
    since = months.now - timedelta(days=months.days)
    _add(conn, since, months.now, months.sparse_step, (DENSE, months.trackers))
    conn.execute("DROP TABLE fleet")
    conn.execute("RESET session_replication_role")
    conn.execute("VACUUM ANALYZE")
    conn.execute("CHECKPOINT")


def archived(conn: Admin) -> tuple[int, int, int]:
    """Return the days, fixes and bytes of the archive."""
    row = conn.execute(
        "SELECT count(*), coalesce(sum(rows), 0), coalesce(sum(bytes), 0) FROM archived_days"
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1]), int(row[2])


def _add(
    conn: Admin, since: datetime, until: datetime, step: timedelta, which: tuple[int, int]
) -> None:
    """Add fixes in order of time. Each statement begins where the steps of the last one ended."""
    per_statement = max(1, _PER_STATEMENT // step) * step
    while since < until:
        end = min(since + per_statement, until)
        conn.execute(
            _ADD,
            {
                "org": ORGANIZATION,
                "since": since,
                "until": end,
                "step": step,
                "first": which[0],
                "last": which[1],
                "south": _SOUTH,
                "west": _WEST,
                "cell": _CELL_DEG,
                "cells": CELLS,
            },
        )
        since = end
