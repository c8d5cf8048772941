"""The way of a batch through the rules: asset by asset, each asset's fixes in order of arrival.

Compiled. A fix at or before the asset's newest, or before what is already known to have happened
without a fix, is late: it is left out. A good fix is judged; a suspect or an inaccurate one only
moves the asset's newest fix on.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.geometry.geodesic import geodesic_m
from geofence.judging.evidence import is_coarse
from geofence.judging.judge import judge_fix
from geofence.judging.no_fix import advance, next_due_us
from geofence.judging.scratch import Scratch, member_of
from geofence.kernel.compiled import Record, Records, bare, compiled, inlined
from geofence.model.records import copy_membership, copy_place
from geofence.model.rules import COARSE_M
from geofence.model.transitions import Transition
from geofence.zones.versions import MIN_TIME_US
from telemetry.fix import Known

_HAS_ACCURACY, _HAS_SPEED = int(Known.ACCURACY), int(Known.SPEED)
_LEAST_GAP_US = 1_000_000  # the resolution of many trackers' clocks
_M_PER_DEG = 112_000.0  # never fewer metres than a degree has anywhere
_OVERSPEED = int(Transition.OVERSPEED)
_CHAIN = 3  # so many suspect fixes that agree are believed


class Work(NamedTuple):
    """The batch to walk through.

    row: the batch, FIX_DTYPE. asset: the assets to judge; first: the first fix of each asset, -1
    without any; following: by fix, the asset's next fix, -1.
    """

    row: Records
    asset: NDArray[np.int64]
    first: NDArray[np.int64]
    following: NDArray[np.int64]


class Memberships(NamedTuple):
    """The memberships in the state: where those of each asset lie."""

    start: NDArray[np.int64]
    length: NDArray[np.int64]
    membership: Records


class FixMarks(NamedTuple):
    """The marks of each fix, written by the walk: late, suspect, deferred."""

    late: NDArray[np.bool_]
    suspect: NDArray[np.bool_]
    deferred: NDArray[np.bool_]


class Budget(NamedTuple):
    """The transitions that each organization may still have.

    spent: by organization, how many transitions it has had so far, written. most: the bound; an
    organization that has reached it is judged no further.
    """

    spent: NDArray[np.int64]
    most: int


class FixLimits(NamedTuple):
    """The limits of speed and accuracy; see `geofence.model.rules.Gates`."""

    max_mps: NDArray[np.float64]
    default_max_mps: float
    default_max_accuracy_m: float
    max_accuracy_m: NDArray[np.float64]


@compiled
def chain_by_asset(work: Work, head: NDArray[np.int64]) -> int:
    """Fill asset, first and following. Returns how many assets there are.

    Rows of asset -1 belong to none. head: by asset, -1 everywhere, before and after.
    """
    count = 0
    for number in range(len(work.row)):
        asset = work.row[number].asset
        work.following[number] = -1
        if asset < 0:
            continue
        if head[asset] < 0:
            work.asset[count], work.first[count] = asset, number
            count += 1
        else:
            work.following[head[asset]] = number
        head[asset] = number
    for group in range(count):
        head[work.asset[group]] = -1
    return count


@compiled
def mark_late_assets(work: Work, assets: Records, late: NDArray[np.bool_]) -> None:
    """Set `late`, by place in work.asset, where the asset has a fix that `walk` would leave out.

    assets: ASSET_DTYPE, by number, as they are known.
    """
    for group in range(len(work.asset)):
        asset = assets[work.asset[group]]
        newest_us, newest_seq, clock_us = asset.newest_us, asset.newest_seq, asset.clock_us
        number = work.first[group]
        while number >= 0:
            fix = work.row[number]
            if _is_behind(fix, newest_us, newest_seq, clock_us):
                late[group] = True
                break
            newest_us, newest_seq = fix.time_us, fix.seq
            number = work.following[number]


@compiled
def walk(
    scratch: Scratch,
    work: Work,
    memberships: Memberships,
    limits: FixLimits,
    now_us: int,
    marks: FixMarks,
    budget: Budget,
    count: NDArray[np.int64],
) -> tuple[bool, bool]:
    """Judge the fixes of the assets, then what has fallen due by now_us.

    An asset whose organization has spent its budget stays as its last judged fix left it: the fixes
    behind are deferred, and so is what has fallen due.

    scratch.asset holds the rows of the assets, in order of work.asset, before and after. count: how
    many memberships each asset has afterwards, written. Returns whether the arrays that are written
    had enough room, and whether everything was judged.
    """
    cursor, is_all = scratch.cursor[0], True
    for group in range(len(work.asset)):
        asset, cursor.members = scratch.asset[group], 0
        if not _load_memberships(scratch, asset, memberships, work.asset[group]):
            return False, False
        max_mps = limits.default_max_mps
        if work.asset[group] < len(limits.max_mps):
            max_mps = float(limits.max_mps[work.asset[group]])
        max_accuracy_m = limits.default_max_accuracy_m
        if work.asset[group] < len(limits.max_accuracy_m):
            max_accuracy_m = float(limits.max_accuracy_m[work.asset[group]])
        number, begin = work.first[group], cursor.transitions
        organization = asset.organization
        if number >= 0:
            organization = work.row[number].organization
        spent = budget.spent[organization]
        while number >= 0 and spent + cursor.transitions - begin < budget.most:
            cursor.row = number
            fix = work.row[number]
            if not _judge_next(scratch, asset, fix, max_mps, max_accuracy_m, marks):
                return False, False
            number = work.following[number]
        cursor.row = -1
        if spent + cursor.transitions - begin < budget.most:
            if not advance(scratch, asset, now_us):
                return False, False
        else:
            is_all = False
        while number >= 0:
            marks.deferred[number] = True
            number = work.following[number]
        budget.spent[organization] = spent + cursor.transitions - begin
        count[group] = cursor.members
        cursor.base += cursor.members
    return True, is_all


@bare
def _load_memberships(
    scratch: Scratch, asset: Record, memberships: Memberships, ordinal: int
) -> bool:
    """Copy the asset's memberships into the scratch."""
    start, length = memberships.start[ordinal], memberships.length[ordinal]
    if scratch.cursor[0].base + length > len(scratch.member):
        return False
    for number in range(length):
        copy_membership(member_of(scratch, number), memberships.membership[start + number])
    scratch.cursor[0].members = length
    asset.due_us = next_due_us(scratch, asset)  # the zones may be others than they were
    return True


