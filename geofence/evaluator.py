"""Which zones a batch of fixes enters and leaves. Values in, values out: nothing is changed.

    evaluation = evaluate(batch, state, index, now_us)
    ... store evaluation.transitions in the transaction that stores the fixes ...
    state.apply(evaluation.delta)          # after COMMIT

How it works, without a loop over fixes. The judged fixes of all assets stand in one row of places:
each asset's share begins with a head, which stands for the state before the batch. Where a zone's
change lies between a fix and the one before it, a place for that change comes before the fix: the
asset at its old position, the zones as they are at the time of the fix. The index gives the pairs
(place, zone) that are inside, the state those of the heads. Sorted by zone, then place, pairs at
neighbouring places form runs, and a run is a stay: it begins with an enter unless it begins at a
head, and ends with an exit at the place after it unless the asset's share ends there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geofence.arrival import Arrival, in_order
from geofence.index import ZoneIndex
from geofence.state import LAST_DTYPE, MEMBERSHIP_DTYPE, OPENING_COLUMNS, State, StateDelta
from geofence.transitions import TRANSITION_DTYPE, Says, Transition, Was, causes
from telemetry.fix import FixBatch


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a batch does.

    transitions: TRANSITION_DTYPE, in order of row, what a change of zones did before what the fix
    itself did, time, exits before enters, zone. delta: for `State.apply`. late: bool, (n,): which
    fixes lie at or before their asset's newest judged one and were not judged.
    """

    transitions: NDArray[np.void]
    delta: StateDelta
    late: NDArray[np.bool_]


def evaluate(batch: FixBatch, state: State, index: ZoneIndex, now_us: int) -> Evaluation:
    """Judge the fixes of `batch` in order of arrival.

    Of batch.rows `asset` (-1: not judged), `organization`, `tracker`, `time_us`, `seq`, `lat` and
    `lon` are read. now_us is the instant of judging; the plain rule has no deadline that it could
    pass, so it does not bear on the answer.
    """
    fixes = batch.rows
    arrival, late = in_order(fixes, state)
    places = _places(fixes, arrival, index)
    stays = _stays(fixes, arrival, places, state, index)
    transitions, opened = _transitions(fixes, arrival, places, stays, index)
    delta = _delta(fixes, arrival, stays, opened)
    return Evaluation(transitions, delta, late)


@dataclass(frozen=True, slots=True)
class _Places:
    """p places. fix: number of the fix among the judged, (p,), at a head that of the asset's first;
    is_head, is_change: bool, (p + 1,) and (p,): the place past the end counts as a head.
    head: place of each asset's head, (g,).
    """

    fix: NDArray[np.intp]
    is_head: NDArray[np.bool_]
    is_change: NDArray[np.bool_]
    head: NDArray[np.intp]


def _places(fixes: NDArray[np.void], arrival: Arrival, index: ZoneIndex) -> _Places:
    until_us = fixes["time_us"][arrival.row]
    after_us = np.where(arrival.has_before, arrival.before_us, until_us)
    changed = index.boundary_between(fixes["organization"][arrival.row], after_us, until_us)
    width = 1 + changed
    width[arrival.first] += 1
    total = int(width.sum())
    own_place = np.cumsum(width) - 1
    head = own_place[arrival.first] - width[arrival.first] + 1
    is_head = np.zeros(total + 1, dtype=bool)
    is_head[head] = True
    is_head[total] = True
    is_change = np.zeros(total, dtype=bool)
    is_change[own_place[changed] - 1] = True
    return _Places(np.repeat(np.arange(len(width)), width), is_head, is_change, head)


@dataclass(frozen=True, slots=True)
class _Stays:
    """Runs of places at which an asset is inside a zone, by zone, then place; all shape (s,).

    begin, end: first and last place. entry: of the index at `begin`, -1 at a head. entered, left:
    whether the run begins with an enter and ends with an exit. opening: MEMBERSHIP_DTYPE, filled
    where the run begins at a head. group: number of the asset.
    Only assets with an enter or an exit have their stays here; of the others nothing changes.
    """

    zone: NDArray[np.int64]
    begin: NDArray[np.intp]
    end: NDArray[np.intp]
    entry: NDArray[np.intp]
    entered: NDArray[np.bool_]
    left: NDArray[np.bool_]
    opening: NDArray[np.void]
    group: NDArray[np.intp]


