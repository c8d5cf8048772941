"""Letters with quotes, and the expiry of quotes: for a role that is not under row-level security.

A quote is sent when the mail server has taken its letter: then its state, the event and the first
entry of the evidence are written in one transaction.
"""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import fetch_one, rows_of, value_of
from db.core.table import db_now
from db.history import events
from db.history.failing_work import WorkKind, not_waiting
from db.quotes import evidence
from db.quotes.quotes import QuoteRow, event_of, quotes
from geofence.event_data.quotes import QUOTE_EXPIRED, QUOTE_SENT
from operations.quotes.evidence import QuoteAcceptance, acceptance_in, hex_hash, next_entry
from operations.quotes.states import EXPIRING, QUOTES, REVISABLE
from telemetry.times import format_time, to_us

EXPIRY: WorkKind = "quote_expiry"
"""The rows of this work are quotes."""
_FIND = quotes.selection("quotes.org_id = %s AND quotes.id = %s")


class QuoteLetter(NamedTuple):
    """The contents of the letter of a quote, and what speaks against sending it.

    is_over: its last day is over where the organization is. is_overtaken: a later revision was
    sent, or is on its way. is_confirmed: its amounts are.
    """

    content: bytes
    pdf: bytes
    valid_until: date
    is_over: bool
    is_overtaken: bool
    is_confirmed: bool

    @property
    def fault(self) -> str:
        """The reason why it is not sent any more; "" where there is none."""
        if self.is_over:
            return f"Not sent: the quote was valid until {self.valid_until}."
        if not self.is_confirmed:
            return "Not sent: an admin has to confirm the amounts of the quote first."
        return "Not sent: there is a later revision of the quote." if self.is_overtaken else ""


async def letter_of(conn: Connection, org_id: UUID, quote_id: UUID) -> QuoteLetter | None:
    """Return what is to be sent; None where nobody wants it sent any more. It stays so while its
    letter is claimed.
    """
    async with conn.cursor(row_factory=args_row(QuoteLetter)) as cursor:
        await cursor.execute(
            """
            SELECT document.content, document.pdf, quote.valid_until,
                   quote.valid_until < (now() AT TIME ZONE organizations.timezone)::date,
                   EXISTS (SELECT FROM quotes AS later
                            WHERE later.org_id = quote.org_id AND later.number = quote.number
                              AND later.revision > quote.revision
                              AND (later.state <> 'draft' OR later.mail_state = 'queued')),
                   quote.amounts_confirmed
              FROM quotes AS quote
              JOIN organizations ON organizations.org_id = quote.org_id
              JOIN quote_documents AS document
                ON document.org_id = quote.org_id AND document.quote_id = quote.id
             WHERE quote.org_id = %s AND quote.id = %s
               AND quote.state = 'draft' AND quote.mail_state = 'queued'
            """,
            (org_id, quote_id),
        )
        return await cursor.fetchone()


class AcceptanceLetter(NamedTuple):
    """The contents of the letters about an acceptance. pdf: with the acceptance. sent_to: the
    address of the quote's letter.
    """

    content: bytes
    pdf: bytes
    acceptance: QuoteAcceptance
    sent_to: str | None


async def acceptance_letter(
    conn: Connection, org_id: UUID, quote_id: UUID
) -> AcceptanceLetter | None:
    """Return what is to be sent about an acceptance; None where there is none."""
    kept = await evidence.find(conn, org_id, quote_id)
    acceptance = None if kept is None else acceptance_in(kept.chain)
    if kept is None or acceptance is None or kept.files.acceptance_pdf is None:
        return None
    sent_to = await value_of(
        conn, "SELECT sent_to FROM quotes WHERE org_id = %s AND id = %s", (org_id, quote_id)
    )
    return AcceptanceLetter(kept.files.document, kept.files.acceptance_pdf, acceptance, sent_to)


async def insert_link(conn: Connection, org_id: UUID, quote_id: UUID, token_hash: bytes) -> None:
    """Insert a link to a quote."""
    await conn.execute(
        "INSERT INTO quote_links (org_id, token_hash, quote_id) VALUES (%s, %s, %s)",
        (org_id, token_hash, quote_id),
    )


async def take_turn(conn: Connection, org_id: UUID, quote_id: UUID) -> None:
    """Lock all revisions of a quote's number, as whoever sends or accepts one does."""
    await conn.execute(
        """
        SELECT FROM quotes WHERE org_id = %(org_id)s AND number = (
               SELECT number FROM quotes WHERE org_id = %(org_id)s AND id = %(id)s)
         ORDER BY revision FOR NO KEY UPDATE
        """,
        {"org_id": org_id, "id": quote_id},
    )