@bare
def _judge_next(
    scratch: Scratch,
    asset: Record,
    fix: Record,
    max_mps: float,
    max_accuracy_m: float,
    marks: FixMarks,
) -> bool:
    """Judge the next fix of the asset, if the fix is good."""
    place, row = scratch.cursor[0].place, scratch.cursor[0].row
    if _is_behind(fix, asset.newest_us, asset.newest_seq, asset.clock_us):
        marks.late[row] = True
        return True
    asset.organization, scratch.cursor[0].received_us = fix.organization, fix.received_us
    _read(place, fix)
    if not advance(scratch, asset, place.time_us):
        return False
    asset.newest_us, asset.newest_seq = place.time_us, place.seq
    if place.accuracy_m > max_accuracy_m:
        pass
    elif asset.located and _is_too_fast(asset.good, place, max_mps):
        _suspect(asset, place, max_mps)
        marks.suspect[row] = asset.suspects < _CHAIN
        if asset.suspects == _CHAIN and not _believe(scratch, asset, place):
            return False
    else:
        asset.suspects = 0
        if not _judge(scratch, asset, place):
            return False
    asset.due_us = next_due_us(scratch, asset)
    return True


@bare
def _is_behind(fix: Record, newest_us: int, newest_seq: int, clock_us: int) -> bool:
    if fix.time_us < newest_us or fix.time_us < clock_us:
        return True
    return fix.time_us == newest_us and fix.seq <= newest_seq


