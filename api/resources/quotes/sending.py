"""Quotes are mailed, and a letter is taken back while it waits."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body
from pydantic import Field
from starlette.responses import Response

from api.documents.letterhead import Letterhead
from api.http import fields
from api.http.encoding import accepted, id_text, ok
from api.http.problems import bad_field, conflict
from api.request.access import Access, Dispatcher
from api.request.document_answers import rendered
from api.request.route import TenantRoute
from api.resources.organization_logo import letterhead_of
from api.resources.quotes.listing import (
    QuoteItem,
    QuotePath,
    in_turn,
    lines_of,
    quote_item,
    quote_rows,
)
from db.core.connect import Connection
from db.delivery import mail_outbox
from db.quotes import evidence
from db.quotes.quotes import QuoteRevision, QuoteRow
from db.resources import organizations
from db.resources.quotas import claim_bytes, count_letter
from operations.quotes.document import QuoteDocument, document_line
from operations.quotes.evidence import hex_hash
from operations.quotes.states import QUOTES

router = APIRouter(prefix="/v1/quotes", tags=["quotes"], route_class=TenantRoute)


class QuoteRecipient(fields.Body):
    """The address of the letter."""

    email: fields.Email | None = Field(default=None, description="the client's unless given")


@router.post("/{id}/send", operation_id="sendQuote", status_code=202, response_model=QuoteItem)
async def send_quote(
    access: Dispatcher, quote_id: QuotePath, body: Annotated[QuoteRecipient, Body()]
) -> Response:
    """Mail a draft as a PDF with a link to its page. It is sent when the mail server has
    taken the letter; `mail_state` and `send_error` show what became of it.
    """
    return accepted(await queued(access, quote_id, body.email))


@router.post("/{id}/withdraw", operation_id="withdrawQuote", response_model=QuoteItem)
async def withdraw_quote(access: Dispatcher, quote_id: QuotePath) -> Response:
    """Take back the letter of a quote while the mail server has not taken it. The draft can be
    changed then, and sent again.
    """
    async with in_turn(access, quote_id) as (conn, row, _):
        if row.mail_state != "queued":
            raise conflict("not_queued", "No letter with the quote waits to be sent.")
        if not await mail_outbox.withdraw(conn, quote_id):
            detail = "The letter is just being handed to the mail server: try again in two minutes."
            raise conflict("being_sent", detail)
        row = await quote_rows.write(conn, row._replace(mail_state="withdrawn", send_error=None))
    return ok(quote_item(row))


async def queued(access: Access, quote_id: UUID, email: str | None) -> dict[str, Any]:
    """Write the document of a draft and its letter, and return the quote. The PDF is made outside
    of a transaction, and thrown away where the quote has changed meanwhile.
    """
    async with access.transaction() as conn:
        row = await quote_rows.found(conn, quote_id)
        letterhead = await letterhead_now(conn)
    QUOTES.move(row.state, "send")
    check_not_queued(row)
    check_in_time(row)
    check_confirmed(row)
    email = email or row.client_email
    if email is None:
        raise bad_field("/email", "is needed: the client has no address")
    document = document_of(row, letterhead)
    pdf = await rendered_quote(access, document, letterhead)
    logo = None if letterhead.logo is None else letterhead.logo.thumb
    async with in_turn(access, quote_id) as (conn, locked, revisions):
        now_document = document_of(locked, await letterhead_now(conn))
        if locked.updated_at != row.updated_at or now_document != document:
            raise conflict("changed_meanwhile", "The quote was changed meanwhile: look again.")
        check_newest(row, revisions)
        if any(each.state == "accepted" for each in revisions):
            raise conflict("already_accepted", "An earlier revision of the quote is accepted.")
        await count_letter(conn)
        more = await evidence.write_document(conn, quote_id, document.canonical(), pdf, logo)
        await claim_bytes(conn, more, access.state.settings.attachments_quota_bytes)
        await mail_outbox.add_quote(conn, quote_id, email)
        sending = locked._replace(mail_state="queued", send_error=None, sent_to=email)
        return quote_item(await quote_rows.write(conn, sending))


async def letterhead_now(conn: Connection) -> Letterhead:
    """Return the letterhead of the organization as it is now."""
    return await letterhead_of(conn, await organizations.find(conn))


async def rendered_quote(
    access: Access, document: QuoteDocument, letterhead: Letterhead, *, is_draft: bool = False
) -> bytes:
    """Return the PDF of a document. Raises Problem (409, 429, 503)."""
    org_id, renderer = access.caller.org_id, access.state.renderer
    rendering = renderer.quote(org_id, document, letterhead, is_draft=is_draft)
    return await rendered(rendering, "Write shorter texts.")


def document_of(row: QuoteRow, letterhead: Letterhead) -> QuoteDocument:
    """Return the document of a quote, issued today."""
    logo = letterhead.logo
    return QuoteDocument(
        language=letterhead.language,
        quote_id=id_text("quo", row.id),
        number=row.number,
        revision=row.revision,
        organization=row.organization_name,
        organization_address=letterhead.address,
        logo_sha256=None if logo is None else hex_hash(logo.thumb),
        client_name=row.client_name,
        client_address=row.client_address,
        title=row.title,
        currency=row.currency,
        issued_on=row.today,
        valid_until=row.valid_until,
        timezone=row.timezone,
        lines=tuple(map(document_line, lines_of(row))),
        subtotal_cents=row.subtotal_cents,
        discount_cents=row.discount_cents,
        tax_cents=row.tax_cents,
        total_cents=row.total_cents,
        terms=row.terms,
        notes=row.notes,
    )


def check_in_time(row: QuoteRow) -> None:
    """Raise Problem (409) where the last day of a quote is over."""
    if row.is_over:
        raise conflict("quote_over", f"The quote was valid until {row.valid_until}.")


def check_not_overtaken(row: QuoteRow, revisions: Sequence[QuoteRevision]) -> None:
    """Raise Problem (409) where a later revision is on its way to the customer."""
    if any(each.revision > row.revision and each.mail_state == "queued" for each in revisions):
        raise conflict("revision_on_its_way", "A later revision of the quote is being sent.")


def check_confirmed(row: QuoteRow) -> None:
    """Raise Problem (409) where the amounts of a quote may be a hundred times too much."""
    if not row.amounts_confirmed:
        detail = (
            f"The quote was made when amounts were hundredths of {row.currency}. They are minor"
            " units by ISO 4217 now: an admin looks at the amounts, and confirms them with POST"
            " /v1/quotes/{id}/confirm-amounts."
        )
        raise conflict("amounts_not_confirmed", detail)


def check_not_queued(row: QuoteRow) -> None:
    if row.mail_state == "queued":
        raise conflict("being_sent", "The quote is on its way to its customer.")


def check_newest(row: QuoteRow, revisions: list[QuoteRevision]) -> None:
    if any(each.revision > row.revision and not each.is_deleted for each in revisions):
        raise conflict("not_newest", "The quote has a later revision: use that one.")
