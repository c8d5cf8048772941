"""Assets whose stored fixes are still to be judged: an assignment reaches back to them, or a late
fix has too many behind it.

One row for an asset: a cursor in its fixes, in order of time and seq. Written with the assignment,
under the revision (`db.core.registry_revision.bump`), and read by ingest with the registry
(`db.ingest.registry`); or written by ingest with the late fix. Moved on or removed in the
transaction that writes what came of a piece.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from telemetry.times import to_datetime


class Backlog(NamedTuple):
    """The fixes after (time_us, seq) are to be judged.

    state: what is known of the asset after that fix, opaque to SQL; None where ingest has to find
    an earlier state to begin with. judged_us: up to when the asset was judged before, None where
    that is not known. flags: the bits of `telemetry.fix.Flag` that all late fixes to judge have.
    """

    org_id: UUID
    asset_id: UUID
    time_us: int
    seq: int
    state: bytes | None
    judged_us: int | None = None
    flags: int = 0


_PUT = """
INSERT INTO asset_backlogs AS known (org_id, asset_id, time, seq, revision)
VALUES (current_org_id(), %s, %s, -1, %s)
    ON CONFLICT (org_id, asset_id) DO UPDATE
   SET time = excluded.time, seq = excluded.seq, state = NULL, flags = 0,
       revision = excluded.revision
 WHERE (excluded.time, excluded.seq) < (known.time, known.seq)
"""
_CHANGED = """
SELECT org_id, asset_id, (extract(epoch FROM time) * 1000000)::bigint, seq, state,
       (extract(epoch FROM judged_until) * 1000000)::bigint, flags
  FROM asset_backlogs WHERE revision > %s
"""
_MOVE = """
INSERT INTO asset_backlogs (org_id, asset_id, time, seq, state, judged_until, flags, revision)
SELECT *, 0
  FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::int4[], %s::bytea[],
              %s::timestamptz[], %s::int2[])
    ON CONFLICT (org_id, asset_id) DO UPDATE
   SET time = excluded.time, seq = excluded.seq, state = excluded.state, flags = excluded.flags
"""
_REMOVE = """
DELETE FROM asset_backlogs AS known USING unnest(%s::uuid[], %s::uuid[]) AS gone (org_id, asset_id)
 WHERE known.org_id = gone.org_id AND known.asset_id = gone.asset_id
"""


async def put(conn: Connection, asset_id: UUID, since: datetime, revision: int) -> None:
    """Ask for the asset's fixes from `since` on to be judged."""
    await conn.execute(_PUT, (asset_id, since, revision))


async def changed_since(conn: Connection, revision: int) -> list[Backlog]:
    """Return the assignments that were put after the revision, as they are now."""
    cursor = await conn.execute(_CHANGED, (revision,))
    return [Backlog(*row) for row in await cursor.fetchall()]


async def move(conn: Connection, backlogs: Sequence[Backlog]) -> None:
    """Write how far the assets are judged, of those that begin to wait too."""
    if backlogs:
        rows = [
            (*one[:2], to_datetime(one.time_us), *one[3:5], _or_none(one.judged_us), one.flags)
            for one in backlogs
        ]
        await conn.execute(_MOVE, [list(column) for column in zip(*rows, strict=True)])


def _or_none(time_us: int | None) -> datetime | None:
    return None if time_us is None else to_datetime(time_us)


async def remove(conn: Connection, assets: Sequence[tuple[UUID, UUID]]) -> None:
    """Remove the rows of assets (org_id, asset_id) that are judged up to their newest fix."""
    if assets:
        await conn.execute(_REMOVE, [list(column) for column in zip(*assets, strict=True)])
