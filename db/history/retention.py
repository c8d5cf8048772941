"""The removal of old data, a bounded piece at a time, as opsc_deliver.

Positions go by whole chunks where they are too old for the installation, and by rows where they are
too old for their organization only. Events go from their beginning on, so that no gap comes between
those that are left. Each function does one transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import fetch_one

_LOCK = 0x0707_5C02  # any number that is ours alone
_CHECKPOINTS_OF_ASSET = 200


class Days(NamedTuple):
    """The days for which each kind of data is kept. None: for ever."""

    positions: int | None
    events: int | None
    audit: int | None
    attempts: int | None = None


class OrganizationDays(NamedTuple):
    """The days that an organization has set for itself, None where nothing."""

    org_id: UUID
    positions: int | None
    events: int | None
    audit: int | None


async def begin(conn: Connection) -> bool:
    """Take the work on until `end`, or the end of the connection. Returns False if another process
    has it.
    """
    cursor = await conn.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,))
    row = await cursor.fetchone()
    return row is not None and row[0]


async def end(conn: Connection) -> None:
    """Let others do the work."""
    await conn.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


class Chunk(NamedTuple):
    """The fixes of [since, until), which are one table."""

    since: datetime
    until: datetime


async def chunks(conn: Connection) -> list[Chunk]:
    """Return all of them, the oldest first."""
    cursor = await conn.execute(
        "SELECT range_start, range_end FROM timescaledb_information.chunks"
        " WHERE hypertable_name = 'gps_events' ORDER BY range_start"
    )
    return [Chunk(*row) for row in await cursor.fetchall()]


async def organizations(conn: Connection) -> list[OrganizationDays]:
    async with conn.cursor(row_factory=args_row(OrganizationDays)) as cursor:
        await cursor.execute(
            "SELECT org_id, positions_days, events_days, audit_days FROM organizations"
        )
        return await cursor.fetchall()


_CUT_ASSETS_OF_CHUNK = """
INSERT INTO asset_cuts AS known (org_id, asset_id, before)
SELECT DISTINCT assignment.org_id, assignment.asset_id, %(until)s::timestamptz
  FROM tracker_assignments AS assignment
 WHERE assignment.assigned_from < %(until)s
   AND (assignment.assigned_to IS NULL OR assignment.assigned_to > %(since)s)
   AND EXISTS (
       SELECT FROM gps_events AS fix
        WHERE fix.tracker_id = assignment.tracker_id
          AND fix.time >= %(since)s AND fix.time < %(until)s
          AND fix.time >= assignment.assigned_from
          AND (assignment.assigned_to IS NULL OR fix.time < assignment.assigned_to))
   AND assignment.asset_id IS NOT NULL
    ON CONFLICT (org_id, asset_id) DO UPDATE SET before = greatest(known.before, excluded.before)
