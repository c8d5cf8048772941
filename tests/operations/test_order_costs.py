"""The costs of a work order: whole cents, by currency."""

import pytest

from operations.work_orders.costs import (
    CostSum,
    Labour,
    Money,
    OrderCosts,
    labour_cents,
    order_costs,
)

ANNA, BEN, CLEO = (
    Labour(5_400, 4_801, "CHF"),
    Labour(3_600, 6_000, "EUR"),
    Labour(60, None, None),
)


@pytest.mark.parametrize(
    ("worked_s", "hourly_cost_cents", "cents"),
    [(0, 4_800, 0), (3_600, 4_800, 4_800), (1, 1_799, 0), (1, 1_800, 1), (5_400, 4_801, 7_202)],
)
def test_half_a_cent_of_labour_is_rounded_up(
    worked_s: int, hourly_cost_cents: int, cents: int
) -> None:
    assert labour_cents(worked_s, hourly_cost_cents) == cents


def test_labour_and_parts_are_summed_by_currency() -> None:
    parts = [Money(750, "EUR"), Money(20, "USD")]
    costs = order_costs([ANNA, BEN, CLEO], parts, None)
    assert costs == OrderCosts(
        (CostSum("CHF", 7_202, 0), CostSum("EUR", 6_000, 750), CostSum("USD", 0, 20)), 60
    )
    assert [each.total_cents for each in costs.sums] == [7_202, 6_750, 20]


def test_labour_that_was_entered_takes_the_place_of_the_shifts() -> None:
    costs = order_costs([ANNA, CLEO], [Money(5, "EUR")], Money(100, "EUR"))
    assert costs == OrderCosts((CostSum("EUR", 100, 5),), 0)
    assert order_costs([], [], None) == OrderCosts((), 0)
