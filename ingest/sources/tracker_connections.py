"""The connection that each tracker has, over all listeners: a newer one ends the older one.

What the older one brought is stored and answered all the same: a device that repeats it doubles
nothing.
"""

from typing import Generic, TypeVar
from uuid import UUID

from telemetry.link import Opened

P = TypeVar("P")
"""The way to a listener."""


class TrackerConnections(Generic[P]):
    """The connection that each tracker has: the newest one. Of one listener that is the one with
    the larger number; of two, the one that was opened later, by its age when it was told.
    """

    def __init__(self) -> None:
        self._current: dict[UUID, tuple[P, Opened, int]] = {}

    def opened(self, peer: P, opened: Opened, told_us: int) -> tuple[P, int] | None:
        """Note a connection. Returns the older connection of the tracker, to be closed, if any."""
        since_us = told_us - opened.age_us
        before = self._current.get(opened.tracker_id)
        if before is not None and (before[0], before[1].connection) == (peer, opened.connection):
            return None
        if before is not None and _is_newer(before, peer, opened.connection, since_us):
            return peer, opened.connection
        self._current[opened.tracker_id] = (peer, opened, since_us)
        return None if before is None else (before[0], before[1].connection)

    def closed(self, peer: P, opened: Opened) -> None:
        current = self._current.get(opened.tracker_id)
        if current is not None and current[:2] == (peer, opened):
            del self._current[opened.tracker_id]

    def peer_of(self, tracker_id: UUID) -> P | None:
        """Return the link over which a tracker is connected."""
        current = self._current.get(tracker_id)
        return None if current is None else current[0]


def _is_newer(before: tuple[P, Opened, int], peer: P, connection: int, since_us: int) -> bool:
    """Return whether a connection from before is newer than one that is told now. Where this
    process stood still, times do not say: what a listener told meanwhile is read at once.
    """
    if before[0] is peer:
        return before[1].connection > connection
    return before[2] > since_us
