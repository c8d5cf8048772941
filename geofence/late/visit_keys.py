"""Keys of visits, and how a key is kept from being used twice.

The key of a visit is made of the fix that first opened the visit. After late fixes, a fix that
opened a visit once may be in doubt again: suspect, or the first of a run that is not confirmed.
When such a fix opens a visit after all, that is another visit and gets another key.
"""

from collections.abc import Container, Iterator, Mapping
from typing import Any

import numpy as np

from geofence.judging.evaluator import Evaluation
from geofence.judging.state import StateDelta
from geofence.late.amendments import VisitKey, unused
from geofence.model.transitions import Transition

_KEY_COLUMNS = ("first_fix_tracker", "first_fix_us", "first_fix_seq", "change_us")


def key_of(row: Any) -> VisitKey:
    """Return the key of the visit that a membership or a transition is about."""
    first_fix = (int(row[name]) for name in _KEY_COLUMNS)
    return VisitKey(int(row["zone"]), *first_fix, again=int(row["again"]))


def set_key(row: Any, key: VisitKey) -> None:
    """Write the key of the visit into a membership or a transition."""
    row["first_fix_tracker"], row["first_fix_us"] = key.tracker, key.time_us
    row["first_fix_seq"], row["change_us"] = key.seq, key.change_us
    row["again"] = key.again


def pending_first_fixes(state: StateDelta) -> Iterator[tuple[int, int, int]]:
    """Yield the fixes (tracker, time_us, seq) that may open a visit when another one comes."""
    for asset in state.assets:
        for place in asset["suspect"][: asset["suspects"]]:
            yield place.item()[:3]
    members = state.memberships
    for place in members["run_first"][~members["inside"] & (members["run"] > 0)]:
        yield place.item()[:3]


def make_keys_unique(evaluation: Evaluation, used: Mapping[int, Container[VisitKey]]) -> None:
    """Give each visit that the evaluation opens under a used key an unused one. used: by asset."""
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
            for name, value in zip(_KEY_COLUMNS, key[1:], strict=False):
                same &= rows[name] == value
            rows["again"][same] = again
