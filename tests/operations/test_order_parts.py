"""Parts of work orders: quantities and cost add up, whatever is used and brought back."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.errors import ConflictError
from operations.stock import MAX_MILLI, MICROCENTS, MILLI
from operations.work_orders.parts import PartUse, returned, used
from operations.work_orders.states import IN_HANDS, RELEASING, RESERVING, STATES, USING

QUANTITIES = st.integers(1, 10**7)


@given(
    uses=st.lists(st.tuples(QUANTITIES, st.none() | st.integers(0, 10**12)), min_size=1),
    share=st.floats(0, 1),
)
def test_a_use_costs_its_quantity_and_what_comes_back_its_share(
    uses: list[tuple[int, int | None]], share: float
) -> None:
    use, exact = PartUse(planned_milli=5), Fraction(0)
    for quantity, cost in uses:
        use = used(use, quantity, cost)
        exact += Fraction(quantity * (cost or 0), MILLI * MICROCENTS)
    assert use.used_milli == sum(quantity for quantity, _ in uses)
    assert abs(use.cost_cents - exact) <= len(uses)
    back = int(use.used_milli * share)
    after = returned(use, back)
    assert after.used_milli == use.used_milli - back
    kept = Fraction(use.cost_cents * after.used_milli, use.used_milli)
    assert abs(after.cost_cents - kept) <= Fraction(1, 2)
    assert returned(after, after.used_milli) == PartUse(5) if after.used_milli else True


@pytest.mark.parametrize(
    ("quantity", "cost", "cents"),
    [(1_000, 250_000_000, 250), (2, 250_000_000, 1), (1, 499_000_000, 0), (1_000, None, 0)],
)
def test_half_a_cent_is_rounded_up(quantity: int, cost: int | None, cents: int) -> None:
    assert used(PartUse(), quantity, cost).cost_cents == cents


def test_no_more_comes_back_than_was_used_and_no_more_is_used_than_there_can_be() -> None:
    with pytest.raises(ConflictError, match="are to come back, and 2 were used"):
        returned(PartUse(used_milli=2_000), 2_001)
    with pytest.raises(ConflictError, match="No more than"):
        used(PartUse(used_milli=MAX_MILLI), 1, None)


def test_what_is_planned_and_not_used_is_outstanding() -> None:
    assert PartUse(5, 0, 2).outstanding_milli == 3
    assert PartUse(5, 0, 7).outstanding_milli == 0


def test_each_state_reserves_releases_or_neither() -> None:
    assert not set(RESERVING) & set(RELEASING)
    assert {"draft", "completed"} == set(STATES) - {*RESERVING, *RELEASING}
    assert set(IN_HANDS) < set(USING)
