"""What was known of assets at earlier fixes of theirs, as bytes: whence their past can be judged.

Opaque to SQL: what stands in them, ingest alone knows. A checkpoint holds as long as no fix before
it arrives.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from db.connect import Connection
from telemetry.times import to_datetime


class Checkpoint(NamedTuple):
    """What was known after the fix (time_us, seq)."""

    org_id: UUID
    asset_id: UUID
    time_us: int
    seq: int
    state: bytes


class Moment(NamedTuple):
    """An instant of an asset."""

    org_id: UUID
    asset_id: UUID
    time_us: int


_STORE = """
INSERT INTO asset_checkpoints (org_id, asset_id, time, seq, state)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::int4[], %s::bytea[])
    ON CONFLICT (org_id, asset_id, time, seq) DO UPDATE SET state = excluded.state
"""
_FORGET_AFTER = """
DELETE FROM asset_checkpoints AS known
 USING unnest(%s::uuid[], %s::uuid[], %s::timestamptz[]) AS past (org_id, asset_id, time)
 WHERE known.org_id = past.org_id AND known.asset_id = past.asset_id AND known.time > past.time
"""
_BEFORE = """
SELECT known.org_id, known.asset_id, (extract(epoch FROM known.time) * 1000000)::bigint, known.seq,
       known.state
  FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[]) AS wanted (org_id, asset_id, time)
 CROSS JOIN LATERAL (
       SELECT * FROM asset_checkpoints AS one
        WHERE one.org_id = wanted.org_id AND one.asset_id = wanted.asset_id
          AND one.time < wanted.time
        ORDER BY one.time DESC, one.seq DESC LIMIT 1) AS known
"""


async def store(conn: Connection, checkpoints: Sequence[Checkpoint]) -> None:
    """Writes them, over any of the same fix. No two of one fix."""
    if not checkpoints:
        return
    rows = [(*row[:2], to_datetime(row.time_us), *row[3:]) for row in checkpoints]
    await conn.execute(_STORE, [list(column) for column in zip(*rows, strict=True)])


async def forget_after(conn: Connection, moments: Sequence[Moment]) -> None:
    """Removes those that lie after the instants."""
    if moments:
        await conn.execute(_FORGET_AFTER, _columns(moments))


async def before(conn: Connection, moments: Sequence[Moment]) -> list[Checkpoint]:
    """Of each asset the last one before the instant; of some there is none."""
    cursor = await conn.execute(_BEFORE, _columns(moments))
    return [Checkpoint(*row) for row in await cursor.fetchall()]


def _columns(moments: Sequence[Moment]) -> list[list[object]]:
    rows = [(*row[:2], to_datetime(row.time_us)) for row in moments]
    return [list(column) for column in zip(*rows, strict=True)]
