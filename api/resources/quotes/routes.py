"""Quotes: what a customer is offered, in revisions that are sent, accepted or declined.

A quote is a draft until the mail server has taken its letter. From then on its content does not
change: a later revision takes its place. Its customer accepts or declines on a page of their own
(`api.resources.quotes.acceptance`); a dispatcher may note what a customer said elsewhere.
"""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from starlette.responses import Response

from api.documents.letterhead import NO_LETTERHEAD, Letterhead
from api.http import fields
from api.http.encoding import accepted, created, id_text, ok
from api.http.etags import tag_of
from api.http.problems import bad_field, conflict, forbidden, not_found
from api.request.access import Access, Dispatcher, Reader
from api.request.document_answers import PDF_TYPES, rendered
from api.request.paging import ListOf
from api.request.references import check_references
from api.request.resource import Resource
from api.request.route import TenantRoute
from api.resources.organization_logo import letterhead_of
from api.resources.quotes.accepting import acceptance_with_pdf, quote_to_accept
from api.resources.quotes.bodies import (
    AcceptanceByHand,
    DeclineByHand,
    EvidenceCheck,
    NewQuote,
    QuoteChange,
    QuoteConversion,
    QuoteItem,
    QuoteQuery,
    QuoteRecipient,
    entry_item,
    quote_columns,
    quote_item,
    quote_without_evidence,
)
from api.resources.quotes.conversion import convert, part_ids_in
from api.resources.quotes.moves import (
    QuoteDecision,
    check_confirmed,
    check_in_time,
    check_not_overtaken,
    decide,
    document_of,
)
from api.resources.stock.turns import stock_transaction
from api.resources.work_orders.listing import WorkOrderItem, work_order_item
from db.core.connect import Connection
from db.core.numbers import next_number
from db.core.table import db_now
from db.core.tenant import reading
from db.delivery import mail_outbox
from db.history import events
from db.quotes import evidence
from db.quotes.evidence import StoredEvidence
from db.quotes.quotes import (
    QuoteRevision,
    QuoteRow,
    client_name,
    event_of,
    is_in_use,
    lock_revisions,
    quotes,
)
from db.resources import organizations
from db.resources.quotas import check_room, claim_bytes, count_letter
from geofence.event_data.quotes import QUOTE_CREATED, QUOTE_EXPIRED
from operations.quotes.document import QuoteDocument
from operations.quotes.evidence import SentQuote, evidence_faults, hex_hash
from operations.quotes.states import QUOTES, check_editable, check_revisable

router = APIRouter(prefix="/v1/quotes", tags=["quotes"], route_class=TenantRoute)
_QuotePath = Annotated[fields.QuoteId, Path(alias="id")]
_MOST_REVISIONS = 100
_AS_IT_IS = QuoteConversion()
_UNSENT: dict[str, Any] = {
    "state": "draft",
    **dict.fromkeys(("mail_state", "send_error", "sent_to", "sent_at", "viewed_at")),
    **dict.fromkeys(("decided_at", "decided_by", "decline_reason", "link_ended_at", "deleted_at")),
    "evidence": [],
    "work_order_id": None,
}
_PDF: dict[int | str, dict[str, Any]] = {200: {"description": "The PDF", **PDF_TYPES[200]}}

_quotes = Resource(
    quotes,
    quote_item,
    item_for=lambda access: quote_item if access.sees_all else quote_without_evidence,
    columns=quote_columns,
    is_in_use=is_in_use,
    in_use="The quote is with its customer, on its way there, or accepted.",
    owners=["client"],
)


@router.get("", operation_id="listQuotes", response_model=ListOf[QuoteItem])
async def list_quotes(access: Reader, query: Annotated[QuoteQuery, Query()]) -> Response:
    """List quotes, newest first."""
    return await _quotes.list(access, query)


