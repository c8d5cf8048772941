"""Versions of all zones: what was in force over some time, for maps of then."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from api.http import fields
from api.request.access import Reader
from api.request.paging import ListOf, ListQuery, Page
from api.request.route import TenantRoute
from api.resources.zones.bodies import ZoneVersionItem, zone_version_item
from db.core.listing import RowKey
from db.resources.zones import ALL_VERSIONS, SpanFilter

router = APIRouter(prefix="/v1/zones/versions", tags=["zones"], route_class=TenantRoute)


class VersionQuery(ListQuery):
    """Versions that were in force at some time in [from, to)."""

    since: Annotated[fields.Time | None, Field(alias="from")] = None
    until: Annotated[fields.Time | None, Field(alias="to")] = None


@router.get("", operation_id="listVersionsOfZones", response_model=ListOf[ZoneVersionItem])
async def list_versions_of_zones(
    access: Reader, query: Annotated[VersionQuery, Query()]
) -> Response:
    """List versions of all zones, also of deleted ones, the newest first."""
    page = Page(access, query, "zones/versions", RowKey)
    wanted = SpanFilter(query.since, query.until)
    async with access.transaction() as conn:
        rows, total = await page.read(conn, ALL_VERSIONS, wanted)
    return await page.response(
        rows, total, key=lambda row: RowKey(row.valid_from, row.zone_id), item=zone_version_item
    )
