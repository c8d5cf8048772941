"""The last positions of assets and employees, and the last times of trackers: newest fixes, from
the newest end.

History is cut by time into pieces, and a look-up that is not bounded in time opens all of them, for
each asset again. So a page of assets is looked up in the last two days first, and what is not found
there in the last `HORIZON`; further back only one asset is looked up. A fix that is `suspect`
is no position.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import LiteralString, NamedTuple
from uuid import UUID

from db.core.connect import Connection
from telemetry.fix import Flag

HORIZON = timedelta(days=30)
RECENT = timedelta(days=2)

_EVER = datetime(1, 1, 2, tzinfo=UTC)

# An asset, or an employee, is where the tracker was that it carried at the time: the assignments
# that reach into the window, each with its newest fix in it.
_OF_OWNERS: LiteralString = """
SELECT wanted.id, newest.tracker_id, newest.time, newest.lat, newest.lon, newest.speed_mps,
       newest.course_deg, newest.accuracy_m
  FROM unnest(%(ids)s::uuid[]) AS wanted (id)
 CROSS JOIN LATERAL (
       SELECT fix.*
         FROM tracker_assignments a
        CROSS JOIN LATERAL (
              SELECT g.tracker_id, g.time, g.seq, g.lat, g.lon, g.speed_mps, g.course_deg,
                     g.accuracy_m
                FROM gps_events g
               WHERE g.tracker_id = a.tracker_id AND g.time >= %(since)s
                 AND g.time >= a.assigned_from
                 AND g.time < coalesce(a.assigned_to, 'infinity')
                 AND g.flags & %(suspect)s = 0
               ORDER BY g.time DESC, g.seq DESC LIMIT 1) AS fix
        WHERE a.{owner} = wanted.id AND (a.assigned_to IS NULL OR a.assigned_to > %(since)s)
        ORDER BY fix.time DESC LIMIT 1) AS newest
"""
_OF_ASSETS = _OF_OWNERS.format(owner="asset_id")
_OF_EMPLOYEES = _OF_OWNERS.format(owner="employee_id")
_OF_TRACKERS = """
SELECT wanted.id, newest.time
  FROM unnest(%(ids)s::uuid[]) AS wanted (id)
 CROSS JOIN LATERAL (
       SELECT g.time FROM gps_events g
        WHERE g.tracker_id = wanted.id AND g.time >= %(since)s
        ORDER BY g.time DESC, g.seq DESC LIMIT 1) AS newest
"""


class LastPosition(NamedTuple):
    """The position of an asset or an employee, and the fix that shows it."""

    tracker_id: UUID
    time: datetime
    lat: float
    lon: float
    speed_mps: float | None
    course_deg: float | None
    accuracy_m: float | None


async def of_assets(conn: Connection, asset_ids: Sequence[UUID]) -> dict[UUID, LastPosition]:
    """Return the last position of each asset that has one; of several assets, within `HORIZON`."""
    rows = await _newest(conn, _OF_ASSETS, asset_ids)
    return {row[0]: LastPosition(*row[1:]) for row in rows}


async def of_employees(conn: Connection, employee_ids: Sequence[UUID]) -> dict[UUID, LastPosition]:
    """Return the last position of each employee that has one within `HORIZON`. Whether they may be
    shown is the caller's to know.
    """
    rows = await _newest(conn, _OF_EMPLOYEES, employee_ids, is_bounded=True)
    return {row[0]: LastPosition(*row[1:]) for row in rows}


async def of_trackers(conn: Connection, tracker_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """Return the time of the newest fix of each tracker that has one; of several,
    within `HORIZON`.
    """
    return dict(await _newest(conn, _OF_TRACKERS, tracker_ids))


async def _newest(
    conn: Connection, statement: str, ids: Sequence[UUID], *, is_bounded: bool = False
) -> list[tuple]:
    now = datetime.now(UTC)
    rows: list[tuple] = []
    missing = set(ids)
    for since in (now - RECENT, now - HORIZON if is_bounded or len(ids) > 1 else _EVER):
        if missing:
            values = {"ids": list(missing), "since": since, "suspect": int(Flag.SUSPECT)}
            rows += await (await conn.execute(statement.encode(), values)).fetchall()
            missing -= {row[0] for row in rows}
    return rows
