"""Accidents and interventions at a database, for those who break a system on purpose.

As a superuser; not for the roles.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import psycopg
from psycopg import sql

from db.core.connect import Connection
from stack.errors import StackError


class Broken(StackError):
    """A promise is broken, in words."""


async def terminate_sessions(conn: Connection, login: str | None = None) -> int:
    """End every other session of a client of this database, or those of a login; returns how
    many.
    """
    cursor = await conn.execute(
        """
        SELECT count(pg_terminate_backend(pid))
          FROM pg_stat_activity
         WHERE datname = current_database() AND backend_type = 'client backend'
           AND pid <> pg_backend_pid() AND usename = coalesce(%s, usename)
        """,
        (login,),
    )
    row = await cursor.fetchone()
    return 0 if row is None else row[0]


async def drop_chunks(conn: Connection, before: datetime) -> int:
    """Drop the fixes of whole days before the instant, as retention does; returns how many days.

    Raises psycopg.errors.LockNotAvailable or DeadlockDetected where the table is busy.
    """
    cursor = await conn.execute("SELECT drop_chunks('gps_events', older_than => %s)", (before,))
    return len(await cursor.fetchall())


async def is_writable(conn: Connection) -> bool:
    """Return whether something can be written just now."""
    try:
        await conn.execute("CREATE TEMPORARY TABLE IF NOT EXISTS room (filling text)")
        await conn.execute("INSERT INTO room SELECT repeat('x', 900) FROM generate_series(1, 100)")
    except psycopg.Error:
        return False
    return True


async def slowest_delivery_s(
    conn: Connection, since: datetime, until: datetime, besides: Sequence[str] = ()
) -> float | None:
    """Return the longest time from the creation of an event until a receiver accepted it, seconds.

    Of the events that were created from since to until, at all endpoints but those with the URLs of
    `besides`. None while one of them is not accepted.
    """
    cursor = await conn.execute(
        """
        SELECT count(*) FILTER (WHERE event.seq IS NULL OR delivery.state = 'pending'),
               max(extract(epoch FROM delivery.delivered_at - event.created_at))::float8
          FROM events AS event
          LEFT JOIN (webhook_deliveries AS delivery
                     JOIN webhook_endpoints AS endpoint
                       ON endpoint.id = delivery.endpoint_id AND endpoint.url <> ALL(%s))
            ON delivery.org_id = event.org_id AND delivery.event_id = event.id
         WHERE event.created_at BETWEEN %s AND %s
        """,
        (list(besides), since, until),
    )
    row = await cursor.fetchone()
    assert row is not None  # an aggregate has one
    return None if row[0] else row[1] or 0.0


_WATCH_COMMITS = """
CREATE TABLE torn_commits (punches bigint, events bigint);
CREATE FUNCTION note_torn_commit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    own xid := pg_current_xact_id()::xid;
    stored bigint := (SELECT count(*) FROM punches WHERE kind IN ('in', 'out') AND xmin = own);
    told bigint := (SELECT count(*) FROM events
                     WHERE seq IS NULL AND type LIKE 'employee.punched%' AND xmin = own);
BEGIN
    IF stored <> told THEN
        INSERT INTO torn_commits VALUES (stored, told);
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER torn_commit AFTER INSERT ON punches DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION note_torn_commit();
"""
_WATCH_NO_MORE = "DROP FUNCTION note_torn_commit CASCADE; DROP TABLE torn_commits"


@asynccontextmanager
async def watched_commits(conn: Connection) -> AsyncIterator[None]:
    """Let the database note each transaction that commits punches without their events, or the
    other way round, while the block runs. A look from outside hardly ever meets such a moment.
    """
    await conn.execute(_WATCH_COMMITS)
    try:
        yield
    finally:
        await conn.execute(_WATCH_NO_MORE)


async def torn_punches(conn: Connection) -> list[str]:
    """Return what is never to be seen, in words: an employee whose last punch is not `out` without
    one open shift, another employee with one, or punches without their events, also in one
    transaction (`watched_commits`).
    """
    cursor = await conn.execute(
        """
        SELECT format('an employee with %s as the last punch has %s open shifts',
                      last.kind, shifts.open)
          FROM employees
         CROSS JOIN LATERAL (SELECT kind FROM punches WHERE employee_id = employees.id
                              ORDER BY claimed_at DESC LIMIT 1) AS last
         CROSS JOIN LATERAL (SELECT count(*) AS open FROM shifts
                              WHERE employee_id = employees.id AND ended_at IS NULL) AS shifts
         WHERE shifts.open <> (last.kind <> 'out')::int
         UNION ALL
        SELECT format('%s punches have %s events', punches.count, told.count)
          FROM (SELECT count(*) FROM punches WHERE kind IN ('in', 'out')) AS punches,
               (SELECT count(*) FROM events WHERE type LIKE 'employee.punched%%') AS told
         WHERE punches.count <> told.count
         UNION ALL
        SELECT format('%s transactions have stored %s punches and %s events', count(*), punches,
                      events)
          FROM torn_commits GROUP BY punches, events
        """
    )
    return [text for (text,) in await cursor.fetchall()]


@asynccontextmanager
async def refusing_seq(conn: Connection, seq: int) -> AsyncIterator[None]:
    """Make the database refuse fixes with this number while the block runs."""
    await conn.execute(
        sql.SQL("ALTER TABLE gps_events ADD CONSTRAINT refusing_seq CHECK (seq <> {})").format(
            sql.Literal(seq)
        )
    )
    try:
        yield
    finally:
        await conn.execute("ALTER TABLE gps_events DROP CONSTRAINT refusing_seq")
