"""Simulated employees: what each punches in a run, what is wrong with it, and what must come of it.

    plan = planned_punches(CrewPlan(employees=20, seconds=60.0, seed=1), start_us)

An employee arrives at a job site, makes a break and leaves, all within the run. Some have a fault
of `PUNCH_FAULTS`, one at most. The same seed gives the same punches.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from telemetry.punch import PunchKind
from telemetry.times import format_time

MAX_EMPLOYEES = 1_000
LEAST_SECONDS = 10.0
SITE_RADIUS_M = 100.0
_ACCURACY_M = 8.0
_NEAR_DEG, _OUTSIDE_DEG = 0.0003, 0.02  # 33 m and 2 km
_SECOND_US = 1_000_000
_HOUR_US = 3600 * _SECOND_US
_ARRIVAL, _BREAK, _WORK, _LEAVING = 0.05, 0.4, 0.6, 0.85  # parts of the run
_JITTER = 0.05
_OFFLINE_FROM, _OFFLINE_TO = -12.0, -2.0  # hours before the run


class JobSite(NamedTuple):
    """A round job site. Degrees."""

    name: str
    lon: float
    lat: float

    @property
    def place(self) -> tuple[float, float]:
        return self.lon, self.lat


SITE, OTHER_SITE = JobSite("Site", -30.0, 10.0), JobSite("Other site", -30.0, 20.0)
"""An ocean away from roads."""


class PunchFault(NamedTuple):
    """meaning: what the employee or the phone does. becomes: what the system must make of it."""

    meaning: str
    becomes: str


PUNCH_FAULTS: Mapping[str, PunchFault] = MappingProxyType(
    {
        "forget": PunchFault("no `out`", "the shift stays open"),
        "double": PunchFault("a second `in` within the shift", "verified, flagged `already_in`"),
        "mock": PunchFault("the phone says that the position is mocked", "failed: `mock`"),
        "teleport": PunchFault(
            "at a job site 1,100 km away, a second after the punch before", "failed: `teleport`"
        ),
        "wrong_device": PunchFault("from the phone of another employee", "failed: `wrong_device`"),
        "outside": PunchFault("2 km away from the job site", "failed: `outside`"),
        "no_fix": PunchFault("no position", "unverified: `no_fix`"),
        "offline": PunchFault(
            "a day of eight hours, all sent hours later", "unverified: `stale`, `offline`; paid"
        ),
        "clock": PunchFault(
            "the clock is a day ahead at the `out`", "unverified: `clock`, the time is disputed"
        ),
        "duplicate": PunchFault("each message is sent twice", "stored once"),
    }
)


@dataclass(frozen=True, slots=True)
class PunchFaults:
    """The share of employees with each fault. Raises ValueError."""

    shares: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        for name, share in self.shares.items():
            if name not in PUNCH_FAULTS:
                raise ValueError(f"{name!r} is none of the faults {', '.join(PUNCH_FAULTS)}")
            if not 0 <= share <= 1:
                raise ValueError(f"{name} takes a share of 0 to 1, not {share:g}")
        if sum(self.shares.values()) > 1:
            raise ValueError("the shares are more than 1 together")


@dataclass(frozen=True, slots=True)
class CrewPlan:
    """The employees of a run. seconds: its length. site: where they work. Raises ValueError."""

    employees: int
    seconds: float
    seed: int = 1
    faults: PunchFaults = field(default_factory=PunchFaults)
    site: JobSite = SITE

    def __post_init__(self) -> None:
        if not 1 <= self.employees <= MAX_EMPLOYEES:
            raise ValueError(f"a crew has 1 to {MAX_EMPLOYEES} employees, not {self.employees}")
        if self.seconds < LEAST_SECONDS:
            raise ValueError(f"a crew needs {LEAST_SECONDS:g} s or more, not {self.seconds:g}")
        if self.faults.shares.get("wrong_device") and self.employees == 1:
            raise ValueError("wrong_device needs two employees or more")

    @property
    def sites(self) -> tuple[JobSite, ...]:
        """Return what has to be there before the run."""
        return (self.site, OTHER_SITE) if self.faults.shares.get("teleport") else (self.site,)


class PlannedPunch(NamedTuple):
    """A punch that is to be sent, `due_s` after the start of the run.

    employee, phone: whose it is, and whose phone sends it, by number. place: lon, lat in degrees;
    None: not known. verdict, rules: what the system must make of it. is_disputed: it is paid from
    its receipt on. times: how often it is sent.
    """

    employee: int
    phone: int
    kind: PunchKind
    due_s: float
    claimed_us: int
    place: tuple[float, float] | None
    verdict: str = "verified"
    rules: frozenset[str] = frozenset({"inside"})
    mock: bool = False
    is_disputed: bool = False
    times: int = 1

    def payload(self, employee_id: str) -> dict[str, Any]:
        """Return the punch as a phone sends it."""
        at = format_time(self.claimed_us)
        body: dict[str, Any] = {"employee_id": employee_id, "kind": self.kind, "time": at}
        if self.place is not None:
            lon, lat = self.place
            body |= {"fix_time": at, "lat": lat, "lon": lon, "accuracy_m": _ACCURACY_M}
        return body | ({"mock": True} if self.mock else {})


def planned_punches(plan: CrewPlan, start_us: int) -> list[PlannedPunch]:
    """Return the punches of a run that begins at `start_us`, in the order in which they are due."""
    chance = random.Random(plan.seed)
    names = list(plan.faults.shares)
    weights = [*plan.faults.shares.values(), 1 - sum(plan.faults.shares.values())]
    punches: list[PlannedPunch] = []
    for employee in range(plan.employees):
        (fault,) = chance.choices([*names, None], weights)
        honest = _honest_day(plan, employee, start_us, chance)
        punches += _with_fault(fault, honest, plan, start_us)
    return sorted(punches, key=lambda punch: punch.due_s)


def _honest_day(
    plan: CrewPlan, employee: int, start_us: int, chance: random.Random
) -> list[PlannedPunch]:
    lon, lat = plan.site.place
    place = (lon + chance.uniform(-1, 1) * _NEAR_DEG, lat + chance.uniform(-1, 1) * _NEAR_DEG)
    parts: dict[PunchKind, float] = {
        "in": _ARRIVAL,
        "break_start": _BREAK,
        "break_end": _WORK,
        "out": _LEAVING,
    }
    punches: list[PlannedPunch] = []
    for kind, part in parts.items():
        due_s = (part + chance.uniform(0, _JITTER)) * plan.seconds
        claimed_us = (start_us + round(due_s * _SECOND_US)) // 1000 * 1000
        punches.append(PlannedPunch(employee, employee, kind, due_s, claimed_us, place))
    return punches


def _with_fault(
    fault: str | None, day: list[PlannedPunch], plan: CrewPlan, start_us: int
) -> list[PlannedPunch]:
    arrival, pause, work, leaving = day
    match fault:
        case "forget":
            return day[:3]
        case "double":
            again_s = (arrival.due_s + pause.due_s) / 2
            return [*day, _at(arrival, again_s, start_us)]
        case "mock":
            return [_spoilt(arrival, "failed", "mock", mock=True), *day[1:]]
        case "teleport":
            leap = _at(work, pause.due_s + 1, start_us)
            away = _spoilt(leap, "failed", "teleport", place=OTHER_SITE.place)
            return [arrival, pause, away, leaving]
        case "wrong_device":
            other = (arrival.phone + 1) % plan.employees
            return [_spoilt(arrival, "failed", "wrong_device", phone=other), *day[1:]]
        case "outside":
            lon, lat = plan.site.place
            away = arrival._replace(place=(lon + _OUTSIDE_DEG, lat), verdict="failed")
            return [away._replace(rules=frozenset({"outside"})), *day[1:]]
        case "no_fix":
            blind = leaving._replace(place=None, verdict="unverified")
            return [*day[:3], blind._replace(rules=frozenset({"no_fix"}))]
        case "offline":
            return _offline(day, plan, start_us)
        case "clock":
            ahead_us = leaving.claimed_us + 24 * _HOUR_US
            ahead = leaving._replace(claimed_us=ahead_us, is_disputed=True)
            return [*day[:3], _spoilt(ahead, "unverified", "clock")]
        case "duplicate":
            return [punch._replace(times=2) for punch in day]
        case _:
            return day


def _at(punch: PlannedPunch, due_s: float, start_us: int) -> PlannedPunch:
    claimed_us = (start_us + round(due_s * _SECOND_US)) // 1000 * 1000
    return punch._replace(due_s=due_s, claimed_us=claimed_us)


def _spoilt(punch: PlannedPunch, verdict: str, rule: str, **changes: Any) -> PlannedPunch:
    return punch._replace(verdict=verdict, rules=punch.rules | {rule}, **changes)


def _offline(day: list[PlannedPunch], plan: CrewPlan, start_us: int) -> list[PlannedPunch]:
    """Return the day as one before the run, sent in its middle."""
    first_us = start_us + round(_OFFLINE_FROM * _HOUR_US)
    span_us = round((_OFFLINE_TO - _OFFLINE_FROM) * _HOUR_US)
    return [
        punch._replace(
            due_s=plan.seconds / 2,
            claimed_us=(first_us + round(span_us * punch.due_s / plan.seconds)) // 1000 * 1000,
            verdict="unverified",
            rules=frozenset({"inside", "stale", "offline"}),
        )
        for punch in day
    ]
