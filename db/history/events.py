"""Events as they are written: into the outbox, without a seq."""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from db.core.connect import Connection


class Event(NamedTuple):
    """A row of `events`; `data` is JSON text."""

    org_id: UUID
    id: UUID
    type: str
    occurred_at: datetime
    data: str


_INSERT = """
INSERT INTO events (org_id, id, type, occurred_at, data)
SELECT org_id, id, type, occurred_at, data::json
  FROM unnest(%b::uuid[], %b::uuid[], %b::text[], %b::timestamptz[], %b::text[]) WITH ORDINALITY
       AS event (org_id, id, type, occurred_at, data, place)
 ORDER BY place
"""


async def insert_missing(conn: Connection, events: Sequence[Event]) -> None:
    """Write those that are not stored yet, so that their order is the order of `events`."""
    await _write(conn, f"{_INSERT} ON CONFLICT DO NOTHING", events)


async def insert(conn: Connection, events: Sequence[Event]) -> None:
    """Write the events so that their order is the order of `events`.

    Raises psycopg.errors.UniqueViolation where one is stored already: an event is never doubled.
    """
    await _write(conn, _INSERT, events)


async def _write(conn: Connection, statement: LiteralString, events: Sequence[Event]) -> None:
    if events:
        await conn.execute(statement, [list(column) for column in zip(*events, strict=True)])
