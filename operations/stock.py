"""The rules of stock: what a movement changes at a level, or why it cannot be.

A level is one part in one warehouse. Quantities are whole thousandths of the part's unit
(`*_milli`), costs are whole millionths of a cent a unit (`*_microcents`): nothing is a float.

The average cost moves with what comes in, and stays with what goes out. It is rounded to a
millionth of a cent, half to even, at each movement that comes in. Money is shown in cents, rounded
half up. What comes in without a cost comes in at the average.
"""

from typing import Literal, NamedTuple, get_args

from operations.errors import RuleError

MovementKind = Literal[
    "receive", "issue", "transfer", "adjust", "count", "reserve", "release", "consume", "return"
]
MOVEMENT_KINDS: tuple[MovementKind, ...] = get_args(MovementKind)
MILLI = 1_000
MICROCENTS = 1_000_000  # of a cent
MAX_MILLI = 10**12
MAX_COST_CENTS = 10**9
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


class StockError(Exception):
    """A movement that the level does not allow.

    code: `insufficient_stock`, `insufficient_reserved` or `too_much_stock`.
    """

    def __init__(self, code: str, detail: str, level: StockLevel) -> None:
        super().__init__(detail)
        self.code = code
        self.level = level


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


def change_of(
    level: StockLevel,
    kind: MovementKind,
    quantity_milli: int,
    *,
    unit_cost_microcents: int | None = None,
    from_reserved: bool = False,
) -> StockChange:
    """Return what a movement changes at its warehouse; of a transfer, at the one that it leaves.

    unit_cost_microcents: of what comes in; None: the average. Raises RuleError for a quantity that
    the kind cannot have, StockError for one that the level does not allow.
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
            change = StockChange(quantity_milli - level.on_hand_milli)
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
