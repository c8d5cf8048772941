"""A gateway's MQTT connection: each message is of the device that it names.

The devices of a connection take turns in the link's queue, so that one that sends its past does not
hold the others up. Whatever a gateway sends is answered as accepted: it can mend nothing, and would
send it again for ever.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from listener.link.outbox import DeviceMessage, Origin
from listener.stored.gateways import Gateway
from listener.stored.identities import Identity
from mqtt.server import Publish
from telemetry.ids import format_id
from telemetry.result import Result
from telemetry.topics import gateway_topic

if TYPE_CHECKING:
    from listener.devices.connection import Device
    from listener.worker import Worker

MOST_CONNECTIONS = 8
"""Of one gateway. With the receive maximum that is 512 messages in flight."""
LOOK_SOON_S = 1.0
ADMINISTRATIVE_ACTION = 0x98


class _Forwarded(NamedTuple):
    """A message as one of the tracker that it is of. said: as the gateway sent it."""

    topic: str
    payload: bytes
    oversize_bytes: int
    qos: int
    said: Publish
    number: int = 0
    correlation_data: bytes | None = None


class Forwarding:
    """What the connection of one gateway has under way."""

    def __init__(self, worker: "Worker", device: "Device", gateway: Gateway) -> None:
        self._worker = worker
        self.device = device
        self.gateway = gateway
        self._origins: dict[UUID, Origin] = {}  # of trackers with unanswered messages

    def offer(self, message: Publish) -> None:
        """Give the link a message as one of the tracker that it is of."""
        self._worker.gateway_sightings.sent(self.gateway)
        name = self.gateway.device_of(message.topic, message.payload)
        if name is None:
            self._refuse(message, Result.OVERSIZE if message.oversize_bytes else Result.UNDECODABLE)
            return
        identity = self._worker.identities.of_device(self.gateway.org_id, name)
        if identity is None:
            self._worker.spawn(self._look_again(message, name))
        else:
            self._forward(message, identity)

    async def _look_again(self, message: Publish, name: str) -> None:
        """Look once more: the tracker may have been registered just now."""
        identities, identity = self._worker.identities, None
        if await identities.look_soon(LOOK_SOON_S):
            identity = identities.of_device(self.gateway.org_id, name)
        if self.device.is_closing:
            self.device.released(message)
        elif identity is not None:
            self._forward(message, identity)
        else:
            payload = self.gateway.message_of(message.payload, self._worker.now_ms())
            self._worker.unknown_devices.forwarded(self.gateway, name, payload, "mqtt")
            self._refuse(message, Result.UNKNOWN_TRACKER)
            self.device.answer()

    def _forward(self, message: Publish, identity: Identity) -> None:
        topic = gateway_topic(format_id("trk", identity.tracker_id), self.gateway.kind)
        payload = self.gateway.message_of(message.payload, self._worker.now_ms())
        origin = self._origins.get(identity.tracker_id)
        if origin is None:
            committed = partial(self._committed, identity.tracker_id)
            origin = self._worker.origin_of(identity, committed, self._released)
            self._origins[identity.tracker_id] = origin
            self._worker.sender.opened(origin)
        forwarded = _Forwarded(topic, payload, message.oversize_bytes, message.qos, message)
        self._worker.sender.offer(origin, forwarded)
        self._worker.sender.closed(origin)  # with its last answer

    def _refuse(self, message: Publish, result: Result) -> None:
        self._worker.metrics.unforwarded.labels(result.name.lower()).inc()
        self.device.committed(message, Result.STORED)

    def _committed(self, tracker_id: UUID, message: DeviceMessage, _: int) -> None:
        assert isinstance(message, _Forwarded)
        origin = self._origins.get(tracker_id)
        if origin is not None and not origin.unanswered:
            del self._origins[tracker_id]
        self.device.committed(message.said, Result.STORED)

    def _released(self, message: DeviceMessage) -> None:
        assert isinstance(message, _Forwarded)
        self.device.released(message.said)

    def end(self, *, keeps_qos_0: bool) -> None:
        """Forget what waits here: the gateway sends again what is of QoS 1 or 2."""
        for origin in self._origins.values():
            self._worker.sender.drop_waiting(origin, keeps_qos_0=keeps_qos_0)
            if not origin.unanswered:
                self._worker.sender.closed(origin)
        self._origins.clear()


class GatewayConnections:
    """The connections of each gateway. Those that are closing do not count. take_over: ends a
    connection whose client has another one.
    """

    def __init__(self, take_over: Callable[["Device"], None]) -> None:
        self._take_over = take_over
        self._of: dict[UUID, dict[Forwarding, None]] = {}

    def of(self, gateway_id: UUID) -> list["Device"]:
        found = [each.device for each in self._of.get(gateway_id, ())]
        return [device for device in found if not device.is_closing]

    def changed(self, gateway_id: UUID) -> None:
        """End the connections of a gateway that was changed or revoked."""
        for device in self.of(gateway_id):
            device.leave(ADMINISTRATIVE_ACTION, "revoked or rotated")

    def make_room(self, gateway: Gateway, client_id: str) -> bool:
        """Return whether a gateway may have one more connection. An older one with the same client
        id ends.
        """
        for device in self.of(gateway.gateway_id):
            if device.origin is not None and device.origin.client_id == client_id:
                self._take_over(device)
        return len(self.of(gateway.gateway_id)) < MOST_CONNECTIONS

    def add(self, forwarding: Forwarding) -> None:
        self._of.setdefault(forwarding.gateway.gateway_id, {})[forwarding] = None

    def remove(self, forwarding: Forwarding) -> None:
        of_gateway = self._of[forwarding.gateway.gateway_id]
        del of_gateway[forwarding]
        if not of_gateway:
            del self._of[forwarding.gateway.gateway_id]
