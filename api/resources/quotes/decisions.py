"""Quotes are accepted, declined or expired: by their customers, or as a user notes it.

The entry of an acceptance has the hash of its PDF, so the PDF is made before the acceptance is
written, while nothing is locked. It is thrown away where the quote cannot be accepted any more by
then.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Body
from pydantic import Field
from starlette.responses import Response

from api.context import ApiState
from api.documents.letterhead import Logo
from api.http import fields
from api.http.encoding import id_text, ok, time_text
from api.http.problems import conflict
from api.limits.turns import refusing_when_full
from api.photos.copier import PhotoError
from api.request.access import Access, Admin, Dispatcher
from api.request.route import TenantRoute
from api.resources.quotes.listing import (
    Person,
    QuoteItem,
    QuotePath,
    QuoteReason,
    in_turn,
    quote_item,
    quote_rows,
)
from api.resources.quotes.sending import (
    check_confirmed,
    check_in_time,
    check_not_overtaken,
    letterhead_now,
)
from db.core.connect import Connection
from db.core.table import db_now
from db.core.tenant import reading
from db.history import events
from db.quotes import evidence
from db.quotes.evidence import NO_FILES, EntryFiles
from db.quotes.quotes import QuoteRow, event_of, quotes
from db.resources.quotas import count_bytes
from geofence.event_data.quotes import QUOTE_ACCEPTED, QUOTE_DECLINED, QUOTE_EXPIRED
from operations.quotes.document import read_document
from operations.quotes.evidence import (
    AcceptedHow,
    EvidenceKind,
    acceptance_of,
    hex_hash,
    next_entry,
)
from operations.quotes.states import QUOTES, QuoteVerb, check_accepted

router = APIRouter(prefix="/v1/quotes", tags=["quotes"], route_class=TenantRoute)


class AcceptanceByHand(fields.Body):
    """The acceptance of somebody who said so elsewhere."""

    name: Person
    reason: QuoteReason = Field(
        description="how it is known, such as a signed letter", examples=["She signed a letter."]
    )


class DeclineByHand(fields.Body):
    """The refusal of somebody who said so elsewhere."""

    name: Person
    reason: QuoteReason | None = None


@router.post("/{id}/accept", operation_id="acceptQuote", response_model=QuoteItem)
async def accept_quote(
    access: Dispatcher, quote_id: QuotePath, body: Annotated[AcceptanceByHand, Body()]
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
    async with in_turn(access, quote_id) as (conn, row, revisions):
        QUOTES.move(row.state, "accept")
        check_in_time(row)
        check_confirmed(row)
        check_not_overtaken(row, revisions)
        if decision is None:
            raise conflict("changed_meanwhile", "The quote was changed meanwhile: look again.")
        await decide(conn, org_id, row, decision)
        row = await quote_rows.found(conn, quote_id)
    return ok(quote_item(row))


@router.post("/{id}/decline", operation_id="declineQuote", response_model=QuoteItem)
async def decline_quote(
    access: Dispatcher, quote_id: QuotePath, body: Annotated[DeclineByHand, Body()]
) -> Response:
    """Note that a customer declined a quote elsewhere."""
    async with in_turn(access, quote_id) as (conn, row, _):
        facts = {"name": body.name, "reason": body.reason, **_noted_by(access)}
        decision = QuoteDecision("declined", await db_now(conn), facts)
        await decide(conn, access.caller.org_id, row, decision)
        row = await quote_rows.found(conn, quote_id)
    return ok(quote_item(row))


@router.post("/{id}/expire", operation_id="expireQuote", response_model=QuoteItem)
async def expire_quote(access: Dispatcher, quote_id: QuotePath) -> Response:
    """End a quote before its last day: it can no longer be accepted."""
    return ok(await expired(access, quote_id))


@router.post("/{id}/end-link", operation_id="endQuoteLink", response_model=QuoteItem)
async def end_quote_link(access: Admin, quote_id: QuotePath) -> Response:
    """End the customer's link to an accepted quote before its days are over: its page says that the
    quote is accepted, and shows no more.
    """
    async with quote_rows.locked(access, quote_id) as (conn, row):
        check_accepted(row.state, "to end the link")
        if row.link_ended_at is None:
            now = await db_now(conn)
            row = await quote_rows.write(conn, row._replace(link_ended_at=now), now)
    return ok(quote_item(row))


async def expired(access: Access, quote_id: UUID) -> dict[str, Any]:
    """End a quote, and return it. Raises Problem (404, 412), IllegalMoveError."""
    async with in_turn(access, quote_id) as (conn, row, _):
        row = row._replace(state=QUOTES.move(row.state, "expire"))
        now = await db_now(conn)
        row = await quote_rows.write(conn, row, now)
        await events.insert(conn, [event_of(access.caller.org_id, QUOTE_EXPIRED, row, now)])
        return quote_item(row)


def _noted_by(access: Access) -> dict[str, Any]:
    return {"user_id": id_text("usr", access.caller.user_id)}


class QuoteDecision(NamedTuple):
    """The answer of a customer. kind: not `sent` or `viewed`. facts: `name`, and what else its
    entry of the evidence says.
    """

    kind: EvidenceKind
    at: datetime
    facts: Mapping[str, Any]
    files: EntryFiles = NO_FILES

    @property
    def accepted_how(self) -> AcceptedHow | None:
        """The way in which the quote is accepted; None where it is not."""
        if self.kind == "accepted_by_hand":
            return "by_hand"
        return self.facts["signature"] if self.kind == "accepted" else None


async def decide(conn: Connection, org_id: UUID, row: QuoteRow, decision: QuoteDecision) -> None:
    """Write that a quote is accepted or declined, with its evidence and its event. The revisions of
    the quote's number are locked. Raises IllegalMoveError.
    """
    facts, is_declined = decision.facts, decision.kind == "declined"
    verb: QuoteVerb = "decline" if is_declined else "accept"
    decided = row._replace(
        state=QUOTES.move(row.state, verb),
        decided_at=decision.at,
        decided_by=facts["name"],
        decline_reason=facts.get("reason") if is_declined else None,
        updated_at=decision.at,
    )
    await quotes.update(conn, decided)
    files = decision.files
    await append_entry(conn, org_id, row.id, decision.kind, decision.at, facts, files)
    if files.pdf is not None:
        await count_bytes(conn, len(files.pdf))
    event = event_of(
        org_id,
        QUOTE_DECLINED if is_declined else QUOTE_ACCEPTED,
        decided,
        decision.at,
        accepted_how=decision.accepted_how,
        noted_by=facts.get("user_id"),
    )
    await events.insert(conn, [event])


async def append_entry(
    conn: Connection,
    org_id: UUID,
    quote_id: UUID,
    kind: EvidenceKind,
    at: datetime,
    facts: Mapping[str, Any],
    files: EntryFiles = NO_FILES,
) -> None:
    """Append an entry to the evidence of a quote that was sent, with the hashes of its document and
    of the files that come with the entry.
    """
    kept = await evidence.get(conn, org_id, quote_id)
    contents = {
        "document_sha256": kept.files.document,
        "signature_sha256": files.signature_png,
        "acceptance_pdf_sha256": files.pdf,
    }
    hashes = {name: hex_hash(each) for name, each in contents.items() if each is not None}
    entry = next_entry(kept.chain, kind, time_text(at), {**facts, **hashes})
    await evidence.append(conn, org_id, quote_id, len(kept.chain) + 1, entry, files)


class QuoteToAccept(NamedTuple):
    """The things that the PDF of an acceptance is made of. at: the time of the acceptance. content:
    of the document that was sent.
    """

    at: datetime
    content: bytes
    logo: Logo | None


async def quote_to_accept(conn: Connection, org_id: UUID, quote_id: UUID) -> QuoteToAccept:
    """Read a quote that was sent, to accept it as of now."""
    content = (await evidence.get(conn, org_id, quote_id)).files.document
    logo = (await letterhead_now(conn)).logo
    is_same = logo is not None and hex_hash(logo.thumb) == read_document(content).logo_sha256
    return QuoteToAccept(await db_now(conn), content, logo if is_same else None)


async def acceptance_with_pdf(
    state: ApiState,
    org_id: UUID,
    quote: QuoteToAccept,
    kind: EvidenceKind,
    facts: Mapping[str, Any],
    signature_png: bytes | None = None,
) -> QuoteDecision:
    """Return the acceptance of a quote with its PDF. facts: what its entry says. Raises Problem
    (429, 503).
    """
    hashed = {"document_sha256": hex_hash(quote.content)}
    said = acceptance_of({**facts, **hashed, "kind": kind, "at": time_text(quote.at)})
    with refusing_when_full("documents"):
        picture = await _small(state, org_id, signature_png)
        pdf = await state.renderer.accepted_quote(
            org_id, read_document(quote.content), quote.logo, said, picture
        )
    return QuoteDecision(kind, quote.at, facts, EntryFiles(signature_png, pdf))


async def _small(state: ApiState, org_id: UUID, png: bytes | None) -> bytes:
    """Return a signature decoded and written anew, as it is printed; empty where none was drawn, or
    it cannot be shown.
    """
    if png is None:
        return b""
    try:
        return (await state.photos.signature(org_id, png)).content
    except PhotoError:
        return b""
