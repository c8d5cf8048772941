"""Quarantine: what arrived and could not be stored, with the reason; to look at, release or drop.

A release hands the whole message to ingest once more, which judges it as if it arrived now.
"""

from base64 import b64encode
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import (
    accepted,
    no_content,
    ok,
    optional_id_text,
    optional_time_text,
    time_text,
)
from api.http.problems import Problem, conflict, forbidden, not_found
from api.request.access import Dispatcher, Reader
from api.request.paging import ListOf, ListQuery, Page, order_of
from api.request.references import check_filters
from api.request.route import TenantRoute
from db.core.connect import Connection
from db.core.listing import Order, RowKey
from db.history import quarantine_list
from db.history.quarantine_list import QuarantinedMessage, QuarantineFilter
from telemetry.ids import format_id
from telemetry.rejection import Reason

router = APIRouter(prefix="/v1/quarantine", tags=["quarantine"], route_class=TenantRoute)
_QuarantinePath = Annotated[fields.QuarantineId, Path(alias="id")]


class QuarantineItem(BaseModel):
    """A message that was refused, whole or in part, for one reason."""

    id: fields.QuarantineId
    tracker_id: fields.TrackerId | None
    topic: Annotated[str, fields.text(65_535, "trackers/trk_01jd8x0k2m4n6p8q0r2s4t6v8w/fixes")]
    reason: Reason
    detail: Annotated[str, fields.text(10_000, "lat is 91.0")] = Field(
        description="of the first fix that was refused"
    )
    positions: list[fields.Count] = Field(
        description="which fixes of an array; empty: the whole message", max_length=1_000
    )
    payload_bytes: fields.Count
    payload_sha256: str | None = Field(
        description="in hex; null where the row only counts",
        pattern="^[0-9a-f]{64}$",
        max_length=64,
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )
    payload_kept: bool = Field(description="up to 64 KiB are, of `refused_by_database` 512 KiB")
    counts_only: bool = Field(description="stands for messages beyond what is kept of a day")
    seen: fields.Count = Field(description="how often the same came")
    releases: fields.Count = Field(description="how often it was released and came back")
    released_at: datetime | None = Field(description="set while it waits to be judged again")
    first_received_at: datetime
    last_received_at: datetime


class QuarantineItemWithPayload(QuarantineItem):
    """The same with the message."""

    payload: str | None = Field(
        description="base64; null where it is not kept",
        pattern="^[A-Za-z0-9+/]*={0,2}$",
        max_length=100_000,
        examples=["eyJsYXQiOiA5MX0="],
    )


class QuarantineQuery(ListQuery):
    """Rows that were last received in [from, to)."""

    reason: Reason | None = None
    tracker_id: fields.TrackerId | None = None
    since: Annotated[fields.Time | None, Field(alias="from")] = None
    until: Annotated[fields.Time | None, Field(alias="to")] = None
    sort: Annotated[
        Literal["-last_received_at", "last_received_at"],
        Field(description="-: the last ones first"),
    ] = "-last_received_at"

    @property
    def order(self) -> Order:
        return order_of(self.sort)


@router.get("", operation_id="listQuarantinedMessages", response_model=ListOf[QuarantineItem])
async def list_quarantine(access: Reader, query: Annotated[QuarantineQuery, Query()]) -> Response:
    """List rejected messages, the last received first. Those with punches are for dispatchers and
    admins.
    """
    page = Page(access, query, "quarantine", RowKey)
    wanted = QuarantineFilter(
        query.reason, query.tracker_id, query.since, query.until, punches=access.sees_all
    )
    async with access.transaction() as conn:
        await check_filters(conn, query)
        rows, total = await page.read(conn, quarantine_list.MESSAGES, wanted, query.order)
    return await page.response(
        rows, total, key=lambda row: RowKey(row.last_received_at, row.id), item=_item
    )


@router.get("/{id}", operation_id="getQuarantinedMessage", response_model=QuarantineItemWithPayload)
async def get_quarantined(access: Reader, row_id: _QuarantinePath) -> Response:
    """Return one refused message, with what is kept of it."""
    async with access.transaction() as conn:
        row = await _found(conn, row_id)
        if row.is_punch and not access.sees_all:
            raise forbidden("Punches that were refused are for dispatchers and admins.")
        return ok(await _whole(conn, row))


@router.post(
    "/{id}/release",
    operation_id="releaseQuarantinedMessage",
    status_code=202,
    response_model=QuarantineItem,
)
async def release_quarantined(access: Dispatcher, row_id: _QuarantinePath) -> Response:
    """Release a message, which is judged again. The row goes once that is done, or comes back."""
    async with access.transaction() as conn:
        locked = await _found(conn, row_id, lock=True)
        access.check_unchanged(await _whole(conn, locked))
        result = await quarantine_list.release(conn, row_id)
        if result != "released":
            raise _refusal(result)
        row = await _found(conn, row_id)
    return accepted(_item(row))


@router.delete("/{id}", operation_id="deleteQuarantinedMessage", status_code=204)
async def drop_quarantined(access: Dispatcher, row_id: _QuarantinePath) -> Response:
    """Remove a refused message for ever."""
    async with access.transaction() as conn:
        locked = await _found(conn, row_id, lock=True)
        access.check_unchanged(await _whole(conn, locked))
        result = await quarantine_list.drop(conn, row_id)
    if result != "dropped":
        raise _refusal(result)
    return no_content()


def _refusal(result: str) -> Problem:
    if result == "waiting":
        return conflict(
            "release_waiting", "The message is already released and waits to be processed again."
        )
    if result == "not kept":
        return conflict(
            "payload_not_kept",
            "The payload was not kept, so the message cannot be processed again.",
        )
    return not_found("message in quarantine")


async def _found(conn: Connection, row_id: UUID, *, lock: bool = False) -> QuarantinedMessage:
    row = await quarantine_list.find(conn, row_id, lock=lock)
    if row is None:
        raise not_found("message in quarantine")
    return row


async def _whole(conn: Connection, row: QuarantinedMessage) -> dict[str, Any]:
    """Return a QuarantineItemWithPayload."""
    payload = await quarantine_list.payload(conn, row.id)
    return _item(row) | {"payload": None if payload is None else b64encode(payload).decode()}


def _item(row: QuarantinedMessage) -> dict[str, Any]:
    return {
        "id": format_id("qua", row.id),
        "tracker_id": optional_id_text("trk", row.tracker_id),
        "topic": row.topic,
        "reason": row.reason,
        "detail": row.detail,
        "positions": row.positions,
        "payload_bytes": row.payload_bytes,
        "payload_sha256": None if row.counts_only else row.payload_sha256.hex(),
        "payload_kept": row.payload_kept,
        "counts_only": row.counts_only,
        "seen": row.seen,
        "releases": row.releases,
        "released_at": optional_time_text(row.released_at),
        "first_received_at": time_text(row.first_received_at),
        "last_received_at": time_text(row.last_received_at),
    }
