"""States of assets at earlier fixes, as bytes, from which their past can be judged again.

Opaque to SQL: what stands in them, ingest alone knows. A checkpoint holds as long as no fix before
it arrives.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from db.core.connect import Connection
from telemetry.times import to_datetime


class Checkpoint(NamedTuple):
    """The state after the fix (time_us, seq)."""

    org_id: UUID
    asset_id: UUID
    time_us: int
    seq: int
    state: bytes


class OutdatedSpan(NamedTuple):
    """A time of an asset. before_us: None where it has no end."""

    org_id: UUID
    asset_id: UUID
    after_us: int
    before_us: int | None


_STORE = """
INSERT INTO asset_checkpoints (org_id, asset_id, time, seq, state)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::int4[], %s::bytea[])
    ON CONFLICT (org_id, asset_id, time, seq) DO UPDATE SET state = excluded.state
"""
_FORGET = """
DELETE FROM asset_checkpoints AS known
 USING unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::timestamptz[])
       AS span (org_id, asset_id, after, before)
 WHERE known.org_id = span.org_id AND known.asset_id = span.asset_id
   AND known.time > span.after AND (span.before IS NULL OR known.time < span.before)
"""
_COLUMNS = """
SELECT known.org_id, known.asset_id, (extract(epoch FROM known.time) * 1000000)::bigint, known.seq,
       known.state
"""
_BEFORE = """
  FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[]) AS wanted (org_id, asset_id, time)
 CROSS JOIN LATERAL (
       SELECT * FROM asset_checkpoints AS one
        WHERE one.org_id = wanted.org_id AND one.asset_id = wanted.asset_id
          AND one.time < wanted.time
        ORDER BY one.time DESC, one.seq DESC LIMIT 1) AS known
"""
_AFTER = """
  FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::int4[])
       AS wanted (org_id, asset_id, time, number)
 CROSS JOIN LATERAL (
       SELECT * FROM asset_checkpoints AS one
        WHERE one.org_id = wanted.org_id AND one.asset_id = wanted.asset_id
          AND one.time > wanted.time
        ORDER BY one.time, one.seq OFFSET wanted.number - 1 LIMIT 1) AS known
"""


async def store(conn: Connection, checkpoints: Sequence[Checkpoint]) -> None:
    """Write them, over any of the same fix. No two of one fix."""
    if not checkpoints:
        return
    rows = [(*row[:2], to_datetime(row.time_us), *row[3:]) for row in checkpoints]
    await conn.execute(_STORE, _columns(rows))


async def forget(conn: Connection, spans: Sequence[OutdatedSpan]) -> None:
    """Remove those that lie within the spans, not at their ends."""
    if not spans:
        return
    rows = [(*span[:2], to_datetime(span.after_us), _or_none(span.before_us)) for span in spans]
    await conn.execute(_FORGET, _columns(rows))


async def before(conn: Connection, wanted: Sequence[tuple[UUID, UUID, int]]) -> list[Checkpoint]:
    """Read of each asset (org_id, asset_id, time_us) the last checkpoint before the instant; of
    some there is none.
    """
    rows = [(org_id, asset_id, to_datetime(time_us)) for org_id, asset_id, time_us in wanted]
    return await _found(conn, _BEFORE, rows)


async def after(
    conn: Connection, wanted: Sequence[tuple[UUID, UUID, int, int]]
) -> list[Checkpoint]:
    """Read of each asset (org_id, asset_id, time_us, number) the first checkpoint after the
    instant, the second, or whatever the number says; of some there is none.
    """
    rows = [(*owner, to_datetime(time_us), number) for *owner, time_us, number in wanted]
    return await _found(conn, _AFTER, rows)


async def _found(
    conn: Connection, which: LiteralString, rows: Sequence[tuple[object, ...]]
) -> list[Checkpoint]:
    if not rows:
        return []
    cursor = await conn.execute(_COLUMNS + which, _columns(rows))
    return [Checkpoint(*row) for row in await cursor.fetchall()]


def _or_none(time_us: int | None) -> datetime | None:
    return None if time_us is None else to_datetime(time_us)


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
