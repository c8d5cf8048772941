"""Sites: places of clients, or of the organization's own, with the zone that is their geofence."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.listing import Conditions
from db.core.table import Table


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


sites = Table("sites", Site)


@dataclass(frozen=True, slots=True)
class SiteFilter:
    """A filter of sites. name_prefix: the first letters. deleted: only soft-deleted sites.
    name_prefix: the first letters. deleted: those that are, instead.
    """

    client_id: UUID | None = None
    zone_id: UUID | None = None
    external_id: str | None = None
    name_prefix: str | None = None
    deleted: bool = False

    def conditions(self) -> Conditions:
        conditions = Conditions()
        conditions.add_deleted(self.deleted)
        conditions.add_equal(
            client_id=self.client_id, zone_id=self.zone_id, external_id=self.external_id
        )
        conditions.add_name_prefix(self.name_prefix)
        return conditions


async def is_in_use(conn: Connection, site_id: UUID) -> bool:
    """Return whether an asset that is not deleted is at the site."""
    cursor = await conn.execute(
        "SELECT EXISTS (SELECT FROM assets WHERE site_id = %s AND deleted_at IS NULL)", (site_id,)
    )
    row = await cursor.fetchone()
    assert row is not None
    return row[0]