def _stays(
    fixes: NDArray[np.void], arrival: Arrival, places: _Places, state: State, index: ZoneIndex
) -> _Stays:
    place, entry = _inside(fixes, arrival, places, index)
    members, member_group = state.memberships_of(arrival.assets)
    place = np.concatenate((places.head[member_group], place))
    zone = np.concatenate((members["zone"], index.zone_of[entry])).astype(np.int64)
    source = np.concatenate((-1 - np.arange(len(members)), entry))
    key = zone * len(places.is_head) + place
    order = np.argsort(key)
    key, place = key[order], place[order]
    begins = np.ones(len(key) + 1, dtype=bool)
    begins[1:-1] = (key[1:] - key[:-1] > 1) | places.is_head[place[1:]]
    begin, end = np.flatnonzero(begins[:-1]), np.flatnonzero(begins[1:])
    entered, left = ~places.is_head[place[begin]], ~places.is_head[place[end] + 1]
    group = arrival.group[places.fix[place[begin]]]
    eventful = np.zeros(len(arrival.assets), dtype=bool)
    eventful[group[entered | left]] = True
    kept = np.flatnonzero(eventful[group])
    begin, end = begin[kept], end[kept]
    first_source = source[order[begin]]
    opening = np.zeros(len(kept), MEMBERSHIP_DTYPE)
    at_head = first_source < 0
    opening[at_head] = members[-1 - first_source[at_head]]
    return _Stays(
        zone=zone[order[begin]],
        begin=place[begin],
        end=place[end],
        entry=np.where(at_head, -1, first_source),
        entered=entered[kept],
        left=left[kept],
        opening=opening,
        group=group[kept],
    )


