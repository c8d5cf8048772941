"""Ways to judge a coarse fix, side by side: the engine's own, and others written out here."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.engine.coarse_world import Fixes, Site
from geofence.judging.evaluator import NO_TIMERS_US, evaluate
from geofence.judging.state import State
from geofence.model.rules import COARSE_M, NEVER_COARSE_M, Rules
from geofence.model.transitions import Transition
from geofence.zones.index import ZoneIndex, ZoneVersion


@dataclass(frozen=True, slots=True)
class Told:
    """The outcome of each device, shape (devices, fixes).

    events: how many a fix made known. inside: whether the device is in the zone after it.
    """

    events: NDArray[np.int64]
    inside: NDArray[np.bool_]

    @staticmethod
    def of(inside: NDArray[np.bool_]) -> "Told":
        """Return an outcome in which each change is an event."""
        changes = np.diff(inside.astype(np.int64), prepend=0, axis=1)
        return Told(np.abs(changes), inside)


Judge = Callable[[Fixes, Site], Told]


def by_engine(rules: Rules) -> Judge:
    """Judge as the engine does."""

    def judge(fixes: Fixes, site: Site) -> Told:
        index = ZoneIndex([ZoneVersion(0, 1, 0, site.shape(), rules=rules)])
        found = evaluate(fixes.batch(), State(), index, NO_TIMERS_US).transitions
        change, shape = np.zeros(fixes.east_m.size, np.int64), fixes.east_m.shape
        np.add.at(change, found["row"], np.where(found["transition"] == Transition.ENTER, 1, -1))
        events = np.bincount(found["row"], minlength=fixes.east_m.size)
        return Told(events.reshape(shape), np.cumsum(change.reshape(shape), axis=1) > 0)

    return judge


def by_overlap(fixes: Fixes, site: Site) -> Told:
    """Judge as Home Assistant does: in the zone where the circle of the fix and the
    zone overlap.
    """
    distance_m = site.distance_m(fixes.east_m, fixes.north_m)
    return Told.of(distance_m < fixes.accuracy_m)


def by_depth(depth: float, margin: float) -> Judge:
    """Judge as the engine does, with other depths and margins of coarse fixes, in units of
    accuracy.
    """

    def judge(fixes: Fixes, site: Site) -> Told:
        distance_m, accuracy_m = site.distance_m(fixes.east_m, fixes.north_m), fixes.accuracy_m
        coarse = accuracy_m > COARSE_M
        says_inside = np.where(coarse, distance_m < -depth * accuracy_m, distance_m <= 0)
        says_outside = distance_m > np.where(coarse, margin, 1) * accuracy_m
        return _by_runs(says_inside, says_outside, coarse)

    return judge


def _by_runs(
    says_inside: NDArray[np.bool_], says_outside: NDArray[np.bool_], coarse: NDArray[np.bool_]
) -> Told:
    """Return the first fix inside enters, the second in a row outside leaves; an unsure one counts
    not.
    """
    history = np.zeros(says_inside.shape, np.bool_)
    inside, run = np.zeros(len(history), np.bool_), np.zeros(len(history), np.int64)
    for number in range(len(history.T)):
        is_in, is_out = says_inside[:, number], says_outside[:, number]
        ends = is_in | (~coarse[:, number] & ~is_out)
        run = np.where(inside & is_out, run + 1, np.where(ends, 0, run))
        leaves = run == 2
        run = np.where(leaves, 0, run)
        inside = history[:, number] = (inside | is_in) & ~leaves
    return Told.of(history)


BEFORE = replace(Rules(), accuracy_clamp_m=50.0, coarse_accuracy_m=NEVER_COARSE_M)

JUDGES: dict[str, Judge] = {
    "no rule": by_engine(Rules.raw()),
    "Home Assistant": by_overlap,
    "before": by_engine(BEFORE),
    "margin 1": by_depth(0.5, 1.0),
    "depth 1/4": by_depth(0.25, 1.5),
    "now": by_engine(Rules()),
}
