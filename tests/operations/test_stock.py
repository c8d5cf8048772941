"""The rules of stock: levels never break their bounds, and money does not drift."""

from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.errors import RuleError
from operations.stock import (
    FROM_RESERVED,
    MAX_MILLI,
    MICROCENTS,
    MILLI,
    MOVEMENT_KINDS,
    MovementKind,
    StockChange,
    StockError,
    StockLevel,
    cents_of,
    change_of,
    changed,
    check_after,
    check_held,
    quantity_text,
)
from tests.data import CASES, cases_of

LEVELS = st.builds(
    lambda there, share, cost: StockLevel(there, int(there * share), cost),
    st.integers(0, MAX_MILLI),
    st.floats(0, 1),
    st.none() | st.integers(0, 10**15),
)
RECEIPTS = st.lists(
    st.tuples(st.integers(1, 10**9), st.integers(0, 10**7), st.floats(0, 1)), min_size=1
)


@pytest.mark.parametrize("case", cases_of("stock", CASES))
def test_a_movement_makes_of_a_level_what_the_table_says(case: dict[str, Any]) -> None:
    level = StockLevel(*case["level"])
    named = case.keys() & {"unit_cost_microcents", "from_reserved"}
    options = {name: case[name] for name in named}
    try:
        change = change_of(level, case["kind"], case["quantity_milli"], **options)
        result: Any = list(changed(level, change))
    except StockError as error:
        result = error.code
    except RuleError as error:
        result = error.field
    assert result == case["then"]


@pytest.mark.parametrize(("held_milli", "most_milli"), [(0, 5_000), (3_000, 2_000), (5_000, 0)])
def test_a_movement_by_hand_takes_no_more_than_was_reserved_by_hand(
    held_milli: int, most_milli: int
) -> None:
    level = StockLevel(10_000, 5_000)
    check_held(level, StockChange(0, -most_milli), held_milli)
    check_held(level, StockChange(0, 1), held_milli)
    with pytest.raises(StockError, match=f"{quantity_text(most_milli)} of it are") as refused:
        check_held(level, StockChange(0, -most_milli - 1), held_milli)
    assert refused.value.code == "insufficient_reserved"


@given(
    level=LEVELS,
    kind=st.sampled_from(MOVEMENT_KINDS),
    quantity_milli=st.integers(-MAX_MILLI, MAX_MILLI),
    from_reserved=st.booleans(),
)
def test_no_movement_leads_out_of_the_bounds(
    level: StockLevel, kind: MovementKind, quantity_milli: int, from_reserved: bool
) -> None:
    try:
        change = change_of(
            level, kind, quantity_milli, from_reserved=from_reserved and kind in FROM_RESERVED
        )
    except (StockError, RuleError):
        return
    after = changed(level, change)
    assert 0 <= after.reserved_milli <= after.on_hand_milli <= MAX_MILLI
    assert after.available_milli == after.on_hand_milli - after.reserved_milli


@given(RECEIPTS)
def test_the_average_is_that_of_decimal_arithmetic_to_the_cent_and_issues_leave_it(
    receipts: list[tuple[int, int, float]],
) -> None:
    level, value, quantity = StockLevel(), Fraction(0), Fraction(0)
    for count, (milli, cents, share) in enumerate(receipts, 1):
        cost = cents * MICROCENTS
        level = changed(level, change_of(level, "receive", milli, unit_cost_microcents=cost))
        value, quantity = value + milli * cents, quantity + milli
        exact = value / quantity
        assert level.average_microcents is not None
        assert abs(Fraction(level.average_microcents, MICROCENTS) - exact) <= Fraction(
            count, 2 * MICROCENTS
        )
        with localcontext(prec=60):
            kept = Decimal(level.average_microcents) / MICROCENTS
            assert cents_of(level.average_microcents) == kept.quantize(Decimal(1), ROUND_HALF_UP)
        before = level.average_microcents
        if taken := int(level.on_hand_milli * share):
            level = changed(level, change_of(level, "consume", taken))
            value, quantity = value - taken * exact, quantity - taken
        assert level.average_microcents == before
        if quantity == 0:
            value = Fraction(0)


@given(level=LEVELS, quantity_milli=st.integers(1, MAX_MILLI))
def test_what_comes_in_at_the_average_leaves_it(level: StockLevel, quantity_milli: int) -> None:
    change = StockChange(quantity_milli, 0, level.average_microcents)
    assert changed(level, change).average_microcents == level.average_microcents


def test_a_transfer_cannot_fill_a_level_beyond_its_bound() -> None:
    with pytest.raises(StockError) as refused:
        check_after(StockLevel(MAX_MILLI), StockChange(1))
    assert refused.value.code == "too_much_stock"


@pytest.mark.parametrize(
    ("milli", "text"), [(0, "0"), (2500, "2.5"), (-1, "-0.001"), (3 * MILLI, "3"), (-1020, "-1.02")]
)
def test_quantities_read_as_people_write_them(milli: int, text: str) -> None:
    assert quantity_text(milli) == text


@pytest.mark.parametrize(
    ("available", "point", "low"), [(5, None, False), (5, 5, True), (6, 5, False), (0, 0, True)]
)
def test_stock_is_low_at_the_reorder_point(available: int, point: int | None, low: bool) -> None:
    assert StockLevel(available + 3, 3).is_low(point) is low
