"""The erasure of an employee's positions, as opsc_deliver, a bounded piece at a time.

An employee's positions are the fixes of trackers while they were assigned to them. Each function
does its work in the transaction that it is called in.
"""

from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from db.archive import moving
from db.archive.archived_days import day_interval, day_of_path, exports_of, object_path
from db.core.connect import Connection
from db.core.fetch import rows_of, value_of
from db.history import latest_positions
from db.history.latest_positions import EMPLOYEES
from db.history.retention import Chunk

_SPANS: LiteralString = """
SELECT tracker_id, greatest(assigned_from, %(since)s) AS since,
       least(coalesce(assigned_to, 'infinity'), %(until)s) AS until
  FROM tracker_assignments WHERE org_id = %(org_id)s AND employee_id = %(employee_id)s
"""
# The hours are counted again by ingest; until then their rows are gone, too.
_REMOVE_FIXES: LiteralString = """
WITH old AS (
    SELECT fix.tracker_id, fix.time, fix.seq FROM ({spans}) AS span
     CROSS JOIN LATERAL (
           SELECT tracker_id, time, seq FROM gps_events
            WHERE tracker_id = span.tracker_id
              AND time >= greatest(span.since, %(begin)s) AND time < least(span.until, %(end)s)
              AND time >= %(begin)s AND time < %(end)s
            LIMIT %(limit)s) AS fix
     LIMIT %(limit)s
), gone AS (
    DELETE FROM gps_events AS fix USING old
     WHERE fix.tracker_id = old.tracker_id AND fix.time = old.time AND fix.seq = old.seq
       AND fix.time >= %(begin)s AND fix.time < %(end)s
    RETURNING fix.tracker_id, fix.time
), hours AS (
    SELECT DISTINCT tracker_id, date_trunc('hour', time, 'UTC') AS hour FROM gone
), marks AS (
    INSERT INTO fix_hours_changed (org_id, tracker_id, hour)
    SELECT %(org_id)s, tracker_id, hour FROM hours
), known_hours AS (
    DELETE FROM fix_hours AS known USING hours
     WHERE known.org_id = %(org_id)s AND known.tracker_id = hours.tracker_id
       AND known.hour = hours.hour
)
SELECT count(*) FROM gone
"""
# By when they came: what could not be read has no other time.
_REMOVE_MESSAGES: LiteralString = """
WITH gone AS (
    DELETE FROM quarantine WHERE id IN (
        SELECT message.id FROM ({spans}) AS span
          JOIN quarantine AS message
            ON message.org_id = %(org_id)s AND message.tracker_id = span.tracker_id
           AND message.first_received_at < span.until AND message.last_received_at >= span.since
           AND message.released_at IS NULL
         LIMIT %(limit)s)
    RETURNING id
)
SELECT count(*) FROM gone
"""
_HAS_POSITION = """
SELECT EXISTS (SELECT FROM latest_employee_positions
                WHERE org_id = %(org_id)s AND employee_id = %(employee_id)s
                  AND time >= %(since)s AND time < %(until)s)
"""


class Erasure(NamedTuple):
    """The positions of an employee in [since, until)."""

    org_id: UUID
    employee_id: UUID
    since: datetime
    until: datetime


async def remove_fixes(conn: Connection, wanted: Erasure, chunk: Chunk, limit: int) -> int:
    """Remove up to `limit` fixes from a chunk; how many it were."""
    values = wanted._asdict() | {"begin": chunk.since, "end": chunk.until, "limit": limit}
    return await value_of(conn, _REMOVE_FIXES.format(spans=_SPANS), values)


async def remove_messages(conn: Connection, wanted: Erasure, limit: int) -> int:
    """Remove up to `limit` messages in quarantine that came in the time; how many it were."""
    values = wanted._asdict() | {"limit": limit}
    return await value_of(conn, _REMOVE_MESSAGES.format(spans=_SPANS), values)


async def renew_position(conn: Connection, wanted: Erasure, now: datetime) -> int:
    """Put the position of before into the place of one of the time; 1 where there was one."""
    if not await value_of(conn, _HAS_POSITION, wanted._asdict()):
        return 0
    owners = {wanted.employee_id: wanted.org_id}
    await latest_positions.derive(conn, owners, now, EMPLOYEES)
    return 1


async def removals(conn: Connection, wanted: Erasure) -> list[str]:
    """Return the paths of objects of the organization's days that wait for their removal."""
    prefix = f"org={wanted.org_id}/"
    rows = await rows_of(
        conn,
        "SELECT path FROM archive_removals WHERE path >= %s AND path < %s ORDER BY path",
        (prefix, f"org={wanted.org_id}0"),  # the next character behind the slash
    )
    return [path for (path,) in rows if is_of_days(path, wanted)]


async def forget_exports(conn: Connection, org_id: UUID) -> list[str]:
    """Forget the results of exports, which may have such fixes; return their paths. One that is
    being written begins anew.
    """
    await conn.execute(
        "UPDATE jobs SET object_id = NULL, claim = NULL, claimed_until = NULL"
        " WHERE org_id = %s AND kind = 'export' AND (object_id IS NOT NULL OR claim IS NOT NULL)",
        (org_id,),
    )
    return await moving.remove_now(conn, exports_of(org_id))


async def known_paths(conn: Connection, org_id: UUID) -> set[str]:
    """Return the paths of all objects of an organization that are named."""
    rows = await rows_of(
        conn, "SELECT org_id, day, object_id FROM archived_days WHERE org_id = %s", (org_id,)
    )
    return {object_path(*row) for row in rows}


def is_of_days(path: str, wanted: Erasure) -> bool:
    """Return whether the day of an object has an instant of the time."""
    day = day_of_path(path)
    if day is None:
        return False
    begin, end = day_interval(day)
    return end > wanted.since and begin < wanted.until
