"""Devices that would send and are not let in, as people look at them: list, register, forget.

The listener writes them (`db.listener.unknown_devices`).
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.table import Table
from db.delivery.unknown_devices import IS_WANTED


class UnknownDevice(NamedTuple):
    """One row. external_id: of a tracker, its own. lat, lon: degrees, WGS 84; None where it sent
    none. position_time: as the device says.
    """

    id: UUID
    external_id: str | None
    tracker_id: UUID | None
    tracker_name: str | None
    reason: str
    gateway_id: UUID | None
    gateway_name: str | None
    protocol: str
    format: str | None
    seen: int
    lat: float | None
    lon: float | None
    position_time: datetime | None
    first_seen_at: datetime
    last_seen_at: datetime

    @property
    def created_at(self) -> datetime:
        """When the device was first seen."""
        return self.first_seen_at


table = Table(
    "unknown_devices",
    UnknownDevice,
    computed={
        "external_id": "coalesce(unknown_devices.external_id, tracker.external_id)",
        "tracker_name": "tracker.name",
        "gateway_name": "gateway.name",
    },
    joins="""
      LEFT JOIN trackers AS tracker
        ON tracker.org_id = unknown_devices.org_id AND tracker.id = unknown_devices.tracker_id
      LEFT JOIN gateways AS gateway
        ON gateway.org_id = unknown_devices.org_id AND gateway.id = unknown_devices.gateway_id
    """,
)


async def remove(conn: Connection, device_id: UUID) -> None:
    """Remove a row that is locked."""
    await conn.execute("DELETE FROM unknown_devices WHERE id = %s", (device_id,))


_WANTED = f"""
SELECT device.external_id, gateway.id
  FROM unknown_devices AS device JOIN gateways AS gateway
    ON gateway.org_id = device.org_id AND gateway.id = device.gateway_id
 WHERE {IS_WANTED}
 ORDER BY device.first_seen_at, device.id
 LIMIT %s
   FOR NO KEY UPDATE OF gateway
"""  # noqa: S608  # a constant


async def wanted(conn: Connection, most: int) -> list[tuple[str, UUID]]:
    """Return devices that are to be registered, the longest known first, with their gateways; these
    are locked, so that processes take turns.
    """
    return await (await conn.execute(_WANTED.encode(), (most,))).fetchall()


async def registered_in_an_hour(conn: Connection) -> int:
    """Count the trackers that were registered so within the last hour."""
    return await value_of(
        conn,
        "SELECT count(*) FROM trackers"
        " WHERE registered_by IS NOT NULL AND created_at > now() - interval '1 hour'",
    )
