"""The parts of a work order: planned, reserved, used, and what was used costs.

Quantities are whole thousandths of the part's unit (`*_milli`), costs whole millionths of a cent a
unit (`*_microcents`). Each use costs whole cents, rounded half up, at the average of that moment.
What comes back takes its share of the cost with it.
"""

from typing import NamedTuple

from operations.stock import MAX_MILLI, MILLI, cents_of, quantity_text


class PartUse(NamedTuple):
    """The quantities of one part of a work order. used: less what came back."""

    planned_milli: int = 0
    reserved_milli: int = 0
    used_milli: int = 0
    cost_cents: int = 0

    @property
    def outstanding_milli(self) -> int:
        """The quantity that is planned and not used yet."""
        return max(self.planned_milli - self.used_milli, 0)


class PartUseError(Exception):
    """A use that cannot be. code: `insufficient_used` or `too_much_used`."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def used(use: PartUse, quantity_milli: int, unit_cost_microcents: int | None) -> PartUse:
    """Return what is there after a use, with nothing taken from what is reserved yet.

    unit_cost_microcents: None where no cost was ever given; the use costs nothing then. Raises
    PartUseError.
    """
    total = use.used_milli + quantity_milli
    if total > MAX_MILLI:
        detail = f"No more than {quantity_text(MAX_MILLI)} may be used."
        raise PartUseError("too_much_used", detail)
    cost = cents_of(quantity_milli * (unit_cost_microcents or 0) // MILLI)
    return use._replace(used_milli=total, cost_cents=use.cost_cents + cost)


def returned(use: PartUse, quantity_milli: int) -> PartUse:
    """Return what is there after some of what was used came back. Raises PartUseError."""
    if quantity_milli > use.used_milli:
        wanted, there = quantity_text(quantity_milli), quantity_text(use.used_milli)
        detail = f"{wanted} are to come back, and {there} were used."
        raise PartUseError("insufficient_used", detail)
    left = use.used_milli - quantity_milli
    cost = (2 * use.cost_cents * left + use.used_milli) // (2 * use.used_milli)
    return use._replace(used_milli=left, cost_cents=cost)
