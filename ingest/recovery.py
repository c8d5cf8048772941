"""The recovery of ingest's memory from the rows that its transactions wrote."""

import asyncio
import gc
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from uuid import UUID

import numpy as np
import structlog
from numpy.typing import NDArray

from db.core.connect import Connection
from db.ingest import asset_backlogs, asset_states, restore
from db.ingest.registry import changes_since, unchanging
from geofence.judging.state import State, blank_assets
from geofence.late.amendments import AnnouncedState, VisitKey
from geofence.model.records import MEMBERSHIP_DTYPE, PLACE_DTYPE
from geofence.model.visit_ids import visit_id
from geofence.zones.versions import MIN_TIME_US
from ingest.late.lookup import place_trackers
from ingest.planning.memory import Memory
from ingest.registry.registry import Registry
from ingest.registry.watermarks import Watermarks
from ingest.saved_states.saved_state import Run, SavedState, SavedStates
from ingest.saved_states.state_codec import SavedPlace, read_asset, read_place

_log = structlog.get_logger("ingest")

_RECKON_ANEW_US = MIN_TIME_US  # a deadline that is over: the next one is worked out at once


async def recover(conn: Connection, known: Registry | None = None) -> Memory:
    """Read back the memory that the last committed transaction left behind.

    known: a registry of before, which is brought up to date.
    """
    took = _Stopwatch()
    registry = known or Registry()
    with garbage_left_alone():
        async with unchanging(conn):
            changes = await changes_since(conn, registry.revision)
            backlogs = await asset_backlogs.changed_since(conn, -1)
        took.lap("registry_rows_s")
        async with asyncio.TaskGroup() as tasks:  # a thread works while the database does
            tasks.create_task(asyncio.to_thread(registry.apply, changes))
            newest, visits = await restore.newest_fixes(conn), await restore.open_visits(conn)
            stored = await asset_states.all(conn)
        took.lap("registry_s")
        places, watermarks = _places(newest, registry), Watermarks()
        identities = (places[name].tolist() for name in ("tracker", "time_us", "seq"))
        watermarks.restore(zip(*identities, strict=True))
        earlier = _earlier_spans(places, registry)
        places = np.append(
            places, _places(await restore.newest_fixes_within(conn, earlier), registry)
        )
        saved_states = SavedStates()
        saved_by_asset = saved_states.restore(stored, registry)
        took.lap("notes_s")
        state = await asyncio.to_thread(_state, places, visits, saved_by_asset, registry)
        took.lap("state_s")
        used_names = await _used_names(conn, saved_by_asset, registry)
        memory = Memory(
            registry,
            watermarks,
            state,
            saved_states,
            announced=_announced(visits),
            used_names=used_names,
        )
        memory.hold(backlogs)
        await look_up_places(conn, memory)
        took.lap("names_and_places_s")
    _log.info("state loaded", trackers=len(registry.trackers), **took.laps)
    return memory


@contextmanager
def garbage_left_alone() -> Iterator[None]:
    """Suspend garbage collection: millions of objects are made that stay, and looking through them
    for garbage takes half of the time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class _Stopwatch:
    """The time that each part took, seconds."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = round(now - self._last, 2)
        self._last = now


async def _used_names(
    conn: Connection, saved_by_asset: Mapping[int, SavedState], registry: Registry
) -> dict[int, set[VisitKey]]:
    """Return names of visits, used by fixes that may open visits when another fix comes."""
    first_fixes = [
        restore.FirstFix(registry.assets[asset], UUID(bytes=at.tracker), at.time_us, at.seq)
        for asset, saved in saved_by_asset.items()
        for at in (*(run.first for run in saved.runs), *_suspects(saved))
    ]
    visits: dict[int, set[VisitKey]] = {}
    for name in await restore.used_names(conn, first_fixes):
        ordinals = (registry.zones.number(name.zone_id), registry.trackers.number(name.tracker_id))
        key = VisitKey(*ordinals, *name[3:])
        visits.setdefault(registry.assets.number(name.asset_id), set()).add(key)
    return visits


def _announced(visits: Sequence[restore.OpenVisit]) -> dict[UUID, AnnouncedState]:
    """Return what was told of visits and does not hold any more."""
    return {
        _visit_id(visit): AnnouncedState(
            visit.revision,
            exit=visit.exit_announced,
            dwell=visit.dwell_announced,
            overspeed=visit.overspeed_announced,
        )
        for visit in visits
        if visit.exit_announced
        or visit.dwell_announced > visit.dwelled
        or visit.overspeed_announced > visit.overspeed
    }


def _suspects(saved: SavedState) -> Sequence[SavedPlace]:
    return () if saved.asset is None else saved.asset.suspects


def _visit_id(visit: restore.OpenVisit) -> UUID:
    first_fix = (visit.first_fix_us, visit.first_fix_seq, visit.change_us, visit.again)
    return visit_id(visit.asset_id, visit.zone_id, visit.tracker_id, *first_fix)


async def look_up_places(conn: Connection, memory: Memory) -> None:
    """Find where trackers were when they were put on assets, as far as that matters."""
    registry = memory.registry
    moves = registry.moves.unplaced(memory.state, memory.watermarks)
    await place_trackers(conn, moves, registry)


def _places(fixes: Sequence[restore.NewestFix], registry: Registry) -> NDArray[np.void]:
    """Return PLACE_DTYPE, (n,)."""
    places = np.empty(len(fixes), PLACE_DTYPE)
    if fixes:
        trackers, *others = zip(*fixes, strict=True)
        places["tracker"] = [registry.trackers.number(tracker_id) for tracker_id in trackers]
        for name, values in zip(restore.NewestFix._fields[1:], others, strict=True):
            places[name] = np.array(values, PLACE_DTYPE[name])  # None becomes NaN
    return places


