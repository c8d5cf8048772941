"""The visits that follow from transitions, with the keys that the fixes alone give them."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geofence.judging.state import StateDelta
from geofence.late.amendments import Visit, VisitBoundary, VisitKey
from geofence.late.visit_keys import key_of
from geofence.model.transitions import Transition


def inside(state: StateDelta) -> NDArray[np.void]:
    """Return the memberships (MEMBERSHIP_DTYPE) of the zones that the asset is in."""
    return state.memberships[state.memberships["inside"]]


def open_visits(
    state: StateDelta,
    visits: Mapping[VisitKey, Visit],
    stable_keys: Mapping[VisitKey, VisitKey],
    zones: Container[int] | None,
) -> dict[int, Visit]:
    """Return by zone the visits that are open in a state, as they were then.

    zones: None for all. stable_keys: the key in `visits` of each visit that the state names.
    """
    found: dict[int, Visit] = {}
    for member in inside(state):
        key = key_of(member)
        if zones is not None and key.zone not in zones:
            continue
        visit = visits[stable_keys[key]]
        dwelled = visit.dwelled if member["dwelled"] else None
        overspeed = visit.overspeed if member["overspeed"] else None
        found[key.zone] = replace(visit, key=key, left=None, dwelled=dwelled, overspeed=overspeed)
    return found


def follow(
    parts: Iterable[NDArray[np.void]], opened: dict[int, Visit], zones: Container[int] | None
) -> list[Visit]:
    """Apply transitions (TRANSITION_DTYPE, in parts) to the open visits. Returns those that end.

    opened: by zone, changed. zones: None for all.
    """
    ended: list[Visit] = []
    for transitions in parts:
        for transition in transitions:
            zone = int(transition["zone"])
            if zones is not None and zone not in zones:
                continue
            kind = transition["transition"]
            if kind == Transition.ENTER:
                opened[zone] = _opened(transition)
            elif zone not in opened:
                continue
            elif kind == Transition.EXIT:
                ended.append(replace(opened.pop(zone), left=_place_of(transition)))
            elif kind == Transition.DWELL:
                opened[zone] = replace(opened[zone], dwelled=_place_of(transition))
            elif kind == Transition.OVERSPEED:
                opened[zone] = replace(opened[zone], overspeed=_place_of(transition))
    return ended


def to_its_end(visit: Visit, known: Mapping[int, Visit]) -> Visit:
    """Return a visit that is open where judging ended, with its end as far as that is known.

    known: by zone, the known visits that are open there.
    """
    other = known.get(visit.key.zone)
    if other is None:
        return visit
    return replace(
        visit,
        left=other.left,
        dwelled=visit.dwelled or other.dwelled,
        overspeed=visit.overspeed or other.overspeed,
    )


def _opened(transition: np.void) -> Visit:
    return Visit(
        key=key_of(transition),
        version=int(transition["entered_version"]),
        entered=_place_of(transition),
        returning=bool(transition["returning"]),
    )


def _place_of(transition: np.void) -> VisitBoundary:
    accuracy_m, speed_mps = float(transition["accuracy_m"]), float(transition["speed_mps"])
    return VisitBoundary(
        time_us=int(transition["time_us"]),
        lat=float(transition["lat"]),
        lon=float(transition["lon"]),
        tracker=int(transition["tracker"]),
        fix_us=int(transition["fix_us"]),
        fix_seq=int(transition["fix_seq"]),
        accuracy_m=None if np.isnan(accuracy_m) else accuracy_m,
        speed_mps=None if np.isnan(speed_mps) else speed_mps,
        cause=int(transition["cause"]),
        inferred=int(transition["inferred"]),
    )
