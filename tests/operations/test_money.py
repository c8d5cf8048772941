"""Amounts of money as people write them."""

import pytest

from operations.money import DIGITS, minor_digits, money_text

pytestmark = pytest.mark.about("quotes", "work orders")


@pytest.mark.parametrize(
    ("currency", "amount", "text"),
    [
        ("CHF", 0, "0.00"),
        ("CHF", 5, "0.05"),
        ("EUR", 123_450, "1,234.50"),
        ("XXX", 123_450, "1,234.50"),
        ("JPY", 0, "0"),
        ("JPY", 123_450, "123,450"),
        ("KWD", 1, "0.001"),
        ("KWD", 123_450, "123.450"),
        ("CLF", 123_450, "12.3450"),
    ],
)
def test_an_amount_has_the_digits_of_its_currency(currency: str, amount: int, text: str) -> None:
    assert money_text(amount, minor_digits(currency)) == text


def test_the_table_has_currencies_that_differ_from_two_digits() -> None:
    assert len(DIGITS) == 17 + 7 + 2
    assert set(DIGITS.values()) == {0, 3, 4}
    assert all(len(currency) == 3 and currency.isupper() for currency in DIGITS)
