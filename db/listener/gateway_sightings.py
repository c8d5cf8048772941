"""When gateways sent their last message: written by listeners, read by the API."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection


class GatewaySighting(NamedTuple):
    """A gateway has sent a message then."""

    org_id: UUID
    gateway_id: UUID
    last_seen_at: datetime


_WRITE = """
INSERT INTO gateway_sightings AS known (org_id, gateway_id, last_seen_at)
SELECT noted.* FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[])
       AS noted (org_id, gateway_id, last_seen_at)
 WHERE EXISTS (SELECT FROM gateways AS g WHERE g.org_id = noted.org_id AND g.id = gateway_id)
 ORDER BY org_id, gateway_id
    ON CONFLICT (org_id, gateway_id) DO UPDATE
       SET last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at)
"""


async def write(conn: Connection, sightings: Sequence[GatewaySighting]) -> None:
    """Write when each gateway sent last, one row a gateway."""
    await conn.execute(_WRITE, [list(column) for column in zip(*sightings, strict=True)])


async def of_gateways(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """Return when the tenant's gateways sent last; one that never did is left out."""
    cursor = await conn.execute(
        "SELECT gateway_id, last_seen_at FROM gateway_sightings WHERE gateway_id = ANY (%s)",
        (list(ids),),
    )
    return dict(await cursor.fetchall())
