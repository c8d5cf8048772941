"""The rules of stock: what a movement changes at a level, or why it cannot be.

A level is one part in one warehouse. Quantities are whole thousandths of the part's unit
(`*_milli`), costs are whole millionths of a cent a unit (`*_microcents`): nothing is a float.

The average cost moves with what comes in, and stays with what goes out. It is rounded to a
millionth of a cent, half to even, at each movement that comes in. Money is shown in cents, rounded
half up. What comes in without a cost comes in at the average.

A part may be tracked by lots or by serials. Each movement of such a part names a lot, or a serial
for each piece, and no lot goes below 0. Reservations are by quantity, whatever the lot.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Literal, NamedTuple, get_args

from operations.errors import RuleError

MovementKind = Literal[
    "receive", "issue", "transfer", "adjust", "count", "reserve", "release", "consume", "return"
]
MOVEMENT_KINDS: tuple[MovementKind, ...] = get_args(MovementKind)
PartTracking = Literal["none", "lot", "serial"]
MILLI = 1_000
MICROCENTS = 1_000_000  # of a cent
MAX_MILLI = 10**12
MAX_COST_CENTS = 10**9
MAX_SERIALS = 200  # of a movement
_MOST_NAMED = 5  # serials in an error
# The kinds whose quantity may be taken from what is reserved.
FROM_RESERVED: tuple[MovementKind, ...] = ("issue", "consume")


class StockLevel(NamedTuple):
    """The stock of a part in a warehouse. average_microcents: None where no cost was ever given."""

    on_hand_milli: int = 0
    reserved_milli: int = 0
    average_microcents: int | None = None

    @property
    def available_milli(self) -> int:
        """The quantity that is on hand and not reserved."""
        return self.on_hand_milli - self.reserved_milli

    def is_low(self, reorder_point_milli: int | None) -> bool:
        """Return whether what is available has fallen to the reorder point; never without one."""
        return reorder_point_milli is not None and self.available_milli <= reorder_point_milli


class StockChange(NamedTuple):
    """The differences that a movement makes. unit_cost_microcents: of what comes in or goes out."""

    on_hand_milli: int
    reserved_milli: int = 0
    unit_cost_microcents: int | None = None


class NamedLots(NamedTuple):
    """The lot or the serials that a movement names. expires_on: of what comes in."""

    lot: str | None = None
    serials: Sequence[str] | None = None
    expires_on: date | None = None

    @property
    def names(self) -> list[str]:
        """The serials, or the lot."""
        if self.serials is not None:
            return sorted(self.serials)
        return [] if self.lot is None else [self.lot]

    def parted(self, first: int) -> "tuple[NamedLots, NamedLots]":
        """Return the first serials and the others; a lot is in both."""
        if self.serials is None:
            return self, self
        return (
            self._replace(serials=self.serials[:first]),
            self._replace(serials=self.serials[first:]),
        )


NOTHING_NAMED = NamedLots()


class StockError(Exception):
    """A movement that the level does not allow.

    code: `insufficient_stock`, `insufficient_reserved`, `too_much_stock`, `insufficient_lot`,
    `serial_not_in_stock` or `serial_in_stock`. field: that of the movement.
    """

    def __init__(self, code: str, detail: str, level: StockLevel, field: str = "quantity") -> None:
        super().__init__(detail)
        self.code = code
        self.level = level
        self.field = field


def quantity_text(milli: int) -> str:
    """Return a quantity as people write it: 2.5 for 2500."""
    whole, rest = divmod(abs(milli), MILLI)
    fraction = f".{rest:03}".rstrip("0") if rest else ""
    return f"{'-' if milli < 0 else ''}{whole}{fraction}"


def cents_of(microcents: int) -> int:
    """Return whole cents, rounded half up."""
    return (2 * microcents + MICROCENTS) // (2 * MICROCENTS)


def check_quantity(kind: MovementKind, quantity_milli: int) -> None:
    """Raise RuleError where a movement of the kind cannot have the quantity."""
    if kind == "adjust" and quantity_milli == 0:
        raise RuleError("quantity", "0 adjusts nothing; it must be above or below 0")
    if kind == "count" and quantity_milli < 0:
        raise RuleError("quantity", "what is counted must be 0 or more")
    if kind not in ("adjust", "count") and quantity_milli <= 0:
        raise RuleError("quantity", f"must be above 0; kind {kind} says which way it goes")


def check_plannable(tracking: PartTracking, quantity_milli: int) -> None:
    """Raise RuleError where a work order cannot plan the quantity of a part."""
    if tracking == "serial" and quantity_milli % MILLI:
        raise RuleError("quantity", "must be whole: the part is tracked by serials")


def check_named(
    tracking: PartTracking, kind: MovementKind, quantity_milli: int, named: NamedLots
) -> None:
    """Raise RuleError where a movement does not name what the part's tracking wants."""
    if named.expires_on is not None and (tracking == "none" or kind != "receive"):
        raise RuleError("expires_on", "only a receive of a tracked part has it")
    if kind in ("reserve", "release"):
        for field in ("lot", "serials"):
            if getattr(named, field) is not None:
                raise RuleError(field, "what is reserved is a quantity, whatever the lot")
    elif tracking != "serial" and named.serials is not None:
        raise RuleError("serials", f"the part's tracking is {tracking}, not serial")
    elif tracking != "lot" and named.lot is not None:
        raise RuleError("lot", f"the part's tracking is {tracking}, not lot")
    elif tracking == "lot" and named.lot is None:
        raise RuleError("lot", "is needed: the part is tracked by lots")
    if tracking == "serial":
        _check_serials(kind, quantity_milli, named.serials)


