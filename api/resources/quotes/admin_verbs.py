"""Verbs of an admin alone: the amounts of a quote are right, and its link ends."""

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from api.http import fields
from api.http.encoding import ok
from api.request.access import Admin
from api.request.resource import Resource
from api.request.route import TenantRoute
from api.resources.quotes.bodies import QuoteItem, quote_item
from db.core.table import db_now
from db.quotes.quotes import quotes
from operations.quotes.states import check_accepted, check_editable

router = APIRouter(prefix="/v1/quotes", tags=["quotes"], route_class=TenantRoute)
_QuotePath = Annotated[fields.QuoteId, Path(alias="id")]
_quotes = Resource(quotes, quote_item)


@router.post("/{id}/confirm-amounts", operation_id="confirmQuoteAmounts", response_model=QuoteItem)
async def confirm_quote_amounts(access: Admin, quote_id: _QuotePath) -> Response:
    """Confirm that the amounts of a draft are minor units of its currency, so that it can be sent
    and accepted. Quotes that were made before amounts were such wait for it; one that was sent
    shows other amounts, so make a revision of it, and confirm that.
    """
    async with _quotes.locked(access, quote_id) as (conn, row):
        if not row.amounts_confirmed:
            check_editable(row.state)
            row = await _quotes.write(conn, row._replace(amounts_confirmed=True))
    return ok(quote_item(row))


@router.post("/{id}/end-link", operation_id="endQuoteLink", response_model=QuoteItem)
async def end_quote_link(access: Admin, quote_id: _QuotePath) -> Response:
    """End the customer's link to an accepted quote before its days are over: its page says that the
    quote is accepted, and shows no more.
    """
    async with _quotes.locked(access, quote_id) as (conn, row):
        check_accepted(row.state, "to end the link")
        if row.link_ended_at is None:
            now = await db_now(conn)
            row = await _quotes.write(conn, row._replace(link_ended_at=now), now)
    return ok(quote_item(row))
