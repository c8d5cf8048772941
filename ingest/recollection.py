"""Reads the memory of ingest back from the rows that its transactions wrote."""

import numpy as np

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
    registry.take(await changes_since(conn, registry.revision))
    watermarks = Watermarks()
    watermarks.restore(
        (registry.trackers.number(fix.tracker_id), fix.time_us, fix.seq)
        for fix in await restore.newest_fixes(conn)
    )
    return Memory(registry, watermarks, await _state(conn, registry))


async def _state(conn: Connection, registry: Registry) -> State:
    last = {
        registry.assets.number(at.asset_id): (at.time_us, at.seq, at.lat, at.lon)
        for at in await restore.last_positions(conn)
    }
    memberships = [
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
        for visit in await restore.open_visits(conn)
    ]
    state = State()
    state.restore(
        np.array([(asset, *at) for asset, at in last.items()], LAST_DTYPE),
        np.array(memberships, MEMBERSHIP_DTYPE),
    )
    return state
