"""The moves of quotes that the routes and the customer's page share."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from api.documents.letterhead import Letterhead
from api.http.encoding import id_text, time_text
from api.http.problems import conflict
from db.core.connect import Connection
from db.history import events
from db.quotes import evidence
from db.quotes.evidence import NO_FILES, EntryFiles
from db.quotes.quotes import QuoteRevision, QuoteRow, event_of, quotes
from db.resources.quotas import count_bytes
from geofence.event_data.quotes import QUOTE_ACCEPTED, QUOTE_DECLINED
from operations.quotes.document import QuoteDocument, document_line
from operations.quotes.evidence import AcceptedHow, EvidenceKind, hex_hash, next_entry
from operations.quotes.states import QUOTES, QuoteVerb
from operations.quotes.sums import QuoteLine


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


def check_confirmed(row: QuoteRow) -> None:
    """Raise Problem (409) where the amounts of a quote may be a hundred times too much."""
    if not row.amounts_confirmed:
        detail = (
            f"The quote was made when amounts were hundredths of {row.currency}. They are minor"
            " units by ISO 4217 now: an admin looks at the amounts, and confirms them with POST"
            " /v1/quotes/{id}/confirm-amounts."
        )
        raise conflict("amounts_not_confirmed", detail)


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
