"""The values of a punch: what is claimed, what the server knows beside it, and the rules.

Times are microseconds since 1970, positions WGS 84 in degrees.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from telemetry.ids import derived_id
from telemetry.punch import PUNCH_KINDS, PunchKind

_NO_DEVICE = UUID(int=0)

Worth = Literal["failed", "unverified", "verified"]
PaySource = Literal["claimed", "disputed", "entered"]

WORTHS: tuple[Worth, ...] = ("failed", "unverified", "verified")  # the worst first
# A break has no event of its own.
PUNCHED_IN, PUNCHED_OUT = "employee.punched_in", "employee.punched_out"
EVENT_TYPES: Mapping[PunchKind, str] = {"in": PUNCHED_IN, "out": PUNCHED_OUT}

PAY_SOURCES: tuple[PaySource, ...] = ("claimed", "disputed", "entered")

AmendmentCause = Literal["late_fix", "jobsite_changed"]
AMENDMENT_CAUSES: tuple[AmendmentCause, ...] = ("late_fix", "jobsite_changed")
PUNCH_AMENDED = "punch.amended"

# What each rule can make of a punch when it speaks.
RULES: dict[str, tuple[Worth, ...]] = {
    "outside": ("failed",),
    "mock": ("failed",),
    "teleport": ("failed", "unverified"),
    "wrong_device": ("failed",),
    "no_fix": ("unverified",),
    "no_zone": ("unverified",),
    "no_accuracy": ("unverified",),
    "uncertain": ("unverified",),
    "stale": ("unverified",),
    "clock": ("unverified",),
    "offline": ("unverified",),
    "inside": ("verified",),
}


@dataclass(frozen=True, slots=True)
class PunchRules:
    """The numbers by which punches are judged.

    max_flight_mps, min_flight_s: up to this speed, over more than this time, a leap may have been a
    flight.
    """

    tolerance_m: float = 25.0  # how far from a site's edge still counts as there
    max_fix_age_s: float = 120.0
    max_clock_error_s: float = 120.0  # between the claimed time and the server's, or the fix's
    max_speed_mps: float = 70.0
    max_flight_mps: float = 300.0
    min_flight_s: float = 1800.0
    machine_within_s: float = 300.0  # how far in time a machine's position may be from the fix


DEFAULT_RULES = PunchRules()


@dataclass(frozen=True, slots=True)
class TimedPosition:
    """A position with its time and accuracy. time_us, accuracy_m: None where they are not known.

    Raises ValueError for numbers that no position has.
    """

    time_us: int | None
    lon: float
    lat: float
    accuracy_m: float | None = None

    def __post_init__(self) -> None:
        if not (abs(self.lon) <= 180 and abs(self.lat) <= 90):
            raise ValueError("lon must be from -180 to 180 and lat from -90 to 90")
        if self.accuracy_m is not None and not 0 < self.accuracy_m < math.inf:
            raise ValueError("accuracy_m must be more than 0; None where it is not known")


def position(
    time_us: int | None, lon: float | None, lat: float | None, accuracy_m: float | None
) -> TimedPosition | None:
    """Return a position as a device states it; None where the place is not known.

    Exactly 0,0 is a place that is not known. An accuracy of 0 or less is one that is not known.
    Raises ValueError as `TimedPosition` does.
    """
    if lon is None or lat is None or lon == lat == 0:
        return None
    is_stated = accuracy_m is not None and not accuracy_m <= 0
    return TimedPosition(time_us, lon, lat, accuracy_m if is_stated else None)


@dataclass(frozen=True, slots=True)
class ClaimedPunch:
    """The statements of the punch itself. fix: the position that the device gives as proof, if it
    can.
    """

    kind: PunchKind
    time_us: int
    fix: TimedPosition | None
    mock: bool = False


@dataclass(frozen=True, slots=True)
class PunchSite:
    """A job site where the employee may punch.

    distance_m: from the fix to its edge, negative inside; never NaN. tolerance_m: its own; None for
    that of the rules.
    """

    zone: UUID
    distance_m: float
    tolerance_m: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The knowledge of the server beside the claim.

    device_is_allowed: whether the employee may punch in this way. by_hand: somebody else entered
    the punch. previous: the employee's punch or phone fix next in time to the fix, neither mocked
    nor failed; with a time. previous_pay_us: the pay time of the employee's punch that was received
    before. machine: the position, nearest in time, of the machine that the employee works with.
    """

    received_us: int
    device_is_allowed: bool = True
    by_hand: bool = False
    previous: TimedPosition | None = None
    previous_pay_us: int | None = None
    machine: TimedPosition | None = None


@dataclass(frozen=True, slots=True)
class PunchReason:
    """A rule that spoke: its name in `RULES`, what it makes of the punch, and the figures with
    units that it went by.
    """

    rule: str
    makes: Worth
    figures: Mapping[str, float]


def punch_id(employee: UUID, claimed_us: int, kind: PunchKind, tracker: UUID | None) -> UUID:
    """Return the id of a punch, derived from what makes it one: sent twice, it is one punch.

    tracker: None where it came over the API.
    """
    moment = claimed_us.to_bytes(8, "big", signed=True)
    device = tracker or _NO_DEVICE
    return derived_id(
        b"punch", employee.bytes, moment, bytes([PUNCH_KINDS.index(kind)]), device.bytes
    )


def punch_event_id(punch: UUID) -> UUID:
    return derived_id(b"punch_event", punch.bytes)


def amendment_event_id(punch: UUID, revision: int) -> UUID:
    """Return the id of the event that an amended verdict gives. revision: of the punch with it."""
    return derived_id(b"punch_amended", punch.bytes, revision.to_bytes(4, "big"))