@router.post("", operation_id="createQuote", status_code=201, response_model=QuoteItem)
async def create_quote(access: Dispatcher, body: Annotated[NewQuote, Body()]) -> Response:
    """Create a quote, as a draft with the next number."""
    async with access.transaction() as conn:
        await check_references(conn, body)
        at = await check_room(conn, "quotes")
        columns = quote_columns(dict(body)) | {"revision": 1, "amounts_confirmed": True}
        columns["client_name"] = await client_name(conn, body.client_id)
        columns["number"] = await next_number(conn, "quote")
        row = _new_quote(columns, at)
        await quotes.insert(conn, row)
        told = event_of(access.caller.org_id, QUOTE_CREATED, row, row.created_at)
        await events.insert(conn, [told])
    return created(quote_item(row), router.prefix)


@router.get("/{id}", operation_id="getQuote", response_model=QuoteItem)
async def get_quote(access: Reader, quote_id: _QuotePath) -> Response:
    """Return one quote."""
    return await _quotes.get(access, quote_id)


@router.patch("/{id}", operation_id="updateQuote", response_model=QuoteItem)
async def update_quote(
    access: Dispatcher, quote_id: _QuotePath, body: Annotated[QuoteChange, Body()]
) -> Response:
    """Change the content of a draft, or bring a quote to another status, as its verb does."""
    if "status" in body.model_fields_set:
        return await _brought_to(access, quote_id, body)
    return await _edited(access, quote_id, body)


@router.delete("/{id}", operation_id="deleteQuote", status_code=204)
async def delete_quote(access: Dispatcher, quote_id: _QuotePath) -> Response:
    """Delete a quote that is not with its customer and not accepted. It can be restored."""
    return await _quotes.delete(access, quote_id)


@router.post("/{id}/restore", operation_id="restoreQuote", response_model=QuoteItem)
async def restore_quote(access: Dispatcher, quote_id: _QuotePath) -> Response:
    """Restore a deleted quote."""
    return await _quotes.restore(access, quote_id)


@router.post("/{id}/send", operation_id="sendQuote", status_code=202, response_model=QuoteItem)
async def send_quote(
    access: Dispatcher, quote_id: _QuotePath, body: Annotated[QuoteRecipient, Body()]
) -> Response:
    """Mail a draft as a PDF with a link to its page. It is sent when the mail server has
    taken the letter; `mail_state` and `send_error` show what became of it.
    """
    return accepted(await _queued(access, quote_id, body.email))


@router.post("/{id}/withdraw", operation_id="withdrawQuote", response_model=QuoteItem)
async def withdraw_quote(access: Dispatcher, quote_id: _QuotePath) -> Response:
    """Take back the letter of a quote while the mail server has not taken it. The draft can be
    changed then, and sent again.
    """
    async with _in_turn(access, quote_id) as (conn, row, _):
        if row.mail_state != "queued":
            raise conflict("not_queued", "No letter with the quote waits to be sent.")
        if not await mail_outbox.withdraw(conn, quote_id):
            detail = "The letter is just being handed to the mail server: try again in two minutes."
            raise conflict("being_sent", detail)
        row = await _quotes.write(conn, row._replace(mail_state="withdrawn", send_error=None))
    return ok(quote_item(row))


@router.post("/{id}/revise", operation_id="reviseQuote", status_code=201, response_model=QuoteItem)
async def revise_quote(access: Dispatcher, quote_id: _QuotePath) -> Response:
    """Make the next revision, a draft with the same number and content. This one is superseded when
    that one is sent.
    """
    async with _in_turn(access, quote_id) as (conn, row, revisions):
        check_revisable(row.state)
        _check_newest(row, revisions)
        if len(revisions) >= _MOST_REVISIONS:
            detail = f"A quote has at most {_MOST_REVISIONS} revisions: make another quote."
            raise conflict("too_many_revisions", detail)
        columns = row._asdict() | {"revision": revisions[-1].revision + 1}
        row = _new_quote(columns, await check_room(conn, "quotes"))
        await quotes.insert(conn, row)
        told = event_of(access.caller.org_id, QUOTE_CREATED, row, row.created_at)
        await events.insert(conn, [told])
        return created(quote_item(row), router.prefix)


