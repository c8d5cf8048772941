"""A quote as its customer gets it: the values of its PDF, its page and its hash."""

from datetime import date
from typing import Any

import msgspec
from msgspec import Struct

from operations.quotes.evidence import canonical
from operations.quotes.sums import QuoteLine, QuoteSums, line_sums


class DocumentLine(Struct, frozen=True):
    """A line with its figures. net_cents: after the discount, before the tax."""

    description: str
    quantity_thousandths: int
    unit_price_cents: int
    discount_basis_points: int
    tax_basis_points: int
    net_cents: int
    tax_cents: int


class QuoteDocument(Struct, frozen=True, kw_only=True):
    """The whole document. issued_on, valid_until: local days of `timezone`. logo_sha256: of the
    small logo that is kept beside it. A `quote-1` has no logo and no address of the organization.
    """

    format: str = "quote-2"
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
    def label(self) -> str:
        """The number as people say it."""
        return quote_label(self.number, self.revision)

    @property
    def sums(self) -> QuoteSums:
        """The sums, as they are written."""
        return QuoteSums(self.subtotal_cents, self.discount_cents, self.tax_cents, self.total_cents)


def quote_label(number: int, revision: int) -> str:
    """Return the number of a quote as people say it: `Q-1042`, or `Q-1042 revision 2`."""
    return f"Q-{number}" if revision == 1 else f"Q-{number} revision {revision}"


def document_line(line: QuoteLine) -> DocumentLine:
    """Return a line with its figures."""
    sums = line_sums(line)
    return DocumentLine(*line[:-1], sums.net_cents, sums.tax_cents)  # the part is our own affair


def read_document(content: bytes) -> QuoteDocument:
    """Read a document that was kept. Raises msgspec.DecodeError."""
    return msgspec.json.decode(content, type=QuoteDocument)
