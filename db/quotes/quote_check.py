"""The check of stored quotes: sums that are not those of their lines, and amounts that an admin has
to confirm.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from operations.quotes.states import UNDECIDED, QuoteState
from operations.quotes.sums import QuoteLine, QuoteSums, quote_sums

_QUOTES = """
SELECT id, number, revision, lines, subtotal_cents, discount_cents, tax_cents, total_cents
  FROM quotes WHERE org_id = current_org_id() ORDER BY number, revision
"""
_UNCONFIRMED = """
SELECT id, number, revision, state, currency, total_cents FROM quotes
 WHERE org_id = current_org_id() AND NOT amounts_confirmed AND deleted_at IS NULL
 ORDER BY number, revision
"""
_PIECE = 1000  # rows of a piece


class SumsDifference(NamedTuple):
    """A quote whose sums are not those of its lines."""

    id: UUID
    number: int
    revision: int
    stored: QuoteSums
    worked_out: QuoteSums


class UnconfirmedQuote(NamedTuple):
    """A quote from when amounts were hundredths, in a currency that has other minor units."""

    id: UUID
    number: int
    revision: int
    state: QuoteState
    currency: str
    total_cents: int

    @property
    def waits(self) -> bool:
        """It is not sent, or not accepted, until an admin confirms its amounts."""
        return self.state in UNDECIDED


class QuotesCheck(NamedTuple):
    """The check of an organization. quotes: how many are stored."""

    quotes: int
    differences: Sequence[SumsDifference]
    unconfirmed: Sequence[UnconfirmedQuote]


async def check_quotes(conn: Connection) -> QuotesCheck:
    """Check all quotes of the tenant."""
    quotes, differences = 0, list[SumsDifference]()
    async for row_id, number, revision, lines, *sums in conn.cursor().stream(_QUOTES, size=_PIECE):
        quotes += 1
        stored, made = QuoteSums(*sums), quote_sums(QuoteLine(**line) for line in lines)
        if stored != made:
            differences.append(SumsDifference(row_id, number, revision, stored, made))
    async with conn.cursor(row_factory=args_row(UnconfirmedQuote)) as cursor:
        await cursor.execute(_UNCONFIRMED)
        return QuotesCheck(quotes, differences, await cursor.fetchall())
