"""The check of stored quotes: sums that are not those of their lines, and amounts that an admin has
to confirm.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import value_of
from operations.quotes.states import QuoteState

# `sums_of_quote` has the rule of `operations/quotes/sums.py`; a test compares them.
_DIFFERENCES = """
SELECT id, number, revision,
       ARRAY[subtotal_cents, discount_cents, tax_cents, total_cents],
       ARRAY[made.subtotal, made.discount, made.tax, made.total]
  FROM quotes LEFT JOIN LATERAL sums_of_quote(lines) AS made ON true
 WHERE org_id = current_org_id()
   AND (subtotal_cents, discount_cents, tax_cents, total_cents)
       IS DISTINCT FROM (made.subtotal, made.discount, made.tax, made.total)
 ORDER BY number, revision
"""
_UNCONFIRMED = """
SELECT id, number, revision, state, currency, total_cents FROM quotes
 WHERE org_id = current_org_id() AND NOT amounts_confirmed AND deleted_at IS NULL
 ORDER BY number, revision
"""
_WAIT = ("draft", "sent", "viewed")


class SumsDifference(NamedTuple):
    """A quote whose sums are not those of its lines: subtotal, discount, tax and total. Without a
    sum the lines cannot be.
    """

    id: UUID
    number: int
    revision: int
    stored: Sequence[int]
    worked_out: Sequence[int | None]


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
        return self.state in _WAIT


class QuotesCheck(NamedTuple):
    """The check of an organization. quotes: how many are stored."""

    quotes: int
    differences: Sequence[SumsDifference]
    unconfirmed: Sequence[UnconfirmedQuote]


async def check_quotes(conn: Connection) -> QuotesCheck:
    """Check all quotes of the tenant."""
    quotes = await value_of(conn, "SELECT count(*) FROM quotes WHERE org_id = current_org_id()")
    async with conn.cursor(row_factory=args_row(SumsDifference)) as cursor:
        await cursor.execute(_DIFFERENCES)
        differences = await cursor.fetchall()
    async with conn.cursor(row_factory=args_row(UnconfirmedQuote)) as cursor:
        await cursor.execute(_UNCONFIRMED)
        return QuotesCheck(quotes, differences, await cursor.fetchall())