"""


async def drop_oldest_chunk(conn: Connection, before: datetime) -> int:
    """Drop the oldest chunk of fixes if all of its fixes are older than `before`. Returns 0 or 1.

    Raises psycopg.errors.LockNotAvailable while another session reads the chunk: waiting for it
    would make later readers wait, too.
    """
    async with conn.transaction():
        await conn.execute("SET LOCAL lock_timeout = '1s'")
        ended = [chunk for chunk in await chunks(conn) if chunk.until <= before]
        if not ended:
            return 0
        since, until = ended[0]
        await conn.execute(_CUT_ASSETS_OF_CHUNK, {"since": since, "until": until})
        await conn.execute("DELETE FROM latest_positions WHERE time < %s", (until,))
        await conn.execute("DELETE FROM latest_employee_positions WHERE time < %s", (until,))
        await conn.execute("DELETE FROM fix_hours WHERE hour < %s", (until,))
        return await _number(conn, "SELECT drop_position_chunks(%(until)s)", {"until": until})


_REMOVE_POSITIONS = """
WITH old AS (
    SELECT fix.tracker_id, fix.time, fix.seq FROM trackers AS tracker
     CROSS JOIN LATERAL (
           SELECT tracker_id, time, seq FROM gps_events
            WHERE tracker_id = tracker.id AND time >= %(since)s AND time < %(until)s
            LIMIT %(limit)s) AS fix
     WHERE tracker.org_id = %(org_id)s LIMIT %(limit)s
), gone AS (
    DELETE FROM gps_events AS fix USING old
     WHERE fix.tracker_id = old.tracker_id AND fix.time = old.time AND fix.seq = old.seq
       AND fix.time >= %(since)s AND fix.time < %(until)s
    RETURNING fix.tracker_id, fix.time
), hours AS (
    INSERT INTO fix_hours_changed (org_id, tracker_id, hour)
    SELECT DISTINCT %(org_id)s::uuid, tracker_id, date_trunc('hour', time, 'UTC') FROM gone
), cut AS (
    INSERT INTO asset_cuts AS known (org_id, asset_id, before)
    SELECT DISTINCT assignment.org_id, assignment.asset_id, %(until)s::timestamptz
      FROM gone JOIN tracker_assignments AS assignment
        ON assignment.org_id = %(org_id)s AND assignment.tracker_id = gone.tracker_id
       AND assignment.assigned_from <= gone.time
       AND (assignment.assigned_to IS NULL OR gone.time < assignment.assigned_to)
       AND assignment.asset_id IS NOT NULL
        ON CONFLICT (org_id, asset_id)
        DO UPDATE SET before = greatest(known.before, excluded.before)
), latest AS (
    DELETE FROM latest_positions
     WHERE org_id = %(org_id)s AND time >= %(since)s AND time < %(until)s
), latest_of_employees AS (
    DELETE FROM latest_employee_positions
     WHERE org_id = %(org_id)s AND time >= %(since)s AND time < %(until)s
)
SELECT count(*) FROM gone
"""


async def remove_positions(conn: Connection, org_id: UUID, chunk: Chunk, limit: int) -> int:
    """Remove up to `limit` fixes of an organization from (a part of) a chunk; how many it were.

    Of one chunk at a time: from a statement about many, PostgreSQL may read all of them.
    """
    values = {"org_id": org_id, **chunk._asdict(), "limit": limit}
    return await _number(conn, _REMOVE_POSITIONS, values)


_REMOVE_CHECKPOINTS = """
DELETE FROM asset_checkpoints WHERE (org_id, asset_id, time, seq) IN (
    SELECT old.org_id, old.asset_id, old.time, old.seq
      FROM asset_cuts AS cut
     CROSS JOIN LATERAL (
           SELECT org_id, asset_id, time, seq FROM asset_checkpoints
            WHERE org_id = cut.org_id AND asset_id = cut.asset_id AND time < cut.before
            LIMIT %(of_asset)s) AS old
     LIMIT %(limit)s)