@bare
def _read(place: Record, fix: Record) -> None:
    place.tracker, place.time_us, place.seq = fix.tracker, fix.time_us, fix.seq
    place.lat, place.lon = fix.lat, fix.lon
    place.accuracy_m = fix.accuracy_m if fix.known & _HAS_ACCURACY else np.float32(np.nan)
    place.speed_mps = fix.speed_mps if fix.known & _HAS_SPEED else np.float32(np.nan)


@inlined
def _judge(scratch: Scratch, asset: Record, place: Record) -> bool:
    begin = scratch.cursor[0].transitions
    if not judge_fix(scratch, asset, place):
        return False
    if is_coarse(place, COARSE_M):
        _keep_fine(scratch, asset, place, _has_moved(scratch, begin))
    else:
        asset.vague = asset.bridged = False
    copy_place(asset.good, place)
    asset.located = asset.joined = True
    asset.marked_us = MIN_TIME_US
    return True


@bare
def _has_moved(scratch: Scratch, begin: int) -> bool:
    """Return whether one of the transitions from begin on is an enter or an exit."""
    for number in range(begin, scratch.cursor[0].transitions):
        if scratch.transition[number].transition != _OVERSPEED:
            return True
    return False


@bare
def _keep_fine(scratch: Scratch, asset: Record, place: Record, has_moved: bool) -> None:
    """Keep the last fine fix, from which the way to the next fine one leads over coarse ones.

    Not over one that entered or left a zone: what was between is known then.
    """
    if not asset.located:
        asset.vague = True
    if not asset.bridged:
        copy_place(asset.fine, asset.good)
        asset.bridged = asset.located and not is_coarse(asset.good, COARSE_M)
    is_near = place.time_us - asset.fine.time_us <= scratch.zones.max_gap_us
    asset.bridged = asset.bridged and asset.joined and is_near and not has_moved


@bare
def _judge_apart(scratch: Scratch, asset: Record, place: Record) -> bool:
    """Return the same, as a function of its own for what is rare."""
    return _judge(scratch, asset, place)


@bare
def _is_too_fast(before: Record, place: Record, max_mps: float) -> bool:
    reach_m = max_mps * max(place.time_us - before.time_us, _LEAST_GAP_US) / 1e6
    step = abs(place.lon - before.lon)
    if (min(step, 360.0 - step) + abs(place.lat - before.lat)) * _M_PER_DEG <= reach_m:
        return False
    return geodesic_m(before.lon, before.lat, place.lon, place.lat) > reach_m


@bare
def _suspect(asset: Record, place: Record, max_mps: float) -> None:
    """Count the fix to those before it, if it can be reached from them, else begins anew."""
    if asset.suspects > 0 and _is_too_fast(asset.suspect[asset.suspects - 1], place, max_mps):
        asset.suspects = 0
    if asset.suspects < _CHAIN - 1:
        copy_place(asset.suspect[asset.suspects], place)
    asset.suspects += 1


@bare
def _believe(scratch: Scratch, asset: Record, place: Record) -> bool:
    """Judge the suspect fixes and this one in order; no way leads to the first of them.

    What has happened without a fix meanwhile stands: those from before are good, and that is all.
    """
    cursor = scratch.cursor[0]
    copy_place(cursor.newest, place)
    asset.joined = False
    asset.suspects = 0
    for number in range(_CHAIN - 1):
        copy_place(place, asset.suspect[number])
        copy_place(scratch.healed[cursor.healed], place)
        cursor.healed += 1
        if place.time_us >= asset.clock_us and not _judge_apart(scratch, asset, place):
            return False
    copy_place(place, cursor.newest)
    return _judge_apart(scratch, asset, place)
