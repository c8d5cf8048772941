"""Rows of background work that failed without anybody having foreseen it, for all processes.

A row waits until `retry_at`, which is 'infinity' where it is set aside. Statements that choose what
is done next leave out the rows that wait (`not_waiting`), so none of them keeps others from their
turn. Failures that are more than a day apart have nothing to do with each other.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Literal, LiteralString, NamedTuple, TypeAlias
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.errors import ForeignKeyViolation
from db.core.fetch import fetch_one, rows_of

MOST_READ = 10_000
WorkKind: TypeAlias = Literal[
    "sequencer",
    "fan_out",
    "delivery",
    "endpoint_bounds",
    "letter",
    "report",
    "quote_expiry",
    "job",
    "trips",
    "cleaning",
    "registration",
    "retention",
    "archive",
    "punch",
    "jobsite_correction",
    "loop",
]
"""The kinds of rows, as operators name them: docs/monitoring.md says what each is."""
JOB: WorkKind = "job"
"""The kind of rows that are jobs, of which one may hold up the archive (`db.archive.moving`)."""
_LONG: LiteralString = "interval '1 day'"


def not_waiting(kind: WorkKind, key: LiteralString) -> LiteralString:
    """Return the condition that a row is not failing, or its wait is over.

    key: in SQL, as text. Its columns name their table: `org_id` alone is that of the failing row.
    """
    return (
        f"NOT EXISTS (SELECT FROM failing_work AS failing WHERE failing.kind = '{kind}'"
        f" AND failing.key = {key} AND failing.retry_at > now())"
    )


class FailingWorkRow(NamedTuple):
    """A failing row as operators see it. retry_at: None: it is set aside."""

    kind: str
    key: str
    org_id: UUID | None
    tries: int
    error: str
    first_failed_at: datetime
    failed_at: datetime
    retry_at: datetime | None


class ReadRow(NamedTuple):
    """A row that has failed. wait_s: until it is tried again; infinite: it is set aside."""

    kind: str
    key: str
    wait_s: float


class Noted(NamedTuple):
    """The state of a row behind its newest failure. tries: failures in a row."""

    tries: int
    wait_s: float


class _Row(NamedTuple):
    kind: str
    key: str
    org_id: UUID | None


_WAIT_S: LiteralString = """
CASE WHEN retry_at = 'infinity' THEN 'infinity'
     ELSE greatest(extract(epoch FROM retry_at - now()), 0) END::float8
"""
_TRIES: LiteralString = f"""
CASE WHEN known.failed_at < now() - {_LONG} THEN 1 ELSE known.tries + 1 END
"""
_NOTE: LiteralString = f"""
INSERT INTO failing_work AS known (kind, key, org_id, tries, error, retry_at)
VALUES (%(kind)s, %(key)s, %(org_id)s, 1, %(error)s, now() + make_interval(secs => %(first_s)s))
    ON CONFLICT (kind, key) DO UPDATE
   SET tries = {_TRIES},
       error = excluded.error, failed_at = now(),
       first_failed_at = CASE WHEN known.failed_at < now() - {_LONG}
                              THEN now() ELSE known.first_failed_at END,
       retry_at = CASE WHEN {_TRIES} >= %(most_tries)s THEN 'infinity'
                       ELSE now() + make_interval(secs => least(
                            %(most_s)s, %(first_s)s * 2 ^ least({_TRIES} - 1, 30))) END
RETURNING tries, {_WAIT_S}
"""  # noqa: S608  # constants


_READ = f"SELECT kind, key, {_WAIT_S} FROM failing_work ORDER BY failed_at LIMIT %s"  # noqa: S608


class FailingWork:
    """Failing rows as a role reads and writes them that is under no row-level security."""

    def __init__(self, connection: Callable[[], AbstractAsyncContextManager[Connection]]) -> None:
        self._connection = connection

    async def failing(self) -> Sequence[ReadRow]:
        """Return what fails, the oldest first, up to MOST_READ."""
        async with self._connection() as conn:
            return [ReadRow(*row) for row in await rows_of(conn, _READ, (MOST_READ,))]

    async def note(
        self,
        row: tuple[str, str, UUID | None],
        error: str,
        *,
        first_s: float,
        most_s: float,
        most_tries: int | None,
    ) -> Noted | None:
        """Note a failure. None where the row's organization is gone."""
        values = _Row(*row)._asdict() | {
            "error": error.replace("\0", "\\0")[:500],
            "first_s": first_s,
            "most_s": most_s,
            "most_tries": most_tries,
        }
        try:
            async with self._connection() as conn, conn.transaction():
                return Noted(*await fetch_one(await conn.execute(_NOTE, values)))
        except ForeignKeyViolation:
            return None

    async def forget(self, row: tuple[str, str, UUID | None]) -> None:
        """Forget the failures of a row that was done."""
        async with self._connection() as conn:
            await conn.execute("DELETE FROM failing_work WHERE kind = %s AND key = %s", row[:2])


async def remove_old(conn: Connection, rows: int) -> int:
    """Remove up to `rows` that have not failed for a day and are not set aside."""
    cursor = await conn.execute(
        f"""
        DELETE FROM failing_work WHERE (kind, key) IN (
            SELECT kind, key FROM failing_work
             WHERE failed_at < now() - {_LONG} AND retry_at < 'infinity'
             LIMIT %s FOR UPDATE SKIP LOCKED)
        """,  # noqa: S608  # a constant
        (rows,),
    )
    return cursor.rowcount


# As the owner, for operators ----------------------------------------------------------------------


async def listing(conn: Connection, limit: int) -> list[FailingWorkRow]:
    """Return what waits or is set aside, the longest ones first."""
    async with conn.cursor(row_factory=args_row(FailingWorkRow)) as cursor:
        await cursor.execute(
            "SELECT kind, key, org_id, tries, error, first_failed_at, failed_at,"
            " nullif(retry_at, 'infinity') FROM failing_work"
            " WHERE retry_at > now() ORDER BY first_failed_at LIMIT %s",
            (limit,),
        )
        return await cursor.fetchall()


async def release(conn: Connection, kind: str, key: str | None) -> int:
    """Let a row of the kind be tried again at once, or with None all of them; how many."""
    cursor = await conn.execute(
        "UPDATE failing_work SET retry_at = now(), tries = 0"
        " WHERE kind = %(kind)s AND (%(key)s::text IS NULL OR key = %(key)s) AND retry_at > now()",
        {"kind": kind, "key": key},
    )
    return cursor.rowcount
