"""How days of fixes get into the archive, as opsc_deliver: what is read, what is removed for it,
and which object has them from then on.

Fixes are removed in the transaction that names their object, and only if they are exactly the rows
that were read: their number and the sum of their fingerprints are compared.

The newest good fix of each tracker stays, with what is behind it: ingest begins with it, and a
machine that has been parked for a year is still shown.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg import sql

from db.archive.archived_days import ArchivedDay, day_interval, object_path
from db.core.connect import Connection
from db.core.fetch import columns, fetch_one, rows_of, value_of
from db.history.failing_work import JOB, not_waiting
from telemetry.fix import Flag

_LOCK = 0x0707_5C03  # any number that is ours alone
_SMALL_BYTES = 4 * 1024 * 1024
_FEW_ROWS = 10_000
_ROWS_AT_ONCE = 500

_OF_CSV = sql.SQL(
    "fix.tracker_id, (extract(epoch FROM fix.time) * 1000000)::bigint, fix.seq,"
    " (extract(epoch FROM fix.received_at) * 1000000)::bigint, fix.lat, fix.lon, fix.flags,"
    " fix.altitude_m, fix.speed_mps, fix.course_deg, fix.accuracy_m, fix.battery_pct,"
    " fix.satellites, fix.ignition, fix.attributes::text"
)
_COPY_OUT = sql.SQL(
    "COPY (SELECT org_id, tracker_id, time, seq, received_at, lat, lon, flags, altitude_m,"
    " speed_mps, course_deg, accuracy_m, battery_pct, satellites, ignition, attributes"
    " FROM gps_events WHERE time >= {} AND time < {} LIMIT {}) TO STDOUT"
)
_COPY_IN = sql.SQL(
    "COPY gps_events (org_id, tracker_id, time, seq, received_at, lat, lon, flags, altitude_m,"
    " speed_mps, course_deg, accuracy_m, battery_pct, satellites, ignition, attributes) FROM STDIN"
)
_PRINT = sql.SQL(
    "hashtextextended(ROW(fix.org_id, fix.tracker_id, fix.time, fix.seq, fix.received_at, fix.lat,"
    " fix.lon, fix.flags, fix.altitude_m, fix.speed_mps, fix.course_deg, fix.accuracy_m,"
    " fix.battery_pct, fix.satellites, fix.ignition, fix.attributes)::text, 0)"
)
# A tracker whose good fixes go on after the day leaves nothing behind. OFFSET keeps the planner
# from looking for them once for each fix of the day, instead of once for each tracker.
_TRACKERS = """(
    SELECT tracker.id, later.follows, newest.time, newest.seq
      FROM trackers AS tracker
     CROSS JOIN LATERAL (
           SELECT EXISTS (SELECT FROM gps_events
                           WHERE tracker_id = tracker.id AND time >= {until}
                             AND flags & {suspect} = 0) AS follows) AS later
      LEFT JOIN LATERAL (
           SELECT time, seq FROM gps_events
            WHERE tracker_id = tracker.id AND time >= {since} AND time < {until}
              AND flags & {suspect} = 0 AND NOT later.follows
            ORDER BY time DESC, seq DESC LIMIT 1) AS newest ON true
     WHERE tracker.org_id = {org_id}
     ORDER BY tracker.id OFFSET 0) AS tracker
"""
_MAY_MOVE = """
    fix.tracker_id = tracker.id AND fix.time >= {since} AND fix.time < {until}
    AND (tracker.follows OR (fix.time, fix.seq) < (tracker.time, tracker.seq))
"""
# By the tracker's own id: the rest is sorted tracker by tracker.
_READ = """
COPY (SELECT {columns}, {fingerprint}
        FROM (SELECT fix.* FROM {trackers} JOIN gps_events AS fix ON {may_move}
               ORDER BY tracker.id, fix.time, fix.seq LIMIT {limit}) AS fix)
  TO STDOUT (FORMAT CSV)
