"""The connected trackers, for the API: noted here, written in batches (`listener.stored.writes`).

A listener that runs renews its lease. Where it does not, because it was killed, its entries count
no longer, and the other listeners end them.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.ids import new_id
from db.listener import device_connections
from db.listener.device_connections import DeviceConnection, SharedCredential
from listener.stored.writes import Notes

LEASE_S = 15.0


class ConnectedDevice(NamedTuple):
    """A device that has signed in. protocol_version: the MQTT version that it uses: 3, 4 or 5; None
    for a box that speaks something else. takes_commands: whether it does as it is connected.
    """

    org_id: UUID
    tracker_id: UUID
    address: str
    protocol_version: int | None
    connected_at: datetime
    takes_commands: bool = False


@dataclass(slots=True)
class Presence:
    """The connections of one listener. A tracker has one: a later one takes the place of it."""

    lease_s: float = LEASE_S
    listener_id: UUID = field(default_factory=new_id)
    _open: dict[UUID, ConnectedDevice] = field(default_factory=dict)
    _notes: Notes[UUID, DeviceConnection] = field(default_factory=Notes)
    _shared: Notes[UUID, SharedCredential] = field(default_factory=Notes)
    _renewed_at_s: float = float("-inf")

    def opened(self, connected: ConnectedDevice) -> None:
        """Note that a device has signed in."""
        self._open[connected.tracker_id] = connected
        self._note(connected, None)

    def closed(self, connected: ConnectedDevice, at: datetime) -> None:
        """Note the end of a connection, unless another one has taken its place."""
        if self._open.get(connected.tracker_id) == connected:
            del self._open[connected.tracker_id]
            self._note(connected, at)

    def credential_shared(self, connected: ConnectedDevice, at: datetime) -> None:
        """Note that two devices take turns with one secret."""
        shared = SharedCredential(connected.org_id, connected.tracker_id, at)
        self._shared.note(connected.tracker_id, shared)

    async def write(self, conn: Connection) -> None:
        """Write a batch of what was noted, and renew the lease in time."""
        await self._renew(conn)
        await self._notes.write(lambda batch: device_connections.write(conn, list(batch.values())))
        if not self._notes:
            await self._shared.write(
                lambda batch: device_connections.write_shared(conn, list(batch.values()))
            )

    async def release(self, conn: Connection) -> None:
        """End the lease, as the last thing that an orderly stop does."""
        await device_connections.release(conn, self.listener_id)

    async def _renew(self, conn: Connection) -> None:
        """Renew the lease. Where it was lost, others may have ended what is open: note it again."""
        now_s = time.monotonic()
        if now_s - self._renewed_at_s < self.lease_s / 3:
            return
        if await device_connections.renew(conn, self.listener_id, self.lease_s):
            for connected in self._open.values():
                self._note(connected, None)
        await device_connections.end_of_the_dead(conn)
        self._renewed_at_s = now_s

    def _note(self, connected: ConnectedDevice, disconnected_at: datetime | None) -> None:
        note = DeviceConnection(
            connected.org_id,
            connected.tracker_id,
            self.listener_id if disconnected_at is None else None,
            _ip(connected.address),
            connected.protocol_version,
            connected.connected_at,
            disconnected_at,
            connected.takes_commands,
        )
        self._notes.note(connected.tracker_id, note)


def _ip(address: str) -> IPv4Address | IPv6Address:
    """Return an address without its zone; of a dual-stack socket, the IPv4 address that it maps."""
    parsed = ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed
