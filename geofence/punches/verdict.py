"""The verdict on a punch: is it proved that an employee was at a job site when they say so?

A punch is a claim. Each rule that has something to say about it gives a reason with its figures,
and the worst of them is the verdict:

- verified: at a job site, by a fresh fix, at a time that the server saw itself;
- failed: somewhere else, or not honestly: the position is mocked, too far from the last one, or
  from a device that may not punch for this employee;
- unverified: neither is proved. What a phone cannot know is never a failure.

Nothing is refused here: the caller stores the punch with its verdict. The rules are in
`geofence.punches.reasons`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from geofence.punches.claim import (
    DEFAULT_RULES,
    WORTHS,
    ClaimedPunch,
    Evidence,
    PaySource,
    PunchReason,
    PunchRules,
    PunchSite,
    TimedPosition,
    Worth,
)
from geofence.punches.reasons import (
    BestSite,
    distance_m,
    fix_age_s,
    is_of_claimed_time,
    of_age,
    of_honesty,
    of_leap,
    of_place,
    of_times,
)

_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a punch: its worth, the reasons, and the time that counts for pay.

    site: the job site with the best verdict; None without a fix or a site. distance_m: to its edge,
    negative inside. margin_m: how far the fix is within the tolerance, negative beyond it; the
    place is sure where this exceeds the stated accuracy. fix_age_s: when the punch was received.
    machine_distance_m: None where the machine's position is not from about the time of the fix.

    pay_time_source: `claimed` where the claimed time is credible; `disputed` where it is only
    proposed, and `server_time_us` is the other reading; `entered` where somebody entered it by
    hand. server_time_us: None but where the time is disputed.
    """

    verdict: Worth
    reasons: tuple[PunchReason, ...]
    site: UUID | None
    distance_m: float | None
    margin_m: float | None
    fix_age_s: float | None
    machine_distance_m: float | None
    pay_time_us: int
    pay_time_source: PaySource
    server_time_us: int | None


def judge_punch(
    claim: ClaimedPunch,
    sites: Sequence[PunchSite],
    evidence: Evidence,
    rules: PunchRules = DEFAULT_RULES,
) -> Verdict:
    """Return the verdict on one punch. sites: those where this employee may punch; the best verdict
    counts.
    """
    place = BestSite.of(claim, sites, rules)
    reasons = (
        *of_place(claim, place, rules),
        *of_honesty(claim, evidence, rules),
        *of_times(claim, place, evidence, rules),
    )
    pay_time_us, source = _pay(claim, evidence, rules)
    return Verdict(
        verdict=worst(reasons),
        reasons=reasons,
        site=place.zone if place else None,
        distance_m=place.distance_m if place else None,
        margin_m=place.margin_m if place else None,
        fix_age_s=fix_age_s(claim, evidence),
        machine_distance_m=_machine_distance_m(claim, evidence, rules),
        pay_time_us=pay_time_us,
        pay_time_source=source,
        server_time_us=evidence.received_us if source == "disputed" else None,
    )


def worst(reasons: Iterable[PunchReason]) -> Worth:
    """Return the verdict that reasons make: the worst of theirs."""
    worths = {reason.makes for reason in reasons}
    return next(worth for worth in WORTHS if worth in worths)


# Judged again -------------------------------------------------------------------------------------

# The rules in the order in which a verdict has them.
_PLACE = ("no_fix", "no_zone", "no_accuracy", "outside", "uncertain", "inside")
_HONESTY = ("mock", "teleport", "wrong_device")
_TIMES = ("stale", "clock", "offline")
_PLACES = {rule: place for place, rule in enumerate((*_PLACE, *_HONESTY, *_TIMES))}


def with_leap(
    earlier: Iterable[PunchReason],
    claim: ClaimedPunch,
    previous: TimedPosition | None,
    rules: PunchRules,
) -> tuple[PunchReason, ...]:
    """Return the reasons of a stored punch where the place next in time is `previous`.

    The other reasons stay: rights and zones may be others by now.
    """
    kept = [reason for reason in earlier if reason.rule != "teleport"]
    return _in_order([*kept, *of_leap(claim, previous, rules)])


class NewPlace(NamedTuple):
    """The reasons of a stored punch beside other sites, and the best of the sites."""

    reasons: tuple[PunchReason, ...]
    site: BestSite | None


def with_sites(
    earlier: Iterable[PunchReason],
    claim: ClaimedPunch,
    sites: Sequence[PunchSite],
    received_us: int,
    rules: PunchRules,
) -> NewPlace:
    """Return the reasons of a stored punch beside other sites. Those that no site bears on stay."""
    place = BestSite.of(claim, sites, rules)
    age_s = fix_age_s(claim, Evidence(received_us))
    kept = [reason for reason in earlier if reason.rule not in (*_PLACE, "stale")]
    fresh = (*of_place(claim, place, rules), *of_age(claim, place, age_s, rules))
    return NewPlace(_in_order([*fresh, *kept]), place)


def _in_order(reasons: Iterable[PunchReason]) -> tuple[PunchReason, ...]:
    return tuple(sorted(reasons, key=lambda reason: _PLACES[reason.rule]))


# Pay ----------------------------------------------------------------------------------------------


def _pay(claim: ClaimedPunch, evidence: Evidence, rules: PunchRules) -> tuple[int, PaySource]:
    """Return the time that counts for pay, and where it is from.

    A claimed time that nothing confirms is proposed all the same: being offline takes no hours. It
    is bounded by the receipt and by the punch before, so that it adds none.
    """
    proposed_us = min(claim.time_us, evidence.received_us)
    if evidence.by_hand:
        return proposed_us, "entered"
    if _is_credible(claim, evidence, rules):
        return claim.time_us, "claimed"
    if evidence.previous_pay_us is not None:
        proposed_us = max(proposed_us, min(evidence.previous_pay_us, evidence.received_us))
    return proposed_us, "disputed"


def _is_credible(claim: ClaimedPunch, evidence: Evidence, rules: PunchRules) -> bool:
    """Return whether the server saw the claimed time itself, or an honest fix confirms the time."""
    if abs(evidence.received_us - claim.time_us) <= rules.max_clock_error_s * _SECOND_US:
        return True
    is_past = claim.time_us <= evidence.received_us
    return is_past and not claim.mock and is_of_claimed_time(claim, rules)


# The machine --------------------------------------------------------------------------------------


def _machine_distance_m(claim: ClaimedPunch, evidence: Evidence, rules: PunchRules) -> float | None:
    fix, machine = claim.fix, evidence.machine
    if fix is None or machine is None or fix.time_us is None or machine.time_us is None:
        return None
    apart_s = abs(machine.time_us - fix.time_us) / _SECOND_US
    return distance_m(fix, machine) if apart_s <= rules.machine_within_s else None
