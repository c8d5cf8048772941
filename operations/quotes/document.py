"""A quote as its customer gets it: the values of its PDF, its page and its hash."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from languages.language import USUAL, Language
from operations.money import USUAL_DIGITS, minor_digits, money_text
from operations.quotes.evidence import canonical
from operations.quotes.sums import QuoteLine, QuoteSums, line_sums

_IN_HUNDREDTHS = ("quote-1", "quote-2")
"""The formats whose amounts are hundredths, whatever the currency."""


class TaxAtRate(NamedTuple):
    """The tax of all lines with one rate. net_cents: the amount that is taxed."""

    tax_basis_points: int
    net_cents: int
    tax_cents: int


class DocumentLine(Struct, frozen=True):
    """A line with its figures. net_cents: after the discount, before the tax. unit: of the
    quantity; None: not said.
    """

    description: str
    quantity_thousandths: int
    unit_price_cents: int
    discount_basis_points: int
    tax_basis_points: int
    net_cents: int
    tax_cents: int
    unit: str | None = None


class QuoteDocument(Struct, frozen=True, kw_only=True):
    """The whole document. issued_on, valid_until: local days of `timezone`. logo_sha256: of the
    small logo that is kept beside it.

    A `quote-1` has no logo and no address of the organization. Up to `quote-2` lines have no unit,
    and amounts are hundredths; since then they are minor units of the currency. Up to `quote-3` all
    are in English. language: of its PDF, its page and its letters.
    """

    format: str = "quote-4"
    language: Language = USUAL
    quote_id: str
    number: int
    revision: int
    organization: str
    organization_address: str | None = None
    logo_sha256: str | None = None
    client_name: str
    client_address: str | None
    title: str
    currency: str
    issued_on: date
    valid_until: date
    timezone: str
    lines: tuple[DocumentLine, ...]
    subtotal_cents: int
    discount_cents: int
    tax_cents: int
    total_cents: int
    terms: str | None
    notes: str | None

    def canonical(self) -> bytes:
        """Return the one JSON text that is hashed and kept."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return canonical(values)

    @property
    def sums(self) -> QuoteSums:
        """The sums, as they are written."""
        return QuoteSums(self.subtotal_cents, self.discount_cents, self.tax_cents, self.total_cents)

    @property
    def total_text(self) -> str:
        """The total as people write it: "CHF 3,080.85"."""
        return f"{self.currency} {self.amount_text(self.total_cents)}"

    def amount_text(self, amount: int) -> str:
        """Return one of the document's amounts as people write it."""
        is_old = self.format in _IN_HUNDREDTHS
        return money_text(amount, USUAL_DIGITS if is_old else minor_digits(self.currency))


def quote_label(number: int, revision: int) -> str:
    """Return the number of a quote as people say it: `Q-1042`, or `Q-1042 revision 2`."""
    return f"Q-{number}" if revision == 1 else f"Q-{number} revision {revision}"


def document_line(line: QuoteLine) -> DocumentLine:
    """Return a line with its figures."""
    sums = line_sums(line)
    return DocumentLine(  # the part is our own affair
        line.description,
        line.quantity_thousandths,
        line.unit_price_cents,
        line.discount_basis_points,
        line.tax_basis_points,
        sums.net_cents,
        sums.tax_cents,
        line.unit,
    )


def taxes_by_rate(lines: Iterable[DocumentLine]) -> list[TaxAtRate]:
    """Return the tax of each rate, the lowest first: the sums of what the lines say."""
    net, tax = defaultdict[int, int](int), defaultdict[int, int](int)
    for line in lines:
        net[line.tax_basis_points] += line.net_cents
        tax[line.tax_basis_points] += line.tax_cents
    return [TaxAtRate(rate, net[rate], tax[rate]) for rate in sorted(net)]


def read_document(content: bytes) -> QuoteDocument:
    """Read a document that was kept. Raises msgspec.DecodeError."""
    return msgspec.json.decode(content, type=QuoteDocument)
