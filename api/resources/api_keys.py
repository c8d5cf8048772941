"""API keys: for programs that act as a user without the user's password.

A key may what its owner may at that moment, or less where it has scopes, and ends with its owner.
The secret is shown once; what is kept is a hash and the last four characters.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query, Request
from pydantic import BaseModel, Field, StringConstraints
from starlette.responses import Response

from api.auth.caller import SCOPE_PATTERN
from api.http import fields
from api.http.encoding import (
    created,
    id_text,
    no_content,
    ok,
    optional_id_text,
    optional_time_text,
    time_text,
)
from api.http.problems import Fault, bad_field, not_found
from api.request.access import Access, Admin
from api.request.paging import ListOf, Page, SortedQuery, Total
from api.request.route import TenantRoute
from db.core.connect import Connection
from db.core.ids import new_id
from db.core.listing import RowKey
from db.core.secrets import API_KEY, new_secret, secret_hash
from db.identity import api_keys, users
from db.identity.api_keys import ApiKey
from db.resources.quotas import check_room

router = APIRouter(prefix="/v1/api-keys", tags=["api-keys"], route_class=TenantRoute)
_KeyPath = Annotated[fields.ApiKeyId, Path(alias="id")]
_Name = Annotated[fields.Name, Field(examples=["Nightly export"])]
_Scope = Annotated[
    str,
    StringConstraints(max_length=100),
    fields.shaped(SCOPE_PATTERN, "must be a resource or * with :read or :write, like assets:read"),
    Field(examples=["assets:read"], json_schema_extra={"pattern": SCOPE_PATTERN}),
]
_Scopes = Annotated[list[_Scope], Field(min_length=1, max_length=100)]
_MAX_OVERLAP_S = 30 * 86_400


class ApiKeyItem(BaseModel):
    """A key without its secret."""

    id: fields.ApiKeyId
    name: _Name
    user_id: fields.UserId = Field(description="as whom it acts")
    scopes: _Scopes | None = Field(description="null: all that the user may")
    last4: Annotated[str, fields.text(4, "R7iO", "^[A-Za-z0-9_-]{4}$")] = Field(
        description="the end of the secret"
    )
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="to the minute")
    previous_expires_at: datetime | None = Field(
        description="until when the secret before the last rotation is good"
    )
    made_by: fields.UserId | None = Field(
        description="who made or rotated it last, and so knows the secret. Nobody judges their own"
        " hours by a key that they made; null: not known"
    )


class NewApiKeyItem(ApiKeyItem):
    """A key with its secret: shown this once."""

    secret: str = Field(
        description="shown this once",
        pattern="^opsk_[A-Za-z0-9_-]{43}$",
        max_length=48,
        examples=["opsk_d9WQ0x3pT6yJ2m8rKfU1aVbC5nHsZeL4gXqYtR7iOwE"],
    )


class NewApiKey(fields.Body):
    """A new key."""

    name: _Name
    user_id: fields.UserId | None = Field(default=None, description="yourself unless given")
    scopes: _Scopes | None = None
    expires_at: fields.Time | None = Field(default=None, examples=["2099-01-01T00:00:00Z"])


class ScopesItem(BaseModel):
    """The scopes that exist."""

    scopes: list[Annotated[str, fields.text(100, "assets:read", SCOPE_PATTERN)]] = Field(
        max_length=1_000
    )


class Rotation(fields.Body):
    """The manner of a rotation."""

    expires_previous_in_s: Annotated[int, Field(ge=0, le=_MAX_OVERLAP_S), fields.WHOLE] = Field(
        default=0, description="for so long the secret before is good too", examples=[3600]
    )


@router.get("", operation_id="listApiKeys", response_model=ListOf[ApiKeyItem])
async def list_keys(access: Admin, query: Annotated[SortedQuery, Query()]) -> Response:
    """List keys that were not revoked, newest first."""
    page = Page(access, query, "api-keys", RowKey)
    async with access.transaction() as conn:
        total = page.total or Total(await api_keys.count(conn))
        rows = await api_keys.listing(
            conn,
            order=query.order,
            after=page.after,
            limit=page.fetch_limit,
            offset=page.fetch_offset,
        )
    return await page.response(
        rows, total, key=lambda row: RowKey(row.created_at, row.id), item=_item
    )


@router.post("", operation_id="createApiKey", status_code=201, response_model=NewApiKeyItem)
async def create_key(
    request: Request, access: Admin, body: Annotated[NewApiKey, Body()]
) -> Response:
    """Create a key; the answer has its secret."""
    at, secret = datetime.now(UTC), new_secret(API_KEY)
    _check(body, request.app.state.scopes, at)
    key = ApiKey(
        id=new_id(),
        user_id=body.user_id or access.caller.user_id,
        name=body.name,
        scopes=None if body.scopes is None else sorted(set(body.scopes)),
        last4=secret[-4:],
        previous_expires_at=None,
        created_at=at,
        updated_at=at,
        expires_at=body.expires_at,
        last_used_at=None,
        made_by=access.caller.maker_id or access.caller.user_id,
    )
    async with access.transaction() as conn:
        owner = await users.table.find(conn, key.user_id, lock=True)
        if owner is None or not owner.is_active:
            fault = Fault("There is no such active user.", pointer="/user_id")
            raise not_found("user", fault=fault)
        await check_room(conn, "api_keys")
        await api_keys.insert(conn, key, secret_hash(secret))
    return created(_item(key), router.prefix, once={"secret": secret})


@router.get("/scopes", operation_id="getApiKeyScopes", response_model=ScopesItem)
async def get_scopes(request: Request, access: Admin) -> Response:
    """Return the scopes that a key can have."""
    return ok({"scopes": sorted(request.app.state.scopes)})


@router.get("/{id}", operation_id="getApiKey", response_model=ApiKeyItem)
async def get_key(access: Admin, key_id: _KeyPath) -> Response:
    """Return one key."""
    async with access.transaction() as conn:
        key = await api_keys.find(conn, key_id)
    if key is None:
        raise not_found("API key")
    return ok(_item(key))


@router.post("/{id}/rotate", operation_id="rotateApiKey", response_model=NewApiKeyItem)
async def rotate_key(
    access: Admin, key_id: _KeyPath, body: Annotated[Rotation, Body()]
) -> Response:
    """Rotate the key's secret. The one before ends within two seconds, or later where that is asked
    for.
    """
    secret = new_secret(API_KEY)
    overlap = timedelta(seconds=body.expires_previous_in_s)
    async with access.transaction() as conn:
        await _held(access, conn, key_id)
        maker = access.caller.maker_id or access.caller.user_id
        key = await api_keys.rotate(conn, key_id, secret_hash(secret), secret[-4:], overlap, maker)
    return ok(_item(key), once={"secret": secret})


@router.post("/{id}/revoke", operation_id="revokeApiKey", status_code=204)
@router.delete("/{id}", operation_id="deleteApiKey", status_code=204, deprecated=True)  # until 1.0
async def revoke_key(access: Admin, key_id: _KeyPath) -> Response:
    """Revoke a key for good; it is refused everywhere within two seconds, and not listed."""
    async with access.transaction() as conn:
        await _held(access, conn, key_id)
        await api_keys.revoke(conn, key_id)
    return no_content()


async def _held(access: Access, conn: Connection, key_id: UUID) -> None:
    key = await api_keys.find(conn, key_id, lock=True)
    if key is None:
        raise not_found("API key")
    access.check_unchanged(_item(key))


def _check(body: NewApiKey, known: frozenset[str], at: datetime) -> None:
    for number, scope in enumerate(body.scopes or ()):
        if scope not in known:
            names = ", ".join(sorted(known))
            raise bad_field(f"/scopes/{number}", f"There is no such scope. Scopes: {names}.")
    if body.expires_at is not None and body.expires_at <= at:
        raise bad_field("/expires_at", "It must lie in the future.")


def _item(key: ApiKey) -> dict[str, Any]:
    return {
        "id": id_text("key", key.id),
        "name": key.name,
        "user_id": id_text("usr", key.user_id),
        "scopes": key.scopes,
        "last4": key.last4,
        "created_at": time_text(key.created_at),
        "updated_at": time_text(key.updated_at),
        "expires_at": optional_time_text(key.expires_at),
        "last_used_at": optional_time_text(key.last_used_at),
        "previous_expires_at": optional_time_text(key.previous_expires_at),
        "made_by": optional_id_text("usr", key.made_by),
    }
