"""Devices that would send and are not let in, as people look at them: list, register, forget.

The listener writes them (`db.listener.unknown_devices`).
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.table import Table


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
