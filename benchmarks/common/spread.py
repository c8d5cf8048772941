"""The spread of a few rounds, in one line."""

from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle and the ends of a few values."""

    median: float
    lowest: float
    highest: float
    values: list[float]

    @classmethod
    def of(cls, values: list[float], digits: int) -> "Spread":
        rounded = [round(value, digits) for value in values]
        middle = round(median(values), digits)
        return cls(middle, min(rounded), max(rounded), rounded)
