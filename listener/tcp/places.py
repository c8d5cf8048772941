"""The connections of an IMEI, two at most.

Anybody can say any IMEI. So a newer connection does not end an older one that still sends: a device
stays connected, whoever else uses its IMEI. A device whose connection was lost without a word comes
back beside it, and its third one takes the place of the one that is silent.
"""

from collections import defaultdict
from typing import Protocol
from uuid import UUID

MOST = 2
SILENT_S = 120.0
"""A connection that was silent for so long makes place for a newer one."""


class ByImei(Protocol):
    """A connection that has said an IMEI. heard_s: when something was last received from it."""

    heard_s: float

    def end(self, _code: int, cause: str) -> None: ...


class Places:
    """The connections of each tracker."""

    def __init__(self) -> None:
        self._of: defaultdict[UUID, list[ByImei]] = defaultdict(list)

    def enter(self, tracker_id: UUID, device: ByImei, now_s: float) -> bool:
        """Note a connection that has said the tracker's IMEI; False where it has no place."""
        there = self._of[tracker_id]
        if len(there) >= MOST:
            silent = min(there, key=lambda one: one.heard_s)
            if now_s - silent.heard_s < SILENT_S:
                return False
            there.remove(silent)
            silent.end(0, "silent")
        there.append(device)
        return True

    def leave(self, tracker_id: UUID, device: ByImei) -> None:
        """Forget a connection."""
        there = self._of[tracker_id]
        if device in there:
            there.remove(device)
        if not there:
            del self._of[tracker_id]
