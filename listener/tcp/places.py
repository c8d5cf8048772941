"""The connections of an IMEI, two at most.

Anybody can say any IMEI. So a newer connection does not end an older one that still sends: a device
stays connected, whoever else uses its IMEI. A device whose connection was lost without a word comes
back beside it, and its third one takes the place of the one that is silent. The oldest of them is
what the API shows as the tracker's connection.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from listener.stored.presence import ConnectedDevice, Presence

MOST = 2
SILENT_S = 120.0
"""A connection that was silent for so long makes place for a newer one."""


class ByImei(Protocol):
    """A connection that has said an IMEI. heard_s: when something was last received from it.
    connected: as it is shown, once it has signed in.
    """

    heard_s: float
    connected: ConnectedDevice | None

    def end(self, _code: int, cause: str) -> None: ...


class Places:
    """The connections of each tracker."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._of: defaultdict[UUID, list[ByImei]] = defaultdict(list)

    def enter(self, tracker_id: UUID, device: ByImei, now_s: float) -> bool:
        """Note a connection that has said the tracker's IMEI; False where it has no place."""
        there = self._of[tracker_id]
        if len(there) >= MOST:
            silent = min(there, key=lambda one: one.heard_s)
            if now_s - silent.heard_s < SILENT_S:
                return False
            silent.end(0, "silent")
            self.leave(tracker_id, silent)
        there.append(device)
        self._show(there)
        return True

    def leave(self, tracker_id: UUID, device: ByImei) -> None:
        """Forget a connection."""
        there = self._of[tracker_id]
        if device in there:
            there.remove(device)
            if device.connected is not None:
                self._presence.closed(device.connected, datetime.now(UTC))
        self._show(there)
        if not there:
            del self._of[tracker_id]

    def _show(self, there: Sequence[ByImei]) -> None:
        """Show the oldest one: an older one is not written over a newer one."""
        if there and (connected := there[0].connected) is not None:
            self._presence.opened(connected)
