"""The PDF of a quote with its acceptance, made while nothing is locked.

The entry of an acceptance has the hash of its PDF, so the PDF is made before the acceptance is
written. It is thrown away where the quote cannot be accepted any more by then.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from api.context import ApiState
from api.documents.letterhead import Logo
from api.http.encoding import time_text
from api.limits.turns import refusing_when_full
from api.photos.copier import PhotoError
from api.resources.organization_logo import letterhead_of
from api.resources.quotes.moves import QuoteDecision
from db.core.connect import Connection
from db.core.table import db_now
from db.quotes import evidence
from db.quotes.evidence import EntryFiles
from db.resources import organizations
from operations.quotes.document import read_document
from operations.quotes.evidence import EvidenceKind, acceptance_of, hex_hash


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
    logo = (await letterhead_of(conn, await organizations.find(conn))).logo
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
