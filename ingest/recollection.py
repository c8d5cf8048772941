"""Reads the memory of ingest back from the rows that its transactions wrote."""

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from db import restore
from db.connect import Connection
from db.registry import changes_since
from geofence.state import LAST_DTYPE, MEMBERSHIP_DTYPE, State
from ingest.plan import Memory
from ingest.registry import Registry
from ingest.watermarks import Watermarks


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
    visits = await restore.open_visits(conn)
    state = State()
    state.restore(
        _last_fixes(await restore.last_positions(conn), visits, registry),
        _memberships(visits, registry),
    )
    return Memory(registry, watermarks, state)


def _last_fixes(
    positions: Sequence[restore.LastPosition],
    visits: Sequence[restore.OpenVisit],
    registry: Registry,
) -> NDArray[np.void]:
    """Each asset's newest judged fix.

    A fix that opened a visit was judged, whatever the assignments say now: its tracker may have
    been reassigned to an instant before it.
    """
    judged = [
        *((at.asset_id, (at.time_us, at.seq, at.lat, at.lon)) for at in positions),
        *(
            (
                visit.asset_id,
                (visit.opening_us, visit.opening_seq, visit.entry_lat, visit.entry_lon),
            )
            for visit in visits
        ),
    ]
    newest: dict[int, tuple[int, int, float, float]] = {}
    for asset_id, fix in judged:
        asset = registry.assets.number(asset_id)
        newest[asset] = max(newest.get(asset, fix), fix)
    return np.array([(asset, *fix) for asset, fix in newest.items()], LAST_DTYPE)


def _memberships(visits: Sequence[restore.OpenVisit], registry: Registry) -> NDArray[np.void]:
    return np.array(
        [
            (
                registry.assets.number(visit.asset_id),
                registry.zones.number(visit.zone_id),
                visit.entered_us,
                registry.trackers.number(visit.tracker_id),
                visit.opening_us,
                visit.opening_seq,
                visit.opening_change_us,
                visit.zone_version,
            )
            for visit in visits
        ],
        MEMBERSHIP_DTYPE,
    )
