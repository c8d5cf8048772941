"""The verdict on a punch: is it proved that an employee was at a job site when they say so?

A punch is a claim. Each rule that has something to say about it gives a reason with its figures,
and the worst of them is the verdict:

- verified: at a job site, by a fresh fix, at a time that the server saw itself;
- failed: somewhere else, or not honestly: the position is mocked, too far from the last one, or
  from a device that may not punch for this employee;
- unverified: neither is proved. What a phone cannot know is never a failure.

Nothing is refused here: the caller stores the punch with its verdict. Times are microseconds since
1970, positions WGS 84 in degrees. Distances between positions are geodesics on the ellipsoid.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from pyproj import Geod

_WGS84 = Geod(ellps="WGS84")
_SECOND_US = 1_000_000
# Times are often whole seconds, so two fixes of one second may lie almost a second apart.
_LEAST_ELAPSED_S = 1.0

Worth = Literal["failed", "unverified", "verified"]

# What each rule makes of a punch when it speaks; the first of `_WORST_FIRST` decides.
RULES: dict[str, Worth] = {
    "outside": "failed",
    "mock": "failed",
    "teleport": "failed",
    "wrong_device": "failed",
    "no_fix": "unverified",
    "no_zone": "unverified",
    "no_accuracy": "unverified",
    "uncertain": "unverified",
    "stale": "unverified",
    "clock": "unverified",
    "offline": "unverified",
    "inside": "verified",
}
_WORST_FIRST: tuple[Worth, ...] = ("failed", "unverified", "verified")


@dataclass(frozen=True, slots=True)
class PunchRules:
    """The numbers by which punches are judged."""

    tolerance_m: float = 25.0  # how far from a site's edge still counts as there
    max_fix_age_s: float = 120.0
    max_clock_error_s: float = 120.0  # between the claimed time and the server's
    max_speed_mps: float = 70.0
    machine_within_s: float = 300.0  # how far in time a machine's position may be from the fix


DEFAULT_RULES = PunchRules()


@dataclass(frozen=True, slots=True)
class Position:
    """A position with its time and accuracy. accuracy_m: as it was stated; None where it was not.

    Raises ValueError for numbers that no position has.
    """

    time_us: int
    lon: float
    lat: float
    accuracy_m: float | None = None

    def __post_init__(self) -> None:
        if not (abs(self.lon) <= 180 and abs(self.lat) <= 90):
            raise ValueError("lon must be from -180 to 180 and lat from -90 to 90")
        if self.accuracy_m is not None and not 0 <= self.accuracy_m < math.inf:
            raise ValueError("accuracy_m must be 0 or more")


@dataclass(frozen=True, slots=True)
class Claim:
    """The statements of the punch itself. fix: the position that the device gives as proof, if it
    can.
    """

    kind: Literal["in", "out"]
    time_us: int
    fix: Position | None
    mock: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """A job site where the employee may punch.

    distance_m: from the fix to its edge, negative inside; never NaN.
    """

    zone: UUID
    distance_m: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """The knowledge of the server beside the claim.

    device_is_allowed: asked only over MQTT: the tracker is assigned to the employee, or is a punch
    terminal. previous: the employee's last punch or phone fix. machine: the position, nearest in
    time, of the machine that the employee works with.
    """

    received_us: int
    channel: Literal["mqtt", "rest"]
    device_is_allowed: bool = True
    previous: Position | None = None
    machine: Position | None = None


@dataclass(frozen=True, slots=True)
class PunchReason:
    """A rule that spoke: its name in `RULES`, and the figures with units that it went by."""

    rule: str
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a punch: its worth, the reasons, and the time that counts for pay.

    site: the job site that the fix lies deepest in or nearest to; None without a fix or a site.
    distance_m: to its edge, negative inside. margin_m: how far the fix is within the tolerance,
    negative beyond it; the place is sure where this exceeds the stated accuracy. pay_time_us: the
    claimed time where the server saw it, else the server's own. machine_distance_m: None where the
    machine's position is not from about the time of the fix.
    """

    verdict: Worth
    reasons: tuple[PunchReason, ...]
    site: UUID | None
    distance_m: float | None
    margin_m: float | None
    fix_age_s: float | None
    machine_distance_m: float | None
    pay_time_us: int
    pay_time_source: Literal["claimed", "server"]


def judge_punch(
    claim: Claim,
    sites: Sequence[Site],
    evidence: Evidence,
    rules: PunchRules = DEFAULT_RULES,
) -> Verdict:
    """Return the verdict on one punch. sites: those where this employee may punch; the nearest
    counts.
    """
    site = _nearest(sites) if claim.fix else None
    reasons = (
        *_place(claim, site, rules),
        *_honesty(claim, evidence, rules),
        *_times(claim, evidence, rules),
    )
    worths = {RULES[reason.rule] for reason in reasons}
    seen = abs(evidence.received_us - claim.time_us) <= rules.max_clock_error_s * _SECOND_US
    return Verdict(
        verdict=next(worth for worth in _WORST_FIRST if worth in worths),
        reasons=reasons,
        site=site.zone if site else None,
        distance_m=site.distance_m if site else None,
        margin_m=rules.tolerance_m - site.distance_m if site else None,
        fix_age_s=_fix_age_s(claim, evidence),
        machine_distance_m=_machine_distance_m(claim, evidence, rules),
        pay_time_us=claim.time_us if seen else evidence.received_us,
        pay_time_source="claimed" if seen else "server",
    )


