"""The memory of the plain rules about an asset, and what they tell."""

import math
from dataclasses import dataclass, field

from geofence.zones.index import MIN_TIME_US
from telemetry.fix import Known

UNKNOWN = math.nan


@dataclass(frozen=True)
class Place:
    tracker: int
    time_us: int
    seq: int
    lat: float
    lon: float
    accuracy_m: float = UNKNOWN
    speed_mps: float = UNKNOWN

    @property
    def identity(self) -> tuple[int, int, int]:
        return self.tracker, self.time_us, self.seq


@dataclass
class Visit:
    entered_us: int
    first_fix: tuple[int, int, int]
    change_us: int
    version: int
    dwelled: bool = False
    overspeed: bool = False


@dataclass
class Asset:
    number: int
    organization: int = -1
    newest: tuple[int, int] = (MIN_TIME_US, 0)
    clock_us: int = MIN_TIME_US  # what happened without a fix is known up to here
    good: Place | None = None  # where the asset is
    joined: bool = False  # whether the way from there to the next good fix may be judged
    vague: bool = False  # every fix so far was coarse, and no zone was left
    fine: Place | None = None  # the last fix that was not coarse: those since were
    suspects: list[Place] = field(default_factory=list)
    visits: dict[int, Visit] = field(default_factory=dict)
    runs: dict[int, list[Place]] = field(default_factory=dict)  # fixes that say the opposite
    left: set[int] = field(default_factory=set)


@dataclass
class Told:
    transitions: list[dict] = field(default_factory=list)
    late: list[bool] = field(default_factory=list)
    suspect: list[bool] = field(default_factory=list)
    healed: list[tuple[int, int, int]] = field(default_factory=list)


def place_of(fix) -> Place:
    known = int(fix["known"])
    accuracy_m = float(fix["accuracy_m"]) if known & Known.ACCURACY else UNKNOWN
    speed_mps = float(fix["speed_mps"]) if known & Known.SPEED else UNKNOWN
    identity = int(fix["tracker"]), int(fix["time_us"]), int(fix["seq"])
    return Place(*identity, float(fix["lat"]), float(fix["lon"]), accuracy_m, speed_mps)


def moved_to(place) -> Place:
    names = ("tracker", "time_us", "seq", "lat", "lon", "accuracy_m", "speed_mps")
    return Place(*(place[name].item() for name in names))
