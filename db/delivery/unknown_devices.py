"""Organizations whose gateways name devices that are to be registered, as opsc_deliver."""

from uuid import UUID

from db.core.connect import Connection
from db.resources.unknown_devices import IS_WANTED

_WANTING = f"""
SELECT DISTINCT gateway.org_id
  FROM gateways AS gateway JOIN unknown_devices AS device
    ON device.org_id = gateway.org_id AND device.gateway_id = gateway.id
 WHERE {IS_WANTED}
"""  # noqa: S608  # a constant


async def wanting(conn: Connection) -> list[UUID]:
    """Return the organizations that have such devices."""
    cursor = await conn.execute(_WANTING.encode(), ())
    return [org_id for (org_id,) in await cursor.fetchall()]
