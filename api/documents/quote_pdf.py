"""The PDF of a quote, set by typst from `templates/quote.typ`, and the texts in it.

Everything is decided here but the look. The customer's page shows the same texts.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import msgspec

from api.documents.letterhead import (
    NO_LETTERHEAD,
    Letterhead,
    Logo,
    PrintedLetterhead,
    printed_letterhead,
)
from api.documents.texts import full_day, full_time, one_line, paragraph
from api.documents.timesheet import DocumentError
from api.documents.typst_printer import TypstPrinter, check_length, picture_name, template
from operations.quotes.document import DocumentLine, QuoteDocument, taxes_by_rate
from operations.quotes.evidence import AcceptedHow, QuoteAcceptance

MAX_PDF_BYTES = 5_000_000  # with a logo of a megabyte, several times what texts within bounds take
_TEMPLATE = template("quote")
_HOW: Mapping[AcceptedHow, str] = {
    "typed": "by the name, as an electronic signature",
    "drawn": "by a drawn signature",
    "by_hand": "elsewhere, as a user of the organization has noted",
}


class PrintedLine(msgspec.Struct, frozen=True):
    """A row of the table."""

    description: str
    quantity: str
    unit_price: str
    discount: str
    tax: str
    net: str


class PrintedAcceptance(msgspec.Struct, frozen=True):
    """The texts of an acceptance. sentence: who, when and how. facts: label and text. signature:
    the name of a file; "" where there is none.
    """

    sentence: str
    facts: tuple[tuple[str, str], ...]
    signature: str
    consent: str


class PrintedQuote(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of a whole document. facts, sums: label and text. is_draft: it was not sent."""

    label: str
    organization: str
    organization_address: str
    letterhead: PrintedLetterhead
    client_name: str
    client_address: str
    title: str
    facts: tuple[tuple[str, str], ...]
    lines: tuple[PrintedLine, ...]
    sums: tuple[tuple[str, str], ...]
    total: tuple[str, str]
    notes: str
    terms: str
    document_id: str
    is_draft: bool = False
    acceptance: PrintedAcceptance | None = None


class QuotePrinter(TypstPrinter):
    """A printer of quotes."""

    def pdf(
        self, document: QuoteDocument, logo: Logo | None = None, *, is_draft: bool = False
    ) -> bytes:
        """Return the PDF of a document, whose address is its own. Raises DocumentError where it is
        too long.
        """
        letterhead = Letterhead(document.organization_address, logo)
        made_at = datetime.combine(document.issued_on, time(), UTC)
        texts = printed_quote(document, letterhead, is_draft=is_draft)
        check_length(texts)
        content = self.printed(_TEMPLATE, texts, made_at, letterhead.files)
        if len(content) > MAX_PDF_BYTES:
            problem = f"there are {len(content):,}; a PDF has at most {MAX_PDF_BYTES:,}"
            raise DocumentError("bytes", problem)
        return content

    def accepted_pdf(
        self,
        document: QuoteDocument,
        logo: Logo | None,
        acceptance: QuoteAcceptance,
        signature: bytes,
    ) -> bytes:
        """Return the PDF of a document with its acceptance, however long: it was sent before.
        signature: a small copy of what was drawn; empty where nothing was.
        """
        letterhead = Letterhead(document.organization_address, logo)
        name = picture_name("signature", signature) if signature else ""
        quote = printed_quote(document, letterhead)
        said = printed_acceptance(document, acceptance, name)
        facts = (*quote.facts, ("Accepted", dict(said.facts)["On"]))
        texts = msgspec.structs.replace(quote, facts=facts, acceptance=said)
        pictures = {**letterhead.files, **({name: signature} if name else {})}
        return self.printed(_TEMPLATE, texts, acceptance.at, pictures)


def printed_quote(
    document: QuoteDocument, letterhead: Letterhead = NO_LETTERHEAD, *, is_draft: bool = False
) -> PrintedQuote:
    """Return the texts of a document. letterhead: of the PDF."""
    return PrintedQuote(
        label=document.label,
        organization=one_line(document.organization),
        organization_address=paragraph(document.organization_address),
        letterhead=printed_letterhead(document.organization, letterhead),
        client_name=one_line(document.client_name),
        client_address=paragraph(document.client_address),
        title=one_line(document.title),
        facts=(
            ("Quote", document.label),
            ("Date", full_day(document.issued_on)),
            ("Valid until", f"{full_day(document.valid_until)} ({document.timezone})"),
            ("Currency", document.currency),
        ),
        lines=tuple(_line(document, line) for line in document.lines),
        sums=tuple(_sums(document)),
        total=(f"Total {document.currency}", document.amount_text(document.total_cents)),
        notes=paragraph(document.notes),
        terms=paragraph(document.terms),
        document_id=document.quote_id,
        is_draft=is_draft,
    )


def printed_acceptance(
    document: QuoteDocument, acceptance: QuoteAcceptance, signature: str = ""
) -> PrintedAcceptance:
    """Return the texts of an acceptance. signature: the name of its file."""
    name = one_line(acceptance.name)
    at = f"{full_time(acceptance.at, ZoneInfo(document.timezone))} ({document.timezone})"
    return PrintedAcceptance(
        sentence=f"Accepted by {name} on {at}.",
        facts=(
            ("Accepted by", name),
            ("On", at),
            ("How", _HOW[acceptance.how]),
            ("SHA-256 of the quote", acceptance.document_sha256),
        ),
        signature=signature,
        consent=acceptance.consent_text,
    )


def _line(document: QuoteDocument, line: DocumentLine) -> PrintedLine:
    unit = "" if line.unit is None else f" {one_line(line.unit)}"
    return PrintedLine(
        description=paragraph(line.description),
        quantity=_trimmed(line.quantity_thousandths, 3) + unit,
        unit_price=document.amount_text(line.unit_price_cents),
        discount=_percent(line.discount_basis_points),
        tax=_percent(line.tax_basis_points),
        net=document.amount_text(line.net_cents),
    )


def _sums(document: QuoteDocument) -> Iterator[tuple[str, str]]:
    """Yield the sums above the total: the tax of each rate by itself."""
    amount = document.amount_text
    yield "Subtotal", amount(document.subtotal_cents)
    if document.discount_cents:
        yield "Discount", f"−{amount(document.discount_cents)}"
        yield "Net", amount(document.subtotal_cents - document.discount_cents)
    taxes = taxes_by_rate(document.lines)
    if not any(tax.tax_basis_points for tax in taxes):
        yield "Tax", amount(document.tax_cents)
        return
    for tax in taxes:
        rate = _trimmed(tax.tax_basis_points, 2)
        yield f"Tax {rate}% of {amount(tax.net_cents)}", amount(tax.tax_cents)


def _percent(basis_points: int) -> str:
    return f"{_trimmed(basis_points, 2)}%" if basis_points else "–"


def _trimmed(value: int, digits: int) -> str:
    """Return a decimal fraction of `digits` places without needless zeros."""
    whole, rest = divmod(value, 10**digits)
    return f"{whole:,}.{rest:0{digits}d}".rstrip("0").rstrip(".")