async def was_taken(conn: Connection, org_id: UUID, quote_id: UUID) -> None:
    """Write that the mail server has taken the letter of a quote: its state, its event and its
    evidence. Earlier revisions are superseded. What is written already stays as it is, and so does
    a quote that waits for no letter.
    """
    await take_turn(conn, org_id, quote_id)
    row = await _found(conn, org_id, quote_id)
    kept = await evidence.find(conn, org_id, quote_id)
    if row.state != "draft" or row.mail_state != "queued" or kept is None:
        return
    now = await db_now(conn)
    sent = row._replace(state=QUOTES.move(row.state, "send"), sent_at=now)
    await conn.execute(
        """
        UPDATE quotes SET state = 'superseded', updated_at = %s
         WHERE org_id = %s AND number = %s AND revision < %s
           AND state = ANY (%s)
        """,
        (now, org_id, row.number, row.revision, list(REVISABLE)),
    )
    await conn.execute(
        """
        UPDATE quotes SET state = %s, mail_state = 'sent', send_error = NULL, sent_at = %s,
                          updated_at = %s
         WHERE org_id = %s AND id = %s
        """,
        (sent.state, now, now, org_id, quote_id),
    )
    facts = {
        "sent_to": row.sent_to,
        "document_sha256": hex_hash(kept.files.document),
        "pdf_sha256": hex_hash(kept.files.pdf),
    }
    entry = next_entry(kept.chain, "sent", format_time(to_us(now)), facts)
    await evidence.append(conn, org_id, quote_id, len(kept.chain) + 1, entry)
    await events.insert(conn, [event_of(org_id, QUOTE_SENT, sent, now)])


async def was_not_taken(
    conn: Connection, org_id: UUID, quote_id: UUID, reason: str, *, gives_up: bool
) -> None:
    """Write why the letter of a quote could not be sent. gives_up: it is not tried again."""
    await conn.execute(
        """
        UPDATE quotes SET mail_state = CASE WHEN %s THEN 'failed' ELSE mail_state END,
                          send_error = %s, updated_at = clock_timestamp()
         WHERE org_id = %s AND id = %s AND mail_state = 'queued'
        """,
        (gives_up, reason[:500] or "not said", org_id, quote_id),
    )


# The states are written out: the index `quotes_to_expire` has them.
_DUE = sql.SQL(
    """
    SELECT quote.org_id, quote.id
      FROM quotes AS quote JOIN organizations ON organizations.org_id = quote.org_id
     WHERE quote.state = ANY ({}::text[]) AND quote.valid_until <= current_date + 1
       AND quote.valid_until < (now() AT TIME ZONE organizations.timezone)::date
    """
).format(sql.Literal(list(EXPIRING)))
_FIRST_DUE = sql.SQL("{} AND {} ORDER BY quote.valid_until LIMIT %s").format(
    _DUE, sql.SQL(not_waiting(EXPIRY, "quote.id::text"))
)
_LOCK_DUE = sql.SQL("{} AND quote.id = ANY (%s) FOR NO KEY UPDATE OF quote SKIP LOCKED").format(
    _DUE
)


async def due_to_expire(conn: Connection, *, limit: int) -> list[tuple[UUID, UUID]]:
    """Return the organization and the id of quotes whose last day is over where their organization
    is, and that do not wait after a failure, the oldest first.
    """
    return [(org_id, quote_id) for org_id, quote_id in await rows_of(conn, _FIRST_DUE, (limit,))]


async def expire(conn: Connection, quote_ids: Sequence[UUID]) -> None:
    """Expire those of the quotes whose last day is over and that nobody else has locked."""
    for org_id, quote_id in await rows_of(conn, _LOCK_DUE, (list(quote_ids),)):
        row = await _found(conn, org_id, quote_id)
        now = await db_now(conn)
        state = QUOTES.move(row.state, "expire")
        await conn.execute(
            "UPDATE quotes SET state = %s, updated_at = %s WHERE org_id = %s AND id = %s",
            (state, now, org_id, quote_id),
        )
        await events.insert(conn, [event_of(org_id, QUOTE_EXPIRED, row._replace(state=state), now)])


async def _found(conn: Connection, org_id: UUID, quote_id: UUID) -> QuoteRow:
    """Return a quote whose row is locked."""
    async with conn.cursor(row_factory=args_row(QuoteRow)) as cursor:
        await cursor.execute(_FIND, (org_id, quote_id))
        return await fetch_one(cursor)
