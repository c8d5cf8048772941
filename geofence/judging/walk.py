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
from geofence.judging.scratch import Desk, judged, member_of
from geofence.kernel.compiled import Record, Records, bare, compiled, inlined
from geofence.model.records import copy_membership, copy_place
from geofence.model.rules import COARSE_M
from geofence.zones.versions import MIN_TIME_US
from telemetry.fix import Known

_HAS_ACCURACY, _HAS_SPEED = int(Known.ACCURACY), int(Known.SPEED)
_LEAST_GAP_US = 1_000_000  # the resolution of many trackers' clocks
_M_PER_DEG = 112_000.0  # never fewer metres than a degree has anywhere
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


class Held(NamedTuple):
    """The state: where the memberships of each asset lie."""

    start: NDArray[np.int64]
    length: NDArray[np.int64]
    membership: Records


class Marked(NamedTuple):
    """The marks of each fix, written by the walk: late, suspect, postponed."""

    late: NDArray[np.bool_]
    suspect: NDArray[np.bool_]
    postponed: NDArray[np.bool_]


class Budget(NamedTuple):
    """The transitions that each organization may still have.

    spent: by organization, how many transitions it has had so far, written. most: the bound; an
    organization that has reached it is judged no further.
    """

    spent: NDArray[np.int64]
    most: int


class Speeds(NamedTuple):
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
    desk: Desk,
    work: Work,
    held: Held,
    speeds: Speeds,
    now_us: int,
    marked: Marked,
    budget: Budget,
    count: NDArray[np.int64],
) -> tuple[bool, bool]:
    """Judge the fixes of the assets, then what has fallen due by now_us.

    An asset whose organization has spent its budget stays as its last judged fix left it: the fixes
    behind are postponed, and so is what has fallen due.

    desk.asset holds the rows of the assets as they are known, in order of work.asset, and gets them
    as they are afterwards; count: how many memberships each has then, written. Returns whether the
    arrays that are written had room enough, and whether all was judged.
    """
    case, is_all = desk.case[0], True
    for group in range(len(work.asset)):
        case.group, case.members = group, 0
        if not _take_up(desk, held, work.asset[group]):
            return False, False
        max_mps = speeds.default_max_mps
        if work.asset[group] < len(speeds.max_mps):
            max_mps = float(speeds.max_mps[work.asset[group]])
        max_accuracy_m = speeds.default_max_accuracy_m
        if work.asset[group] < len(speeds.max_accuracy_m):
            max_accuracy_m = float(speeds.max_accuracy_m[work.asset[group]])
        number, begin = work.first[group], case.transitions
        organization = judged(desk).organization
        if number >= 0:
            organization = work.row[number].organization
        spent = budget.spent[organization]
        while number >= 0 and spent + case.transitions - begin < budget.most:
            case.row = number
            if not _take(desk, work.row[number], max_mps, max_accuracy_m, marked):
                return False, False
            number = work.following[number]
        case.row = -1
        if spent + case.transitions - begin < budget.most:
            if not advance(desk, now_us):
                return False, False
        else:
            is_all = False
        while number >= 0:
            marked.postponed[number] = True
            number = work.following[number]
        budget.spent[organization] = spent + case.transitions - begin
        count[group] = case.members
        case.base += case.members
    return True, is_all


@bare
def _take_up(desk: Desk, held: Held, asset: int) -> bool:
    """Put the asset's memberships on the desk."""
    if desk.case[0].base + held.length[asset] > len(desk.member):
        return False
    for number in range(held.length[asset]):
        copy_membership(member_of(desk, number), held.membership[held.start[asset] + number])
    desk.case[0].members = held.length[asset]
    judged(desk).due_us = next_due_us(desk)  # the zones may be others than they were
    return True


@bare
def _take(desk: Desk, fix: Record, max_mps: float, max_accuracy_m: float, marked: Marked) -> bool:
    """Take the next fix of the asset, and judge the fix if it is good."""
    asset, place, row = judged(desk), desk.case[0].place, desk.case[0].row
    if _is_behind(fix, asset.newest_us, asset.newest_seq, asset.clock_us):
        marked.late[row] = True
        return True
    _read(desk, fix)
    if not advance(desk, place.time_us):
        return False
    asset.newest_us, asset.newest_seq = place.time_us, place.seq
    if place.accuracy_m > max_accuracy_m:
        pass
    elif asset.located and _is_too_fast(asset.good, place, max_mps):
        _suspect(desk, max_mps)
        marked.suspect[row] = asset.suspects < _CHAIN
        if asset.suspects == _CHAIN and not _believe(desk):
            return False
    else:
        asset.suspects = 0
        if not _judge(desk):
            return False
    asset.due_us = next_due_us(desk)
    return True


