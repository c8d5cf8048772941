"""The database side of a measurement of punches: employees with trackers, and what came of it."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import numpy as np

from benchmarks.common import rows as setup_rows
from benchmarks.common.rows import ORGANIZATION, REVISION, Admin, tracker_uuid
from benchmarks.common.workload import Floats
from telemetry.ids import derived_id


class Counts(NamedTuple):
    """The rows that came of the punches: each employee has one of each."""

    punches: int
    verified: int
    events: int
    open_shifts: int


def employee_uuid(number: int) -> UUID:
    """Return the employee whose tracker has this number."""
    return derived_id(b"bench employee", number.to_bytes(4, "big"))


def jobsite(conn: Admin, rings: Sequence[Floats]) -> tuple[float, float]:
    """Make the first zone a jobsite, and return a place in it: lon, lat in degrees."""
    conn.execute(
        "UPDATE zone_versions SET kind = 'jobsite' WHERE zone_id = %s", (setup_rows.zone_uuid(0),)
    )
    lon, lat = np.mean(rings[0][:-1], axis=0)
    return round(float(lon), 7), round(float(lat), 7)


def add_employees(conn: Admin, numbers: Sequence[int]) -> None:
    """Add employees, and give each the tracker of the same number."""
    people = [(ORGANIZATION, employee_uuid(n), f"Employee {n}", ["tracker"]) for n in numbers]
    with conn.transaction():
        conn.execute("SET LOCAL session_replication_role = replica")
        setup_rows.copy_rows(conn, "employees (org_id, id, name, punch_by)", people)
        with conn.cursor() as cursor:
            cursor.executemany(
                "UPDATE tracker_assignments SET asset_id = NULL, employee_id = %s, revision = %s"
                " WHERE tracker_id = %s",
                [(employee_uuid(n), REVISION, tracker_uuid(n)) for n in numbers],
            )
    conn.execute("ANALYZE")


def empty(conn: Admin) -> None:
    """Empty the database of fixes, punches and what follows from them."""
    conn.execute("TRUNCATE shifts, timesheets, punches CASCADE")
    setup_rows.empty(conn)


def event_times(conn: Admin) -> dict[str, int]:
    """Return when the event of each employee's punch was committed, microseconds since 1970.

    The time of a commit is taken before its log is written to the disk.
    """
    rows = conn.execute(
        """
        SELECT data ->> 'employee_id',
               (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint
          FROM events WHERE type = 'employee.punched_in'
        """
    )
    return dict(rows.fetchall())


def counts(conn: Admin) -> Counts:
    """Count what is stored of the punches."""
    row = conn.execute(
        """
        SELECT (SELECT count(*) FROM punches),
               (SELECT count(*) FROM punches WHERE verdict = 'verified'),
               (SELECT count(*) FROM events WHERE type = 'employee.punched_in'),
               (SELECT count(*) FROM shifts WHERE ended_at IS NULL)
        """
    ).fetchone()
    assert row is not None
    return Counts(*row)
