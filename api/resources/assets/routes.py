"""Assets: what carries a tracker.

Where an asset is, and in which zones, moves by itself: it is no part of the asset that a change is
held against, and is shown where `include` asks for it.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, no_content, ok
from api.http.problems import conflict, not_found
from api.request.access import Dispatcher, Reader
from api.request.paging import ListOf, Page, Total
from api.request.references import check_filter_ids, check_references
from api.request.route import TenantRoute
from api.resources.assets.bodies import (
    AssetChange,
    AssetFilters,
    AssetItem,
    Include,
    NewAsset,
    asset_item,
    changed_asset,
    included,
    new_asset,
)
from db.core.connect import Connection
from db.core.registry_revision import bump
from db.core.table import instant
from db.resources import assets, trackers
from db.resources.assets import Asset
from db.resources.clients import clients
from db.resources.sites import sites

router = APIRouter(prefix="/v1/assets", tags=["assets"], route_class=TenantRoute)
_AssetPath = Annotated[fields.AssetId, Path(alias="id")]
# What fixes are judged by, and what events say of an asset: the others are none of ingest's.
_JUDGED = frozenset({"name", "asset_class", "tags"})


class AssetQuery(AssetFilters):
    """The filters of assets, and what to show of them."""

    include: Include = None


class OneAssetQuery(fields.Query):
    """The parts of an asset to show."""

    include: Include = None


@router.get("", operation_id="listAssets", response_model=ListOf[AssetItem])
async def list_assets(access: Reader, query: Annotated[AssetQuery, Query()]) -> Response:
    """List assets, newest first."""
    page = Page(access, query, "assets", query.order.key_type)
    wanted = query.wanted()
    async with access.transaction() as conn:
        await check_filter_ids(
            conn, client_id=query.client_id, site_id=query.site_id, zone_id=query.zone_id
        )
        total = page.total or Total(await assets.count(conn, wanted))
        rows = await assets.listing(
            conn,
            wanted,
            order=query.order,
            after=page.after,
            limit=page.fetch_limit,
            offset=page.fetch_offset,
        )
        more = await included(conn, query.include, [row.id for row in rows])
    return page.response(
        rows,
        total,
        key=query.order.key,
        item=asset_item if query.include is None else lambda row: asset_item(row) | more[row.id],
    )


@router.post("", operation_id="createAsset", status_code=201, response_model=AssetItem)
async def create_asset(access: Dispatcher, body: Annotated[NewAsset, Body()]) -> Response:
    """Create an asset."""
    async with access.transaction() as conn:
        await check_references(conn, client_id=body.client_id, site_id=body.site_id)
        asset = new_asset(body, await instant(conn))
        await assets.insert(conn, asset)
    return created(asset_item(asset), router.prefix)


@router.get("/{id}", operation_id="getAsset", response_model=AssetItem)
async def get_asset(
    access: Reader, asset_id: _AssetPath, query: Annotated[OneAssetQuery, Query()]
) -> Response:
    """Return one asset."""
    async with access.transaction() as conn:
        asset = await _found(conn, asset_id)
        more = await included(conn, query.include, [asset_id])
    return ok(asset_item(asset) | more[asset_id])


@router.patch("/{id}", operation_id="updateAsset", response_model=AssetItem)
async def update_asset(
    access: Dispatcher, asset_id: _AssetPath, body: Annotated[AssetChange, Body()]
) -> Response:
    """Change the fields that are given."""
    revision = None
    async with access.transaction() as conn:
        await check_references(conn, client_id=body.client_id, site_id=body.site_id)
        if body.model_fields_set & _JUDGED:
            revision, at = await bump(conn)
        else:
            at = await instant(conn)
        await assets.lock(conn, asset_id)
        asset = await _found(conn, asset_id)
        access.check_unchanged(asset_item(asset))
        changed = changed_asset(asset, body, at)
        if changed != asset:
            changed = changed._replace(updated_at=at)
            await assets.update(conn, changed, revision)
        if changed.tags != asset.tags:
            assert revision is not None  # tags are among what is judged by
            await assets.change_tags(conn, asset_id, changed.tags, at, revision)
    return ok(asset_item(changed))


@router.delete("/{id}", operation_id="deleteAsset", status_code=204)
async def delete_asset(access: Dispatcher, asset_id: _AssetPath) -> Response:
    """Delete an asset, off its tracker. What is known of it stays, and it can be restored."""
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        await assets.lock(conn, asset_id)
        asset = await _found(conn, asset_id)
        access.check_unchanged(asset_item(asset))
        if asset.tracker_id is not None:
            await trackers.end_assignment(
                conn, tracker_id=asset.tracker_id, assigned_to=at, revision=revision
            )
        await assets.update(conn, asset._replace(updated_at=at, deleted_at=at), revision)
    return no_content()


@router.post("/{id}/restore", operation_id="restoreAsset", response_model=AssetItem)
async def restore_asset(access: Dispatcher, asset_id: _AssetPath) -> Response:
    """Restore a deleted asset, without a tracker, unless its client or site is deleted."""
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        await assets.lock(conn, asset_id)
        asset = await _found(conn, asset_id, deleted=True)
        access.check_unchanged(asset_item(asset))
        if asset.deleted_at is not None:
            await _check_owner(conn, asset)
            asset = asset._replace(updated_at=at, deleted_at=None)
            await assets.update(conn, asset, revision)
    return ok(asset_item(asset))


async def _check_owner(conn: Connection, asset: Asset) -> None:
    """Raise Problem (409) where the asset's client or site is deleted."""
    if asset.client_id is not None and not await clients.held(conn, [asset.client_id]):
        raise conflict("client_deleted", "The asset's client is deleted: restore it first.")
    if asset.site_id is not None and not await sites.held(conn, [asset.site_id]):
        raise conflict("site_deleted", "The asset's site is deleted: restore it first.")


async def _found(conn: Connection, asset_id: UUID, *, deleted: bool = False) -> Asset:
    """Find an asset. `deleted`: also find soft-deleted assets."""
    asset = await assets.find(conn, asset_id)
    if asset is None or (asset.deleted_at is not None and not deleted):
        raise not_found("asset")
    return asset
