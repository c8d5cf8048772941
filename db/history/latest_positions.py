"""The newest position of each asset as one row: what the live map reads.

`db.history.last_positions` finds the same positions in the fixes themselves, for an index look-up
of each asset. Here ingest writes them beside its batches (`ingest.positions`), and a reader asks
for the rows that have changed.

Rows hold no position that is older than `last_positions.HORIZON` when they are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.core.connect import Connection
from db.history.binary_arrays import (
    FLOAT4,
    FLOAT8,
    INT4,
    POSTGRES_EPOCH_US,
    TIMESTAMPTZ,
    packed_array,
)
from db.history.binary_arrays import UUID as UUIDS
from db.history.last_positions import HORIZON, RECENT, LastPosition
from telemetry.fix import Flag

# Ingest -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewPositions:
    """Positions as columns, one of an asset, (n,). NaN: not known."""

    org_id: NDArray[np.void]  # V16
    asset_id: NDArray[np.void]
    tracker_id: NDArray[np.void]
    time_us: NDArray[np.int64]
    seq: NDArray[np.int32]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    speed_mps: NDArray[np.float32]
    course_deg: NDArray[np.float32]
    accuracy_m: NDArray[np.float32]


async def commit_without_wait(conn: Connection) -> None:
    """Let commits on this connection not wait for the disk: a crash of the server may lose some."""
    await conn.execute("SET synchronous_commit = off")


_WRITE = """
INSERT INTO latest_positions AS known
       (org_id, asset_id, tracker_id, time, seq, lat, lon, speed_mps, course_deg, accuracy_m)
SELECT org_id, asset_id, tracker_id, time, seq, lat, lon, nullif(speed_mps, 'NaN'),
       nullif(course_deg, 'NaN'), nullif(accuracy_m, 'NaN')
  FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::timestamptz[], %s::int4[], %s::float8[],
              %s::float8[], %s::float4[], %s::float4[], %s::float4[])
       AS fresh (org_id, asset_id, tracker_id, time, seq, lat, lon, speed_mps, course_deg,
                 accuracy_m)
    ON CONFLICT (org_id, asset_id) DO UPDATE
   SET tracker_id = excluded.tracker_id, time = excluded.time, seq = excluded.seq,
       lat = excluded.lat, lon = excluded.lon, speed_mps = excluded.speed_mps,
       course_deg = excluded.course_deg, accuracy_m = excluded.accuracy_m,
       changed_by = pg_current_xact_id()
 WHERE known.time IS NULL OR (excluded.time, excluded.seq) > (known.time, known.seq)
"""


async def write(conn: Connection, positions: NewPositions) -> None:
    """Write positions, each only where the asset has none that is newer. Not empty."""
    each = positions
    values = (
        packed_array(each.org_id, UUIDS),
        packed_array(each.asset_id, UUIDS),
        packed_array(each.tracker_id, UUIDS),
        packed_array(each.time_us - POSTGRES_EPOCH_US, TIMESTAMPTZ),
        packed_array(each.seq, INT4),
        packed_array(each.lat, FLOAT8),
        packed_array(each.lon, FLOAT8),
        packed_array(each.speed_mps, FLOAT4),
        packed_array(each.course_deg, FLOAT4),
        packed_array(each.accuracy_m, FLOAT4),
    )
    await conn.execute(_WRITE, values)


# As `db.history.last_positions` finds them, of all organizations.
_NEWEST = """
SELECT wanted.id, newest.tracker_id, newest.time, newest.seq, newest.lat, newest.lon,
       newest.speed_mps, newest.course_deg, newest.accuracy_m
  FROM unnest(%(org_ids)s::uuid[], %(ids)s::uuid[]) AS wanted (org_id, id)
 CROSS JOIN LATERAL (
       SELECT fix.*
         FROM tracker_assignments AS assignment
        CROSS JOIN LATERAL (
              SELECT * FROM gps_events AS stored
               WHERE stored.tracker_id = assignment.tracker_id AND stored.time >= %(since)s
                 AND stored.time >= assignment.assigned_from
                 AND stored.time < coalesce(assignment.assigned_to, 'infinity')
                 AND stored.flags & %(suspect)s = 0
               ORDER BY stored.time DESC, stored.seq DESC LIMIT 1) AS fix
        WHERE assignment.org_id = wanted.org_id AND assignment.asset_id = wanted.id
          AND (assignment.assigned_to IS NULL OR assignment.assigned_to > %(since)s)
        ORDER BY fix.time DESC LIMIT 1) AS newest
