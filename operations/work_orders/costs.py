"""The costs of a work order by currency, in whole minor units of it, which names here call cents.

Labour is the paid seconds of each employee at their hourly cost, rounded half up once for each
employee. Labour that somebody entered takes the place of all that shifts cost.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

_SECONDS = 3_600


class Labour(NamedTuple):
    """The work of an employee. hourly_cost_cents, currency: None where no cost is known."""

    worked_s: int
    hourly_cost_cents: int | None
    currency: str | None


class Money(NamedTuple):
    """An amount."""

    cents: int
    currency: str


class CostSum(NamedTuple):
    """The costs in one currency."""

    currency: str
    labour_cents: int
    parts_cents: int

    @property
    def total_cents(self) -> int:
        """Labour and parts."""
        return self.labour_cents + self.parts_cents


class OrderCosts(NamedTuple):
    """The costs of an order. uncosted_s: work that is in no sum, since the employee has no
    hourly cost.
    """

    sums: tuple[CostSum, ...]
    uncosted_s: int


def labour_cents(worked_s: int, hourly_cost_cents: int) -> int:
    """Return what work costs, rounded half up."""
    return (2 * worked_s * hourly_cost_cents + _SECONDS) // (2 * _SECONDS)


def order_costs(
    labour: Iterable[Labour], parts: Iterable[Money], entered: Money | None
) -> OrderCosts:
    """Return the costs of an order. entered: labour that somebody entered."""
    by_labour: Counter[str] = Counter()
    uncosted_s = 0
    for each in labour if entered is None else ():
        if each.hourly_cost_cents is None or each.currency is None:
            uncosted_s += each.worked_s
        else:
            by_labour[each.currency] += labour_cents(each.worked_s, each.hourly_cost_cents)
    if entered is not None:
        by_labour[entered.currency] += entered.cents
    by_parts: Counter[str] = Counter()
    for amount in parts:
        by_parts[amount.currency] += amount.cents
    currencies = sorted(by_labour.keys() | by_parts.keys())
    sums = tuple(CostSum(each, by_labour[each], by_parts[each]) for each in currencies)
    return OrderCosts(sums, uncosted_s)
