"""The documents of quotes that were sent, and the evidence about them; links to them."""

from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import fetch_one, value_of
from languages.language import USUAL, Language
from operations.quotes.evidence import EvidenceEntry, QuoteFiles


class EntryFiles(NamedTuple):
    """The files that an entry brings. pdf: of a quote with its acceptance."""

    signature_png: bytes | None = None
    pdf: bytes | None = None


NO_FILES = EntryFiles()


class StoredEvidence(NamedTuple):
    """Everything that is kept about a quote that was sent. chain: the first entry first."""

    files: QuoteFiles
    chain: list[EvidenceEntry]


async def write_document(
    conn: Connection, quote_id: UUID, content: bytes, pdf: bytes, logo: bytes | None
) -> int:
    """Write the document that is to be sent, in place of the one of an earlier try; return how many
    bytes more than before are kept of the quote, whose row is locked. logo: a small one, for the
    customer's page.
    """
    before = await value_of(
        conn,
        """
        SELECT coalesce(sum(length(content) + length(pdf) + coalesce(length(logo), 0)), 0)::bigint
          FROM quote_documents WHERE quote_id = %s
        """,
        (quote_id,),
    )
    await conn.execute(
        """
        INSERT INTO quote_documents (org_id, quote_id, content, pdf, logo)
        VALUES (current_org_id(), %s, %s, %s, %s)
        ON CONFLICT (org_id, quote_id)
        DO UPDATE SET content = excluded.content, pdf = excluded.pdf, logo = excluded.logo
        """,
        (quote_id, content, pdf, logo),
    )
    return len(content) + len(pdf) + len(logo or b"") - before


_FILES = """
SELECT document.content, document.pdf, entry.signature_png, document.logo, entry.pdf
  FROM quote_documents AS document
  LEFT JOIN LATERAL (
       SELECT signature_png, pdf FROM quote_evidence AS entry
        WHERE entry.org_id = document.org_id AND entry.quote_id = document.quote_id
          AND (signature_png IS NOT NULL OR pdf IS NOT NULL) LIMIT 1) AS entry ON true
 WHERE document.org_id = %s AND document.quote_id = %s
"""


async def chain_of(conn: Connection, org_id: UUID, quote_id: UUID) -> list[EvidenceEntry]:
    """Return the entries about a quote, the first first."""
    cursor = await conn.execute(
        "SELECT content, sha256 FROM quote_evidence WHERE org_id = %s AND quote_id = %s"
        " ORDER BY place",
        (org_id, quote_id),
    )
    return [EvidenceEntry(*row) for row in await cursor.fetchall()]


async def find(conn: Connection, org_id: UUID, quote_id: UUID) -> StoredEvidence | None:
    """Return what is kept about a quote; None where it was never sent. org_id: for the role that
    delivers, which is not under row-level security.
    """
    row = await (await conn.execute(_FILES, (org_id, quote_id))).fetchone()
    if row is None:
        return None
    return StoredEvidence(QuoteFiles(*row), await chain_of(conn, org_id, quote_id))


async def get(conn: Connection, org_id: UUID, quote_id: UUID) -> StoredEvidence:
    """Return what is kept about a quote that was sent."""
    row = await fetch_one(await conn.execute(_FILES, (org_id, quote_id)))
    return StoredEvidence(QuoteFiles(*row), await chain_of(conn, org_id, quote_id))


async def append(
    conn: Connection,
    org_id: UUID,
    quote_id: UUID,
    place: int,
    entry: EvidenceEntry,
    files: EntryFiles = NO_FILES,
) -> None:
    """Append an entry about a quote, whose row is locked. place: from 1."""
    await conn.execute(
        "INSERT INTO quote_evidence"
        " (org_id, quote_id, place, content, sha256, signature_png, pdf)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (org_id, quote_id, place, entry.content, entry.sha256, *files),
    )


async def org_of_link(conn: Connection, token_hash: bytes) -> UUID | None:
    """Return the organization whose link it is."""
    return await value_of(conn, "SELECT org_of_quote_link(%s)", (token_hash,))


class LinkedQuote(NamedTuple):
    """The quote that a link leads to, and the language of its document."""

    quote_id: UUID
    language: Language


async def quote_of_link(conn: Connection, token_hash: bytes) -> LinkedQuote | None:
    """Return the tenant's quote that a link leads to."""
    cursor = await conn.execute(
        """
        SELECT quote_id, convert_from(document.content, 'UTF8')::json->>'language'
          FROM quote_links LEFT JOIN quote_documents AS document USING (org_id, quote_id)
         WHERE token_hash = %s
        """,
        (token_hash,),
    )
    row = await cursor.fetchone()
    return None if row is None else LinkedQuote(row[0], row[1] or USUAL)
