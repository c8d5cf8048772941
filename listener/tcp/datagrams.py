"""Devices that send by UDP, known by an IMEI alone: a port, and who sent to it.

Each datagram is whole and says who sends: it is read by a protocol of its own, offered to the link,
and answered after COMMIT. What cannot be taken is dropped without a word, and who repeats it sends
it again: while ingest takes nothing, while a device holds or sends more than it may, while its IMEI
is another's. An answer is never longer than its question, so that nobody is flooded by our answers
to questions in his name.

The address of a datagram can be forged. So nothing is remembered of an address but beside an IMEI
that is claimed: the same two places as over TCP (`listener.tcp.places`), one for each address.
"""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from listener.devices.bounds import SHARE_MESSAGES, TokenBucket
from listener.link.outbox import MESSAGE_OVERHEAD_BYTES, PlainMessage
from listener.stored.identities import Identity
from listener.stored.presence import ConnectedDevice
from listener.tcp.connection import IDLE_S, NOTED_EVERY_S
from listener.tcp.places import SILENT_S, ByImei
from listener.tcp.protocol import (
    SAMPLE_BYTES,
    Answer,
    Counted,
    Damaged,
    DeviceProtocol,
    Login,
    NoProtocol,
    Packet,
    Question,
)
from telemetry.ids import format_id
from telemetry.result import Result

if TYPE_CHECKING:
    from listener.worker import Worker

MAX_DATAGRAM_BYTES = 4 * 1024
"""Devices send what fits into a packet of the network, some 1,400 bytes."""
AT_ONCE = 16
"""The number of datagrams that are read before others have their turn."""
SWEEP_S = 10.0

_Said = Login | Packet | Question | Counted
Address = tuple[str, int] | tuple[str, int, int, int]


class _Sender:
    """Who sends by an IMEI from an address. heard_s: when it was last heard."""

    def __init__(
        self, identity: Identity, connected: ConnectedDevice, bucket: TokenBucket, imei: str
    ) -> None:
        self.identity = identity
        self.imei = imei
        self.connected: ConnectedDevice | None = connected
        self.bucket = bucket
        self.heard_s = 0.0
        self.noted_s = float("-inf")
        self.held = 0
        self.has_ended = False

    is_connection = False

    def find_out_if_there(self, now_s: float) -> None:
        """Do nothing: an address is not there or gone."""

    def gives_way(self, newcomer: ByImei, now_s: float) -> bool:
        return newcomer.is_connection or now_s - self.heard_s >= SILENT_S

    def end(self, _code: int, cause: str) -> None:
        """Make place for another one."""
        self.has_ended = True


class _Reply:
    """Where the answers to a datagram go. left: how many bytes they may have."""

    def __init__(self, address: Address, left: int) -> None:
        self.address, self.left = address, left


