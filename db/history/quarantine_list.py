"""Quarantine as people work through it: list, release, delete.

Runs as the API for a tenant, or as the operator, who sees only messages without an organization.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.listing import Columns, Conditions, FilteredList
from db.history import inbox
from db.history.inbox import NewMessage

_COLUMNS = sql.SQL(
    "id, tracker_id, topic, reason, detail, positions, payload_bytes, payload_sha256,"
    " payload IS NOT NULL, counts_only, seen, releases, released_at, first_received_at,"
    " last_received_at"
)

Released = Literal["released", "not found", "waiting", "not kept"]


class QuarantinedMessage(NamedTuple):
    """One row, without its payload. released_at: set while it waits to be judged again."""

    id: UUID
    tracker_id: UUID | None
    topic: str
    reason: str
    detail: str
    positions: list[int]
    payload_bytes: int
    payload_sha256: bytes
    payload_kept: bool
    counts_only: bool
    seen: int
    releases: int
    released_at: datetime | None
    first_received_at: datetime
    last_received_at: datetime

    @property
    def is_punch(self) -> bool:
        """Whether it came as a punch of somebody."""
        return self.topic.endswith("/punches")


@dataclass(frozen=True, slots=True)
class QuarantineFilter:
    """A filter of rows; last received in [since, until). punches: those are among them."""

    reason: str | None = None
    tracker_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    punches: bool = True

    def conditions(self) -> Conditions:
        conditions = Conditions()
        if self.reason is not None:
            conditions.add("reason = %(reason)s", reason=self.reason)
        if self.tracker_id is not None:
            conditions.add("tracker_id = %(tracker_id)s", tracker_id=self.tracker_id)
        if self.since is not None:
            conditions.add("last_received_at >= %(since)s", since=self.since)
        if self.until is not None:
            conditions.add("last_received_at < %(until)s", until=self.until)
        if not self.punches:
            conditions.add("topic NOT LIKE '%%/punches'")
        return conditions


MESSAGES = FilteredList(
    QuarantinedMessage, _COLUMNS, "quarantine", Columns(time="last_received_at")
)


async def find(conn: Connection, row_id: UUID, *, lock: bool = False) -> QuarantinedMessage | None:
    """Return the row of this id. lock: lock the row until the transaction ends."""
    statement = sql.SQL("SELECT {} FROM quarantine WHERE id = %s {}").format(
        _COLUMNS, sql.SQL("FOR UPDATE" if lock else "")
    )
    async with conn.cursor(row_factory=args_row(QuarantinedMessage)) as cursor:
        await cursor.execute(statement, (row_id,))
        return await cursor.fetchone()


async def payload(conn: Connection, row_id: UUID) -> bytes | None:
    """Return the bytes of a row, as far as they are kept."""
    cursor = await conn.execute("SELECT payload FROM quarantine WHERE id = %s", (row_id,))
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def release(conn: Connection, row_id: UUID) -> Released:
    """Hand the message to ingest once more; the row waits for what becomes of it."""
    cursor = await conn.execute(
        "SELECT org_id, topic, payload, released_at FROM quarantine WHERE id = %s FOR UPDATE",
        (row_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        return "not found"
    org_id, topic, kept, released_at = row
    if released_at is not None:
        return "waiting"
    if kept is None:
        return "not kept"
    await inbox.put(conn, NewMessage(org_id, topic, kept, row_id))
    await conn.execute(
        "UPDATE quarantine SET released_at = now(), releases = releases + 1 WHERE id = %s",
        (row_id,),
    )
    return "released"


async def drop(conn: Connection, row_id: UUID) -> Literal["dropped", "not found", "waiting"]:
    """Remove a row for ever, unless it waits to be judged again."""
    cursor = await conn.execute(
        "DELETE FROM quarantine WHERE id = %s AND released_at IS NULL", (row_id,)
    )
    if cursor.rowcount:
        return "dropped"
    return "not found" if await find(conn, row_id) is None else "waiting"