"""
_REMOVE = """
WITH gone AS (
    DELETE FROM gps_events AS fix USING {trackers}
     WHERE {may_move} AND (fix.tracker_id, fix.time, fix.seq) <= ({tracker}, {time}, {seq})
    RETURNING fix.tracker_id, fix.time, {fingerprint} AS print
), hours AS (
    INSERT INTO fix_hours_changed (org_id, tracker_id, hour)
    SELECT DISTINCT {org_id}::uuid, tracker_id, date_trunc('hour', time, 'UTC') FROM gone
), cut AS (
    INSERT INTO asset_cuts AS known (org_id, asset_id, before)
    SELECT DISTINCT held.org_id, held.asset_id, {until}
      FROM gone JOIN tracker_assignments AS held
        ON held.org_id = {org_id} AND held.tracker_id = gone.tracker_id
       AND held.assigned_from <= gone.time
       AND (held.assigned_to IS NULL OR gone.time < held.assigned_to)
       AND held.asset_id IS NOT NULL
        ON CONFLICT (org_id, asset_id)
        DO UPDATE SET before = greatest(known.before, excluded.before)
)
SELECT count(*), coalesce(sum(print), 0) FROM gone
"""
_OBJECT: LiteralString = """
SELECT org_id, day, object_id, rows, bytes, sha256, footer_sha256 FROM archived_days
 WHERE org_id = %s AND day = %s
"""
_INSERT_TRACKERS: LiteralString = """
INSERT INTO archived_trackers
       (org_id, day, tracker_id, rows, first_at, last_at, south, north, west, east)
SELECT %s, %s, each.*
  FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::float8[],
              %s::float8[], %s::float8[], %s::float8[]) AS each
"""
_CHUNK_BYTES: LiteralString = """
SELECT coalesce(sum(pg_total_relation_size(known.oid)), 0)::bigint
  FROM timescaledb_information.chunks AS chunk
  JOIN pg_class AS known ON known.relname = chunk.chunk_name
  JOIN pg_namespace AS home
    ON home.oid = known.relnamespace AND home.nspname = chunk.chunk_schema
 WHERE chunk.hypertable_name = 'gps_events' AND chunk.range_start = %s AND chunk.range_end = %s
"""


class TrackerSummary(NamedTuple):
    """The fixes of a tracker in an object, and the box around them, degrees."""

    tracker_id: UUID
    rows: int
    first_at: datetime
    last_at: datetime
    south: float
    north: float
    west: float
    east: float

    def joined(self, other: "TrackerSummary") -> "TrackerSummary":
        """Return both together: of one tracker, no fix in both."""
        return TrackerSummary(
            self.tracker_id,
            self.rows + other.rows,
            min(self.first_at, other.first_at),
            max(self.last_at, other.last_at),
            min(self.south, other.south),
            max(self.north, other.north),
            min(self.west, other.west),
            max(self.east, other.east),
        )


class Moved(NamedTuple):
    """The fixes to remove: those up to a key, with their number and the sum of their prints."""

    last: tuple[UUID, datetime, int]
    rows: int
    prints: int


class ChangedMeanwhile(Exception):
    """The fixes of the day are not those any more that were read: nothing is removed."""


async def begin(conn: Connection) -> bool:
    """Take the work on until `end`, or the end of the connection. Returns False if another process
    has it.
    """
    return await value_of(conn, "SELECT pg_try_advisory_lock(%s)", (_LOCK,))


async def end(conn: Connection) -> None:
    """Let others do the work."""
    await conn.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))


_IS_WAITED_FOR = f"""
SELECT EXISTS (SELECT FROM jobs
                WHERE state IN ('waiting', 'running') AND kind = 'erase_positions'
                  AND {not_waiting(JOB, "jobs.id::text")})
