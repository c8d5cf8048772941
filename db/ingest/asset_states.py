"""The state of an asset beyond its open visits and its last fix, as bytes.

Opaque to SQL: what stands in them, ingest alone knows. Rows are written in the transaction of the
fixes that they come from.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection


class AssetKey(NamedTuple):
    """The asset of a state."""

    org_id: UUID
    asset_id: UUID


class AssetState(NamedTuple):
    """One row."""

    org_id: UUID
    asset_id: UUID
    state: bytes


async def store(conn: Connection, states: Sequence[AssetState]) -> None:
    """Write them, over those of before. At most one for each asset."""
    if not states:
        return
    await conn.execute(
        """
        INSERT INTO asset_state (org_id, asset_id, state)
        SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::bytea[])
            ON CONFLICT (org_id, asset_id) DO UPDATE SET state = excluded.state
        """,
        _columns(states),
    )


async def forget(conn: Connection, keys: Sequence[AssetKey]) -> None:
    """Remove what is stored of them; some may have nothing."""
    if not keys:
        return
    await conn.execute(
        """
        DELETE FROM asset_state
         USING unnest(%s::uuid[], %s::uuid[]) AS forgotten (org_id, asset_id)
         WHERE asset_state.org_id = forgotten.org_id
           AND asset_state.asset_id = forgotten.asset_id
        """,
        _columns(keys),
    )


async def all(conn: Connection) -> list[AssetState]:
    """Read what is stored of every asset."""
    cursor = await conn.execute("SELECT org_id, asset_id, state FROM asset_state")
    return [AssetState(*row) for row in await cursor.fetchall()]


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]