def _check_serials(kind: MovementKind, quantity_milli: int, serials: Sequence[str] | None) -> None:
    check_plannable("serial", quantity_milli)
    if kind == "count":
        problem = "adjust by the serials that are found or missing: a count names none"
        raise RuleError("kind", problem)
    if kind in ("reserve", "release"):
        return
    if serials is None:
        raise RuleError("serials", "are needed: the part is tracked by serials")
    if len(set(serials)) < len(serials):
        raise RuleError("serials", "a serial is named twice")
    if len(serials) * MILLI != abs(quantity_milli):
        quantity = quantity_text(abs(quantity_milli))
        raise RuleError("serials", f"{len(serials)} are named, and the quantity is {quantity}")


def check_lots(
    level: StockLevel,
    change: StockChange,
    named: NamedLots,
    lots: Mapping[str, int],
    elsewhere: Collection[str] = (),
) -> None:
    """Raise StockError where the lots do not allow the change.

    lots: what is on hand at the level, by lot or serial, in thousandths. elsewhere: serials that
    are in stock in other warehouses.
    """
    if named.lot is not None:
        there = lots.get(named.lot, 0)
        if there + change.on_hand_milli < 0:
            wanted = quantity_text(-change.on_hand_milli)
            detail = (
                f"{wanted} of lot {named.lot} are wanted, and {quantity_text(there)} are there."
            )
            raise StockError("insufficient_lot", detail, level, "lot")
    in_stock = {serial for serial, there in lots.items() if there > 0}
    serials = named.serials or ()
    if change.on_hand_milli < 0:
        missing = [each for each in serials if each not in in_stock]
        if missing:
            detail = f"Not in stock in this warehouse: {listed_serials(missing)}."
            raise StockError("serial_not_in_stock", detail, level, "serials")
    elif known := [each for each in serials if each in in_stock or each in elsewhere]:
        detail = f"In stock already: {listed_serials(known)}."
        raise StockError("serial_in_stock", detail, level, "serials")


def listed_serials(serials: Sequence[str]) -> str:
    """Return the first serials as people write them, and how many more there are."""
    shown = ", ".join(serials[:_MOST_NAMED])
    more = len(serials) - _MOST_NAMED
    return shown if more <= 0 else f"{shown} and {more} more"