@router.post("/{id}/accept", operation_id="acceptQuote", response_model=QuoteItem)
async def accept_quote(
    access: Dispatcher, quote_id: _QuotePath, body: Annotated[AcceptanceByHand, Body()]
) -> Response:
    """Note that a customer accepted a quote elsewhere. The evidence says `accepted_by_hand`, who
    noted it, and the reason. No letter is sent.
    """
    org_id = access.caller.org_id
    # The PDF is made before the request has a transaction: with an Idempotency-Key it has only one.
    async with reading(access.state.connections, org_id) as conn:
        now = await quotes.find(conn, quote_id)
        is_open = now is not None and "accept" in QUOTES.legal_verbs(now.state)
        quote = await quote_to_accept(conn, org_id, quote_id) if is_open else None
    facts = {"name": body.name, "reason": body.reason, **_noted_by(access)}
    decision = None
    if quote is not None:
        decision = await acceptance_with_pdf(access.state, org_id, quote, "accepted_by_hand", facts)
    async with _in_turn(access, quote_id) as (conn, row, revisions):
        _check_acceptable(row, revisions)
        if decision is None:
            raise conflict("changed_meanwhile", "The quote was changed meanwhile: look again.")
        await decide(conn, org_id, row, decision)
        row = await _quotes.found(conn, quote_id)
    return ok(quote_item(row))


@router.post("/{id}/decline", operation_id="declineQuote", response_model=QuoteItem)
async def decline_quote(
    access: Dispatcher, quote_id: _QuotePath, body: Annotated[DeclineByHand, Body()]
) -> Response:
    """Note that a customer declined a quote elsewhere."""
    async with _in_turn(access, quote_id) as (conn, row, _):
        facts = {"name": body.name, "reason": body.reason, **_noted_by(access)}
        decision = QuoteDecision("declined", await db_now(conn), facts)
        await decide(conn, access.caller.org_id, row, decision)
        row = await _quotes.found(conn, quote_id)
    return ok(quote_item(row))


@router.post("/{id}/expire", operation_id="expireQuote", response_model=QuoteItem)
async def expire_quote(access: Dispatcher, quote_id: _QuotePath) -> Response:
    """End a quote before its last day: it can no longer be accepted."""
    return ok(await _expired(access, quote_id))


@router.post(
    "/{id}/convert", operation_id="convertQuote", status_code=201, response_model=WorkOrderItem
)
async def convert_quote(
    access: Dispatcher, quote_id: _QuotePath, body: Annotated[QuoteConversion, Body()] = _AS_IT_IS
) -> Response:
    """Make the work order of an accepted quote, once. Lines with a part are planned parts, and the
    others are its checklist.
    """
    access.check_scope("work-orders:write")
    async with reading(access.state.connections, access.caller.org_id) as conn:
        part_ids = part_ids_in(await _quotes.found(conn, quote_id))
    moved = [] if body.warehouse_id is None else part_ids
    async with stock_transaction(access, *moved) as conn:
        await _quotes.found(conn, quote_id, lock=True)
        row = await _quotes.found(conn, quote_id)  # with the order that another made meanwhile
        access.check_unchanged(quote_item(row))
        await check_references(conn, body)
        order = await convert(conn, access, row, body)
    return created(work_order_item(order), "/v1/work-orders")


@router.get("/{id}/pdf", operation_id="getQuotePdf", response_class=Response, responses=_PDF)
async def get_quote_pdf(access: Reader, quote_id: _QuotePath) -> Response:
    """Return the PDF: as it was sent, or of a draft as it would be."""
    async with access.transaction() as conn:
        row = await _quotes.found(conn, quote_id)
        kept = await _kept(access, conn, row)
        letterhead = await _letterhead(conn) if kept is None else NO_LETTERHEAD
    if kept is None:
        pdf = await _rendered(access, document_of(row, letterhead), letterhead, is_draft=True)
    else:
        pdf = kept.files.pdf
    return _pdf_answer(pdf, f"quote-{row.number}-{row.revision}.pdf")


