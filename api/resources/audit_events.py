"""Audit events: who changed what, for administrators.

The database writes one for each row that somebody made, changed or removed. The API can only read
them.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema
from starlette.responses import Response

from api.auth.caller import Via
from api.http import fields
from api.http.encoding import id_text, optional_id_text, time_text
from api.http.problems import Fault, not_found
from api.request.access import Admin
from api.request.paging import ListOf, ListQuery, Page
from api.request.references import check_filters
from api.request.route import TenantRoute
from api.resources.audit_changes import shown_changes
from db.requests import audit
from db.requests.audit import AuditEvent, AuditFilter, AuditKey
from db.resources.kinds import KINDS
from telemetry.ids import parse_id

router = APIRouter(prefix="/v1/audit-events", tags=["audit-events"], route_class=TenantRoute)

_AUDITED = {kind.name: kind for kind in KINDS.values() if kind.is_audited}
_BY_PREFIX = {kind.prefix: kind for kind in _AUDITED.values()}

if TYPE_CHECKING:
    ResourceType: TypeAlias = str
else:
    ResourceType = Literal[tuple(_AUDITED)]


def _read_any_id(value: object) -> UUID:
    if isinstance(value, str):
        kind = _BY_PREFIX.get(value.partition("_")[0])
        if kind is not None:
            return parse_id(kind.prefix, value)
    raise ValueError("must be an id, like ast_01jd8x0k2m4n6p8q0r2s4t6v8w")


_ANY_ID = {
    "type": "string",
    "pattern": f"^({'|'.join(sorted(_BY_PREFIX))})_[0-7][0-9a-hjkmnp-tv-z]{{25}}$",
    "maxLength": 30,
    "examples": ["ast_01jd8x0k2m4n6p8q0r2s4t6v8w"],
}
AnyId = Annotated[UUID, BeforeValidator(_read_any_id), WithJsonSchema(_ANY_ID)]


class Change(BaseModel):
    """A change of one column, with ids as everywhere in the API. Of a value over 8 KiB the bytes
    and the hash stand in its place.
    """

    old: Any = None
    new: Any = None
    secret: bool = Field(default=False, description="it is a secret: only that it changed is known")


class AuditEventItem(BaseModel):
    """One row that was made, changed or removed."""

    seq: fields.Count = Field(description="later changes have higher ones; numbers are left out")
    occurred_at: datetime
    user_id: fields.UserId | None = Field(description="who; null: the system or its operator")
    via: Via | None
    credential_id: AnyId | None = Field(description="by which API key or sign-in")
    key_made_by: fields.UserId | None = Field(
        description="who made that API key or rotated it last; null: by no key, or not known"
    )
    request_id: Annotated[str | None, fields.text(64, "0f8fad5bd9cb469fa16570867728950e")]
    resource_type: ResourceType
    resource_id: AnyId
    table: Annotated[str, fields.text(63, "assets", "^[a-z_]+$")] = Field(
        description="a resource may have parts: the tags of an asset, the versions of a zone"
    )
    action: Literal["insert", "update", "delete"]
    changes: dict[str, Change]


class AuditQuery(ListQuery):
    """Events that occurred in [from, to)."""

    resource_type: ResourceType | None = None
    resource_id: AnyId | None = None
    user_id: Annotated[fields.UserId | None, Field(description="who made the change")] = None
    since: Annotated[fields.Time | None, Field(alias="from")] = None
    until: Annotated[fields.Time | None, Field(alias="to")] = None


@router.get("", operation_id="listAuditEvents", response_model=ListOf[AuditEventItem])
async def list_audit_events(access: Admin, query: Annotated[AuditQuery, Query()]) -> Response:
    """List what was changed, newest first."""
    page = Page(access, query, "audit-events", AuditKey)
    wanted = AuditFilter(
        query.resource_type, query.resource_id, query.user_id, query.since, query.until
    )
    async with access.transaction() as conn:
        await check_filters(conn, query)
        if query.resource_id is not None and not await audit.is_known(conn, query.resource_id):
            fault = Fault("There is no such resource.", parameter="resource_id")
            raise not_found("resource", fault=fault)
        total = await page.counted(conn, audit.count, wanted)
        rows = await audit.listing(
            conn, wanted, after=page.after, limit=page.fetch_limit, offset=page.fetch_offset
        )
    return await page.response(rows, total, key=lambda row: AuditKey(row.seq), item=_item)


def _item(event: AuditEvent) -> dict[str, Any]:
    return {
        "seq": event.seq,
        "occurred_at": time_text(event.occurred_at),
        "user_id": optional_id_text("usr", event.user_id),
        "via": event.via,
        "credential_id": optional_id_text(
            "key" if event.via == "api_key" else "sgn", event.credential_id
        ),
        "key_made_by": optional_id_text("usr", event.key_made_by),
        "request_id": event.request_id,
        "resource_type": event.resource_type,
        "resource_id": id_text(_AUDITED[event.resource_type].prefix, event.resource_id),
        "table": event.table_name,
        "action": event.action,
        "changes": shown_changes(event),
    }
