"""Organizations whose gateways name devices that are to be registered, as opsc_deliver."""

from uuid import UUID

from db.core.connect import Connection

IS_WANTED = r"""
gateway.revoked_at IS NULL AND gateway.auto_register IS NOT NULL AND device.external_id LIKE
    replace(replace(replace(replace(replace(gateway.auto_register, '\', '\\'), '%%', '\%%'),
                            '_', '\_'), '*', '%%'), '?', '_')
"""
"""Whether the pattern of the gateway says that a device is registered as it comes."""
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