def change_of(
    level: StockLevel,
    kind: MovementKind,
    quantity_milli: int,
    *,
    unit_cost_microcents: int | None = None,
    from_reserved: bool = False,
    lot_milli: int | None = None,
) -> StockChange:
    """Return what a movement changes at its warehouse; of a transfer, at the one that it leaves.

    unit_cost_microcents: of what comes in; None: the average. lot_milli: what is on hand of the lot
    that is counted; None: the level is counted. Raises RuleError for a quantity that the kind
    cannot have, StockError for one that the level does not allow.
    """
    check_quantity(kind, quantity_milli)
    match kind:
        case "reserve":
            change = StockChange(0, quantity_milli)
        case "release":
            change = StockChange(0, -quantity_milli)
        case "issue" | "consume" | "transfer":
            change = StockChange(-quantity_milli, -quantity_milli if from_reserved else 0)
        case "count":
            counted_milli = level.on_hand_milli if lot_milli is None else lot_milli
            change = StockChange(quantity_milli - counted_milli)
        case "receive" | "return" | "adjust":
            change = StockChange(quantity_milli)
    change = change._replace(unit_cost_microcents=_cost_of(level, change, unit_cost_microcents))
    check_after(level, change)
    return change


def _cost_of(level: StockLevel, change: StockChange, given: int | None) -> int | None:
    if change.on_hand_milli > 0 and given is not None:
        return given
    return level.average_microcents if change.on_hand_milli != 0 else None


def check_after(level: StockLevel, change: StockChange) -> None:
    """Raise StockError where the level cannot be after the change."""
    if level.reserved_milli + change.reserved_milli < 0:
        wanted, there = quantity_text(-change.reserved_milli), quantity_text(level.reserved_milli)
        detail = f"{wanted} are to come from what is reserved, and {there} are reserved."
        raise StockError("insufficient_reserved", detail, level)
    taken = change.reserved_milli - change.on_hand_milli
    if taken > level.available_milli:
        wanted, there = quantity_text(taken), quantity_text(level.available_milli)
        detail = f"{wanted} are wanted, and {there} are available: on hand and not reserved."
        raise StockError("insufficient_stock", detail, level)
    if level.on_hand_milli + change.on_hand_milli > MAX_MILLI:
        detail = f"No more than {quantity_text(MAX_MILLI)} may be on hand."
        raise StockError("too_much_stock", detail, level)


def check_held(level: StockLevel, change: StockChange, held_milli: int) -> None:
    """Raise StockError where a movement by hand takes from what is reserved for work orders.

    held_milli: reserved for work orders at the level.
    """
    by_hand = level.reserved_milli - held_milli
    if change.reserved_milli < 0 and by_hand + change.reserved_milli < 0:
        wanted, there = quantity_text(-change.reserved_milli), quantity_text(by_hand)
        detail = (
            f"{wanted} are to come from what is reserved, and {there} of it are reserved by hand:"
            " the rest is for work orders."
        )
        raise StockError("insufficient_reserved", detail, level)


def arriving(change: StockChange) -> StockChange:
    """Return the change where a transfer arrives, from that where it leaves."""
    return StockChange(-change.on_hand_milli, 0, change.unit_cost_microcents)


def changed(level: StockLevel, change: StockChange) -> StockLevel:
    """Return the level after a change, as a movement and the check of the ledger work it out."""
    return StockLevel(
        level.on_hand_milli + change.on_hand_milli,
        level.reserved_milli + change.reserved_milli,
        _average(level, change),
    )


def _average(level: StockLevel, change: StockChange) -> int | None:
    known, cost = level.average_microcents, change.unit_cost_microcents
    if change.on_hand_milli <= 0 or cost is None:
        return known
    if known is None or level.on_hand_milli <= 0:  # below 0 in a ledger that is broken
        return cost
    before, more = level.on_hand_milli, change.on_hand_milli
    return _half_even(before * known + more * cost, before + more)


def _half_even(value: int, divisor: int) -> int:
    quotient, rest = divmod(value, divisor)
    return quotient + (2 * rest > divisor or (2 * rest == divisor and quotient % 2 == 1))
