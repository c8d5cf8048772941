"""The last positions of all assets: a list, or a map as GeoJSON (RFC 7946) where that
is accepted.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from api.http import fields
from api.request.access import Reader
from api.request.geojson import documented, listed
from api.request.paging import MAX_ROWS, ListOf, Page
from api.request.positions import asset_position, position_feature
from api.request.references import check_filters
from api.request.route import TenantRoute
from api.resources.assets.bodies import AssetFilters, PositionItem
from db.history import last_positions
from db.resources import assets

router = APIRouter(prefix="/v1/assets/positions", tags=["asset-positions"], route_class=TenantRoute)


class AssetPosition(BaseModel):
    """An asset and where it was last; null if no fix of the last 30 days shows it."""

    id: fields.AssetId
    name: fields.Name
    position: PositionItem | None


class PositionQuery(AssetFilters):
    """The filters of assets."""

    limit: Annotated[int, Field(ge=1, le=MAX_ROWS, description="rows of a page")] = MAX_ROWS


@router.get(
    "",
    operation_id="listAssetPositions",
    response_model=ListOf[AssetPosition],
    responses=documented("FeatureCollection"),
)
async def list_positions(
    request: Request, access: Reader, query: Annotated[PositionQuery, Query()]
) -> Response:
    """List the last position of every asset, assets newest first."""
    page = Page(access, query, "assets/positions", query.order.key_type)
    wanted = query.wanted()
    async with access.transaction() as conn:
        await check_filters(conn, query)
        rows, total = await page.read(conn, assets.table, wanted, query.order)
        positions = await last_positions.of_assets(conn, [row.id for row in rows])

    def item(row: assets.Asset) -> dict[str, Any]:
        return asset_position(row.id, row.name, positions.get(row.id))

    envelope = page.envelope(rows, total, key=query.order.key, item=item)
    return await listed(request, envelope, position_feature)