def _earlier_spans(newest: NDArray[np.void], registry: Registry) -> list[restore.TrackerSpan]:
    """Return where the last fix of assets lies that the trackers' newest fixes do not tell.

    These are ended assignments whose tracker has sent since, of assets that have no later fix.
    """
    asset = registry.assigned(newest["tracker"], newest["time_us"])
    tracker_us = dict(zip(newest["tracker"].tolist(), newest["time_us"].tolist(), strict=True))
    asset_us = dict[int, int]()
    for number, time_us in zip(asset.tolist(), newest["time_us"].tolist(), strict=True):
        asset_us[number] = max(time_us, asset_us.get(number, MIN_TIME_US))
    return [
        restore.TrackerSpan(registry.trackers[tracker], from_us, to_us)
        for tracker, (from_us, to_us, asset) in registry.ended_assignments()
        if tracker_us.get(tracker, MIN_TIME_US) >= to_us
        and asset_us.get(asset, MIN_TIME_US) < to_us
    ]


def _state(
    places: NDArray[np.void],
    visits: Sequence[restore.OpenVisit],
    saved_by_asset: Mapping[int, SavedState],
    registry: Registry,
) -> State:
    assets = blank_assets(0, len(registry.assets))
    members = _memberships(visits, saved_by_asset, registry)
    # a visit tells of an asset that has no other place: its fix belongs to another one by now
    opened = np.zeros(len(visits), PLACE_DTYPE)
    opened["tracker"] = members["first_fix_tracker"][: len(visits)]
    opened["time_us"] = members["first_fix_us"][: len(visits)]
    opened["seq"] = members["first_fix_seq"][: len(visits)]
    opened["lat"] = [visit.entry_lat for visit in visits]
    opened["lon"] = [visit.entry_lon for visit in visits]
    opened["accuracy_m"] = opened["speed_mps"] = np.nan
    assigned = registry.assigned(places["tracker"], places["time_us"])
    asset = np.append(members["asset"][: len(visits)], assigned)
    _stand_at(assets, asset, np.append(opened, places), registry)
    for number, saved in saved_by_asset.items():
        if saved.asset is not None:
            assets["organization"][number] = registry.organization_of_asset(number)
            read_asset(saved.asset, assets[number], registry)
    assets["due_us"][members["asset"][members["inside"]]] = _RECKON_ANEW_US
    state = State()
    state.restore(assets, members)
    return state


def _stand_at(
    assets: NDArray[np.void],
    asset: NDArray[np.integer],
    places: NDArray[np.void],
    registry: Registry,
) -> None:
    """Put each asset at these places, at good fixes; asset -1: none was. The newest counts.

    Of equal ones the last.
    """
    order = np.lexsort((places["seq"], places["time_us"], asset))
    asset, places = asset[order], places[order]
    last = np.append(asset[1:] != asset[:-1], True)[: len(asset)] & (asset >= 0)
    asset, places = asset[last], places[last]
    rows = assets[asset]
    rows["organization"] = [registry.organization_of_asset(number) for number in asset.tolist()]
    rows["newest_us"], rows["newest_seq"] = places["time_us"], places["seq"]
    rows["located"] = rows["joined"] = True
    rows["good"] = places
    assets[asset] = rows


def _memberships(
    visits: Sequence[restore.OpenVisit],
    saved_by_asset: Mapping[int, SavedState],
    registry: Registry,
) -> NDArray[np.void]:
    """Return MEMBERSHIP_DTYPE, those of the visits first, in their order."""
    row_of: dict[tuple[int, int], int] = {}
    for visit in visits:
        key = (registry.assets.number(visit.asset_id), registry.zones.number(visit.zone_id))
        row_of[key] = len(row_of)
    runs, returning = dict[int, Run](), list[int]()
    for asset, saved in saved_by_asset.items():
        for run in saved.runs:
            key = (asset, registry.zones.number(UUID(bytes=run.zone)))
            runs[row_of.setdefault(key, len(row_of))] = run
        for zone in saved.left:
            key = (asset, registry.zones.number(UUID(bytes=zone)))
            returning.append(row_of.setdefault(key, len(row_of)))
    rows = np.zeros(len(row_of), MEMBERSHIP_DTYPE)
    if row_of:
        rows["asset"], rows["zone"] = zip(*row_of, strict=True)
    _open(rows[: len(visits)], visits, registry)
    for row, run in runs.items():
        rows["run"][row], rows["run_first"][row] = run.fixes, read_place(run.first, registry)
    rows["returning"][returning] = True
    return rows


def _open(rows: NDArray[np.void], visits: Sequence[restore.OpenVisit], registry: Registry) -> None:
    """Fill what the visits tell of memberships, of one in each row."""
    rows["inside"] = True
    rows["dwelled"] = [visit.dwelled for visit in visits]
    rows["overspeed"] = [visit.overspeed for visit in visits]
    rows["entered_us"] = [visit.entered_us for visit in visits]
    rows["first_fix_tracker"] = [registry.trackers.number(visit.tracker_id) for visit in visits]
    rows["first_fix_us"] = [visit.first_fix_us for visit in visits]
    rows["first_fix_seq"] = [visit.first_fix_seq for visit in visits]
    rows["change_us"] = [visit.change_us for visit in visits]
    rows["entered_version"] = [visit.zone_version for visit in visits]
    rows["again"] = [visit.again for visit in visits]