class DatagramDoor:
    """A port. make: makes the protocol of one datagram."""

    def __init__(
        self, worker: "Worker", bound: socket.socket, make: Callable[[], DeviceProtocol]
    ) -> None:
        self._worker = worker
        self._socket = bound
        self._make = make
        self._name = make().name
        self._senders: OrderedDict[tuple[UUID, str], _Sender] = OrderedDict()  # silent ones first
        worker.loop.add_reader(bound, self._read)
        self._sweeping = worker.loop.create_task(self._keep_sweeping())

    def close(self) -> None:
        """Read no more; what is under way is answered all the same."""
        self._worker.loop.remove_reader(self._socket)
        self._sweeping.cancel()
        for key in list(self._senders):
            self._forget(key)

    def _read(self) -> None:
        for _ in range(AT_ONCE):
            try:
                data, address = self._socket.recvfrom(MAX_DATAGRAM_BYTES + 1)
            except OSError:  # there is none, or an answer did not arrive
                return
            result = "too long" if len(data) > MAX_DATAGRAM_BYTES else self.receive(data, address)
            self._worker.metrics.datagrams.labels(self._name, result).inc()

    def receive(self, data: bytes, address: Address) -> str:
        """Take a datagram; return what became of it, in few words."""
        protocol, sender, result = self._make(), None, "unreadable"
        reply = _Reply(address, len(data))
        protocol.receive(data)
        for event in _events(protocol, data):
            if isinstance(event, Login):
                sender = self._sender(event.imei, address[0])
                if sender is None:
                    return "imei"
                if sender.has_ended:
                    return "no place"
            elif isinstance(event, Counted):
                self._worker.metrics.without_position.labels(self._name, event.kind).inc()
                result = "taken"
            elif sender is not None:
                result = self._take(sender, protocol, event, reply)
        return result

    def _take(
        self, sender: _Sender, protocol: DeviceProtocol, event: Packet | Question, reply: _Reply
    ) -> str:
        worker, now_s = self._worker, self._worker.now_s()
        has_room = worker.holding.bytes <= worker.holding.max_bytes
        is_open = worker.sender.is_linked and has_room and not worker.is_draining
        if isinstance(event, Question):
            if is_open and not sender.held:
                self._answer(reply, event.answer)
            return "taken"
        if event.qos and not is_open:
            return "not open"
        if sender.held >= SHARE_MESSAGES or not has_room:
            return "no room"
        if sender.bucket.is_empty(now_s):
            return "too fast"
        sender.bucket.spend(1, MESSAGE_OVERHEAD_BYTES + len(event.payload), now_s)
        topic = protocol.topic(format_id("trk", sender.identity.tracker_id))
        message = PlainMessage(topic, event.payload, qos=event.qos)
        sender.held += 1
        worker.offer(
            sender.identity, message, partial(self._committed, sender, reply, event.answer)
        )
        return "taken"

    def _committed(self, sender: _Sender, reply: _Reply, answer: bytes, result: int) -> None:
        """Answer a message that is stored or in quarantine."""
        sender.held -= 1
        worker = self._worker
        if result == Result.STORED and worker.now_s() - sender.noted_s > NOTED_EVERY_S:
            sender.noted_s = worker.now_s()
            worker.claims.note(sender.identity.tracker_id)
        self._answer(reply, answer)

    def _answer(self, reply: _Reply, answer: bytes) -> None:
        if not answer or len(answer) > reply.left:
            return
        reply.left -= len(answer)
        try:
            self._socket.sendto(answer, reply.address)
        except OSError:  # the kernel has no room: the device asks again
            self._worker.metrics.datagrams.labels(self._name, "not answered").inc()

    # Who sends --------------------------------------------------------------------------------

    def _sender(self, imei: str, address: str) -> _Sender | None:
        """Return who sends by a claimed IMEI; None where it is nobody's. `has_ended`: it has no
        place.
        """
        worker = self._worker
        identity, now_s = worker.identities.of_imei(imei), worker.now_s()
        if identity is None:
            return None
        key = (identity.tracker_id, address)
        sender = self._senders.get(key)
        if sender is None or sender.has_ended or sender.identity != identity:
            self._forget(key)
            sender = self._entered(identity, imei, address)
            if sender.has_ended:
                return sender
            self._senders[key] = sender
            if len(self._senders) > worker.max_connections:
                self._forget(next(iter(self._senders)))
        sender.heard_s = now_s
        self._senders.move_to_end(key)
        return sender

    def _entered(self, identity: Identity, imei: str, address: str) -> _Sender:
        worker, now_s = self._worker, self._worker.now_s()
        owner = (identity.org_id, identity.tracker_id)
        connected = ConnectedDevice(*owner, address, None, datetime.now(UTC))
        settings = worker.settings
        bucket = TokenBucket(
            settings.listen_tracker_messages_per_s, settings.listen_tracker_bytes_per_s, now_s
        )
        sender = _Sender(identity, connected, bucket, imei)
        sender.heard_s = now_s
        sender.has_ended = not worker.places.enter(identity.tracker_id, sender, now_s)
        return sender

    def _forget(self, key: tuple[UUID, str]) -> None:
        sender = self._senders.pop(key, None)
        if sender is not None:
            self._worker.places.leave(sender.identity.tracker_id, sender)

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep()

    def sweep(self) -> None:
        """Forget who was silent for long, who made place, and who has the IMEI no more."""
        worker = self._worker
        oldest_s = worker.now_s() - IDLE_S
        for key, sender in list(self._senders.items()):
            is_known = worker.identities.of_imei(sender.imei) == sender.identity
            if sender.has_ended or not is_known or sender.heard_s < oldest_s:
                self._forget(key)


def _events(protocol: DeviceProtocol, data: bytes) -> Iterator[_Said]:
    """Yield what a datagram says; what cannot be read as messages, which quarantine keeps."""
    try:
        while (event := protocol.next()) is not None:
            if isinstance(event, Damaged):
                yield Packet(event.frame, answer=b"")
            elif not isinstance(event, Answer):
                yield event
            elif event.unasked is not None:
                yield event.unasked
    except NoProtocol:
        yield Packet(data[:SAMPLE_BYTES], answer=b"")
