"""Clients: whom the organization works for."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.table import Table
from operations.work_orders.states import OPEN


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


clients = Table("clients", Client, has_row_count=True)


async def is_in_use(conn: Connection, client_id: UUID) -> bool:
    """Return whether a site, an asset or a quote that is not deleted is the client's, or a work
    order that has not ended.
    """
    return await value_of(
        conn,
        """
        SELECT EXISTS (SELECT FROM sites WHERE client_id = %(id)s AND deleted_at IS NULL)
            OR EXISTS (SELECT FROM assets WHERE client_id = %(id)s AND deleted_at IS NULL)
            OR EXISTS (SELECT FROM quotes WHERE client_id = %(id)s AND deleted_at IS NULL)
            OR EXISTS (SELECT FROM work_orders WHERE client_id = %(id)s AND deleted_at IS NULL
                          AND state = ANY (%(open)s))
        """,
        {"id": client_id, "open": list(OPEN)},
    )
