"""The newest position of each asset, and of each employee who is shown, as one row: what the live
map reads.

`db.history.last_positions` finds the same positions in the fixes themselves, for an index look-up
of each asset or employee. Here ingest writes them beside its batches (`ingest.positions`), and a
reader asks for the rows that have changed.

Employees are shown where their organization allows it (`shows_employees`), until they leave. Of the
others nothing is written, and nothing is read.

Rows hold no position that is older than `last_positions.HORIZON` when they are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
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
    column = positions
    values = (
        packed_array(column.org_id, UUIDS),
        packed_array(column.asset_id, UUIDS),
        packed_array(column.tracker_id, UUIDS),
        packed_array(column.time_us - POSTGRES_EPOCH_US, TIMESTAMPTZ),
        packed_array(column.seq, INT4),
        packed_array(column.lat, FLOAT8),
        packed_array(column.lon, FLOAT8),
        packed_array(column.speed_mps, FLOAT4),
        packed_array(column.course_deg, FLOAT4),
        packed_array(column.accuracy_m, FLOAT4),
    )
    await conn.execute(_WRITE, values)


# As `db.history.last_positions` finds them, of all organizations.
_NEWEST: LiteralString = """
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
        WHERE assignment.org_id = wanted.org_id AND assignment.{owner} = wanted.id
          AND (assignment.assigned_to IS NULL OR assignment.assigned_to > %(since)s)
        ORDER BY fix.time DESC LIMIT 1) AS newest
"""
_NOWHERE = (None,) * 8
# A restored database may count its transactions from a lower number on: then a row would look
# changed for ever.
_REPLACE: LiteralString = """
INSERT INTO {table} AS known
       (org_id, {owner}, tracker_id, time, seq, lat, lon, speed_mps, course_deg, accuracy_m)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::timestamptz[], %s::int4[],
                     %s::float8[], %s::float8[], %s::float4[], %s::float4[], %s::float4[])
    ON CONFLICT (org_id, {owner}) DO UPDATE
   SET tracker_id = excluded.tracker_id, time = excluded.time, seq = excluded.seq,
       lat = excluded.lat, lon = excluded.lon, speed_mps = excluded.speed_mps,
       course_deg = excluded.course_deg, accuracy_m = excluded.accuracy_m,
       changed_by = pg_current_xact_id()
 WHERE (known.tracker_id, known.time, known.seq)
       IS DISTINCT FROM (excluded.tracker_id, excluded.time, excluded.seq)
    OR known.changed_by > pg_current_xact_id()
"""


_CHANGED: LiteralString = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text, row.*
  FROM (SELECT) AS once
  LEFT JOIN LATERAL (
       SELECT known.{owner}, {shown}, known.tracker_id, known.time, known.lat,
              known.lon, known.speed_mps, known.course_deg, known.accuracy_m
         FROM {table} AS known
        {joins}
        WHERE known.{owner} > %(after)s AND known.changed_by >= %(since)s::xid8
          AND {conditions} AND (known.time >= %(oldest)s OR known.time IS NULL)
        ORDER BY known.{owner} LIMIT %(limit)s) AS row ON true
"""


class PositionOwners(NamedTuple):
    """Assets or employees: the statements about their positions."""

    newest: LiteralString
    replace: LiteralString
    changed: LiteralString


_IS_SHOWN: LiteralString = (
    "organization.shows_employees AND employee.deleted_at IS NULL"
    " AND is_employed(employee.org_id, employee.active, employee.left_on, employee.timezone)"
)
# `_CHANGED` is one statement, and so one snapshot: what it does not see is of a transaction that
# was running, and `as_of` is not above the oldest of them.
ASSETS = PositionOwners(
    _NEWEST.format(owner="asset_id"),
    _REPLACE.format(owner="asset_id", table="latest_positions"),
    _CHANGED.format(
        owner="asset_id",
        table="latest_positions",
        shown="asset.name, asset.client_id",
        joins="JOIN assets AS asset ON asset.org_id = known.org_id AND asset.id = known.asset_id",
        conditions="asset.deleted_at IS NULL",
    ),
)
EMPLOYEES = PositionOwners(
    _NEWEST.format(owner="employee_id"),
    _REPLACE.format(owner="employee_id", table="latest_employee_positions"),
    _CHANGED.format(
        owner="employee_id",
        table="latest_employee_positions",
        shown="employee.name, NULL::uuid",
        joins="JOIN employees AS employee ON employee.org_id = known.org_id"
        " AND employee.id = known.employee_id"
        " JOIN organizations AS organization ON organization.org_id = known.org_id",
        conditions=_IS_SHOWN,
    ),
)


