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
from api.request.access import Access, Dispatcher, Reader
from api.request.paging import ListOf
from api.request.references import (
    check_in_no_open_order,
    check_owners,
    check_references,
)
from api.request.resource import Resource
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
from db.core.table import db_now
from db.resources import assets, trackers
from db.resources.assets import Asset
from db.resources.kinds import KINDS
from db.resources.quotas import check_room

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


_assets = Resource(assets.table, asset_item, included=included)


@router.get("", operation_id="listAssets", response_model=ListOf[AssetItem])
async def list_assets(access: Reader, query: Annotated[AssetQuery, Query()]) -> Response:
    """List assets, newest first."""
    return await _assets.list(access, query)


@router.post("", operation_id="createAsset", status_code=201, response_model=AssetItem)
async def create_asset(access: Dispatcher, body: Annotated[NewAsset, Body()]) -> Response:
    """Create an asset."""
    async with access.transaction() as conn:
        await check_references(conn, body)
        asset = new_asset(body, await check_room(conn, "assets"))
        await assets.insert(conn, asset)
    return created(asset_item(asset), router.prefix)


@router.get("/{id}", operation_id="getAsset", response_model=AssetItem)
async def get_asset(
    access: Reader, asset_id: _AssetPath, query: Annotated[OneAssetQuery, Query()]
) -> Response:
    """Return one asset."""
    return await _assets.get(access, asset_id, query)


@router.patch("/{id}", operation_id="updateAsset", response_model=AssetItem)
async def update_asset(
    access: Dispatcher, asset_id: _AssetPath, body: Annotated[AssetChange, Body()]
) -> Response:
    """Change the fields that are given."""
    revision = None
    async with access.transaction() as conn:
        await check_references(conn, body)
        if body.model_fields_set & _JUDGED:
            revision, at = await bump(conn)
        else:
            at = await db_now(conn)
        asset = await _locked(access, conn, asset_id)
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
    """Delete an asset that no work order names which has not ended, off its tracker. What is known
    of it stays, and it can be restored.
    """
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        asset = await _locked(access, conn, asset_id)
        await check_in_no_open_order(conn, "assets", asset_id, "are about it")
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
        asset = await _locked(access, conn, asset_id, deleted=True)
        if asset.deleted_at is not None:
            await check_owners(conn, KINDS["asset"], asset, ["client", "site"])
            asset = asset._replace(updated_at=at, deleted_at=None)
            await assets.update(conn, asset, revision)
    return ok(asset_item(asset))


async def _locked(
    access: Access, conn: Connection, asset_id: UUID, *, deleted: bool = False
) -> Asset:
    """Find an asset that is as the client knows it, and stays so. deleted: also a soft-deleted one.
    Raises Problem (404, 412).
    """
    await assets.lock(conn, asset_id)
    asset = await _assets.found(conn, asset_id, deleted=deleted)
    access.check_unchanged(asset_item(asset))
    return asset
