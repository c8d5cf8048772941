"""The sums of a quote, in whole minor units of its currency, which names here call cents.

The one rule of rounding: each line is rounded by itself, half a unit up, and the sums add up the
rounded lines. A line has three figures, each rounded once from exact values: its amount (quantity
by unit price), its net amount (the same less the discount), and its tax (of the net amount).
"""

from collections.abc import Iterable
from typing import NamedTuple

MAX_LINES = 200
MAX_QUANTITY_THOUSANDTHS = 1_000_000_000
MAX_UNIT_PRICE_CENTS = 1_000_000_000
MAX_TOTAL_CENTS = 10**12
WHOLE_IN_BASIS_POINTS = 10_000
_THOUSANDTHS = 1_000


class QuoteLine(NamedTuple):
    """A line of a quote. Rates are in basis points: 8.1 percent is 810.

    part_id: the part that it sells, a UUID; None: none. unit: of the quantity, such as "h"; None:
    not said.
    """

    description: str
    quantity_thousandths: int
    unit_price_cents: int
    discount_basis_points: int = 0
    tax_basis_points: int = 0
    part_id: str | None = None
    unit: str | None = None


class LineSums(NamedTuple):
    """The figures of a line. net_cents: after the discount, before the tax."""

    amount_cents: int
    net_cents: int
    tax_cents: int


class QuoteSums(NamedTuple):
    """The sums of all lines: subtotal less discount plus tax is the total."""

    subtotal_cents: int
    discount_cents: int
    tax_cents: int
    total_cents: int


def line_sums(line: QuoteLine) -> LineSums:
    """Return the figures of a line."""
    exact = line.quantity_thousandths * line.unit_price_cents
    amount = _half_up(exact, _THOUSANDTHS)
    kept = WHOLE_IN_BASIS_POINTS - line.discount_basis_points
    net = _half_up(exact * kept, _THOUSANDTHS * WHOLE_IN_BASIS_POINTS)
    return LineSums(amount, net, _half_up(net * line.tax_basis_points, WHOLE_IN_BASIS_POINTS))


def quote_sums(lines: Iterable[QuoteLine]) -> QuoteSums:
    """Return the sums of the lines."""
    sums = [line_sums(line) for line in lines]
    subtotal = sum(each.amount_cents for each in sums)
    net = sum(each.net_cents for each in sums)
    tax = sum(each.tax_cents for each in sums)
    return QuoteSums(subtotal, subtotal - net, tax, net + tax)


def _half_up(numerator: int, denominator: int) -> int:
    """Divide, and round half up. Neither is negative."""
    return (2 * numerator + denominator) // (2 * denominator)