"""
_NOWHERE = (None,) * 8
# A restored database may count its transactions from a lower number on: then a row would look
# changed for ever.
_REPLACE = """
INSERT INTO latest_positions AS known
       (org_id, asset_id, tracker_id, time, seq, lat, lon, speed_mps, course_deg, accuracy_m)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::timestamptz[], %s::int4[],
                     %s::float8[], %s::float8[], %s::float4[], %s::float4[], %s::float4[])
    ON CONFLICT (org_id, asset_id) DO UPDATE
   SET tracker_id = excluded.tracker_id, time = excluded.time, seq = excluded.seq,
       lat = excluded.lat, lon = excluded.lon, speed_mps = excluded.speed_mps,
       course_deg = excluded.course_deg, accuracy_m = excluded.accuracy_m,
       changed_by = pg_current_xact_id()
 WHERE (known.tracker_id, known.time, known.seq)
       IS DISTINCT FROM (excluded.tracker_id, excluded.time, excluded.seq)
    OR known.changed_by > pg_current_xact_id()
"""


async def derive(conn: Connection, assets: Mapping[UUID, UUID], now: datetime) -> None:
    """Write the positions of assets anew, from the fixes; some have none. Not empty.

    assets: the organization of each.
    """
    found: dict[UUID, Sequence[Any]] = {}
    for since in (now - RECENT, now - HORIZON):
        missing = [each for each in assets if each not in found]
        if missing:
            values = {
                "org_ids": [assets[each] for each in missing],
                "ids": missing,
                "since": since,
                "suspect": int(Flag.SUSPECT),
            }
            rows = await (await conn.execute(_NEWEST, values)).fetchall()
            found |= {row[0]: row[1:] for row in rows}
    fresh = [(org_id, each, *found.get(each, _NOWHERE)) for each, org_id in assets.items()]
    await conn.execute(_REPLACE, [list(column) for column in zip(*fresh, strict=True)])


# The live map -------------------------------------------------------------------------------------


class KeptPosition(NamedTuple):
    """The row of an asset. position: None where it has none any more."""

    asset_id: UUID
    name: str
    client_id: UUID | None
    position: LastPosition | None


class ChangedPositions(NamedTuple):
    """Positions in the order of their assets. as_of: ask for what has changed since then."""

    as_of: str
    rows: Sequence[KeptPosition]


# One statement, and so one snapshot: what it does not see is of a transaction that was running, and
# `as_of` is not above the oldest of them.
_CHANGED = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text, row.*
  FROM (SELECT) AS once
  LEFT JOIN LATERAL (
       SELECT known.asset_id, asset.name, asset.client_id, known.tracker_id, known.time, known.lat,
              known.lon, known.speed_mps, known.course_deg, known.accuracy_m
         FROM latest_positions AS known
         JOIN assets AS asset ON asset.org_id = known.org_id AND asset.id = known.asset_id
        WHERE known.asset_id > %(after)s AND known.changed_by >= %(since)s::xid8
          AND asset.deleted_at IS NULL AND (known.time >= %(oldest)s OR known.time IS NULL)
        ORDER BY known.asset_id LIMIT %(limit)s) AS row ON true
"""
EVER = "0"
FIRST_ASSET = UUID(int=0)


async def changed(
    conn: Connection, since: str, now: datetime, *, after: UUID = FIRST_ASSET, limit: int
) -> ChangedPositions:
    """Return positions of the tenant that have changed since the `as_of` of an earlier look, of
    assets behind `after`; some of them may be known already. since: `EVER` for all.

    Of several pages the first one's `as_of` counts.
    """
    values = {"since": since, "oldest": now - HORIZON, "after": after, "limit": limit}
    rows = await (await conn.execute(_CHANGED, values)).fetchall()
    return ChangedPositions(rows[0][0], [_kept(row[1:]) for row in rows if row[1] is not None])


def _kept(row: tuple[Any, ...]) -> KeptPosition:
    asset_id, name, client_id, *fix = row
    position = None if fix[1] is None else LastPosition(*fix)
    return KeptPosition(asset_id, name, client_id, position)
