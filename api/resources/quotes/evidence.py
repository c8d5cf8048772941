"""The PDFs of quotes, and their evidence, verified anew."""

import base64
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.documents.letterhead import NO_LETTERHEAD
from api.http import fields
from api.http.encoding import id_text, ok
from api.http.etags import tag_of
from api.http.problems import not_found
from api.request.access import Access, Dispatcher, Reader
from api.request.document_answers import PDF_TYPES
from api.request.route import TenantRoute
from api.resources.quotes.listing import EvidenceItem, QuotePath, Sha256, entry_item, quote_rows
from api.resources.quotes.sending import document_of, letterhead_now, rendered_quote
from db.core.connect import Connection
from db.quotes import evidence
from db.quotes.evidence import StoredEvidence
from db.quotes.quotes import QuoteRow
from operations.quotes.evidence import SentQuote, evidence_faults, hex_hash

router = APIRouter(prefix="/v1/quotes", tags=["quotes"], route_class=TenantRoute)
_PDF: dict[int | str, dict[str, Any]] = {200: {"description": "The PDF", **PDF_TYPES[200]}}


class EvidenceCheck(BaseModel):
    """The evidence of a quote, worked out anew."""

    is_intact: bool = Field(description="each hash is that of what is stored now")
    faults: Annotated[list[Annotated[str, fields.text(200, "Entry 1.")]], Field(max_length=50)]
    document: Annotated[str, fields.text(2_000_000, "{}")] | None = Field(
        description="the canonical JSON of what was sent (RFC 8785); null: nothing was"
    )
    document_sha256: Sha256 | None
    pdf_sha256: Sha256 | None
    signature_png_base64: Annotated[str, fields.text(200_000, "iVBORw0KGgo=")] | None
    entries: Annotated[list[EvidenceItem], Field(max_length=10)]


@router.get("/{id}/pdf", operation_id="getQuotePdf", response_class=Response, responses=_PDF)
async def get_quote_pdf(access: Reader, quote_id: QuotePath) -> Response:
    """Return the PDF: as it was sent, or of a draft as it would be."""
    async with access.transaction() as conn:
        row = await quote_rows.found(conn, quote_id)
        kept = await _kept(access, conn, row)
        letterhead = await letterhead_now(conn) if kept is None else NO_LETTERHEAD
    if kept is None:
        pdf = await rendered_quote(access, document_of(row, letterhead), letterhead, is_draft=True)
    else:
        pdf = kept.files.pdf
    return _pdf_answer(pdf, f"quote-{row.number}-{row.revision}.pdf")


@router.get(
    "/{id}/accepted-pdf",
    operation_id="getQuoteAcceptedPdf",
    response_class=Response,
    responses=_PDF,
)
async def get_accepted_quote_pdf(access: Dispatcher, quote_id: QuotePath) -> Response:
    """Return the PDF of a quote with its acceptance. A quote that was accepted before such PDFs
    were made has none.
    """
    async with access.transaction() as conn:
        row = await quote_rows.found(conn, quote_id)
        kept = await _kept(access, conn, row)
    pdf = None if kept is None else kept.files.acceptance_pdf
    if pdf is None:
        raise not_found("PDF of an acceptance")
    return _pdf_answer(pdf, f"quote-{row.number}-{row.revision}-accepted.pdf")


@router.get("/{id}/evidence", operation_id="getQuoteEvidence", response_model=EvidenceCheck)
async def get_quote_evidence(access: Dispatcher, quote_id: QuotePath) -> Response:
    """Verify the evidence: work out each hash anew from what is stored."""
    async with access.transaction() as conn:
        row = await quote_rows.found(conn, quote_id)
        kept = await _kept(access, conn, row)
    return ok(_checked(row, kept))


def _pdf_answer(pdf: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "ETag": tag_of(pdf)}
    return Response(pdf, media_type="application/pdf", headers=headers)


async def _kept(access: Access, conn: Connection, row: QuoteRow) -> StoredEvidence | None:
    """Return what is kept about a quote that was sent; None of a draft."""
    if row.state == "draft":
        return None
    return await evidence.find(conn, access.caller.org_id, row.id)


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