"""  # noqa: S608  # constants


async def is_waited_for(conn: Connection) -> bool:
    """Return whether an erasure waits for the work to end. One that waits after a failure does not:
    the archive would wait as long.
    """
    return await value_of(conn, _IS_WAITED_FOR)


async def organizations(conn: Connection, day: date) -> list[UUID]:
    """Return the organizations with fixes of a day that are not archived."""
    rows = await rows_of(
        conn,
        "SELECT DISTINCT fix.org_id FROM gps_events AS fix"
        "  JOIN organizations AS known ON known.org_id = fix.org_id"
        " WHERE fix.time >= %s AND fix.time < %s ORDER BY fix.org_id",
        day_interval(day),
    )
    return [org_id for (org_id,) in rows]


async def read(conn: Connection, org_id: UUID, day: date, limit: int) -> bytearray:
    """Return the first fixes of an organization's day that may move, in order of tracker, time and
    seq, as CSV: the columns of gps_events behind org_id, times in microseconds, and a fingerprint.
    """
    statement = sql.SQL(_READ).format(
        **_which(org_id, day), columns=_OF_CSV, fingerprint=_PRINT, limit=sql.Literal(limit)
    )
    text, blocks = bytearray(), 0
    async with conn.cursor() as cursor, cursor.copy(statement) as copy:
        async for block in copy:
            text += block
            blocks += 1
            if blocks % _ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)  # others have a turn
    return text


async def known_object(conn: Connection, org_id: UUID, day: date) -> ArchivedDay | None:
    rows = await rows_of(conn, _OBJECT, (org_id, day))
    return ArchivedDay(*rows[0]) if rows else None


async def switch(
    conn: Connection,
    made: ArchivedDay,
    trackers: Sequence[TrackerSummary],
    moved: Moved,
    older: ArchivedDay | None,
    remove_older_at: datetime,
) -> None:
    """Name the object that has a day from now on, and remove the fixes that moved into it.

    Call it in a transaction. Raises ChangedMeanwhile, or UniqueViolation where the day has another
    object now.
    """
    if older is not None and not await forget(conn, older, remove_older_at):
        raise ChangedMeanwhile
    tracker, time, seq = map(sql.Literal, moved.last)
    statement = sql.SQL(_REMOVE).format(
        **_which(made.org_id, made.day),
        fingerprint=_PRINT,
        tracker=tracker,
        time=time,
        seq=seq,
    )
    found = await fetch_one(await conn.execute(statement, prepare=False))
    if (found[0], int(found[1])) != (moved.rows, moved.prints):
        raise ChangedMeanwhile
    await name(conn, made, trackers)


async def replace(
    conn: Connection,
    older: ArchivedDay,
    made: ArchivedDay | None,
    trackers: Sequence[TrackerSummary],
) -> None:
    """Name another object for a day; None: the day has none any more. The older one goes at once.

    Call it in a transaction. Raises ChangedMeanwhile.
    """
    if not await forget(conn, older, datetime.now(UTC)):
        raise ChangedMeanwhile
    if made is not None:
        await name(conn, made, trackers)


async def name(conn: Connection, made: ArchivedDay, trackers: Sequence[TrackerSummary]) -> None:
    """Name the object that has a day from now on."""
    await conn.execute(
        "INSERT INTO archived_days (org_id, day, object_id, rows, bytes, sha256, footer_sha256)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        made,
    )
    await conn.execute(_INSERT_TRACKERS, (made.org_id, made.day, *columns(trackers)))


async def note_failures(conn: Connection, failed: Mapping[UUID, Sequence[date]]) -> None:
    """Write down the days of each organization that a pass could not move, in place of those of
    the pass before.
    """
    async with conn.transaction():
        await conn.execute("DELETE FROM archive_failures")
        await conn.execute(
            """
            INSERT INTO archive_failures (org_id, days, day, failed_at)
            SELECT failed.org_id, failed.days, failed.day, now()
              FROM unnest(%s::uuid[], %s::int[], %s::date[]) AS failed (org_id, days, day)
              JOIN organizations AS known ON known.org_id = failed.org_id
            """,
            (list(failed), [len(days) for days in failed.values()], [*map(max, failed.values())]),
        )


async def forget(conn: Connection, known: ArchivedDay, remove_at: datetime) -> bool:
    """Let an object have its day no more, and go later. Returns whether it had the day."""
    cursor = await conn.execute(
        "DELETE FROM archived_days WHERE org_id = %s AND day = %s AND object_id = %s", known[:3]
    )
    await remove_later(conn, [known.path], remove_at)
    return cursor.rowcount == 1


async def remove_later(conn: Connection, paths: Sequence[str], remove_at: datetime) -> None:
    await conn.execute(
        "INSERT INTO archive_removals (path, remove_at) SELECT path, %s FROM unnest(%s::text[])"
        " AS gone (path) ON CONFLICT DO NOTHING",
        (remove_at, list(paths)),
    )


async def remove_now(conn: Connection, folder: str) -> list[str]:
    """Let objects of a folder go at once that go later; their paths."""
    rows = await rows_of(
        conn,
        "UPDATE archive_removals SET remove_at = least(remove_at, now())"
        " WHERE path >= %s AND path < %s RETURNING path",
        (folder, folder[:-1] + "0"),  # the next character behind the slash
    )
    return [path for (path,) in rows]


async def older_than(conn: Connection, org_id: UUID, day: date, limit: int) -> list[ArchivedDay]:
    """Return archived days of an organization from before a day."""
    rows = await rows_of(
        conn,
        "SELECT org_id, day, object_id, rows, bytes, sha256, footer_sha256 FROM archived_days"
        " WHERE org_id = %s AND day < %s ORDER BY day LIMIT %s",
        (org_id, day, limit),
    )
    return [ArchivedDay(*row) for row in rows]


async def removals(conn: Connection, now: datetime, limit: int) -> list[str]:
    """Return the paths of objects that are to go by now."""
    rows = await rows_of(
        conn,
        "SELECT path FROM archive_removals WHERE remove_at <= %s ORDER BY remove_at LIMIT %s",
        (now, limit),
    )
    return [path for (path,) in rows]


async def removed(conn: Connection, path: str) -> None:
    await conn.execute("DELETE FROM archive_removals WHERE path = %s", (path,))


async def known_paths(conn: Connection) -> set[str]:
    """Return the paths of all objects that are named, of all organizations."""
    days = await rows_of(conn, "SELECT org_id, day, object_id FROM archived_days")
    gone = await rows_of(conn, "SELECT path FROM archive_removals")
    return {object_path(*row) for row in days} | {path for (path,) in gone}


async def renew_chunk(conn: Connection, since: datetime, until: datetime) -> bool:
    """Give back the space of a chunk of which few fixes are left, by a chunk that has only these.
    Returns whether it was done.

    Call it in a transaction. Raises psycopg.errors.LockNotAvailable where ingest is writing for
    long. Nothing is written into the table meanwhile: its own lock comes first, and writers ask for
    it before they look for the chunk.
    """
    if await value_of(conn, _CHUNK_BYTES, (since, until)) <= _SMALL_BYTES:
        return False
    if len(await _rows_of_chunk(conn, since, until)) > _FEW_ROWS:
        return False
    await conn.execute("SET LOCAL lock_timeout = '1s'")
    await conn.execute("LOCK TABLE gps_events IN SHARE ROW EXCLUSIVE MODE")
    left = await _rows_of_chunk(conn, since, until)
    if len(left) > _FEW_ROWS:
        return False
    await conn.execute("SELECT drop_position_chunk(%s, %s)", (since, until))
    async with (
        conn.cursor() as cursor,
        cursor.copy(_COPY_IN) as copy,
    ):
        for line in left:
            await copy.write(line)
    return True


async def _rows_of_chunk(conn: Connection, since: datetime, until: datetime) -> list[bytes]:
    """Return the rows as COPY has them, one more than are few at most."""
    statement = _COPY_OUT.format(*map(sql.Literal, (since, until, _FEW_ROWS + 1)))
    async with conn.cursor() as cursor, cursor.copy(statement) as copy:
        return [bytes(block) async for block in copy]


def _which(org_id: UUID, day: date) -> dict[str, sql.Composable]:
    since, until = day_interval(day)
    names = {
        "org_id": sql.Literal(org_id),
        "since": sql.Literal(since),
        "until": sql.Literal(until),
        "suspect": sql.Literal(int(Flag.SUSPECT)),
    }
    trackers, may_move = sql.SQL(_TRACKERS).format(**names), sql.SQL(_MAY_MOVE).format(**names)
    return {**names, "trackers": trackers, "may_move": may_move}
