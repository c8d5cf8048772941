"""Reads the memory of ingest back from the rows that its transactions wrote."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db import asset_states, restore
from db.connect import Connection
from db.registry import changes_since
from geofence.amendments import Told, VisitKey
from geofence.records import MEMBERSHIP_DTYPE, PLACE_DTYPE
from geofence.state import State, blank_assets
from geofence.versions import MIN_TIME_US
from geofence.visits import visit_id
from ingest.notes import Note, Notes
from ingest.plan import Memory
from ingest.portable import Place, read_place, read_standing
from ingest.registry import Registry
from ingest.watermarks import Watermarks

# tracker, time_us, seq, lat, lon, accuracy_m, speed_mps
_Fix: TypeAlias = tuple[UUID, int, int, float, float, float | None, float | None]

_RECKON_ANEW_US = MIN_TIME_US  # a deadline that is over: the next one is worked out at once


async def recollect(conn: Connection) -> Memory:
    """The memory that the last committed transaction left behind."""
    registry = Registry()
    async with conn.transaction():
        changes = await changes_since(conn, registry.revision)
    await asyncio.to_thread(registry.take, changes)
    watermarks = Watermarks()
    watermarks.restore(
        (registry.trackers.number(fix.tracker_id), fix.time_us, fix.seq)
        for fix in await restore.newest_fixes(conn)
    )
    positions, visits = await restore.last_positions(conn), await restore.open_visits(conn)
    notes = Notes()
    noted = notes.restore(await asset_states.all(conn), registry)
    state = await asyncio.to_thread(_state, positions, visits, noted, registry)
    told = {
        _visit_id(visit): Told(visit.revision, exit=visit.exit_told, dwell=visit.dwell_told)
        for visit in visits
        if visit.exit_told or visit.dwell_told > visit.dwelled
    }
    used_names = await _used_names(conn, noted, registry)
    memory = Memory(registry, watermarks, state, notes, told=told, used_names=used_names)
    await look_up_places(conn, memory)
    return memory


async def _used_names(
    conn: Connection, noted: Mapping[int, Note], registry: Registry
) -> dict[int, set[VisitKey]]:
    """Of fixes that may open visits when another one comes."""
    openings = [
        restore.Opening(registry.assets[asset], UUID(bytes=at.tracker), at.time_us, at.seq)
        for asset, note in noted.items()
        for at in (*(run.first for run in note.runs), *_suspects(note))
    ]
    found: dict[int, set[VisitKey]] = {}
    for name in await restore.used_names(conn, openings):
        ordinals = (registry.zones.number(name.zone_id), registry.trackers.number(name.tracker_id))
        key = VisitKey(*ordinals, *name[3:])
        found.setdefault(registry.assets.number(name.asset_id), set()).add(key)
    return found


def _suspects(note: Note) -> Sequence[Place]:
    return () if note.standing is None else note.standing.suspects


def _visit_id(visit: restore.OpenVisit) -> UUID:
    opening = (visit.opening_us, visit.opening_seq, visit.opening_change_us, visit.opening_again)
    return visit_id(visit.asset_id, visit.zone_id, visit.tracker_id, *opening)


async def look_up_places(conn: Connection, memory: Memory) -> None:
    """Finds where trackers were when they were put on assets, as far as that matters."""
    registry = memory.registry
    puttings = registry.moves.unplaced(memory.state, memory.watermarks)
    wanted = [(registry.trackers[putting.tracker], putting.time_us) for putting in puttings]
    found = await restore.last_places(conn, wanted, registry.gates.max_accuracy_m)
    place_of = {(place.tracker_id, place.before_us): place for place in found}
    for putting, key in zip(puttings, wanted, strict=True):
        place = place_of.get(key)
        if place is not None:
            fix = _fix((place.tracker_id, *place[2:]), registry)
            registry.moves.place(putting, np.array(fix, PLACE_DTYPE))


def _state(
    positions: Sequence[restore.LastPosition],
    visits: Sequence[restore.OpenVisit],
    noted: Mapping[int, Note],
    registry: Registry,
) -> State:
    assets = blank_assets(0, len(registry.assets))
    for visit in visits:  # whose asset has no other place: its fix belongs to another one by now
        identity = (visit.tracker_id, visit.opening_us, visit.opening_seq)
        place = (visit.entry_lat, visit.entry_lon, None, None)
        _stand_at(assets, visit.org_id, visit.asset_id, (*identity, *place), registry)
    for at in positions:
        _stand_at(assets, at.org_id, at.asset_id, at[2:], registry)
    for asset, note in noted.items():
        if note.standing is not None:
            assets["organization"][asset] = registry.organization_of_asset(asset)
            read_standing(note.standing, assets[asset], registry)
    members = _memberships(visits, noted, registry)
    assets["due_us"][members["asset"][members["inside"]]] = _RECKON_ANEW_US
    state = State()
    state.restore(assets, members)
    return state


def _stand_at(
    assets: NDArray[np.void],
    org_id: UUID,
    asset_id: UUID,
    fix: _Fix,
    registry: Registry,
) -> None:
    """The asset was at a fix, which was good. Of several the newest counts."""
    row = assets[registry.assets.number(asset_id)]
    time_us, seq = fix[1:3]
    if (time_us, seq) < (row["newest_us"], row["newest_seq"]):
        return
    row["organization"] = registry.organizations.number(org_id)
    row["newest_us"], row["newest_seq"] = time_us, seq
    row["located"] = row["joined"] = True
    row["good"] = _fix(fix, registry)


def _fix(fix: _Fix, registry: Registry) -> tuple[float, ...]:
    """The fields of a PLACE_DTYPE."""
    tracker, *place, accuracy_m, speed_mps = fix
    known = (np.nan if value is None else value for value in (accuracy_m, speed_mps))
    return (registry.trackers.number(tracker), *place, *known)


def _memberships(
    visits: Sequence[restore.OpenVisit], noted: Mapping[int, Note], registry: Registry
) -> NDArray[np.void]:
    rows: dict[tuple[int, int], NDArray[np.void]] = {}
    for visit in visits:
        row = _membership(rows, registry.assets.number(visit.asset_id), visit.zone_id, registry)
        row["inside"], row["dwelled"] = True, visit.dwelled
        row["entered_us"] = visit.entered_us
        row["opening_tracker"] = registry.trackers.number(visit.tracker_id)
        row["opening_us"], row["opening_seq"] = visit.opening_us, visit.opening_seq
        row["opening_change_us"] = visit.opening_change_us
        row["opening_version"], row["opening_again"] = visit.zone_version, visit.opening_again
    for asset, note in noted.items():
        for run in note.runs:
            row = _membership(rows, asset, UUID(bytes=run.zone), registry)
            row["run"], row["run_first"] = run.fixes, read_place(run.first, registry)
        for zone in note.left:
            _membership(rows, asset, UUID(bytes=zone), registry)["returning"] = True
    return np.stack(list(rows.values())) if rows else np.empty(0, MEMBERSHIP_DTYPE)


def _membership(
    rows: dict[tuple[int, int], NDArray[np.void]], asset: int, zone_id: UUID, registry: Registry
) -> NDArray[np.void]:
    """The row of an asset and a zone, blank where there was none."""
    zone = registry.zones.number(zone_id)
    if (asset, zone) not in rows:
        row = rows[asset, zone] = np.zeros((), MEMBERSHIP_DTYPE)
        row["asset"], row["zone"] = asset, zone
    return rows[asset, zone]
