"""The moves of quotes that the routes and the customer's page share."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from api.documents.letterhead import Letterhead
from api.http.encoding import id_text, time_text
from api.http.problems import conflict
from db.core.connect import Connection
from db.core.table import db_now
from db.history import events
from db.quotes import evidence
from db.quotes.quotes import QuoteRevision, QuoteRow, event_of, quotes
from geofence.event_data.quotes import QUOTE_ACCEPTED, QUOTE_DECLINED
from operations.quotes.document import QuoteDocument, document_line
from operations.quotes.evidence import EvidenceKind, hex_hash, next_entry
from operations.quotes.states import QUOTES, QuoteVerb
from operations.quotes.sums import QuoteLine


def document_of(row: QuoteRow, letterhead: Letterhead) -> QuoteDocument:
    """Return the document of a quote, issued today."""
    logo = letterhead.logo
    return QuoteDocument(
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
        lines=tuple(document_line(QuoteLine(**line)) for line in row.lines),
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


async def decide(
    conn: Connection,
    org_id: UUID,
    row: QuoteRow,
    kind: EvidenceKind,
    facts: Mapping[str, Any],
    signature_png: bytes | None = None,
) -> None:
    """Write that a quote is accepted or declined, with its evidence and its event.

    kind: not `sent` or `viewed`. facts: `name`, and what else is to be kept. The revisions of the
    quote's number are locked. Raises IllegalMoveError.
    """
    verb: QuoteVerb = "decline" if kind == "declined" else "accept"
    state = QUOTES.move(row.state, verb)
    now = await db_now(conn)
    decided = row._replace(
        state=state,
        decided_at=now,
        decided_by=facts["name"],
        decline_reason=facts.get("reason") if verb == "decline" else None,
        updated_at=now,
    )
    await quotes.update(conn, decided)
    await append_entry(conn, org_id, row.id, kind, time_text(now), facts, signature_png)
    event_type = QUOTE_DECLINED if verb == "decline" else QUOTE_ACCEPTED
    await events.insert(conn, [event_of(org_id, event_type, decided, now)])


async def append_entry(
    conn: Connection,
    org_id: UUID,
    quote_id: UUID,
    kind: EvidenceKind,
    at: str,
    facts: Mapping[str, Any],
    signature_png: bytes | None = None,
) -> None:
    """Append an entry to the evidence of a quote that was sent, with the hash of its document."""
    kept = await evidence.get(conn, org_id, quote_id)
    hashes: dict[str, Any] = {"document_sha256": hex_hash(kept.files.document)}
    if signature_png is not None:
        hashes["signature_sha256"] = hex_hash(signature_png)
    entry = next_entry(kept.chain, kind, at, {**facts, **hashes})
    await evidence.append(conn, org_id, quote_id, len(kept.chain) + 1, entry, signature_png)
