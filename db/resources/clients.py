"""Clients: whom the organization works for."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.listing import Conditions
from db.core.table import Table


class Client(NamedTuple):
    """One row."""

    id: UUID
    name: str
    external_id: str | None
    email: str | None
    phone: str | None
    address: str | None
    notes: str | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


clients = Table("clients", Client)


@dataclass(frozen=True, slots=True)
class ClientFilter:
    """A filter of clients. name_prefix: the first letters. deleted: only soft-deleted clients.
    name_prefix: the first letters. deleted: those that are, instead.
    """

    external_id: str | None = None
    name_prefix: str | None = None
    deleted: bool = False

    def conditions(self) -> Conditions:
        conditions = Conditions()
        conditions.add_deleted(self.deleted)
        conditions.add_equal(external_id=self.external_id)
        conditions.add_name_prefix(self.name_prefix)
        return conditions


async def is_in_use(conn: Connection, client_id: UUID) -> bool:
    """Return whether a site or an asset that is not deleted is the client's."""
    cursor = await conn.execute(
        """
        SELECT EXISTS (SELECT FROM sites WHERE client_id = %(id)s AND deleted_at IS NULL)
            OR EXISTS (SELECT FROM assets WHERE client_id = %(id)s AND deleted_at IS NULL)
        """,
        {"id": client_id},
    )
    row = await cursor.fetchone()
    assert row is not None
    return row[0]
