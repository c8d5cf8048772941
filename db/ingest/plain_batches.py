"""Small batches of new fixes and states of assets, each by one statement, a transaction by itself.

What a small batch costs are its statements, not its rows. The statement finds out whether the
lease and the revision are what the batch was planned with, and writes only then.
"""

from collections.abc import Sequence

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import columns
from db.core.leases import LeaseLost
from db.history.binary_arrays import (
    BOOL,
    FLOAT4,
    FLOAT8,
    INT2,
    INT4,
    POSTGRES_EPOCH_US,
    TIMESTAMPTZ,
    UUID,
    ElementType,
    packed_array,
)
from db.history.gps_events import Owners
from db.ingest.asset_states import AssetKey, AssetState
from telemetry.fix import OPTIONAL_COLUMNS, FixBatch

_OF_A_FIX: dict[str, ElementType] = {
    "org_id": UUID,
    "tracker_id": UUID,
    "time": TIMESTAMPTZ,
    "received_at": TIMESTAMPTZ,
    "seq": INT4,
    "lat": FLOAT8,
    "lon": FLOAT8,
    "flags": INT2,
    "altitude_m": FLOAT4,
    "speed_mps": FLOAT4,
    "course_deg": FLOAT4,
    "accuracy_m": FLOAT4,
    "battery_pct": FLOAT4,
    "satellites": INT2,
    "ignition": BOOL,
    "known": INT2,
}
_WRITTEN = [name for name in _OF_A_FIX if name != "known"]

_STORE = (
    sql.SQL(
        """
WITH led AS MATERIALIZED (
    SELECT revision FROM zones_revision, leases WHERE name = %s AND epoch = %s
       FOR SHARE OF zones_revision FOR KEY SHARE OF leases
), as_planned AS MATERIALIZED (
    SELECT FROM led WHERE revision = %s
), fixes AS (
    INSERT INTO gps_events ({written}, attributes)
    SELECT {values}, attributes::jsonb
      FROM as_planned, unnest({arrays}, %s::text[]) AS fix ({names}, attributes)
), kept AS (
    INSERT INTO asset_state (org_id, asset_id, state)
    SELECT state.* FROM as_planned, unnest(%s::uuid[], %s::uuid[], %s::bytea[]) AS state
        ON CONFLICT (org_id, asset_id) DO UPDATE SET state = excluded.state
), forgotten AS (
    DELETE FROM asset_state
     USING as_planned, unnest(%s::uuid[], %s::uuid[]) AS state (org_id, asset_id)
     WHERE asset_state.org_id = state.org_id AND asset_state.asset_id = state.asset_id
)
SELECT revision FROM led
"""
    )
    .format(
        written=sql.SQL(", ").join(map(sql.Identifier, _WRITTEN)),
        values=sql.SQL(", ").join(
            sql.SQL("CASE WHEN known & {} > 0 THEN {} END").format(
                int(OPTIONAL_COLUMNS[name]), sql.Identifier(name)
            )
            if name in OPTIONAL_COLUMNS
            else sql.Identifier(name)
            for name in _WRITTEN
        ),
        arrays=sql.SQL(", ").join(
            sql.SQL("%s::{}[]").format(sql.SQL(kind.name)) for kind in _OF_A_FIX.values()
        ),
        names=sql.SQL(", ").join(map(sql.Identifier, _OF_A_FIX)),
    )
    .as_bytes()
)  # psycopg would put it together for each batch


async def store(
    conn: Connection,
    as_leader: tuple[str, int, int],
    batch: FixBatch,
    owners: Owners,
    states: Sequence[AssetState],
    forgotten: Sequence[AssetKey],
) -> int:
    """Write all of it, unless the revision is another one by now. Returns the revision.

    as_leader: the lease, its epoch, and the revision that the batch was planned with. Raises
    LeaseLost, and psycopg.errors.UniqueViolation where a fix is stored already.
    """
    rows, texts = batch.rows, list[str | None]()
    own = {
        "org_id": owners.org_id,
        "tracker_id": owners.tracker_id,
        "time": rows["time_us"] - POSTGRES_EPOCH_US,
        "received_at": owners.received_us - POSTGRES_EPOCH_US,
    }
    fixes = [
        packed_array(own[name] if name in own else rows[name], kind)
        for name, kind in _OF_A_FIX.items()
    ]
    if batch.attributes:
        known = (batch.attributes.get(place) for place in range(len(batch)))
        texts = [None if text is None else text.decode() for text in known]
    of_states = columns(states) if states else ([], [], [])
    of_forgotten = columns(forgotten) if forgotten else ([], [])
    values = (*as_leader, *fixes, texts, *of_states, *of_forgotten)
    cursor = await conn.execute(_STORE, values)
    row = await cursor.fetchone()
    if row is None:
        raise LeaseLost(*as_leader[:2])
    return row[0]