@router.get(
    "/{id}/accepted-pdf",
    operation_id="getQuoteAcceptedPdf",
    response_class=Response,
    responses=_PDF,
)
async def get_accepted_quote_pdf(access: Dispatcher, quote_id: _QuotePath) -> Response:
    """Return the PDF of a quote with its acceptance. A quote that was accepted before such PDFs
    were made has none.
    """
    async with access.transaction() as conn:
        row = await _quotes.found(conn, quote_id)
        kept = await _kept(access, conn, row)
    pdf = None if kept is None else kept.files.acceptance_pdf
    if pdf is None:
        raise not_found("PDF of an acceptance")
    return _pdf_answer(pdf, f"quote-{row.number}-{row.revision}-accepted.pdf")


@router.get("/{id}/evidence", operation_id="getQuoteEvidence", response_model=EvidenceCheck)
async def get_quote_evidence(access: Dispatcher, quote_id: _QuotePath) -> Response:
    """Verify the evidence: work out each hash anew from what is stored."""
    async with access.transaction() as conn:
        row = await _quotes.found(conn, quote_id)
        kept = await _kept(access, conn, row)
    return ok(_checked(row, kept))


# Parts --------------------------------------------------------------------------------------------


def _pdf_answer(pdf: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "ETag": tag_of(pdf)}
    return Response(pdf, media_type="application/pdf", headers=headers)


@asynccontextmanager
async def _in_turn(
    access: Access, quote_id: UUID
) -> AsyncIterator[tuple[Connection, QuoteRow, list[QuoteRevision]]]:
    """Provide a transaction with a quote and all revisions of its number, which are locked: who
    sends, accepts or revises one of them takes turns. Raises Problem (404, 412).
    """
    async with access.transaction() as conn:
        row = await _quotes.found(conn, quote_id)
        revisions = await lock_revisions(conn, row.number)
        row = await _quotes.found(conn, quote_id, lock=True)
        access.check_unchanged(quote_item(row))
        yield conn, row, revisions


def _new_quote(columns: dict[str, Any], now: datetime) -> QuoteRow:
    """Return a draft."""
    return _quotes.new({**columns, **_UNSENT}, now)


async def _edited(access: Access, quote_id: UUID, body: QuoteChange) -> Response:
    """Change the content of a draft. Raises Problem (404, 409, 412, 422), IllegalMoveError."""
    async with _quotes.locked(access, quote_id) as (conn, row):
        await check_references(conn, body)
        changed = row._replace(**quote_columns(body.given()))
        if changed != row:
            _check_editable(row)
            await _quotes.write(conn, changed)
            row = await _quotes.found(conn, quote_id)
    return ok(quote_item(row))


async def _brought_to(access: Access, quote_id: UUID, body: QuoteChange) -> Response:
    """Bring a quote to the status of a body. Raises Problem (403, 404, 409, 412, 422)."""
    async with access.transaction() as conn:
        row = await _quotes.found(conn, quote_id)
    if row.state == body.status:
        return await _edited(access, quote_id, body)
    if len(body.model_fields_set) > 1:
        raise bad_field("/status", "must be the only field: change the content before")
    verb = QUOTES.verb_between(row.state, body.status)
    if not QUOTES.may_move(row.state, verb, access.caller.role, is_own=False):
        raise forbidden(f"Nobody makes a quote {body.status}: it becomes so by itself.")
    if verb == "send":
        return ok(await _queued(access, quote_id, None))
    if verb == "expire":
        return ok(await _expired(access, quote_id))
    detail = f"Say who did: POST /v1/quotes/{{id}}/{verb} with a name."
    raise conflict("verb_needed", detail, pointer="/status")


