"""Sites: places of clients, or of the organization's own, with the zone that is their geofence.

Deleting and restoring are as those of clients. A zone that is deleted stays named by its sites
until they are given another.
"""

from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import Field

from api.http import fields
from api.request.plain_resource import item_model, plain_resource
from api.request.resource import Resource, item_of
from db.core.table import Table
from db.resources.in_use import named_by
from operations.errors import check_together


class Site(NamedTuple):
    """A site."""

    id: fields.SiteId
    client_id: Annotated[fields.ClientId | None, Field(description="null: the organization's own")]
    zone_id: Annotated[fields.ZoneId | None, Field(description="its geofence")]
    name: Annotated[fields.Name, Field(examples=["North quarry"])]
    external_id: Annotated[
        Annotated[fields.ExternalId, Field(examples=["S-17"])] | None,
        Field(description="the organization's own id of it, unique"),
    ]
    address: fields.Address | None
    lat: fields.Latitude | None
    lon: fields.Longitude | None
    notes: fields.Notes | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


sites = Table("sites", Site, has_row_count=True)
SiteItem = item_model(Site)
router = plain_resource(
    Resource(
        sites,
        item_of(SiteItem),
        check=lambda site: check_together(site, "lat", "lon"),
        is_in_use=named_by("site_id", "assets", "work_orders"),
        in_use="Assets are at the site, or work orders that have not ended.",
        owners=["client"],
    ),
    SiteItem,
    filters=["client_id", "zone_id", "external_id"],
    new="A new site. `lat` and `lon` go together.",
    delete="Delete a site at which no asset is, and no work order that has not ended."
    " It can be restored.",
    restore="Restore a deleted site, unless its client is deleted.",
)
