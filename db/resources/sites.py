"""Sites: places of clients, or of the organization's own, with the zone that is their geofence."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.table import Table
from operations.work_orders.states import OPEN


class Site(NamedTuple):
    """One row. client_id None: the organization's own."""

    id: UUID
    client_id: UUID | None
    zone_id: UUID | None
    name: str
    external_id: str | None
    address: str | None
    lat: float | None
    lon: float | None
    notes: str | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


sites = Table("sites", Site, has_row_count=True)


async def is_in_use(conn: Connection, site_id: UUID) -> bool:
    """Return whether an asset that is not deleted is at the site, or a work order that has not
    ended.
    """
    return await value_of(
        conn,
        """
        SELECT EXISTS (SELECT FROM assets WHERE site_id = %(id)s AND deleted_at IS NULL)
            OR EXISTS (SELECT FROM work_orders WHERE site_id = %(id)s AND deleted_at IS NULL
                          AND state = ANY (%(open)s))
        """,
        {"id": site_id, "open": list(OPEN)},
    )
