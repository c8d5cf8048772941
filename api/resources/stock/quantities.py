"""Quantities and money of stock, outside as JSON numbers, inside as whole numbers.

A quantity has up to three decimals. The number that a client wrote is read digit by digit, so that
0.1 is 100 thousandths and nothing else.
"""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from api.http import fields
from operations.stock import MAX_COST_CENTS, MAX_MILLI, MILLI, cents_of

_MOST = MAX_MILLI // MILLI


def _milli(value: object) -> int:
    """Return a JSON number as thousandths. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number, like 2.5")
    if not -_MOST <= value <= _MOST:
        raise ValueError(f"must be from -{_MOST} to {_MOST}")
    exact = Decimal(repr(value)) * MILLI
    if exact != int(exact):
        raise ValueError("must have three decimals at most, like 2.125")
    return int(exact)


def _at_least(least: int) -> Any:
    def check(value: object) -> int:
        milli = _milli(value)
        if milli < least:
            raise ValueError(f"must be {'0' if least == 0 else '0.001'} or more")
        return milli

    return BeforeValidator(check)


def _schema(least: float, description: str, example: float) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "type": "number",
            "minimum": least,
            "maximum": _MOST,
            "description": f"{description}; three decimals at most",
            "examples": [example],
        }
    )


SignedQuantity = Annotated[int, BeforeValidator(_milli), _schema(-_MOST, "in the part's unit", 2.5)]
StockQuantity = Annotated[int, _at_least(0), _schema(0, "in the part's unit", 4)]
SomeQuantity = Annotated[int, _at_least(1), _schema(0.001, "in the part's unit", 20)]
ShownQuantity = Annotated[float, Field(ge=-_MOST, le=_MOST, examples=[2.5])]
Cents = Annotated[int, Field(ge=0, le=MAX_COST_CENTS, examples=[1250]), fields.WHOLE]


def shown_quantity(milli: int | None) -> float | None:
    """Return a quantity as JSON has it: a whole number where it is one."""
    if milli is None:
        return None
    return milli / MILLI if milli % MILLI else milli // MILLI


def shown_cents(microcents: int | None) -> int | None:
    """Return a cost in whole cents."""
    return None if microcents is None else cents_of(microcents)
