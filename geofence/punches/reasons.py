"""The rules that speak about a punch: each gives a reason with the figures that it went by.

Distances between positions are geodesics on the ellipsoid. A measure counts to the micrometre, so
that the figures of a reason can say exactly what was judged.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from pyproj import Geod

from geofence.punches.claim import (
    RULES,
    ClaimedPunch,
    Evidence,
    PunchReason,
    PunchRules,
    PunchSite,
    TimedPosition,
    Worth,
)

_WGS84 = Geod(ellps="WGS84")
_SECOND_US = 1_000_000
# Times are often whole seconds, so two fixes of one second may lie almost a second apart.
_LEAST_ELAPSED_S = 1.0
_FEWEST_DIGITS, _MOST_DIGITS = 2, 6

# The place ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BestSite:
    """The fix beside the best of the sites, to the micrometre."""

    zone: UUID
    distance_m: float
    tolerance_m: float
    accuracy_m: float | None

    @classmethod
    def of(
        cls, claim: ClaimedPunch, sites: Sequence[PunchSite], rules: PunchRules
    ) -> "BestSite | None":
        """Return the place of the greatest margin: the accuracy is the same beside all sites, so no
        other site has a better verdict. None without a fix or a site.
        """
        if claim.fix is None:
            return None
        accuracy_m = claim.fix.accuracy_m
        places = [
            cls(
                site.zone,
                round(site.distance_m, _MOST_DIGITS),
                round(
                    rules.tolerance_m if site.tolerance_m is None else site.tolerance_m,
                    _MOST_DIGITS,
                ),
                None if accuracy_m is None else round(accuracy_m, _MOST_DIGITS),
            )
            for site in sites
        ]
        return min(places, key=lambda place: (-place.margin_m, place.zone), default=None)

    @property
    def where(self) -> str:
        """The rule that speaks about the place: inside, outside or uncertain."""
        if self.accuracy_m is None:
            return "no_accuracy"
        return _where(self.distance_m, self.accuracy_m, self.tolerance_m)

    @property
    def margin_m(self) -> float:
        """The distance within the tolerance, negative beyond it."""
        return round(self.tolerance_m - self.distance_m, _MOST_DIGITS)

    @property
    def figures(self) -> dict[str, float]:
        accuracy = {} if self.accuracy_m is None else {"accuracy_m": self.accuracy_m}
        return {"distance_m": self.distance_m, **accuracy, "tolerance_m": self.tolerance_m}


def _where(distance_m: float, accuracy_m: float, tolerance_m: float) -> str:
    if round(distance_m + accuracy_m - tolerance_m, _MOST_DIGITS) <= 0:
        return "inside"
    is_outside = round(distance_m - accuracy_m - tolerance_m, _MOST_DIGITS) > 0
    return "outside" if is_outside else "uncertain"


def of_place(
    claim: ClaimedPunch, place: BestSite | None, rules: PunchRules
) -> Iterator[PunchReason]:
    """Yield where the fix lies. An outside fix of another time is `stale` instead."""
    if claim.fix is None:
        yield _reason("no_fix")
    elif place is None:
        yield _reason("no_zone")
    elif place.where == "no_accuracy":
        yield _reason("no_accuracy", place.figures)
    elif place.where != "outside" or is_of_claimed_time(claim, rules):
        where = place.where
        yield _reason(where, place.figures, lambda shown: _where(**shown) == where)


def is_of_claimed_time(claim: ClaimedPunch, rules: PunchRules) -> bool:
    """Return whether the fix is from about the time that the punch claims."""
    if claim.fix is None or claim.fix.time_us is None:
        return False
    return abs(claim.fix.time_us - claim.time_us) <= rules.max_clock_error_s * _SECOND_US


# Honesty ------------------------------------------------------------------------------------------


def of_honesty(claim: ClaimedPunch, evidence: Evidence, rules: PunchRules) -> Iterator[PunchReason]:
    """Yield the reasons that speak against a punch wherever its fix lies."""
    if claim.mock:
        yield _reason("mock")
    yield from of_leap(claim, evidence.previous, rules)
    if not evidence.device_is_allowed:
        yield _reason("wrong_device")


def of_leap(
    claim: ClaimedPunch, previous: TimedPosition | None, rules: PunchRules
) -> Iterator[PunchReason]:
    """Yield a leap that nobody makes. It is only a doubt where a fix may be far off, or where the
    employee may have flown.
    """
    fix = claim.fix
    if fix is None or previous is None or fix.time_us is None or previous.time_us is None:
        return
    apart_m = _unexplained_m(fix, previous)
    elapsed_s = abs(fix.time_us - previous.time_us) / _SECOND_US
    speed_mps = round(apart_m / max(elapsed_s, _LEAST_ELAPSED_S), _MOST_DIGITS)
    if speed_mps <= rules.max_speed_mps:
        return
    is_vague = fix.accuracy_m is None or previous.accuracy_m is None

    def is_doubtful(shown: Mapping[str, float]) -> bool:
        is_flight = shown["speed_mps"] < rules.max_flight_mps
        return is_vague or (is_flight and shown["elapsed_s"] > rules.min_flight_s)

    def still_speak(shown: Mapping[str, float]) -> bool:
        is_leap = shown["speed_mps"] > shown["limit_mps"]
        return is_leap and is_doubtful(shown) == is_doubtful(figures)

    figures = {
        "speed_mps": speed_mps,
        "limit_mps": rules.max_speed_mps,
        "distance_m": apart_m,
        "elapsed_s": elapsed_s,
    }
    makes: Worth = "unverified" if is_doubtful(figures) else "failed"
    yield _reason("teleport", figures, still_speak, makes)


def _unexplained_m(position: TimedPosition, other: TimedPosition) -> float:
    """Return the distance between two positions as far as their inaccuracy does not explain it."""
    explained_m = (position.accuracy_m or 0.0) + (other.accuracy_m or 0.0)
    return round(max(distance_m(position, other) - explained_m, 0.0), _MOST_DIGITS)


# Times --------------------------------------------------------------------------------------------


def of_times(
    claim: ClaimedPunch, place: BestSite | None, evidence: Evidence, rules: PunchRules
) -> Iterator[PunchReason]:
    """Yield the reasons that follow from the times of the fix and of the punch."""
    limit_s = rules.max_clock_error_s
    age_s = fix_age_s(claim, evidence)
    yield from of_age(claim, place, age_s, rules)
    if age_s is not None:
        yield from _beyond("clock", "fix_ahead_s", -age_s, limit_s)
    delay_s = (evidence.received_us - claim.time_us) / _SECOND_US
    if -delay_s > limit_s:
        yield from _beyond("clock", "claimed_ahead_s", -delay_s, limit_s)
    elif delay_s > limit_s and age_s is not None and delay_s - age_s > limit_s:
        # The fix is younger than the punch that it is to prove: the punch is dated back.
        yield from _beyond("clock", "claimed_before_fix_s", delay_s - age_s, limit_s)
    else:
        yield from _beyond("offline", "delay_s", delay_s, limit_s)


def of_age(
    claim: ClaimedPunch, place: BestSite | None, age_s: float | None, rules: PunchRules
) -> Iterator[PunchReason]:
    """Yield that a fix is too old to prove a place, or that its age is not known.

    A fix of another time than the claimed one that is outside every site proves no absence either.
    It is stale too, and the figures say where it was.
    """
    if claim.fix is None:
        return
    is_old = age_s is None or age_s > rules.max_fix_age_s
    is_elsewhere = place is not None and place.where == "outside"
    if is_elsewhere and not is_of_claimed_time(claim, rules):
        place_figures = {} if place is None else place.figures
    elif is_old:
        place_figures = {}
    else:
        return
    ages = {} if age_s is None else {"fix_age_s": age_s}
    if place_figures and claim.fix.time_us is not None:
        ages["fix_before_claim_s"] = (claim.time_us - claim.fix.time_us) / _SECOND_US

    def still_speak(shown: Mapping[str, float]) -> bool:
        is_shown_old = shown.get("fix_age_s", math.inf) > shown["limit_s"]
        if not place_figures or is_shown_old != is_old:
            return is_shown_old == is_old
        apart_s = abs(shown.get("fix_before_claim_s", math.inf))
        is_elsewhere = _where(**{name: shown[name] for name in place_figures}) == "outside"
        return is_elsewhere and apart_s > rules.max_clock_error_s

    figures = {**ages, "limit_s": rules.max_fix_age_s, **place_figures}
    yield _reason("stale", figures, still_speak)


def _beyond(rule: str, name: str, figure_s: float, limit_s: float) -> Iterator[PunchReason]:
    """Yield the rule where a figure exceeds its limit."""
    if figure_s > limit_s:
        figures = {name: figure_s, "limit_s": limit_s}
        yield _reason(rule, figures, lambda shown: shown[name] > shown["limit_s"])


def fix_age_s(claim: ClaimedPunch, evidence: Evidence) -> float | None:
    """Return the age of the fix when the punch was received; negative for a fix of the future."""
    if claim.fix is None or claim.fix.time_us is None:
        return None
    return (evidence.received_us - claim.fix.time_us) / _SECOND_US


def distance_m(position: TimedPosition, other: TimedPosition) -> float:
    """Return the geodesic distance between two positions in metres."""
    return float(_WGS84.inv(position.lon, position.lat, other.lon, other.lat)[2])


def _always(_: Mapping[str, float]) -> bool:
    return True


def _reason(
    rule: str,
    figures: Mapping[str, float] | None = None,
    still_speaks: Callable[[Mapping[str, float]], bool] = _always,
    makes: Worth | None = None,
) -> PunchReason:
    """Return a reason with its figures to the centimetre and the hundredth of a second.

    They have more digits where the rule would not speak by the rounded figures.
    """
    shown = dict(figures or {})
    for digits in range(_FEWEST_DIGITS, _MOST_DIGITS + 1):
        shown = {name: round(figure, digits) for name, figure in (figures or {}).items()}
        if still_speaks(shown):
            break
    return PunchReason(rule, makes or RULES[rule][0], shown)
