"""Assets: what carries a tracker."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api import fields
from api.access import Dispatcher, Reader
from api.paging import ListOf, ListQuery, Page, Total
from api.problems import not_found
from api.routes import TenantRoute
from api.wire import created, id_text, ok, time_text
from db import assets
from db.assets import Asset, AssetKey
from db.ids import new_id
from db.revision import bump

router = APIRouter(prefix="/v1/assets", tags=["assets"], route_class=TenantRoute)
_AssetPath = Annotated[fields.AssetId, Path(alias="id")]


AssetClass = Literal["vehicle", "aircraft", "vessel", "person", "other"]


class AssetItem(BaseModel):
    """An asset."""

    id: fields.AssetId
    name: fields.Name
    external_id: fields.ExternalId | None = Field(
        description="the organization's own id of it, unique"
    )
    make: fields.Name | None
    model: fields.Name | None
    asset_class: AssetClass = Field(description="decides which speeds are held to be possible")
    tags: fields.Tags = Field(description="what zones may choose assets by, in order")
    created_at: datetime
    updated_at: datetime


class NewAsset(fields.Body):
    """A new asset."""

    name: fields.Name
    external_id: fields.ExternalId | None = None
    make: fields.Name | None = None
    model: fields.Name | None = None
    asset_class: AssetClass = "other"
    tags: fields.Tags = Field(default_factory=list)


class AssetChange(fields.Body):
    """The fields to change."""

    name: fields.Name = Field(default_factory=fields.absent)
    external_id: fields.ExternalId | None = None
    make: fields.Name | None = None
    model: fields.Name | None = None
    asset_class: AssetClass = Field(default_factory=fields.absent)
    tags: fields.Tags = Field(default_factory=fields.absent)


@router.get("", operation_id="listAssets", response_model=ListOf[AssetItem])
async def list_assets(access: Reader, query: Annotated[ListQuery, Query()]) -> Response:
    """Assets, newest first."""
    page = Page(access, query, "assets", AssetKey)
    async with access.transaction() as conn:
        total = page.total or Total(await assets.count(conn))
        rows = await assets.listing(
            conn, after=page.after, limit=page.fetch_limit, offset=page.fetch_offset
        )
    return page.response(rows, total, key=lambda row: AssetKey(row.created_at, row.id), item=_item)


@router.post("", operation_id="createAsset", status_code=201, response_model=AssetItem)
async def create_asset(access: Dispatcher, body: Annotated[NewAsset, Body()]) -> Response:
    """A new asset."""
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        asset = Asset(
            id=new_id(),
            name=body.name,
            external_id=body.external_id,
            make=body.make,
            model=body.model,
            asset_class=body.asset_class,
            tags=_in_order(body.tags),
            created_at=at,
            updated_at=at,
        )
        await assets.insert(conn, asset, revision)
    return created(_item(asset), router.prefix)


@router.get("/{id}", operation_id="getAsset", response_model=AssetItem)
async def get_asset(access: Reader, asset_id: _AssetPath) -> Response:
    """One asset."""
    async with access.transaction() as conn:
        asset = await assets.find(conn, asset_id)
    if asset is None:
        raise not_found("asset")
    return ok(_item(asset))


@router.patch("/{id}", operation_id="updateAsset", response_model=AssetItem)
async def update_asset(
    access: Dispatcher, asset_id: _AssetPath, body: Annotated[AssetChange, Body()]
) -> Response:
    """Changes the fields that are given."""
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        asset = await assets.find(conn, asset_id)
        if asset is None:
            raise not_found("asset")
        access.check_unchanged(_item(asset))
        changed = asset._replace(**_changes(body))
        if changed != asset:
            changed = changed._replace(updated_at=at)
            await assets.update(conn, changed, revision)
        if changed.tags != asset.tags:
            await assets.change_tags(conn, asset_id, changed.tags, at, revision)
    return ok(_item(changed))


def _changes(body: AssetChange) -> dict[str, Any]:
    changes = body.given()
    if "tags" in changes:
        changes["tags"] = _in_order(body.tags)
    return changes


def _in_order(tags: list[str]) -> list[str]:
    return sorted(set(tags))


def _item(asset: Asset) -> dict[str, Any]:
    return {
        "id": id_text("ast", asset.id),
        "name": asset.name,
        "external_id": asset.external_id,
        "make": asset.make,
        "model": asset.model,
        "asset_class": asset.asset_class,
        "tags": asset.tags,
        "created_at": time_text(asset.created_at),
        "updated_at": time_text(asset.updated_at),
    }
