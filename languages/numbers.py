"""Numbers as a language writes them."""

from decimal import Decimal
from functools import cache

from languages.catalogue import say
from languages.language import Language


@cache
def _marks(language: Language) -> dict[int, str]:
    return str.maketrans({",": say(language, "thousands-mark"), ".": say(language, "decimal-mark")})


def figure(language: Language, text: str) -> str:
    """Return a figure as the language writes it. text: as in "1,234.5"."""
    return text.translate(_marks(language))


def number(language: Language, value: float) -> str:
    """Return a number as in "1,234.5": all its digits, and no exponent."""
    return figure(language, f"{Decimal(repr(value)):,f}".removesuffix(".0"))


def percent(language: Language, number: str) -> str:
    """Return a rate as in "8.1%". number: as in "8.1"."""
    return say(language, "percent", rate=figure(language, number))
