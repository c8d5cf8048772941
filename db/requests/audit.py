"""Audit events: who changed what. A trigger of the database writes them; here they are read."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.listing import Conditions, PageRows, count_rows, page, read_page

_COLUMNS = sql.SQL(
    "seq, occurred_at, user_id, via, credential_id, request_id, resource_type, resource_id,"
    " table_name, action, changes::text,"
    " (SELECT made_by FROM api_keys AS key"
    " WHERE key.org_id = audit_events.org_id AND key.id = audit_events.credential_id"
    " AND audit_events.via = 'api_key')"
)


class AuditEvent(NamedTuple):
    """One row; `changes` is a JSON text: {column: {"old": ..., "new": ...}}. key_made_by: who knows
    the API key that was used, as far as that is known.
    """

    seq: int
    occurred_at: datetime
    user_id: UUID | None
    via: str | None
    credential_id: UUID | None
    request_id: str | None
    resource_type: str
    resource_id: UUID
    table_name: str
    action: str
    changes: str
    key_made_by: UUID | None


class AuditKey(NamedTuple):
    """The place of a row in the list: newest first."""

    seq: int


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """A filter of events; occurred in [since, until)."""

    resource_type: str | None = None
    resource_id: UUID | None = None
    user_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> Conditions:
        conditions = Conditions()
        if self.resource_type is not None:
            conditions.add("resource_type = %(resource_type)s", resource_type=self.resource_type)
        if self.resource_id is not None:
            conditions.add("resource_id = %(resource_id)s", resource_id=self.resource_id)
        if self.user_id is not None:
            conditions.add("user_id = %(user_id)s", user_id=self.user_id)
        if self.since is not None:
            conditions.add("occurred_at >= %(since)s", since=self.since)
        if self.until is not None:
            conditions.add("occurred_at < %(until)s", until=self.until)
        return conditions


async def listing(
    conn: Connection, wanted: AuditFilter, *, after: AuditKey | None, limit: int, offset: int
) -> PageRows[AuditEvent]:
    """Return a page, newest first: `limit` rows behind `after`, or behind the first `offset`."""
    conditions = wanted.conditions()
    cut = page(conditions, limit, offset)
    if after is not None:
        conditions.add("seq < %(seq)s", **after._asdict())
    statement = sql.SQL("SELECT {} FROM audit_events {} ORDER BY seq DESC {}").format(
        _COLUMNS, conditions.where(), cut
    )
    return await read_page(conn, AuditEvent, statement, conditions.values)


async def count(conn: Connection, wanted: AuditFilter, at_most: int) -> int:
    """Count the events; counting ends at `at_most`."""
    return await count_rows(conn, sql.SQL("audit_events"), wanted.conditions(), at_most)


async def is_known(conn: Connection, resource_id: UUID) -> bool:
    """Return whether the tenant has events of this resource."""
    cursor = await conn.execute(
        "SELECT FROM audit_events WHERE resource_id = %s LIMIT 1", (resource_id,)
    )
    return await cursor.fetchone() is not None
