"""Bodies of quotes, what comes in and what is shown."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, cast
from uuid import UUID

import msgspec
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from api.http import fields
from api.http.encoding import id_text
from api.http.problems import bad_field
from api.request.paging import SortedQuery
from api.request.resource import Item, item_of
from api.resources.work_orders.listing import Assignees
from db.quotes.quotes import MailState, QuoteRow
from operations.quotes.document import document_line, quote_label, taxes_by_rate
from operations.quotes.evidence import EvidenceKind, hex_hash
from operations.quotes.states import QUOTE_STATES, QUOTES, QuoteState, QuoteVerb
from operations.quotes.sums import (
    MAX_LINES,
    MAX_QUANTITY_THOUSANDTHS,
    MAX_TOTAL_CENTS,
    MAX_UNIT_PRICE_CENTS,
    WHOLE_IN_BASIS_POINTS,
    QuoteLine,
    line_sums,
    quote_sums,
)

_Title = Annotated[fields.Name, Field(examples=["Excavation, lot 4"])]
_Cents = Annotated[int, Field(ge=0, le=MAX_TOTAL_CENTS, examples=[324_300])]
_Rate = Annotated[int, Field(ge=0, le=WHOLE_IN_BASIS_POINTS, examples=[810]), fields.WHOLE]
_Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000),
    AfterValidator(fields.storable),
    Field(
        examples=["Another offer was cheaper."],
        json_schema_extra={"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"},
    ),
]
_Person = Annotated[fields.Name, Field(examples=["Ann Lee"])]
_Sha256 = Annotated[str, fields.text(64, "9f86d081" * 8, "^[0-9a-f]{64}$")]
_Unit = Annotated[fields.Name, Field(max_length=20, examples=["h"])]
_Day = Annotated[fields.Day, Field(examples=["2099-04-30"])]


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
    unit: _Unit | None = Field(
        default=None, description="of the quantity, such as h, m or pcs; null: not shown"
    )


class QuoteLineItem(BaseModel):
    """A line with its figures."""

    description: Annotated[str, fields.text(1_000, "Excavation")]
    quantity_thousandths: fields.Count
    unit_price_cents: fields.Count
    discount_basis_points: fields.Count
    tax_basis_points: fields.Count
    part_id: fields.PartId | None = Field(description="the part that it sells")
    unit: _Unit | None = Field(description="of the quantity")
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
    sha256: _Sha256
    previous_sha256: _Sha256 | None = Field(description="of the entry before")
    document_sha256: _Sha256 | None
    pdf_sha256: _Sha256 | None
    sent_to: fields.Email | None
    name: _Person | None = Field(description="of who accepted or declined")
    signature: Literal["typed", "drawn"] | None
    signature_sha256: _Sha256 | None = Field(description="of the PNG")
    acceptance_pdf_sha256: _Sha256 | None = Field(
        description="of the PDF of the quote with its acceptance"
    )
    consent_version: Annotated[str, fields.text(20, "1")] | None
    consent_text: Annotated[str, fields.text(1_000, "I accept this quote.")] | None
    reason: _Reason | None
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
    title: _Title
    lines: Annotated[list[QuoteLineItem], Field(max_length=MAX_LINES)]
    currency: fields.Currency
    valid_until: _Day = Field(description="the last day, in the organization's time zone")
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
    decided_by: _Person | None = Field(description="who accepted or declined")
    decline_reason: _Reason | None
    link_ended_at: datetime | None = Field(
        description="when an admin ended the customer's link to the accepted quote"
    )
    evidence: Annotated[list[EvidenceItem], Field(max_length=10)] = Field(
        description="what happened to it, as a chain of hashes; empty for viewers and technicians"
    )


class EvidenceCheck(BaseModel):
    """The evidence of a quote, worked out anew."""

    is_intact: bool = Field(description="each hash is that of what is stored now")
    faults: Annotated[list[Annotated[str, fields.text(200, "Entry 1.")]], Field(max_length=50)]
    document: Annotated[str, fields.text(2_000_000, "{}")] | None = Field(
        description="the canonical JSON of what was sent (RFC 8785); null: nothing was"
    )
    document_sha256: _Sha256 | None
    pdf_sha256: _Sha256 | None
    signature_png_base64: Annotated[str, fields.text(200_000, "iVBORw0KGgo=")] | None
    entries: Annotated[list[EvidenceItem], Field(max_length=10)]


class NewQuote(fields.Body):
    """A new quote: a draft."""

    client_id: fields.ClientId
    title: _Title
    lines: Annotated[list[NewQuoteLine], Field(min_length=1, max_length=MAX_LINES)]
    currency: fields.Currency
    valid_until: _Day = Field(description="the last day, in the organization's time zone")
    terms: fields.Notes | None = None
    notes: fields.Notes | None = Field(default=None, description="the customer sees them too")


class QuoteChange(NewQuote):
    """The fields to change. The content of a draft can change, and no other."""

    client_id: fields.ClientId = Field(default_factory=fields.absent)
    title: _Title = Field(default_factory=fields.absent)
    lines: Annotated[list[NewQuoteLine], Field(min_length=1, max_length=MAX_LINES)] = Field(
        default_factory=fields.absent
    )
    currency: fields.Currency = Field(default_factory=fields.absent)
    valid_until: _Day = Field(default_factory=fields.absent)
    status: QuoteState = Field(
        default_factory=fields.absent,
        description="as the verb does that leads there; accept and decline need their own bodies",
    )


class QuoteRecipient(fields.Body):
    """The address of the letter."""

    email: fields.Email | None = Field(default=None, description="the client's unless given")


class AcceptanceByHand(fields.Body):
    """The acceptance of somebody who said so elsewhere."""

    name: _Person
    reason: _Reason = Field(
        description="how it is known, such as a signed letter", examples=["She signed a letter."]
    )


class QuoteConversion(fields.Body):
    """The things that a work order has and a quote does not say."""

    site_id: fields.SiteId | None = None
    warehouse_id: fields.WarehouseId | None = Field(
        default=None, description="where the parts of its lines are reserved; null: nowhere yet"
    )
    assignee_ids: Assignees = Field(default_factory=list)


class DeclineByHand(fields.Body):
    """The refusal of somebody who said so elsewhere."""

    name: _Person
    reason: _Reason | None = None


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


def quote_without_evidence(row: QuoteRow) -> Item:
    """Return a QuoteItem for whoever does not see the evidence of customers."""
    return quote_item(row._replace(evidence=[]))


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