def _nearest(sites: Sequence[Site]) -> Site | None:
    """Return the site with the best verdict: tolerance and accuracy are the same for
    all of them.
    """
    return min(sites, key=lambda site: (site.distance_m, site.zone), default=None)


def _place(claim: Claim, site: Site | None, rules: PunchRules) -> Iterator[PunchReason]:
    """Yield one reason: where the fix lies."""
    if claim.fix is None:
        yield PunchReason("no_fix", {})
    elif site is None:
        yield PunchReason("no_zone", {})
    elif claim.fix.accuracy_m is None:
        yield _reason("no_accuracy", distance_m=site.distance_m, tolerance_m=rules.tolerance_m)
    else:
        yield _reason(
            _where(site.distance_m, claim.fix.accuracy_m, rules.tolerance_m),
            distance_m=site.distance_m,
            accuracy_m=claim.fix.accuracy_m,
            tolerance_m=rules.tolerance_m,
        )


def _where(distance_m: float, accuracy_m: float, tolerance_m: float) -> str:
    if distance_m + accuracy_m <= tolerance_m:
        return "inside"
    return "outside" if distance_m - accuracy_m > tolerance_m else "uncertain"


def _honesty(claim: Claim, evidence: Evidence, rules: PunchRules) -> Iterator[PunchReason]:
    """Yield the reasons that make a punch fail wherever its fix lies."""
    if claim.mock:
        yield PunchReason("mock", {})
    if claim.fix and evidence.previous:
        distance_m = _unexplained_m(claim.fix, evidence.previous)
        elapsed_s = abs(claim.fix.time_us - evidence.previous.time_us) / _SECOND_US
        speed_mps = distance_m / max(elapsed_s, _LEAST_ELAPSED_S)
        if speed_mps > rules.max_speed_mps:
            yield _reason(
                "teleport",
                speed_mps=speed_mps,
                limit_mps=rules.max_speed_mps,
                distance_m=distance_m,
                elapsed_s=elapsed_s,
            )
    if evidence.channel == "mqtt" and not evidence.device_is_allowed:
        yield PunchReason("wrong_device", {})


def _times(claim: Claim, evidence: Evidence, rules: PunchRules) -> Iterator[PunchReason]:
    """Yield the reasons that follow from the times of the fix and of the punch."""
    limit_s = rules.max_clock_error_s
    age_s = _fix_age_s(claim, evidence)
    if age_s is not None and age_s > rules.max_fix_age_s:
        yield _reason("stale", fix_age_s=age_s, limit_s=rules.max_fix_age_s)
    if age_s is not None and -age_s > limit_s:
        yield _reason("clock", fix_ahead_s=-age_s, limit_s=limit_s)
    delay_s = (evidence.received_us - claim.time_us) / _SECOND_US
    if -delay_s > limit_s:
        yield _reason("clock", claimed_ahead_s=-delay_s, limit_s=limit_s)
    elif delay_s > limit_s and age_s is not None and delay_s - age_s > limit_s:
        # The fix is younger than the punch that it is to prove: the punch is dated back.
        yield _reason("clock", claimed_before_fix_s=delay_s - age_s, limit_s=limit_s)
    elif delay_s > limit_s:
        yield _reason("offline", delay_s=delay_s, limit_s=limit_s)


def _fix_age_s(claim: Claim, evidence: Evidence) -> float | None:
    """Return the age of the fix when the punch was received; negative for a fix of the future."""
    return (evidence.received_us - claim.fix.time_us) / _SECOND_US if claim.fix else None


def _machine_distance_m(claim: Claim, evidence: Evidence, rules: PunchRules) -> float | None:
    fix, machine = claim.fix, evidence.machine
    if fix is None or machine is None:
        return None
    apart_s = abs(machine.time_us - fix.time_us) / _SECOND_US
    return _distance_m(fix, machine) if apart_s <= rules.machine_within_s else None


def _unexplained_m(one: Position, other: Position) -> float:
    """Return the distance between two positions as far as their inaccuracy does not explain it."""
    explained_m = (one.accuracy_m or 0.0) + (other.accuracy_m or 0.0)
    return max(_distance_m(one, other) - explained_m, 0.0)


def _distance_m(one: Position, other: Position) -> float:
    return float(_WGS84.inv(one.lon, one.lat, other.lon, other.lat)[2])


def _reason(rule: str, **figures: float) -> PunchReason:
    """Return a reason with its figures to the centimetre and the hundredth of a second."""
    return PunchReason(rule, {name: round(figure, 2) for name, figure in figures.items()})
