"""The PDF of a quote, set by typst from `templates/quote.typ`, and the texts in it.

Everything is decided here but the look. The customer's page shows the same texts.
"""

from datetime import UTC, datetime, time

import msgspec

from api.documents.letterhead import (
    NO_LETTERHEAD,
    Letterhead,
    Logo,
    PrintedLetterhead,
    printed_letterhead,
)
from api.documents.texts import full_day, one_line, paragraph
from api.documents.timesheet import DocumentError
from api.documents.typst_printer import TypstPrinter, check_length, template
from operations.quotes.document import DocumentLine, QuoteDocument

MAX_PDF_BYTES = 5_000_000  # with a logo of a megabyte, several times what texts within bounds take
_TEMPLATE = template("quote")


class PrintedLine(msgspec.Struct, frozen=True):
    """A row of the table."""

    description: str
    quantity: str
    unit_price: str
    discount: str
    tax: str
    net: str


class PrintedQuote(msgspec.Struct, frozen=True, kw_only=True):
    """The texts of a whole document. facts, sums: label and text."""

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


class QuotePrinter(TypstPrinter):
    """A printer of quotes."""

    def pdf(self, document: QuoteDocument, logo: Logo | None = None) -> bytes:
        """Return the PDF of a document, whose address is its own. Raises DocumentError where it is
        too long.
        """
        letterhead = Letterhead(document.organization_address, logo)
        made_at = datetime.combine(document.issued_on, time(), UTC)
        texts = printed_quote(document, letterhead)
        check_length(texts)
        content = self.printed(_TEMPLATE, texts, made_at, letterhead.files)
        if len(content) > MAX_PDF_BYTES:
            problem = f"there are {len(content):,}; a PDF has at most {MAX_PDF_BYTES:,}"
            raise DocumentError("bytes", problem)
        return content


def printed_quote(document: QuoteDocument, letterhead: Letterhead = NO_LETTERHEAD) -> PrintedQuote:
    """Return the texts of a document. letterhead: of the PDF."""
    before_tax = document.subtotal_cents - document.discount_cents
    sums = [("Subtotal", money(document.subtotal_cents))]
    if document.discount_cents:
        sums.append(("Discount", f"−{money(document.discount_cents)}"))
        sums.append(("Net", money(before_tax)))
    sums.append(("Tax", money(document.tax_cents)))
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
        lines=tuple(map(_line, document.lines)),
        sums=tuple(sums),
        total=(f"Total {document.currency}", money(document.total_cents)),
        notes=paragraph(document.notes),
        terms=paragraph(document.terms),
        document_id=document.quote_id,
    )


def _line(line: DocumentLine) -> PrintedLine:
    return PrintedLine(
        description=paragraph(line.description),
        quantity=_trimmed(line.quantity_thousandths, 3),
        unit_price=money(line.unit_price_cents),
        discount=_percent(line.discount_basis_points),
        tax=_percent(line.tax_basis_points),
        net=money(line.net_cents),
    )


def money(cents: int) -> str:
    """Return an amount as in "1,234.50"."""
    return f"{cents // 100:,}.{cents % 100:02d}"


def _percent(basis_points: int) -> str:
    return f"{_trimmed(basis_points, 2)}%" if basis_points else "–"


def _trimmed(value: int, digits: int) -> str:
    """Return a decimal fraction of `digits` places without needless zeros."""
    whole, rest = divmod(value, 10**digits)
    return f"{whole:,}.{rest:0{digits}d}".rstrip("0").rstrip(".")
