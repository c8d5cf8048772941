"""The parts of a work order: planned, reserved, used, and what was used costs.

Quantities are whole thousandths of the part's unit (`*_milli`), costs whole millionths of a cent a
unit (`*_microcents`). Each use costs whole cents, rounded half up, at the average of that moment.
What comes back takes its share of the cost with it.
"""

from collections.abc import Mapping
from typing import NamedTuple

from operations.errors import ConflictError
from operations.stock import MAX_MILLI, MILLI, NamedLots, cents_of, listed_serials, quantity_text


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


def used(use: PartUse, quantity_milli: int, unit_cost_microcents: int | None) -> PartUse:
    """Return what is there after a use, with nothing taken from what is reserved yet.

    unit_cost_microcents: None where no cost was ever given; the use costs nothing then. Raises
    ConflictError.
    """
    total = use.used_milli + quantity_milli
    if total > MAX_MILLI:
        detail = f"No more than {quantity_text(MAX_MILLI)} may be used."
        raise ConflictError("too_much_used", detail)
    cost = cents_of(quantity_milli * (unit_cost_microcents or 0) // MILLI)
    return use._replace(used_milli=total, cost_cents=use.cost_cents + cost)


def returned(use: PartUse, quantity_milli: int) -> PartUse:
    """Return what is there after some of what was used came back. Raises ConflictError."""
    if quantity_milli > use.used_milli:
        wanted, there = quantity_text(quantity_milli), quantity_text(use.used_milli)
        detail = f"{wanted} are to come back, and {there} were used."
        raise ConflictError("insufficient_used", detail)
    left = use.used_milli - quantity_milli
    cost = (2 * use.cost_cents * left + use.used_milli) // (2 * use.used_milli)
    return use._replace(used_milli=left, cost_cents=cost)


def check_taken(
    named: NamedLots, quantity_milli: int, taken: Mapping[str, int], is_otherwise: bool
) -> None:
    """Raise ConflictError for a lot or serials that come back and that the order has not.

    taken: what it used of them less what came back, in thousandths. is_otherwise: it used some of
    the part while that was tracked otherwise, which comes back under any name.
    """
    if is_otherwise:
        return
    if named.lot is not None and quantity_milli > (there := taken.get(named.lot, 0)):
        wanted, used_of = quantity_text(quantity_milli), quantity_text(there)
        detail = f"{wanted} of lot {named.lot} are to come back, and {used_of} were used."
        raise ConflictError("lot_not_used", detail)
    missing = [serial for serial in named.serials or () if taken.get(serial, 0) <= 0]
    if missing:
        detail = f"The work order has not used {listed_serials(missing)}."
        raise ConflictError("serial_not_used", detail)
