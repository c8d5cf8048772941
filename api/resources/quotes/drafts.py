"""Quotes are made, changed while they are drafts, revised, deleted and restored."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Body
from pydantic import Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, ok
from api.http.problems import bad_field, conflict, forbidden
from api.request.access import Access, Admin, Dispatcher
from api.request.references import check_references
from api.request.route import TenantRoute
from api.resources.quotes.decisions import expired
from api.resources.quotes.listing import (
    QuoteDay,
    QuoteItem,
    QuotePath,
    QuoteTitle,
    QuoteUnit,
    in_turn,
    quote_item,
    quote_rows,
)
from api.resources.quotes.sending import check_newest, check_not_queued, queued
from db.core.connect import Connection
from db.core.numbers import next_number
from db.history import events
from db.quotes.quotes import QuoteRow, client_name, event_of, quotes
from db.resources.quotas import check_room
from geofence.event_data.quotes import QUOTE_CREATED
from operations.quotes.states import QUOTES, QuoteState, check_editable, check_revisable
from operations.quotes.sums import (
    MAX_LINES,
    MAX_QUANTITY_THOUSANDTHS,
    MAX_TOTAL_CENTS,
    MAX_UNIT_PRICE_CENTS,
    WHOLE_IN_BASIS_POINTS,
    QuoteLine,
    quote_sums,
)

router = APIRouter(prefix="/v1/quotes", tags=["quotes"], route_class=TenantRoute)
_MOST_REVISIONS = 100
_UNSENT: dict[str, Any] = {
    "state": "draft",
    **dict.fromkeys(("mail_state", "send_error", "sent_to", "sent_at", "viewed_at")),
    **dict.fromkeys(("decided_at", "decided_by", "decline_reason", "link_ended_at", "deleted_at")),
    "evidence": [],
    "work_order_id": None,
}
_Rate = Annotated[int, Field(ge=0, le=WHOLE_IN_BASIS_POINTS, examples=[810]), fields.WHOLE]


class NewQuoteLine(fields.Body):
    """A line."""

    description: Annotated[fields.Notes, Field(max_length=1_000, examples=["Excavation"])]
    quantity_thousandths: Annotated[
        int, Field(ge=1, le=MAX_QUANTITY_THOUSANDTHS, examples=[12_500]), fields.WHOLE
    ] = Field(description="12.5 is 12500")
    unit_price_cents: Annotated[
        int, Field(ge=0, le=MAX_UNIT_PRICE_CENTS, examples=[24_000]), fields.WHOLE
    ]
    discount_basis_points: _Rate = Field(default=0, description="5 percent is 500")
    tax_basis_points: _Rate = Field(default=0, description="8.1 percent is 810")
    part_id: fields.PartId | None = Field(
        default=None, description="the part that it sells, in the part's unit"
    )
    unit: QuoteUnit | None = Field(
        default=None, description="of the quantity, such as h, m or pcs; null: not shown"
    )


class NewQuote(fields.Body):
    """A new quote: a draft."""

    client_id: fields.ClientId
    title: QuoteTitle
    lines: Annotated[list[NewQuoteLine], Field(min_length=1, max_length=MAX_LINES)]
    currency: fields.Currency
    valid_until: QuoteDay = Field(description="the last day, in the organization's time zone")
    terms: fields.Notes | None = None
    notes: fields.Notes | None = Field(default=None, description="the customer sees them too")


class QuoteChange(NewQuote):
    """The fields to change. The content of a draft can change, and no other."""

    client_id: fields.ClientId = Field(default_factory=fields.absent)
    title: QuoteTitle = Field(default_factory=fields.absent)
    lines: Annotated[list[NewQuoteLine], Field(min_length=1, max_length=MAX_LINES)] = Field(
        default_factory=fields.absent
    )
    currency: fields.Currency = Field(default_factory=fields.absent)
    valid_until: QuoteDay = Field(default_factory=fields.absent)
    status: QuoteState = Field(
        default_factory=fields.absent,
        description="as the verb does that leads there; accept and decline need their own bodies",
    )


@router.post("", operation_id="createQuote", status_code=201, response_model=QuoteItem)
async def create_quote(access: Dispatcher, body: Annotated[NewQuote, Body()]) -> Response:
    """Create a quote, as a draft with the next number."""
    async with access.transaction() as conn:
        await check_references(conn, body)
        at = await check_room(conn, "quotes")
        columns = quote_columns(dict(body)) | {"revision": 1, "amounts_confirmed": True}
        columns["client_name"] = await client_name(conn, body.client_id)
        columns["number"] = await next_number(conn, "quote")
        row = await _insert(conn, access, columns, at)
    return created(quote_item(row), router.prefix)


@router.patch("/{id}", operation_id="updateQuote", response_model=QuoteItem)
async def update_quote(
    access: Dispatcher, quote_id: QuotePath, body: Annotated[QuoteChange, Body()]
) -> Response:
    """Change the content of a draft, or bring a quote to another status, as its verb does."""
    if "status" in body.model_fields_set:
        return await _brought_to(access, quote_id, body)
    return await _edited(access, quote_id, body)


@router.delete("/{id}", operation_id="deleteQuote", status_code=204)
async def delete_quote(access: Dispatcher, quote_id: QuotePath) -> Response:
    """Delete a quote that is not with its customer and not accepted. It can be restored."""
    return await quote_rows.delete(access, quote_id)


@router.post("/{id}/restore", operation_id="restoreQuote", response_model=QuoteItem)
async def restore_quote(access: Dispatcher, quote_id: QuotePath) -> Response:
    """Restore a deleted quote."""
    return await quote_rows.restore(access, quote_id)


@router.post("/{id}/revise", operation_id="reviseQuote", status_code=201, response_model=QuoteItem)
async def revise_quote(access: Dispatcher, quote_id: QuotePath) -> Response:
    """Make the next revision, a draft with the same number and content. This one is superseded when
    that one is sent.
    """
    async with in_turn(access, quote_id) as (conn, row, revisions):
        check_revisable(row.state)
        check_newest(row, revisions)
        if len(revisions) >= _MOST_REVISIONS:
            detail = f"A quote has at most {_MOST_REVISIONS} revisions: make another quote."
            raise conflict("too_many_revisions", detail)
        columns = row._asdict() | {"revision": revisions[-1].revision + 1}
        row = await _insert(conn, access, columns, await check_room(conn, "quotes"))
        return created(quote_item(row), router.prefix)


@router.post("/{id}/confirm-amounts", operation_id="confirmQuoteAmounts", response_model=QuoteItem)
async def confirm_quote_amounts(access: Admin, quote_id: QuotePath) -> Response:
    """Confirm that the amounts of a draft are minor units of its currency, so that it can be sent
    and accepted. Quotes that were made before amounts were such wait for it; one that was sent
    shows other amounts, so make a revision of it, and confirm that.
    """
    async with quote_rows.locked(access, quote_id) as (conn, row):
        if not row.amounts_confirmed:
            check_editable(row.state)
            row = await quote_rows.write(conn, row._replace(amounts_confirmed=True))
    return ok(quote_item(row))


async def _insert(
    conn: Connection, access: Access, columns: Mapping[str, Any], at: datetime
) -> QuoteRow:
    """Insert a draft, made at `at`, and emit its event."""
    row = quote_rows.new({**columns, **_UNSENT}, at)
    await quotes.insert(conn, row)
    await events.insert(conn, [event_of(access.caller.org_id, QUOTE_CREATED, row, at)])
    return row


async def _edited(access: Access, quote_id: UUID, body: QuoteChange) -> Response:
    """Change the content of a draft. Raises Problem (404, 409, 412, 422), IllegalMoveError."""
    async with quote_rows.locked(access, quote_id) as (conn, row):
        await check_references(conn, body)
        changed = row._replace(**quote_columns(body.given()))
        if changed != row:
            check_editable(row.state)
            check_not_queued(row)
            await quote_rows.write(conn, changed)
            row = await quote_rows.found(conn, quote_id)
    return ok(quote_item(row))


async def _brought_to(access: Access, quote_id: UUID, body: QuoteChange) -> Response:
    """Bring a quote to the status of a body. Raises Problem (403, 404, 409, 412, 422)."""
    async with access.transaction() as conn:
        row = await quote_rows.found(conn, quote_id)
    if row.state == body.status:
        return await _edited(access, quote_id, body)
    if len(body.model_fields_set) > 1:
        raise bad_field("/status", "must be the only field: change the content before")
    verb = QUOTES.verb_between(row.state, body.status)
    if not QUOTES.may_move(row.state, verb, access.caller.role, is_own=False):
        raise forbidden(f"Nobody makes a quote {body.status}: it becomes so by itself.")
    if verb == "send":
        return ok(await queued(access, quote_id, None))
    if verb == "expire":
        return ok(await expired(access, quote_id))
    detail = f"Say who did: POST /v1/quotes/{{id}}/{verb} with a name."
    raise conflict("verb_needed", detail, pointer="/status")


def quote_columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a body: of lines also their sums. Raises Problem (422)."""
    columns = {name: value for name, value in given.items() if name != "status"}
    if "lines" not in columns:
        return columns
    written = cast(list[NewQuoteLine], columns["lines"])
    lines = [QuoteLine(**_line_columns(line)) for line in written]
    sums = quote_sums(lines)
    if max(sums) > MAX_TOTAL_CENTS:
        raise bad_field("/lines", f"add up to more than {MAX_TOTAL_CENTS} minor units")
    return columns | sums._asdict() | {"lines": list(map(_line_columns, written))}


def _line_columns(line: NewQuoteLine) -> dict[str, Any]:
    """Return a line as it is stored: without a part it has no `part_id`, without a unit none."""
    columns = line.model_dump(exclude={"part_id", "unit"})
    more = {"part_id": line.part_id and str(line.part_id), "unit": line.unit}
    return columns | {name: value for name, value in more.items() if value is not None}
