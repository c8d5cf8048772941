"""When gateways sent their last message, for the API: noted here, written every few seconds."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from db.core.connect import Connection
from db.listener import gateway_sightings
from db.listener.gateway_sightings import GatewaySighting
from listener.stored.gateways import Gateway
from listener.stored.writes import Notes

_PAUSE_S = 5.0  # between writes: a busy gateway costs a row each time


@dataclass(slots=True)
class GatewaySightings:
    """The gateways that have sent since the last write."""

    _notes: Notes[UUID, GatewaySighting] = field(default_factory=Notes)
    _written_at_s: float = float("-inf")

    def sent(self, gateway: Gateway) -> None:
        """Note that a gateway sends."""
        now = datetime.now(UTC)
        self._notes.note(
            gateway.gateway_id, GatewaySighting(gateway.org_id, gateway.gateway_id, now)
        )

    async def write(self, conn: Connection) -> None:
        """Write what was noted, if it is time."""
        now_s = time.monotonic()
        if not self._notes or now_s - self._written_at_s < _PAUSE_S:
            return
        await self._notes.write(lambda batch: gateway_sightings.write(conn, list(batch.values())))
        self._written_at_s = now_s
