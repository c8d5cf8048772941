"""The connections of an IMEI, two at most.

Anybody can say any IMEI. So a newer connection does not end an older one whose device is there: it
stays connected, whoever else uses its IMEI. A device that has lost its connection comes back beside
it, and each newcomer has the kernel find out which of the others are still there: those that are
not are gone within five seconds, and a third one waits for that. Behind a proxy, which answers for
whoever it was, one that was silent for `SILENT_S` gives way. An address that sends by UDP, which
may be forged, gives way to a connection at once, and to another address as behind a proxy.

The oldest of them is what the API shows as the tracker's connection.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from listener.stored.presence import ConnectedDevice, Presence

MOST = 2
SILENT_S = 20.0
WAIT_S = 20.0
"""A connection waits so long for a place."""
LOOK_S = 0.5


class ByImei(Protocol):
    """Who has said an IMEI: a connection, or an address that sends datagrams. heard_s: when
    something was last received from it. connected: as it is shown, once it has signed in.
    """

    heard_s: float
    connected: ConnectedDevice | None
    is_connection: bool

    def find_out_if_there(self, now_s: float) -> None:
        """Let it end soon if the device is not there any more."""
        ...

    def gives_way(self, newcomer: "ByImei", now_s: float) -> bool: ...

    def end(self, _code: int, cause: str) -> None: ...


class Places:
    """The connections of each tracker."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence
        self._of: defaultdict[UUID, list[ByImei]] = defaultdict(list)

    def enter(self, tracker_id: UUID, device: ByImei, now_s: float) -> bool:
        """Note who has said the tracker's IMEI; False while it has no place."""
        there = self._of[tracker_id]
        if device.is_connection:
            for one in there:
                one.find_out_if_there(now_s)
        if len(there) >= MOST:
            giving_way = [one for one in there if one.gives_way(device, now_s)]
            if not giving_way:
                return False
            oldest = min(giving_way, key=lambda one: one.heard_s)
            oldest.end(0, "silent")
            self.leave(tracker_id, oldest)
        there.append(device)
        self._show(there)
        return True

    def leave(self, tracker_id: UUID, device: ByImei) -> None:
        """Forget one."""
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
