"""Last wills: messages that devices leave for the case that their connection is lost."""

import asyncio
from uuid import UUID

from listener.devices.bounds import SHARE_MESSAGES, Holding
from listener.link.ingest_link import Sender
from listener.link.outbox import DeviceMessage, Origin, cost
from listener.metrics import ListenerMetrics
from mqtt.server import Publish, Will
from telemetry.formats.decode import tracker_of
from telemetry.ids import format_id

LATEST_WILL_S = 24 * 3600


class Wills:
    """The wills that wait until they are due, one at most for each tracker."""

    def __init__(self, holding: Holding, sender: Sender, metrics: ListenerMetrics) -> None:
        self._holding = holding
        self._sender = sender
        self._metrics = metrics
        self._waiting: dict[UUID, tuple[asyncio.TimerHandle, Origin, int]] = {}
        self._is_closed = False

    def leave(self, origin: Origin, will: Will) -> None:
        """Take the will of a lost connection, if it is a message of fixes; drop all others."""
        own = format_id("trk", origin.tracker_id)
        message = Publish(-1, will.topic, will.payload, 0)
        size, organization = cost(message), origin.organization
        if (
            self._is_closed
            or tracker_of(will.topic) != own
            or not self._holding.has_room(organization, SHARE_MESSAGES + 1, size)
        ):
            self._metrics.wills.labels("dropped").inc()
            self._sender.closed(origin)
            return
        self.drop(origin.tracker_id)
        self._holding.add(organization, size)
        delay_s = min(will.delay_s, LATEST_WILL_S)
        timer = asyncio.get_running_loop().call_later(delay_s, self._send, origin, message)
        self._waiting[origin.tracker_id] = (timer, origin, size)

    def drop(self, tracker_id: UUID) -> None:
        """Drop the will of a tracker that came back before it was due, or leaves a newer one."""
        waiting = self._waiting.pop(tracker_id, None)
        if waiting is not None:
            timer, origin, size = waiting
            timer.cancel()
            self._holding.add(origin.organization, -size)
            self._metrics.wills.labels("dropped").inc()
            self._sender.closed(origin)

    def close(self) -> None:
        """Drop all wills, and those that come later: the devices are only sent elsewhere."""
        self._is_closed = True
        for tracker_id in list(self._waiting):
            self.drop(tracker_id)

    def _send(self, origin: Origin, message: DeviceMessage) -> None:
        del self._waiting[origin.tracker_id]

        def released(message: DeviceMessage, result: int = 0) -> None:
            self._holding.add(origin.organization, -cost(message))

        origin.committed = origin.released = released
        self._sender.offer(origin, message)
        self._metrics.wills.labels("sent").inc()
        self._sender.closed(origin)
