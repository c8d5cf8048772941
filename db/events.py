"""Events as they are written: into the outbox, without a seq."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.connect import Connection


class Event(NamedTuple):
    """A row of `events`; `data` is JSON text."""

    org_id: UUID
    id: UUID
    type: str
    occurred_at: datetime
    data: str


async def insert_missing(conn: Connection, events: Sequence[Event]) -> None:
    """Writes those that are not stored yet, so that their order is the order of `events`."""
    if not events:
        return
    statement = """
        INSERT INTO events (org_id, id, type, occurred_at, data) VALUES (%s, %s, %s, %s, %s)
            ON CONFLICT DO NOTHING
        """
    async with conn.cursor() as cursor:
        await cursor.executemany(statement, events)


async def insert(conn: Connection, events: Sequence[Event]) -> None:
    """Writes the events so that their order is the order of `events`.

    Raises psycopg.errors.UniqueViolation where one is stored already: an event is never doubled.
    """
    if not events:
        return
    columns = "COPY events (org_id, id, type, occurred_at, data) FROM STDIN (FORMAT BINARY)"
    async with conn.cursor() as cursor, cursor.copy(columns) as copy:
        # JSON travels as its text: the type json would make a JSON string of it.
        copy.set_types(("uuid", "uuid", "text", "timestamptz", "text"))
        for event in events:
            await copy.write_row(event)
