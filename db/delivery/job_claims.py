"""Whose job is next, as opsc_deliver: organizations take turns, the oldest job of each first.

A job is claimed for a while, so two processes never work at one, and a killed one is followed when
its claim has run out. Each claim is another: what the one before had not committed it cannot commit
any more (`db.resources.jobs.hold`). Exports have turns of their own. Erasures have none: one at a
time is done, by whoever has the archive to itself. A job that waits
after a failure lets later ones of its organization go first.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.tenant import Actor
from db.history.failing_work import JOB, not_waiting

FIRST = UUID(int=0)
"""Before all organizations."""

_CLAIM = f"""
UPDATE jobs AS claimed
   SET state = 'running', started_at = coalesce(started_at, clock_timestamp()), tries = tries + 1,
       claim = gen_random_uuid(), claimed_until = clock_timestamp() + %(lease)s
  FROM (SELECT org_id, id FROM jobs AS job
         WHERE state IN ('waiting', 'running') AND kind = ANY (%(kinds)s)
           AND org_id > %(after)s AND org_id <> ALL (%(but)s)
           AND (claimed_until IS NULL OR claimed_until < clock_timestamp())
           AND {not_waiting(JOB, "job.id::text")}
           AND NOT EXISTS (SELECT FROM jobs AS older
                            WHERE older.org_id = job.org_id AND older.id < job.id
                              AND older.state IN ('waiting', 'running')
                              AND older.kind = ANY (%(kinds)s)
                              AND {not_waiting(JOB, "older.id::text")})
         ORDER BY org_id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS next
 WHERE claimed.org_id = next.org_id AND claimed.id = next.id
RETURNING claimed.org_id, claimed.id, kind, claim, tries, created_by, via, credential_id, request_id
"""  # noqa: S608  # constants


# By whoever has the archive to itself (`db.archive.moving.begin`): a claim of before is void.
_CLAIM_ERASURE = f"""
UPDATE jobs AS claimed
   SET state = 'running', started_at = coalesce(started_at, clock_timestamp()), tries = tries + 1,
       claim = gen_random_uuid(), claimed_until = NULL
  FROM (SELECT org_id, id FROM jobs
         WHERE state IN ('waiting', 'running') AND kind = 'erase_positions'
           AND {not_waiting(JOB, "jobs.id::text")}
         ORDER BY tries, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) AS next
 WHERE claimed.org_id = next.org_id AND claimed.id = next.id
RETURNING claimed.org_id, claimed.id, kind, claim, tries, created_by, via, credential_id, request_id
"""  # noqa: S608  # constants


class ClaimedJob(NamedTuple):
    """A job that this process works at. tries: claims since the last piece, with this one."""

    org_id: UUID
    id: UUID
    kind: str
    claim: UUID
    tries: int
    created_by: UUID
    via: str
    credential_id: UUID
    request_id: str

    @property
    def actor(self) -> Actor:
        """The author of what it changes."""
        return Actor(self.created_by, self.via, self.credential_id, self.request_id)


async def claim(
    conn: Connection, kinds: Iterable[str], *, after: UUID, but: Sequence[UUID], lease_s: float
) -> ClaimedJob | None:
    """Claim the oldest job of these kinds of the next organization behind `after`. but:
    organizations that are passed over.
    """
    values: dict[str, object] = {"kinds": list(kinds), "after": after, "but": list(but)}
    values["lease"] = timedelta(seconds=lease_s)
    async with conn.cursor(row_factory=args_row(ClaimedJob)) as cursor:
        await cursor.execute(_CLAIM, values)
        return await cursor.fetchone()


async def claim_erasure(conn: Connection) -> ClaimedJob | None:
    """Claim the oldest erasure, of those that were tried least."""
    async with conn.cursor(row_factory=args_row(ClaimedJob)) as cursor:
        await cursor.execute(_CLAIM_ERASURE)
        return await cursor.fetchone()


async def state_of(conn: Connection, job: ClaimedJob) -> str | None:
    """Return the state of a job that may have ended; None: it is gone."""
    cursor = await conn.execute(
        "SELECT state FROM jobs WHERE org_id = %s AND id = %s", (job.org_id, job.id)
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def release(conn: Connection, job: ClaimedJob, *, tries: int) -> None:
    """Let any process go on with a job. tries: those that count on."""
    await conn.execute(
        "UPDATE jobs SET claim = NULL, claimed_until = NULL, tries = %s"
        " WHERE org_id = %s AND id = %s AND claim = %s",
        (tries, job.org_id, job.id, job.claim),
    )
