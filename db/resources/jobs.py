"""Jobs: long work that a user asked for, done by `opsc deliver` (`db.delivery.job_claims`).

The API makes and cancels them. Whoever works at one holds its row (`hold`) in the transaction of
each piece, and writes the progress in the same.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, TypeAlias
from uuid import UUID

from psycopg.rows import args_row
from psycopg.types.json import Jsonb

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.ids import new_id
from db.core.listing import Conditions
from db.core.table import Table
from db.core.tenant import Actor
from db.core.wakeups import Channel
from operations.jobs import Piece, add

JobKind: TypeAlias = Literal[
    "import_assets", "import_trackers", "upload_track", "erase_positions", "export"
]
JobState: TypeAlias = Literal["waiting", "running", "done", "failed", "cancelled"]

MOST_OPEN = 10
"""Jobs of an organization that wait or run."""
MOST_KEPT = 1_000
"""Jobs of an organization. The oldest of those that have ended go."""
KEPT = timedelta(days=7)
"""How long a job is kept, and what came of it."""
_COUNT_OPEN = "SELECT count(*) FROM jobs WHERE state IN ('waiting', 'running')"
_LOCK = 0x0707_5C03  # any number that is ours alone


class TooManyJobs(Exception):
    """As many jobs of the organization wait or run as may."""


class Job(NamedTuple):
    """One row, without what only workers read."""

    id: UUID
    kind: JobKind
    state: JobState
    done: int
    total: int | None
    result: dict[str, Any]
    error: str | None
    asset_id: UUID | None
    employee_id: UUID | None
    created_by: UUID
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime


class NewJob(NamedTuple):
    """What a job is made of. content: what it reads; total: the lines, where they are known."""

    kind: JobKind
    content: bytes
    total: int | None = None
    result: Mapping[str, Any] = {}
    asset_id: UUID | None = None
    employee_id: UUID | None = None


class HeldJob(NamedTuple):
    """The progress of a job that is held."""

    done: int
    total: int | None
    result: dict[str, Any]
    asset_id: UUID | None


def _open(conditions: Conditions, is_open: bool) -> None:
    conditions.add_null("ended_at", null=is_open)


table = Table("jobs", Job, filters={"open": _open})


async def insert(conn: Connection, new: NewJob, actor: Actor) -> Job:
    """Insert a job with what it reads. Raises TooManyJobs."""
    await conn.execute(
        "SELECT pg_advisory_xact_lock(%s, hashtext(current_org_id()::text))", (_LOCK,)
    )
    if await value_of(conn, _COUNT_OPEN) >= MOST_OPEN:
        raise TooManyJobs
    await conn.execute(
        "DELETE FROM jobs WHERE ended_at IS NOT NULL"
        " AND id <= (SELECT id FROM jobs ORDER BY id DESC LIMIT 1 OFFSET %s)",
        (MOST_KEPT - 1,),
    )
    job_id = new_id()
    await conn.execute(
        """
        INSERT INTO jobs (org_id, id, kind, total, result, asset_id, employee_id, created_by,
                          via, credential_id, request_id, expires_at)
        VALUES (current_org_id(), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, now() + %s)
        """,
        (
            *(
                job_id,
                new.kind,
                new.total,
                Jsonb({**new.result, **add(new.result, Piece())}),
                new.asset_id,
                new.employee_id,
                actor.user_id,
            ),
            *(actor.via, actor.credential_id, actor.request_id, KEPT),
        ),
    )
    await conn.execute(
        "INSERT INTO job_inputs (org_id, job_id, content) VALUES (current_org_id(), %s, %s)",
        (job_id, new.content),
    )
    conn.note(Channel.JOBS)
    return await table.get(conn, job_id)


async def cancel(conn: Connection, job_id: UUID) -> None:
    """Cancel a job that waits or runs; a piece that is being done is waited for."""
    await end(conn, job_id, "cancelled")


async def content_of(conn: Connection, job_id: UUID) -> bytes | None:
    """Return what a job reads; None where it has ended."""
    cursor = await conn.execute("SELECT content FROM job_inputs WHERE job_id = %s", (job_id,))
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def hold(conn: Connection, job_id: UUID, claim: UUID) -> HeldJob | None:
    """Hold a job that runs by this claim until the transaction ends. None: it was cancelled, or
    another process has it.
    """
    async with conn.cursor(row_factory=args_row(HeldJob)) as cursor:
        await cursor.execute(
            "SELECT done, total, result, asset_id FROM jobs"
            " WHERE id = %s AND claim = %s AND state = 'running' FOR NO KEY UPDATE",
            (job_id, claim),
        )
        return await cursor.fetchone()


async def advance(
    conn: Connection, job_id: UUID, job: HeldJob, lease_s: float, *, lasts: bool = True
) -> None:
    """Write the progress of a job that is held, and keep it for longer. lasts: whoever follows goes
    on from here; False: from the beginning, so that the tries count on.
    """
    await conn.execute(
        """
        UPDATE jobs SET done = %s, total = %s, result = %s,
                        tries = CASE WHEN %s THEN 0 ELSE tries END,
                        claimed_until = clock_timestamp() + %s
         WHERE id = %s
        """,
        (job.done, job.total, Jsonb(job.result), lasts, timedelta(seconds=lease_s), job_id),
    )


async def end(
    conn: Connection,
    job_id: UUID,
    state: JobState,
    error: str | None = None,
    last: HeldJob | None = None,
) -> None:
    """End a job that waits or runs. What it read goes. last: its progress; None: as it is."""
    await conn.execute(
        "UPDATE jobs SET state = %s, error = %s, ended_at = clock_timestamp(), claim = NULL,"
        " claimed_until = NULL, total = coalesce(%s, total), result = coalesce(%s, result)"
        " WHERE id = %s AND ended_at IS NULL",
        (state, error, last and last.total, last and Jsonb(last.result), job_id),
    )
    await conn.execute("DELETE FROM job_inputs WHERE job_id = %s", (job_id,))


async def name_object(conn: Connection, job_id: UUID, object_id: UUID) -> None:
    """Say which object is the result of a job that is held."""
    await conn.execute("UPDATE jobs SET object_id = %s WHERE id = %s", (object_id, job_id))


async def object_of(conn: Connection, job_id: UUID) -> UUID | None:
    """Return the object with the result of a job."""
    cursor = await conn.execute("SELECT object_id FROM jobs WHERE id = %s", (job_id,))
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def kept_bytes(conn: Connection) -> int:
    """Return how large the results are that the organization has in the store."""
    return await value_of(
        conn,
        "SELECT coalesce(sum((result -> 'file' ->> 'bytes')::bigint), 0)::bigint FROM jobs"
        " WHERE object_id IS NOT NULL",
    )
