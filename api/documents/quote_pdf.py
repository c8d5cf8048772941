"""The PDF of a quote, set by typst from `templates/quote.typ`, and the texts in it.

Everything is decided here but the look. The customer's page shows the same texts, in the language
of the document.
"""

from collections.abc import Iterator
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
from api.documents.texts import one_line, paragraph
from api.documents.timesheet import DocumentError
from api.documents.typst_printer import TypstPrinter, check_length, picture_name, template
from languages.catalogue import named, say
from languages.dates import full_day, full_time
from languages.language import Language
from languages.numbers import figure, percent
from operations.quotes.document import DocumentLine, QuoteDocument, taxes_by_rate
from operations.quotes.evidence import QuoteAcceptance

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


class PrintedAcceptance(msgspec.Struct, frozen=True):
    """The texts of an acceptance. sentence: who and when. facts: label and text. signature: the
    name of a file; "" where there is none.
    """

    sentence: str
    day: str
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
        content = self.printed(_TEMPLATE, document.language, texts, made_at, letterhead.files)
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
        facts = (*quote.facts, (say(document.language, "acceptance-at"), said.day))
        texts = msgspec.structs.replace(quote, facts=facts, acceptance=said)
        pictures = {**letterhead.files, **({name: signature} if name else {})}
        return self.printed(_TEMPLATE, document.language, texts, acceptance.at, pictures)


def printed_quote(
    document: QuoteDocument, letterhead: Letterhead = NO_LETTERHEAD, *, is_draft: bool = False
) -> PrintedQuote:
    """Return the texts of a document. letterhead: of the PDF."""
    language = document.language
    label = say(language, "quote-label", number=str(document.number), revision=document.revision)
    valid_until = f"{full_day(language, document.valid_until)} ({document.timezone})"
    return PrintedQuote(
        label=label,
        organization=one_line(document.organization),
        organization_address=paragraph(document.organization_address),
        letterhead=printed_letterhead(document.organization, letterhead),
        client_name=one_line(document.client_name),
        client_address=paragraph(document.client_address),
        title=one_line(document.title),
        facts=(
            (say(language, "quote"), label),
            (say(language, "quote-date"), full_day(language, document.issued_on)),
            (say(language, "quote-valid-until"), valid_until),
            (say(language, "quote-currency"), document.currency),
        ),
        lines=tuple(_line(document, line) for line in document.lines),
        sums=tuple(_sums(document)),
        total=(
            say(language, "quote-total", currency=document.currency),
            _amount(document, document.total_cents),
        ),
        notes=paragraph(document.notes),
        terms=paragraph(document.terms),
        document_id=document.quote_id,
        is_draft=is_draft,
    )


def printed_acceptance(
    document: QuoteDocument, acceptance: QuoteAcceptance, signature: str = ""
) -> PrintedAcceptance:
    """Return the texts of an acceptance. signature: the name of its file."""
    language, name = document.language, one_line(acceptance.name)
    zone = ZoneInfo(document.timezone)
    at = f"{full_time(language, acceptance.at, zone)} ({document.timezone})"
    return PrintedAcceptance(
        sentence=say(language, "acceptance-sentence", name=name, at=at),
        day=full_day(language, acceptance.at.astimezone(zone).date()),
        facts=(
            (say(language, "acceptance-by"), name),
            (say(language, "acceptance-on"), at),
            (say(language, "acceptance-how"), named(language, "accepted", acceptance.how)),
            (say(language, "acceptance-sha256"), acceptance.document_sha256),
        ),
        signature=signature,
        consent=acceptance.consent_text,
    )


def _line(document: QuoteDocument, line: DocumentLine) -> PrintedLine:
    language = document.language
    unit = "" if line.unit is None else f" {one_line(line.unit)}"
    return PrintedLine(
        description=paragraph(line.description),
        quantity=figure(language, _trimmed(line.quantity_thousandths, 3)) + unit,
        unit_price=_amount(document, line.unit_price_cents),
        discount=_percent(language, line.discount_basis_points),
        tax=_percent(language, line.tax_basis_points),
        net=_amount(document, line.net_cents),
    )


def _sums(document: QuoteDocument) -> Iterator[tuple[str, str]]:
    """Yield the sums above the total: the tax of each rate by itself."""
    language = document.language
    yield say(language, "quote-subtotal"), _amount(document, document.subtotal_cents)
    if document.discount_cents:
        net = document.subtotal_cents - document.discount_cents
        yield say(language, "quote-discount"), f"−{_amount(document, document.discount_cents)}"
        yield say(language, "quote-net"), _amount(document, net)
    taxes = taxes_by_rate(document.lines)
    if not any(tax.tax_basis_points for tax in taxes):
        yield say(language, "quote-tax"), _amount(document, document.tax_cents)
        return
    for tax in taxes:
        rate = percent(language, _trimmed(tax.tax_basis_points, 2))
        net = _amount(document, tax.net_cents)
        label = say(language, "quote-tax-of", rate=rate, amount=net)
        yield label, _amount(document, tax.tax_cents)


def _amount(document: QuoteDocument, amount: int) -> str:
    return figure(document.language, document.amount_text(amount))


def _percent(language: Language, basis_points: int) -> str:
    return percent(language, _trimmed(basis_points, 2)) if basis_points else "–"


def _trimmed(value: int, digits: int) -> str:
    """Return a decimal fraction of `digits` places without needless zeros."""
    whole, rest = divmod(value, 10**digits)
    return f"{whole:,}.{rest:0{digits}d}".rstrip("0").rstrip(".")
