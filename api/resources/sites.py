"""Sites: places of clients, or of the organization's own, with the zone that is their geofence.

Deleting and restoring are as those of clients. A zone that is deleted stays named by its sites
until they are given another.
"""

from typing import Annotated

from pydantic import Field

from api.http import fields
from api.request.paging import SortedByNameQuery
from api.request.plain_resource import plain_resource
from api.request.resource import Resource, item_of
from db.resources import sites as table
from operations.errors import check_together

_Name = Annotated[fields.Name, Field(examples=["North quarry"])]
_ExternalId = Annotated[fields.ExternalId, Field(examples=["S-17"])]


class SiteItem(fields.StoredItem):
    """A site."""

    id: fields.SiteId
    client_id: fields.ClientId | None = Field(description="null: the organization's own")
    zone_id: fields.ZoneId | None = Field(description="its geofence")
    name: _Name
    external_id: _ExternalId | None = Field(description="the organization's own id of it, unique")
    address: fields.Address | None
    lat: fields.Latitude | None
    lon: fields.Longitude | None
    notes: fields.Notes | None


class NewSite(fields.Body):
    """A new site. `lat` and `lon` go together."""

    name: _Name
    client_id: fields.ClientId | None = None
    zone_id: fields.ZoneId | None = None
    external_id: _ExternalId | None = None
    address: fields.Address | None = None
    lat: fields.Latitude | None = None
    lon: fields.Longitude | None = None
    notes: fields.Notes | None = None


class SiteChange(NewSite):
    """The fields to change."""

    name: _Name = Field(default_factory=fields.absent)


class SiteQuery(SortedByNameQuery):
    """The filters of sites."""

    client_id: fields.ClientId | None = None
    zone_id: fields.ZoneId | None = None
    external_id: _ExternalId | None = None
    q: fields.NamePrefix | None = None
    deleted: Annotated[bool, Field(description="those that are deleted, instead")] = False


_sites = Resource(
    table.sites,
    item_of(SiteItem),
    check=lambda site: check_together(site, "lat", "lon"),
    is_in_use=table.is_in_use,
    in_use="Assets are at the site, or work orders that have not ended.",
    owners=["client"],
)
router = plain_resource(
    _sites,
    SiteItem,
    NewSite,
    SiteChange,
    SiteQuery,
    delete="Delete a site at which no asset is, and no work order that has not ended."
    " It can be restored.",
    restore="Restore a deleted site, unless its client is deleted.",
)
