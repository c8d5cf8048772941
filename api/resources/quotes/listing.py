"""Quotes: what a customer is offered, in revisions that are sent, accepted or declined.

A quote is a draft until the mail server has taken its letter. From then on its content does not
change: a later revision takes its place. Its customer accepts or declines on a page of their own
(`api.resources.quotes.acceptance`); a dispatcher may note what a customer said elsewhere.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, BaseModel, Field, StringConstraints
from starlette.responses import Response

from api.http import fields
from api.http.encoding import id_text
from api.request.access import Access, Reader
from api.request.paging import ListOf, SortedQuery
from api.request.resource import Item, Resource, item_of
from api.request.route import TenantRoute
from db.core.connect import Connection
from db.quotes.quotes import MailState, QuoteRevision, QuoteRow, is_in_use, lock_revisions, quotes
from operations.quotes.document import document_line, quote_label, taxes_by_rate
from operations.quotes.evidence import EvidenceKind, hex_hash
from operations.quotes.states import QUOTE_STATES, QUOTES, QuoteState, QuoteVerb
from operations.quotes.sums import MAX_LINES, MAX_TOTAL_CENTS, QuoteLine, line_sums

router = APIRouter(prefix="/v1/quotes", tags=["quotes"], route_class=TenantRoute)
QuotePath = Annotated[fields.QuoteId, Path(alias="id")]
QuoteTitle = Annotated[fields.Name, Field(examples=["Excavation, lot 4"])]
_Cents = Annotated[int, Field(ge=0, le=MAX_TOTAL_CENTS, examples=[324_300])]
QuoteReason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000),
    AfterValidator(fields.storable),
    Field(
        examples=["Another offer was cheaper."],
        json_schema_extra={"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"},
    ),
]
Person = Annotated[fields.Name, Field(examples=["Ann Lee"])]
Sha256 = Annotated[str, fields.text(64, "9f86d081" * 8, "^[0-9a-f]{64}$")]
QuoteUnit = Annotated[fields.Name, Field(max_length=20, examples=["h"])]
QuoteDay = Annotated[fields.Day, Field(examples=["2099-04-30"])]


class QuoteLineItem(BaseModel):
    """A line with its figures."""

    description: Annotated[str, fields.text(1_000, "Excavation")]
    quantity_thousandths: fields.Count
    unit_price_cents: fields.Count
    discount_basis_points: fields.Count
    tax_basis_points: fields.Count
    part_id: fields.PartId | None = Field(description="the part that it sells")
    unit: QuoteUnit | None = Field(description="of the quantity")
    net_cents: fields.Count = Field(description="after the discount, before the tax")
    tax_cents: fields.Count


class QuoteTax(BaseModel):
    """The tax of all lines with one rate."""

    tax_basis_points: fields.Count
    net_cents: fields.Count = Field(description="the amount that is taxed")
    tax_cents: fields.Count


class EvidenceItem(BaseModel):
    """An entry about what happened to a quote. What it does not say is null."""

    kind: EvidenceKind
    at: datetime
    sha256: Sha256
    previous_sha256: Sha256 | None = Field(description="of the entry before")
    document_sha256: Sha256 | None
    pdf_sha256: Sha256 | None
    sent_to: fields.Email | None
    name: Person | None = Field(description="of who accepted or declined")
    signature: Literal["typed", "drawn"] | None
    signature_sha256: Sha256 | None = Field(description="of the PNG")
    acceptance_pdf_sha256: Sha256 | None = Field(
        description="of the PDF of the quote with its acceptance"
    )
    consent_version: Annotated[str, fields.text(20, "1")] | None
    consent_text: Annotated[str, fields.text(1_000, "I accept this quote.")] | None
    reason: QuoteReason | None
    ip: Annotated[str, fields.text(64, "203.0.113.7")] | None
    user_agent: Annotated[str, fields.text(500, "Mozilla/5.0")] | None
    user_id: fields.UserId | None = Field(description="the user who noted it")


class QuoteItem(fields.StoredItem):
    """A quote. Amounts (`*_cents`) are in minor units of the currency, as ISO 4217 has them."""

    id: fields.QuoteId
    number: fields.Count = Field(description="counts in the organization, and is not used again")
    revision: fields.Count
    label: Annotated[str, fields.text(50, "Q-1042")] = Field(description="as people say it")
    client_id: fields.ClientId
    client_name: fields.Name
    work_order_id: fields.WorkOrderId | None = Field(
        description="the work order that was made of it"
    )
    title: QuoteTitle
    lines: Annotated[list[QuoteLineItem], Field(max_length=MAX_LINES)]
    currency: fields.Currency
    valid_until: QuoteDay = Field(description="the last day, in the organization's time zone")
    terms: fields.Notes | None
    notes: fields.Notes | None
    subtotal_cents: _Cents
    discount_cents: _Cents
    tax_cents: _Cents
    taxes: Annotated[list[QuoteTax], Field(max_length=MAX_LINES)] = Field(
        description="the tax by its rates, the lowest first; it adds up to `tax_cents`"
    )
    total_cents: _Cents = Field(description="subtotal less discount plus tax")
    amounts_confirmed: bool = Field(
        description="false: it was made when amounts were hundredths of a currency that has other"
        " minor units; it is not sent and not accepted until an admin confirms its amounts"
    )
    status: QuoteState
    legal_verbs: Annotated[list[QuoteVerb], Field(max_length=6)] = Field(
        description="those that lead to another status"
    )
    mail_state: MailState | None = Field(
        description="of the letter; null: none was asked for. failed, withdrawn: it was not sent,"
        " and can be sent again"
    )
    send_error: Annotated[str, fields.text(500, "The mailbox is full.")] | None = Field(
        description="why the last try to send the letter failed"
    )
    sent_to: fields.Email | None
    sent_at: datetime | None
    viewed_at: datetime | None
    decided_at: datetime | None
    decided_by: Person | None = Field(description="who accepted or declined")
    decline_reason: QuoteReason | None
    link_ended_at: datetime | None = Field(
        description="when an admin ended the customer's link to the accepted quote"
    )
    evidence: Annotated[list[EvidenceItem], Field(max_length=10)] = Field(
        description="what happened to it, as a chain of hashes; empty for viewers and technicians"
    )


_STATUSES = f"^({'|'.join(QUOTE_STATES)})(,({'|'.join(QUOTE_STATES)}))*$"


class QuoteQuery(SortedQuery):
    """Quotes that were made in [from, to)."""

    status: Annotated[
        str | None,
        Field(
            max_length=200,
            pattern=_STATUSES,
            description="one, or several with commas",
            examples=["draft"],
        ),
    ] = None
    client_id: fields.ClientId | None = None
    since: Annotated[fields.Time | None, Field(alias="from")] = None
    until: Annotated[fields.Time | None, Field(alias="to")] = None
    deleted: Annotated[bool, Field(description="those that are deleted, instead")] = False


def lines_of(row: QuoteRow) -> list[QuoteLine]:
    """Return the lines as the rules have them."""
    return [QuoteLine(**line) for line in row.lines]


def _shown_lines(row: QuoteRow) -> list[dict[str, Any]]:
    return [
        each._asdict()
        | {
            "part_id": each.part_id and id_text("prt", UUID(each.part_id)),
            "net_cents": sums.net_cents,
            "tax_cents": sums.tax_cents,
        }
        for each in lines_of(row)
        for sums in (line_sums(each),)
    ]


def entry_item(content: bytes) -> dict[str, Any]:
    """Return an entry of the evidence as it is shown: without its facts where these are not JSON
    any more.
    """
    try:
        facts: dict[str, Any] = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        facts = {}
    shown: dict[str, Any] = {name: facts.get(name) for name in EvidenceItem.model_fields}
    return shown | {"sha256": hex_hash(content)}


quote_item = item_of(
    QuoteItem,
    label=lambda row: quote_label(row.number, row.revision),
    lines=_shown_lines,
    taxes=lambda row: [each._asdict() for each in taxes_by_rate(map(document_line, lines_of(row)))],
    status=lambda row: row.state,
    legal_verbs=lambda row: QUOTES.legal_verbs(row.state),
    valid_until=lambda row: row.valid_until.isoformat(),
    evidence=lambda row: [entry_item(content) for content in row.evidence],
)


def _without_evidence(row: QuoteRow) -> Item:
    """Return a QuoteItem for whoever does not see the evidence of customers."""
    return quote_item(row._replace(evidence=[]))


quote_rows = Resource(
    quotes,
    quote_item,
    item_for=lambda access: quote_item if access.sees_all else _without_evidence,
    is_in_use=is_in_use,
    in_use="The quote is with its customer, on its way there, or accepted.",
    owners=["client"],
)


@router.get("", operation_id="listQuotes", response_model=ListOf[QuoteItem])
async def list_quotes(access: Reader, query: Annotated[QuoteQuery, Query()]) -> Response:
    """List quotes, newest first."""
    return await quote_rows.list(access, query)


@router.get("/{id}", operation_id="getQuote", response_model=QuoteItem)
async def get_quote(access: Reader, quote_id: QuotePath) -> Response:
    """Return one quote."""
    return await quote_rows.get(access, quote_id)


@asynccontextmanager
async def in_turn(
    access: Access, quote_id: UUID
) -> AsyncIterator[tuple[Connection, QuoteRow, list[QuoteRevision]]]:
    """Provide a transaction with a quote and all revisions of its number, which are locked: who
    sends, accepts or revises one of them takes turns. Raises Problem (404, 412).
    """
    async with access.transaction() as conn:
        row = await quote_rows.found(conn, quote_id)
        revisions = await lock_revisions(conn, row.number)
        row = await quote_rows.found(conn, quote_id, lock=True)
        access.check_unchanged(quote_item(row))
        yield conn, row, revisions
