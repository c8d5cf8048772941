"""The visits that were known before, as far as a piece of the past bears on them."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

import numpy as np

from geofence.judging.state import StateDelta
from geofence.late.amendments import Visit, VisitKey
from geofence.late.derived_visits import inside
from geofence.late.visit_keys import key_of
from geofence.model.transitions import Inferred

_BEGUN_BEFORE = -1  # `again` in the keys of visits that go on at the beginning


def way_begins_us(before: StateDelta) -> int:
    """Return the time from which the next good fix may show a passing through: where the way to it
    begins.

    Fixes that changed nothing may lie between.
    """
    asset = before.assets[0]
    if not asset["joined"]:
        return int(asset["newest_us"])
    return int(asset["fine" if asset["bridged"] else "good"]["time_us"])


def is_on_way(visit: Visit, way_us: int) -> bool:
    """Return whether a passing through is shown by a way that begins at `way_us`."""
    left = visit.left
    return left is not None and left.inferred == Inferred.SEGMENT and left.time_us > way_us


def with_keys_of_before(
    state: StateDelta, visits: Mapping[VisitKey, Visit], stable_keys: dict[VisitKey, VisitKey]
) -> StateDelta:
    """Return the state, its visits having keys that no fix to come can give.

    visits: the known ones by stable key; a membership whose visit is unknown or retracted is left
    out. stable_keys: gets the stable key of each visit.
    """
    members = state.memberships.copy()
    is_known = np.ones(len(members), bool)
    for number in np.flatnonzero(members["inside"]).tolist():
        key = key_of(members[number])
        if key in visits and not visits[key].retracted:
            stable_keys[key._replace(again=_BEGUN_BEFORE)] = key
            members[number]["again"] = _BEGUN_BEFORE
        else:
            is_known[number] = False
    members = members[is_known]
    return replace(state, memberships=members, count=np.array([len(members)]))


def going_on(
    visits: Iterable[Visit], before: StateDelta, lasting: Container[VisitKey]
) -> list[Visit]:
    """Return the visits that go on after a state. lasting: the keys of those open in it."""
    since_us, way_us = int(before.assets["newest_us"][0]), way_begins_us(before)
    return [
        visit
        for visit in visits
        if not visit.retracted
        and (visit.end_us > since_us or visit.key in lasting or is_on_way(visit, way_us))
    ]


def agree(after: StateDelta, known: Iterable[Visit]) -> bool:
    """Return whether the asset is in the zones after its last fix that it was known to be in then.

    Returns False too where a fix that follows may still show a stay before that fix.
    """
    asset, known = after.assets[0], list(known)
    at_us, way_us = int(asset["newest_us"]), way_begins_us(after)
    if asset["suspects"] or any(way_us < one.end_us <= at_us for one in known):
        return False
    then = {one.key.zone for one in known if one.entered.time_us <= at_us < one.end_us}
    return then == set(inside(after)["zone"].tolist())


def up_to(end_us: int, known: list[Visit], found: list[Visit]) -> tuple[list[Visit], list[Visit]]:
    """Return the known and the found visits without what lies beyond the end.

    A found visit that is open at the end goes on as the known one of its zone. Where that one
    begins beyond the end and is open, it counts too, because an asset is in a zone once.
    """
    beyond = {
        one.key.zone: one for one in known if one.left is None and one.entered.time_us > end_us
    }
    known = [one for one in known if one.entered.time_us <= end_us]
    lasting = {one.key.zone: one for one in known if one.end_us > end_us}
    result: list[Visit] = []
    for visit in found:
        zone = visit.key.zone
        if visit.left is None and zone in lasting:
            visit = replace(visit, left=lasting[zone].left)
        elif visit.left is None and zone in beyond:
            known.append(beyond[zone])
        result.append(visit)
    return known, result


def is_same_record(visit: Visit, stored: Visit | None) -> bool:
    """Return whether a visit is as it was read back, in every column that is stored."""
    if stored is None:
        return False
    left, as_stored = visit.left, stored.left
    if left is not None and as_stored is not None:
        left = left._replace(accuracy_m=as_stored.accuracy_m, speed_mps=as_stored.speed_mps)
    return left == as_stored and _other_record(visit) == _other_record(stored)


def _other_record(visit: Visit) -> tuple[object, ...]:
    entered, dwelled, overspeed = visit.entered, visit.dwelled, visit.overspeed
    told = (
        visit.enter_announced,
        visit.exit_announced,
        visit.dwell_announced,
        visit.overspeed_announced,
    )
    return (
        *(entered.time_us, entered.lat, entered.lon, entered.cause, entered.inferred),
        *(visit.version, visit.revision, visit.retracted, *told),
        None if dwelled is None else dwelled.time_us,
        None if overspeed is None else (overspeed.time_us, overspeed.lat, overspeed.lon),
    )