@bare
def _is_behind(fix: Record, newest_us: int, newest_seq: int, clock_us: int) -> bool:
    if fix.time_us < newest_us or fix.time_us < clock_us:
        return True
    return fix.time_us == newest_us and fix.seq <= newest_seq


@bare
def _read(desk: Desk, fix: Record) -> None:
    asset, place = judged(desk), desk.case[0].place
    asset.organization, desk.case[0].received_us = fix.organization, fix.received_us
    place.tracker, place.time_us, place.seq = fix.tracker, fix.time_us, fix.seq
    place.lat, place.lon = fix.lat, fix.lon
    place.accuracy_m = fix.accuracy_m if fix.known & _HAS_ACCURACY else np.float32(np.nan)
    place.speed_mps = fix.speed_mps if fix.known & _HAS_SPEED else np.float32(np.nan)


@inlined
def _judge(desk: Desk) -> bool:
    begin = desk.case[0].transitions
    if not judge_fix(desk):
        return False
    asset = judged(desk)
    if is_coarse(desk.case[0].place, COARSE_M):
        _take_coarse(desk, desk.case[0].transitions > begin)
    else:
        asset.vague = asset.bridged = False
    copy_place(asset.good, desk.case[0].place)
    asset.located = asset.joined = True
    asset.marked_us = MIN_TIME_US
    return True


@bare
def _take_coarse(desk: Desk, has_moved: bool) -> None:
    """Keep the last fine fix, from which the way to the next fine one leads over coarse ones.

    Not over one that entered or left a zone: what was between is known then.
    """
    asset, place = judged(desk), desk.case[0].place
    if not asset.located:
        asset.vague = True
    if not asset.bridged:
        copy_place(asset.fine, asset.good)
        asset.bridged = asset.located and not is_coarse(asset.good, COARSE_M)
    is_near = place.time_us - asset.fine.time_us <= desk.zones.max_gap_us
    asset.bridged = asset.bridged and asset.joined and is_near and not has_moved


@bare
def _judge_apart(desk: Desk) -> bool:
    """Return the same, as a function of its own for what is rare."""
    return _judge(desk)


@bare
def _is_too_fast(before: Record, place: Record, max_mps: float) -> bool:
    reach_m = max_mps * max(place.time_us - before.time_us, _LEAST_GAP_US) / 1e6
    step = abs(place.lon - before.lon)
    if (min(step, 360.0 - step) + abs(place.lat - before.lat)) * _M_PER_DEG <= reach_m:
        return False
    return geodesic_m(before.lon, before.lat, place.lon, place.lat) > reach_m


@bare
def _suspect(desk: Desk, max_mps: float) -> None:
    """Count the fix to those before it, if it can be reached from them, else begins anew."""
    asset, place = judged(desk), desk.case[0].place
    if asset.suspects > 0 and _is_too_fast(asset.suspect[asset.suspects - 1], place, max_mps):
        asset.suspects = 0
    if asset.suspects < _CHAIN - 1:
        copy_place(asset.suspect[asset.suspects], place)
    asset.suspects += 1


@bare
def _believe(desk: Desk) -> bool:
    """Judge the suspect fixes and this one in order; no way leads to the first of them.

    What has happened without a fix meanwhile stands: those from before are good, and that is all.
    """
    case = desk.case[0]
    copy_place(case.newest, case.place)
    judged(desk).joined = False
    judged(desk).suspects = 0
    for number in range(_CHAIN - 1):
        copy_place(case.place, judged(desk).suspect[number])
        copy_place(desk.healed[case.healed], case.place)
        case.healed += 1
        if case.place.time_us >= judged(desk).clock_us and not _judge_apart(desk):
            return False
    copy_place(case.place, case.newest)
    return _judge_apart(desk)
