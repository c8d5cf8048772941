"""Names of visits that were given before, where the fast path would give them again.

A visit is named by the fix that first opened it. After late fixes a fix that opened a visit once
may be in doubt again: suspect, or the first of a run that is not confirmed. When it opens a visit
after all, that is another visit.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Any

import numpy as np

from geofence.judging.evaluator import Evaluation
from geofence.judging.state import StateDelta
from geofence.late.amendments import VisitKey, unused
from geofence.model.transitions import Transition

_OPENING = ("opening_tracker", "opening_us", "opening_seq", "opening_change_us")


def key_of(row: Any) -> VisitKey:
    """Return the name that a membership or a transition gives its visit."""
    opening = (int(row[name]) for name in _OPENING)
    return VisitKey(int(row["zone"]), *opening, again=int(row["opening_again"]))


def name(row: Any, key: VisitKey) -> None:
    """Let a membership or a transition give its visit this name."""
    row["opening_tracker"], row["opening_us"] = key.tracker, key.time_us
    row["opening_seq"], row["opening_change_us"] = key.seq, key.change_us
    row["opening_again"] = key.again


def pending(state: StateDelta) -> Iterator[tuple[int, int, int]]:
    """Yield the fixes (tracker, time_us, seq) that may open a visit when another one comes."""
    for asset in state.assets:
        for place in asset["suspect"][: asset["suspects"]]:
            yield place.item()[:3]
    members = state.memberships
    for place in members["run_first"][~members["inside"] & (members["run"] > 0)]:
        yield place.item()[:3]


def tell_apart(evaluation: Evaluation, used: Mapping[int, Container[VisitKey]]) -> None:
    """Give visits that it opens under a used name another one. used: by asset."""
    if not used:
        return
    enters = evaluation.transitions["transition"] == Transition.ENTER
    for number in np.flatnonzero(enters).tolist():
        row = evaluation.transitions[number]
        asset, key = int(row["asset"]), key_of(row)
        if key not in used.get(asset, ()):
            continue
        again = unused(key, used[asset]).again
        for rows in (evaluation.transitions, evaluation.delta.memberships):
            same = (rows["asset"] == asset) & (rows["zone"] == key.zone)
            for name, value in zip(_OPENING, key[1:], strict=False):
                same &= rows[name] == value
            rows["opening_again"][same] = again
