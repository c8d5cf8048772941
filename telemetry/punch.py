"""A punch as a device states it: an employee begins or ends work, or a break."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

PunchKind = Literal["in", "out", "break_start", "break_end"]

PUNCH_KINDS: tuple[PunchKind, ...] = ("in", "out", "break_start", "break_end")


@dataclass(frozen=True, slots=True)
class Punch:
    """One punch of a message. Nothing of it is believed yet.

    message: its place in the decoded sequence. position: its place in the message's array; None
    where the message is one object. Times are microseconds since 1970: time_us is the claimed time,
    fix_time_us that of the position. lat, lon (degrees, WGS 84) and accuracy_m are as they were
    sent, in range where they are there.
    """

    message: int
    position: int | None
    employee_id: UUID
    kind: PunchKind
    time_us: int
    fix_time_us: int | None = None
    lat: float | None = None
    lon: float | None = None
    accuracy_m: float | None = None
    mock: bool = False
    note: str | None = None