"""


async def remove_checkpoints(conn: Connection, limit: int) -> int:
    """Remove up to `limit` checkpoints after which fixes are gone; how many it were."""
    values = {"of_asset": _CHECKPOINTS_OF_ASSET, "limit": limit}
    return (await conn.execute(_REMOVE_CHECKPOINTS, values)).rowcount


# The oldest ones up to the first that has to stay: it is too young, or still to be delivered.
_REMOVE_EVENTS = """
WITH oldest AS (
    SELECT id, seq, data, bool_and(created_at < %(before)s AND NOT EXISTS (
               SELECT FROM webhook_deliveries
                WHERE org_id = event.org_id AND event_id = event.id AND state = 'pending'))
               OVER (ORDER BY seq) AS is_old
      FROM (SELECT org_id, id, seq, created_at, data FROM events
             WHERE org_id = %(org_id)s AND seq IS NOT NULL ORDER BY seq LIMIT %(limit)s) AS event
), deliveries AS (
    DELETE FROM webhook_deliveries AS delivery USING oldest
     WHERE delivery.org_id = %(org_id)s AND delivery.event_id = oldest.id AND oldest.is_old
), subjects AS (
    DELETE FROM event_subjects AS named USING oldest
     CROSS JOIN LATERAL subjects_of_event(oldest.data) AS subject (text)
     WHERE named.org_id = %(org_id)s AND named.subject = subject.text AND named.seq = oldest.seq
       AND oldest.is_old
), gone AS (
    DELETE FROM events AS event USING oldest
     WHERE event.org_id = %(org_id)s AND event.id = oldest.id AND oldest.is_old
    RETURNING 1
)
SELECT count(*) FROM gone
"""


async def remove_events(conn: Connection, org_id: UUID, before: datetime, limit: int) -> int:
    """Remove up to `limit` events of an organization, with their deliveries; how many events."""
    values = {"org_id": org_id, "before": before, "limit": limit}
    return await _number(conn, _REMOVE_EVENTS, values)


async def remove_alerts(conn: Connection, org_id: UUID, before: datetime, limit: int) -> int:
    """Remove up to `limit` alerts of an organization, the oldest first; how many it were."""
    cursor = await conn.execute(
        """
        DELETE FROM alerts WHERE org_id = %(org_id)s AND id IN (
            SELECT id FROM alerts WHERE org_id = %(org_id)s AND created_at < %(before)s
             ORDER BY created_at LIMIT %(limit)s)
        """,
        {"org_id": org_id, "before": before, "limit": limit},
    )
    return cursor.rowcount


async def remove_unknown_devices(
    conn: Connection, org_id: UUID, before: datetime, limit: int
) -> int:
    """Remove up to `limit` devices of an organization that it does not know and that were last seen
    before then; how many it were.
    """
    cursor = await conn.execute(
        """
        DELETE FROM unknown_devices WHERE org_id = %(org_id)s AND id IN (
            SELECT id FROM unknown_devices
             WHERE org_id = %(org_id)s AND last_seen_at < %(before)s LIMIT %(limit)s)
        """,
        {"org_id": org_id, "before": before, "limit": limit},
    )
    return cursor.rowcount


async def remove_told_trips(conn: Connection, org_id: UUID, before: datetime, limit: int) -> int:
    """Remove up to `limit` notes of trips and stops of an organization that ended before then; how
    many it were.
    """
    cursor = await conn.execute(
        """
        DELETE FROM told_trips WHERE org_id = %(org_id)s AND id IN (
            SELECT id FROM told_trips WHERE org_id = %(org_id)s AND ended_at < %(before)s
             LIMIT %(limit)s)
        """,
        {"org_id": org_id, "before": before, "limit": limit},
    )
    return cursor.rowcount


async def drop_old_attempts(conn: Connection, before: datetime) -> int:
    """Drop the chunks of attempts at webhooks that are all older than `before`; how many it were.

    Raises psycopg.errors.LockNotAvailable, as `drop_oldest_chunk` does.
    """
    async with conn.transaction():
        await conn.execute("SET LOCAL lock_timeout = '1s'")
        return await _number(conn, "SELECT drop_attempt_chunks(%(until)s)", {"until": before})


async def remove_endpoint_hours(conn: Connection, before: datetime, limit: int) -> int:
    """Remove up to `limit` hours of statistics of webhook endpoints; how many it were."""
    cursor = await conn.execute(
        """
        DELETE FROM webhook_endpoint_hours WHERE (org_id, endpoint_id, hour) IN (
            SELECT org_id, endpoint_id, hour FROM webhook_endpoint_hours
             WHERE hour < %s ORDER BY hour LIMIT %s)
        """,
        (before, limit),
    )
    return cursor.rowcount


async def remove_orphan_failures(conn: Connection, limit: int) -> int:
    """Remove up to `limit` notes of failing endpoints whose organization was deleted while they
    were written; how many it were.
    """
    cursor = await conn.execute(
        """
        DELETE FROM webhook_failures WHERE (org_id, endpoint_id) IN (
            SELECT org_id, endpoint_id FROM webhook_failures AS known
             WHERE NOT EXISTS (SELECT FROM organizations WHERE org_id = known.org_id) LIMIT %s)
        """,
        (limit,),
    )
    return cursor.rowcount


async def remove_jobs(conn: Connection, before: datetime, limit: int) -> int:
    """Remove up to `limit` jobs that expired before then; how many it were."""
    cursor = await conn.execute(
        """
        DELETE FROM jobs WHERE (org_id, id) IN (
            SELECT org_id, id FROM jobs WHERE expires_at < %s ORDER BY expires_at LIMIT %s)
        """,
        (before, limit),
    )
    return cursor.rowcount


async def remove_commands(conn: Connection, before: datetime, limit: int) -> int:
    """Remove up to `limit` commands that were made before then; how many it were."""
    cursor = await conn.execute(
        """
        DELETE FROM commands WHERE (org_id, id) IN (
            SELECT org_id, id FROM commands WHERE created_at < %s ORDER BY created_at LIMIT %s)
        """,
        (before, limit),
    )
    return cursor.rowcount


_REMOVE_TESTS = """
WITH old AS (
    SELECT org_id, id FROM events
     WHERE is_test AND created_at < %(before)s LIMIT %(limit)s
), deliveries AS (
    DELETE FROM webhook_deliveries AS delivery USING old
     WHERE delivery.org_id = old.org_id AND delivery.event_id = old.id
), gone AS (
    DELETE FROM events AS event USING old
     WHERE event.org_id = old.org_id AND event.id = old.id
    RETURNING 1
)
SELECT count(*) FROM gone
"""


async def remove_test_events(conn: Connection, before: datetime, limit: int) -> int:
    """Remove up to `limit` test events with their deliveries; how many events."""
    return await _number(conn, _REMOVE_TESTS, {"before": before, "limit": limit})


async def remove_audit_events(conn: Connection, org_id: UUID, before: datetime, limit: int) -> int:
    """Remove up to `limit` audit events of an organization, the oldest first; how many it were."""
    cursor = await conn.execute(
        """
        DELETE FROM audit_events WHERE org_id = %(org_id)s AND seq IN (
            SELECT seq FROM audit_events WHERE org_id = %(org_id)s AND occurred_at < %(before)s
             ORDER BY occurred_at LIMIT %(limit)s)
        """,
        {"org_id": org_id, "before": before, "limit": limit},
    )
    return cursor.rowcount


async def cuts(conn: Connection, assets: Sequence[tuple[UUID, UUID]]) -> dict[UUID, datetime]:
    """Return, for assets (org_id, asset_id) that have lost fixes, the time before which."""
    cursor = await conn.execute(
        """
        SELECT known.asset_id, known.before
          FROM unnest(%s::uuid[], %s::uuid[]) AS asked (org_id, asset_id)
          JOIN asset_cuts AS known USING (org_id, asset_id)
        """,
        [list(column) for column in zip(*assets, strict=True)],
    )
    return dict(await cursor.fetchall())


async def change(conn: Connection, days: dict[str, int | None]) -> Days | None:
    """Set those of `positions`, `events` and `audit` that are given, as opsc_owner for a tenant.

    Returns the days afterwards, or None if there is no such organization.
    """
    async with conn.cursor(row_factory=args_row(Days)) as cursor:
        await cursor.execute(
            """
            UPDATE organizations
               SET positions_days = CASE WHEN %(sets_positions)s THEN %(positions)s::int
                                         ELSE positions_days END,
                   events_days = CASE WHEN %(sets_events)s THEN %(events)s::int
                                      ELSE events_days END,
                   audit_days = CASE WHEN %(sets_audit)s THEN %(audit)s::int ELSE audit_days END,
                   updated_at = now()
             WHERE org_id = current_org_id()
            RETURNING positions_days, events_days, audit_days
            """,
            {f"sets_{name}": name in days for name in Days._fields}
            | {name: days.get(name) for name in Days._fields},
        )
        return await cursor.fetchone()


async def _number(conn: Connection, statement: LiteralString, values: dict[str, object]) -> int:
    return (await fetch_one(await conn.execute(statement, values, prepare=False)))[0]