async def derive(
    conn: Connection, owners: Mapping[UUID, UUID], now: datetime, of: PositionOwners = ASSETS
) -> None:
    """Write the positions of assets, or of employees, anew from the fixes; some have none. Not
    empty.

    owners: the organization of each.
    """
    newest: dict[UUID, Sequence[Any]] = {}
    for since in (now - RECENT, now - HORIZON):
        missing = [asset_id for asset_id in owners if asset_id not in newest]
        if missing:
            values = {
                "org_ids": [owners[asset_id] for asset_id in missing],
                "ids": missing,
                "since": since,
                "suspect": int(Flag.SUSPECT),
            }
            rows = await (await conn.execute(of.newest, values)).fetchall()
            newest |= {row[0]: row[1:] for row in rows}
    fresh = [
        (org_id, asset_id, *newest.get(asset_id, _NOWHERE)) for asset_id, org_id in owners.items()
    ]
    await conn.execute(of.replace, [list(column) for column in zip(*fresh, strict=True)])


_WITH_TRACKERS: LiteralString = """
SELECT DISTINCT employee.org_id, employee.id, {is_shown}
  FROM unnest(%s::uuid[], %s::uuid[]) AS looked (org_id, tracker_id)
  JOIN tracker_assignments AS assignment USING (org_id, tracker_id)
  JOIN employees AS employee
       ON employee.org_id = assignment.org_id AND employee.id = assignment.employee_id
  JOIN organizations AS organization ON organization.org_id = assignment.org_id
 WHERE assignment.assigned_to IS NULL OR assignment.assigned_to > %s
    OR EXISTS (SELECT FROM latest_employee_positions AS known
                WHERE known.org_id = employee.org_id AND known.employee_id = employee.id
                  AND known.tracker_id = looked.tracker_id)
"""
_FORGET = """
DELETE FROM latest_employee_positions AS known
 USING unnest(%s::uuid[], %s::uuid[]) AS gone (org_id, id)
 WHERE known.org_id = gone.org_id AND known.employee_id = gone.id
"""


async def derive_employees(conn: Connection, trackers: Mapping[UUID, UUID], now: datetime) -> None:
    """Write the positions of employees who have these trackers, had them within `HORIZON`, or have
    a position by one, anew from the fixes. Those of employees who are not shown are removed. Not
    empty.

    trackers: the organization of each.
    """
    asked = [list(trackers.values()), list(trackers), now - HORIZON]
    rows = await (await conn.execute(_WITH_TRACKERS.format(is_shown=_IS_SHOWN), asked)).fetchall()
    hidden = [row[:2] for row in rows if not row[2]]
    if hidden:
        await conn.execute(_FORGET, [list(column) for column in zip(*hidden, strict=True)])
    shown = {employee_id: org_id for org_id, employee_id, is_shown in rows if is_shown}
    if shown:
        await derive(conn, shown, now, EMPLOYEES)


async def forget_employees(conn: Connection) -> None:
    """Remove the positions of all employees of the tenant."""
    await conn.execute("DELETE FROM latest_employee_positions")


# The live map -------------------------------------------------------------------------------------


class KeptPosition(NamedTuple):
    """The row of an asset or an employee. position: None where it has none any more. client_id: of
    an asset.
    """

    id: UUID
    name: str
    client_id: UUID | None
    position: LastPosition | None


class ChangedPositions(NamedTuple):
    """Positions in the order of their ids. as_of: ask for what has changed since then."""

    as_of: str
    rows: Sequence[KeptPosition]


EVER = "0"
FIRST = UUID(int=0)


async def changed(
    conn: Connection,
    since: str,
    now: datetime,
    *,
    after: UUID = FIRST,
    limit: int,
    of: PositionOwners = ASSETS,
) -> ChangedPositions:
    """Return positions of the tenant that have changed since the `as_of` of an earlier look, of
    ids behind `after`; some of them may be known already. since: `EVER` for all.

    Of several pages the first one's `as_of` counts.
    """
    values = {"since": since, "oldest": now - HORIZON, "after": after, "limit": limit}
    rows = await (await conn.execute(of.changed, values)).fetchall()
    return ChangedPositions(rows[0][0], [_kept(row[1:]) for row in rows if row[1] is not None])


def _kept(row: tuple[Any, ...]) -> KeptPosition:
    owner_id, name, client_id, *fix = row
    position = None if fix[1] is None else LastPosition(*fix)
    return KeptPosition(owner_id, name, client_id, position)
