"""Amounts of money: whole minor units of their currency, as ISO 4217 has them.

An amount of 123450 is 1,234.50 francs, 123,450 yen and 123.450 dinars.
"""

from collections.abc import Mapping

USUAL_DIGITS = 2
DIGITS: Mapping[str, int] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""The digits behind the point of each currency that has other than two."""


def minor_digits(currency: str) -> int:
    """Return how many digits behind the point a currency has."""
    return DIGITS.get(currency, USUAL_DIGITS)


def money_text(amount: int, digits: int) -> str:
    """Return an amount that is not negative as in "1,234.50"."""
    whole, rest = divmod(amount, 10**digits)
    return f"{whole:,}.{rest:0{digits}d}" if digits else f"{whole:,}"
