"""The result of a decoder, and how fixes with a bad time or position are taken out of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from telemetry.fix import FixBatch
from telemetry.punch import Punch
from telemetry.rejection import Reason, Rejection

# Where the rule is broken, shape (n,); the reason; the detail for a row number.
Rule = tuple[NDArray[np.bool_], Reason, Callable[[int], str]]

Arrived = TypeVar("Arrived", Rejection, Punch)

MAX_MESSAGE_BYTES = 512 * 1024
MAX_FIXES_PER_MESSAGE = 1_000


@dataclass(frozen=True, slots=True)
class Decoded:
    """The fixes and punches of some messages, and what was refused; each by message, then array
    order.
    """

    batch: FixBatch
    rejections: list[Rejection] = field(default_factory=list[Rejection])
    punches: list[Punch] = field(default_factory=list[Punch])


def oversize_message(length: int) -> str:
    """Return the detail of the refusal of a message with too many bytes."""
    return f"{length} bytes, at most {MAX_MESSAGE_BYTES} are allowed"


def oversize_array(fixes: int) -> str:
    """Return the detail of the refusal of a message with too many fixes."""
    return f"{fixes} fixes, at most {MAX_FIXES_PER_MESSAGE} are allowed"


def reject_row(row: np.void, reason: Reason, detail: str) -> Rejection:
    """Return the refusal of one decoded fix."""
    position = int(row["position"])
    return Rejection(int(row["message"]), None if position < 0 else position, reason, detail)


def bad_coordinates(lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where a position is not finite, out of range, or exactly 0,0; shape (n,)."""
    lat, lon = np.ascontiguousarray(lat), np.ascontiguousarray(lon)
    in_range = (np.abs(lat) <= 90) & (np.abs(lon) <= 180)  # False for NaN
    return ~in_range | ((lat == 0) & (lon == 0))


def describe_position(rows: NDArray[np.void], row: int) -> str:
    """Return the position of a fix as a detail of its refusal."""
    return f"lat {rows['lat'][row]}, lon {rows['lon'][row]}"


def without(batch: FixBatch, rules: Sequence[Rule]) -> Decoded:
    """Take out the fixes that break a rule; the first rule that a fix breaks is its reason."""
    good = np.ones(len(batch), bool)
    rejections: list[Rejection] = []
    for broken, reason, detail in rules:
        for row in np.flatnonzero(broken & good).tolist():
            rejections.append(reject_row(batch.rows[row], reason, detail(row)))
        good &= ~broken
    return Decoded(batch if good.all() else batch.take(np.flatnonzero(good)), rejections)


def in_order(them: list[Arrived]) -> list[Arrived]:
    """Sort rejections or punches by message, then array order."""
    return sorted(them, key=_place) if len(them) > 1 else them


def _place(item: Rejection | Punch) -> tuple[int, int]:
    return item.message, -1 if item.position is None else item.position


def merge(parts: Sequence[tuple[Decoded, NDArray[np.intp]]]) -> Decoded:
    """Put parts of one sequence together: each with the places of its messages in the sequence."""
    rejections: list[Rejection] = []
    punches: list[Punch] = []
    for part, places in parts:
        message = part.batch.rows["message"]
        message[:] = places[message]
        rejections += [replace(r, message=int(places[r.message])) for r in part.rejections]
        punches += [replace(p, message=int(places[p.message])) for p in part.punches]
    batch = FixBatch.concat([part.batch for part, _ in parts])
    order = np.argsort(batch.rows["message"], kind="stable")
    return Decoded(batch.take(order), in_order(rejections), in_order(punches))