async def _queued(access: Access, quote_id: UUID, email: str | None) -> dict[str, Any]:
    """Write the document of a draft and its letter, and return the quote. The PDF is made outside
    of a transaction, and thrown away where the quote has changed meanwhile.
    """
    async with access.transaction() as conn:
        row = await _quotes.found(conn, quote_id)
        letterhead = await _letterhead(conn)
    QUOTES.move(row.state, "send")
    _check_not_queued(row)
    check_in_time(row)
    check_confirmed(row)
    email = email or row.client_email
    if email is None:
        raise bad_field("/email", "is needed: the client has no address")
    document = document_of(row, letterhead)
    pdf = await _rendered(access, document, letterhead)
    logo = None if letterhead.logo is None else letterhead.logo.thumb
    async with _in_turn(access, quote_id) as (conn, locked, revisions):
        now_document = document_of(locked, await _letterhead(conn))
        if locked.updated_at != row.updated_at or now_document != document:
            raise conflict("changed_meanwhile", "The quote was changed meanwhile: look again.")
        _check_newest(row, revisions)
        if any(each.state == "accepted" for each in revisions):
            raise conflict("already_accepted", "An earlier revision of the quote is accepted.")
        await count_letter(conn)
        more = await evidence.write_document(conn, quote_id, document.canonical(), pdf, logo)
        await claim_bytes(conn, more, access.state.settings.attachments_quota_bytes)
        await mail_outbox.add_quote(conn, quote_id, email)
        sending = locked._replace(mail_state="queued", send_error=None, sent_to=email)
        return quote_item(await _quotes.write(conn, sending))


async def _expired(access: Access, quote_id: UUID) -> dict[str, Any]:
    async with _in_turn(access, quote_id) as (conn, row, _):
        row = row._replace(state=QUOTES.move(row.state, "expire"))
        now = await db_now(conn)
        row = await _quotes.write(conn, row, now)
        await events.insert(conn, [event_of(access.caller.org_id, QUOTE_EXPIRED, row, now)])
        return quote_item(row)


async def _kept(access: Access, conn: Connection, row: QuoteRow) -> StoredEvidence | None:
    """Return what is kept about a quote that was sent; None of a draft."""
    if row.state == "draft":
        return None
    return await evidence.find(conn, access.caller.org_id, row.id)


async def _letterhead(conn: Connection) -> Letterhead:
    """Return the letterhead of the organization as it is now."""
    return await letterhead_of(conn, await organizations.find(conn))


async def _rendered(
    access: Access, document: QuoteDocument, letterhead: Letterhead, *, is_draft: bool = False
) -> bytes:
    """Return the PDF of a document. Raises Problem (409, 429, 503)."""
    org_id, renderer = access.caller.org_id, access.state.renderer
    rendering = renderer.quote(org_id, document, letterhead, is_draft=is_draft)
    return await rendered(rendering, "Write shorter texts.")


def _check_acceptable(row: QuoteRow, revisions: list[QuoteRevision]) -> None:
    QUOTES.move(row.state, "accept")
    check_in_time(row)
    check_confirmed(row)
    check_not_overtaken(row, revisions)


def _check_editable(row: QuoteRow) -> None:
    check_editable(row.state)
    _check_not_queued(row)


def _check_not_queued(row: QuoteRow) -> None:
    if row.mail_state == "queued":
        raise conflict("being_sent", "The quote is on its way to its customer.")


def _check_newest(row: QuoteRow, revisions: list[QuoteRevision]) -> None:
    if any(each.revision > row.revision and not each.is_deleted for each in revisions):
        raise conflict("not_newest", "The quote has a later revision: use that one.")


def _noted_by(access: Access) -> dict[str, Any]:
    return {"user_id": id_text("usr", access.caller.user_id)}


def _checked(row: QuoteRow, kept: StoredEvidence | None) -> dict[str, Any]:
    """Return an EvidenceCheck; that of a draft is empty."""
    files, chain = (None, []) if kept is None else kept
    faults = () if row.state == "draft" else evidence_faults(_sent_quote(row), files, chain)
    png = files and files.signature_png
    return {
        "is_intact": not faults,
        "faults": list(faults),
        "document": files and files.document.decode(errors="replace"),
        "document_sha256": files and hex_hash(files.document),
        "pdf_sha256": files and hex_hash(files.pdf),
        "signature_png_base64": None if png is None else base64.b64encode(png).decode(),
        "entries": [entry_item(entry.content) for entry in chain],
    }


def _sent_quote(row: QuoteRow) -> SentQuote:
    return SentQuote(
        row.state,
        id_text("quo", row.id),
        row.number,
        row.revision,
        row.currency,
        row.subtotal_cents,
        row.discount_cents,
        row.tax_cents,
        row.total_cents,
    )
