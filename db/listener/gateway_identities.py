"""The gateways that may send by the listener, with the hashes of their secrets."""

from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection


class GatewayIdentity(NamedTuple):
    """mapping: of a generic gateway, as JSON. secret_hash: SHA-256 of the secret; None where the
    gateway is revoked.
    """

    gateway_id: UUID
    org_id: UUID
    kind: str
    mapping: dict[str, Any] | None
    secret_hash: bytes | None


async def changed_within(conn: Connection, age: timedelta | None) -> list[GatewayIdentity]:
    """Read the gateways of all organizations that were changed within that time; None: all.

    A change has the time at which its transaction began, and is seen when it is committed: `age`
    must be longer than any transaction that changes gateways.
    """
    async with conn.cursor(row_factory=args_row(GatewayIdentity)) as cursor:
        await cursor.execute(
            """
            SELECT id, org_id, kind, mapping, CASE WHEN revoked_at IS NULL THEN secret_hash END
              FROM gateways
             WHERE %(age)s::interval IS NULL OR updated_at > now() - %(age)s::interval
            """,
            {"age": age},
        )
        return await cursor.fetchall()