def _inside(
    fixes: NDArray[np.void], arrival: Arrival, places: _Places, index: ZoneIndex
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs (place, entry) of all places but the heads."""
    place = np.flatnonzero(~places.is_head[:-1])
    fix = places.fix[place]
    row = arrival.row[fix]
    lon, lat = _positions(fixes, arrival, fix, places.is_change[place])
    where, entry = index.inside(lon, lat, fixes["organization"][row], fixes["time_us"][row])
    return place[where], entry


def _positions(
    fixes: NDArray[np.void],
    arrival: Arrival,
    fix: NDArray[np.intp],
    before: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitudes and latitudes of fixes, or of the fix before each where `before` says so."""
    row = arrival.row[fix]
    lon, lat = fixes["lon"][row], fixes["lat"][row]
    if before.any():
        lon = np.where(before, arrival.before_lon[fix], lon)
        lat = np.where(before, arrival.before_lat[fix], lat)
    return lon, lat


def _transitions(
    fixes: NDArray[np.void], arrival: Arrival, places: _Places, stays: _Stays, index: ZoneIndex
) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """The transitions in order, and the opening of every stay (MEMBERSHIP_DTYPE)."""
    opened = stays.opening.copy()
    found = np.zeros(
        np.count_nonzero(stays.entered) + np.count_nonzero(stays.left), TRANSITION_DTYPE
    )
    if not len(found):
        return found, opened
    enters = _enters(fixes, arrival, places, stays, index)
    opened[stays.entered] = _as_openings(enters)
    found[: len(enters)] = enters
    found[len(enters) :] = _exits(fixes, arrival, places, stays, opened, index)
    of_change = np.concatenate(
        (places.is_change[stays.begin[stays.entered]], places.is_change[stays.end[stays.left] + 1])
    )
    is_enter = found["transition"] == Transition.ENTER
    order = np.lexsort((found["zone"], is_enter, found["time_us"], ~of_change, found["row"]))
    return found[order], opened


def _enters(
    fixes: NDArray[np.void], arrival: Arrival, places: _Places, stays: _Stays, index: ZoneIndex
) -> NDArray[np.void]:
    place, entry = stays.begin[stays.entered], stays.entry[stays.entered]
    changed = places.is_change[place]
    found = _blank(fixes, arrival, places.fix[place], changed)
    fix = places.fix[place]
    _occurred(found, arrival, fix, changed, index.valid_from_us[entry])
    found["zone"] = stays.zone[stays.entered]
    found["version"] = found["opening_version"] = index.version_of[entry]
    found["transition"] = Transition.ENTER
    was = np.where(arrival.has_before[fix], Was.OUTSIDE, Was.UNKNOWN)
    found["cause"] = causes(was, Says.INSIDE, changed)
    row = found["row"]
    found["opening_tracker"] = fixes["tracker"][row]
    found["opening_us"] = fixes["time_us"][row]
    found["opening_seq"] = fixes["seq"][row]
    found["opening_change_us"] = np.where(changed, found["time_us"], 0)
    found["entered_us"] = found["time_us"]
    return found


def _exits(
    fixes: NDArray[np.void],
    arrival: Arrival,
    places: _Places,
    stays: _Stays,
    opened: NDArray[np.void],
    index: ZoneIndex,
) -> NDArray[np.void]:
    place, opening = stays.end[stays.left] + 1, opened[stays.left]
    fix = places.fix[place]
    at_us = fixes["time_us"][arrival.row[fix]]
    version, boundary_us, in_force = index.standing(opening["zone"], at_us)
    # A zone that is no more was not left by moving, wherever its end lies: it may end before the
    # last fix (whose clock was ahead), or be unknown to the index.
    changed = places.is_change[place] | ~in_force
    found = _blank(fixes, arrival, fix, changed & arrival.has_before[fix])
    _occurred(found, arrival, fix, changed, boundary_us)
    found["zone"] = opening["zone"]
    found["version"] = np.where(version > 0, version, opening["opening_version"])
    found["transition"] = Transition.EXIT
    found["cause"] = causes(np.full(len(fix), Was.INSIDE), Says.OUTSIDE, changed)
    for column in OPENING_COLUMNS:
        found[column] = opening[column]
    return found


def _blank(
    fixes: NDArray[np.void],
    arrival: Arrival,
    fix: NDArray[np.intp],
    before: NDArray[np.bool_],
) -> NDArray[np.void]:
    """Transitions with what the fix says; positions of the fix before where `before` says so."""
    found = np.zeros(len(fix), TRANSITION_DTYPE)
    row = arrival.row[fix]
    found["row"] = row
    found["asset"] = fixes["asset"][row]
    found["organization"] = fixes["organization"][row]
    found["time_us"] = fixes["time_us"][row]
    found["lon"], found["lat"] = _positions(fixes, arrival, fix, before)
    return found


def _occurred(
    found: NDArray[np.void],
    arrival: Arrival,
    fix: NDArray[np.intp],
    changed: NDArray[np.bool_],
    change_us: NDArray[np.int64],
) -> None:
    """Where a zone's change made the transition: its instant, between the two fixes."""
    earliest = np.where(arrival.has_before[fix], arrival.before_us[fix], found["time_us"])
    change_us = np.clip(change_us, earliest, found["time_us"])
    found["time_us"] = np.where(changed, change_us, found["time_us"])


def _as_openings(enters: NDArray[np.void]) -> NDArray[np.void]:
    opened = np.zeros(len(enters), MEMBERSHIP_DTYPE)
    for column in ("asset", "zone", *OPENING_COLUMNS):
        opened[column] = enters[column]
    return opened


def _delta(
    fixes: NDArray[np.void], arrival: Arrival, stays: _Stays, opened: NDArray[np.void]
) -> StateDelta:
    groups = len(arrival.assets)
    newest = np.append(arrival.first[1:], len(arrival.row)) - 1 if groups else arrival.first
    last = np.zeros(groups, LAST_DTYPE)
    for column in ("asset", "time_us", "seq", "lat", "lon"):
        last[column] = fixes[column][arrival.row[newest]]
    changed = np.unique(stays.group)
    stay_on = np.flatnonzero(~stays.left)
    stay_on = stay_on[np.argsort(stays.group[stay_on], kind="stable")]  # stays are by zone
    count = np.bincount(stays.group[stay_on], minlength=groups)[changed]
    return StateDelta(last, arrival.assets[changed], count.astype(np.int32), opened[stay_on])
