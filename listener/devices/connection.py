"""One device's connection: the asyncio protocol between its socket and the MQTT machine.

What it brings is offered to the link and held until COMMIT; then the machine answers, in order. A
connection that holds more than its share, or sends faster than it may, is not read for a while.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec

from db.listener.commands import TakenCommand
from db.listener.device_sessions import SessionKey
from listener.devices.answers import SUCCESS, reason_code, reason_text
from listener.devices.bounds import SHARE_BYTES, SHARE_MESSAGES, TokenBucket
from listener.devices.forwarding import Forwarding
from listener.link.outbox import DeviceMessage, Origin, cost
from listener.stored.presence import ConnectedDevice
from mqtt.server import (
    Connect,
    Ended,
    Goodbye,
    Publish,
    Receipts,
    ServerConnection,
    ServerState,
)
from telemetry.formats.owntracks import owntracks_command
from telemetry.ids import format_id
from telemetry.result import Result
from telemetry.topics import ack_topic, is_command_topic, is_own_filter

if TYPE_CHECKING:
    from listener.worker import Worker

READ_BYTES = 4 * 1024
"""Parsed at once. A read may bring more: thousands of small packets, which take much more room as
objects than as bytes, and time that others wait for; so the bounds are looked at in between.
"""
LEAVE_S = 10.0
"""A connection that the server ends waits for so long for the answers to what it has brought."""
UNREAD_BYTES = 64 * 1024
"""The bytes of unread answers at which a connection is cut."""
LINGER_S = 2.0
"""After the reason of the end is sent, the device may read it for so long."""


class Device(asyncio.Protocol):
    """A connection from its first byte on. origin: None until the device is signed in. forwarding:
    of a gateway.
    """

    __slots__ = (
        "_bucket",
        "_counted_packets",
        "_leaving_since_s",
        "_partial_bytes",
        "_paused_s",
        "_transport",
        "_unread",
        "_worker",
        "address",
        "began_s",
        "command_topic",
        "connected",
        "forwarding",
        "held_bytes",
        "held_messages",
        "is_closing",
        "is_dirty",
        "machine",
        "origin",
        "session_expiry_s",
        "session_key",
        "wants_receipts",
    )

    def __init__(self, worker: "Worker", address: str = "") -> None:
        self._worker = worker
        self._transport: asyncio.Transport | None = None
        self._bucket: TokenBucket | None = None
        self.is_closing = False
        self._paused_s: float | None = None
        self._leaving_since_s: float | None = None
        self._unread = b""
        self._counted_packets = 0
        self._partial_bytes = 0
        self.address = address
        self.began_s = worker.now_s()
        self.machine = ServerConnection(worker.options, self.began_s)
        self.origin: Origin | None = None
        self.connected: ConnectedDevice | None = None
        self.forwarding: Forwarding | None = None
        self.session_key: SessionKey | None = None
        self.session_expiry_s = 0
        self.held_messages = 0
        self.held_bytes = 0
        self.is_dirty = False
        self.wants_receipts = False
        self.command_topic: str | None = None

    # The socket -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.machine.pause(self.began_s)  # time for CONNECT counts from here, after TLS
        self.machine.resume(self._worker.now_s())
        self._transport.set_write_buffer_limits(high=UNREAD_BYTES)
        if not self.address:
            self.address = peer_address(transport)
        if (why := self._worker.admit(self)) is not None:
            self._worker.metrics.refused.labels(why).inc()
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.is_closing:
            return
        if len(data) <= READ_BYTES and self._paused_s is None and not self._unread:
            self._read(data)
        else:
            self._unread += data
            self._read_on()

    def _read_on(self) -> None:
        data, at = self._unread, 0
        while at < len(data) and self._paused_s is None and not self.is_closing:
            self._read(data[at : at + READ_BYTES])
            at += READ_BYTES
        self._unread = b"" if self.is_closing else data[at:]

    def _read(self, data: bytes) -> None:
        if self.is_closing:
            return
        try:
            events = self.machine.receive(data, self._worker.now_s())
        except Ended as ended:
            self._handle(ended.events)
            self._leave(ended.cause)
            return
        self._handle(events)
        self._count(len(events), len(data))
        self.flush()
        if self.held_messages > SHARE_MESSAGES or self.held_bytes > SHARE_BYTES or self._is_fast():
            self.regulate()

    def _count(self, messages: int, size: int) -> None:
        """Count what was read against the tracker's rate, and what an unfinished packet holds."""
        machine, bucket, origin = self.machine, self._bucket, self.origin
        if bucket is None or origin is None:
            self._count_unsigned()
            return
        packets = machine.without_message
        bucket.spend(messages + packets - self._counted_packets, size, self._worker.now_s())
        self._counted_packets = packets
        if more := machine.held_bytes - self._partial_bytes:
            self._partial_bytes += more
            self.held_bytes += more
            self._worker.holding.add(origin.organization, more)

    def _count_unsigned(self) -> None:
        """Count what waits for the end of CONNECT, or for its answer."""
        held, unsigned = self.machine.held_bytes, self._worker.unsigned
        unsigned.bytes += held - self._partial_bytes
        self._partial_bytes = held
        if not unsigned.has_room(held):
            self._worker.metrics.ended.labels("memory before sign-in").inc()
            self.abort()

    def eof_received(self) -> bool:
        return False  # close

    def pause_writing(self) -> None:
        if not self.is_closing and not self.is_leaving:
            self._worker.metrics.ended.labels("answers not read").inc()
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closing = True
        self._unread = b""
        self._worker.lost(self)
        if self.origin is not None:
            self._worker.holding.add(self.origin.organization, -self._partial_bytes)
        else:
            self._worker.unsigned.bytes -= self._partial_bytes
        self._partial_bytes = 0

    # What it says ---------------------------------------------------------------------------

    def _handle(self, events: Sequence[Any]) -> None:
        for event in events:
            if type(event) is Publish:
                self.offer(event)
            elif isinstance(event, Connect):
                self._worker.sign_in(self, event)
            elif isinstance(event, Receipts):
                self.wants_receipts = event.wanted
                self._worker.commands_changed(self, event.command_topic)
                self._worker.receipts_changed(self)
            elif isinstance(event, Goodbye):
                if event.session_expiry_s is not None:
                    self.session_expiry_s = event.session_expiry_s
                self.close()

    def offer(self, message: Publish) -> None:
        """Give a message to the link, and hold it until `committed`."""
        origin = self.origin
        assert origin is not None, "the machine hands nothing out before the sign-in"
        size = cost(message)
        self.held_messages += 1
        self.held_bytes += size
        worker = self._worker
        worker.holding.add(origin.organization, size)
        if self.forwarding is None:
            worker.sender.offer(origin, message)
        else:
            self.forwarding.offer(message)

    def accept(self, origin: Origin, *, is_present: bool) -> None:
        """Answer CONNECT: the device is signed in."""
        worker = self._worker
        worker.unsigned.bytes -= self._partial_bytes
        self._partial_bytes = 0
        self._bucket = worker.buckets.of(origin.tracker_id, worker.now_s())
        tracker = format_id("trk", origin.tracker_id)
        self.machine.accept(
            session_present=is_present,
            client_id=origin.client_id,
            ack_topic=ack_topic(tracker),
            may_filter=lambda wanted: self.forwarding is None and is_own_filter(wanted, tracker),
            is_command_topic=lambda wanted: (
                self.forwarding is None and is_command_topic(wanted, tracker)
            ),
            wants_receipts=self.wants_receipts,
            command_topic=self.command_topic,
        )
        self._read(b"")  # what followed CONNECT

    def refuse(self, code: int) -> None:
        """Answer CONNECT: the device may not, or not now, sign in."""
        self.machine.refuse(code)
        self.close()

    # After COMMIT ---------------------------------------------------------------------------

    def released(self, message: DeviceMessage) -> None:
        """Release a message, which is not held any more."""
        size = cost(message)
        self.held_messages -= 1
        self.held_bytes -= size
        assert self.origin is not None
        self._worker.holding.add(self.origin.organization, -size)

    def committed(self, message: DeviceMessage, result: int) -> None:
        """Note that a message is stored or in quarantine; the answer goes out with `answer`."""
        self.released(message)
        if self.is_closing:
            return
        if result == Result.STORED:
            self.machine.settle(message.number, SUCCESS)
        else:
            code = reason_code(result, is_utf8=cast(Publish, message).is_utf8)
            self.machine.settle(message.number, code, reason_text(result))
        if not self.is_dirty:
            self.is_dirty = True
            self._worker.dirty.append(self)

    def answer(self) -> None:
        """Send what `committed` left, and read on where there is room."""
        self.is_dirty = False
        self.flush()
        if self._paused_s is not None:
            self.regulate()
        if self._leaving_since_s is not None:
            self._end_if_answered()

    def deliver(self, payload: bytes, correlation_data: bytes | None) -> bool:
        """Send a receipt; False where the device takes no more."""
        if self.is_closing or self.origin is None:
            return False
        topic = ack_topic(format_id("trk", self.origin.tracker_id))
        is_taken = self.machine.deliver(topic, payload, correlation_data)
        self.flush()
        return is_taken

    answers_commands = False
    """The app of OwnTracks has no answer: a location that comes says nothing of the command."""

    def send_command(self, command: TakenCommand) -> None:
        """Send a command that is marked as sent. A connection that ends meanwhile loses it."""
        if self.command_topic is not None and not self.is_closing:
            message = msgspec.json.encode(owntracks_command(command.text))
            self.machine.deliver(self.command_topic, message, None)
            self.flush()

    # Time -----------------------------------------------------------------------------------

    def tick(self, now_s: float) -> None:
        """Keep the clocks: keepalive, sign-in, pauses."""
        if self.is_closing:
            return
        if self._leaving_since_s is not None:
            self._end_if_answered()
            return
        if self._paused_s is not None:
            self.regulate()
        try:
            self.machine.tick(now_s)
        except Ended as ended:
            self._leave(ended.cause)
        else:
            self.flush()

    def _pause(self, transport: asyncio.Transport) -> None:
        self._paused_s = self._worker.now_s()
        self.machine.pause(self._paused_s)
        self._worker.paused.add(self)
        transport.pause_reading()

    def regulate(self) -> None:
        """Stop reading where the connection holds or sends too much; else go on."""
        transport = self._transport
        if transport is None or self.is_closing or transport.is_closing():
            return
        is_leaving = self._leaving_since_s is not None
        is_full = is_leaving or self.machine.is_full or self._is_fast()
        if not is_full and self.origin is not None:
            is_full = not self._worker.holding.has_room(
                self.origin.organization, self.held_messages, self.held_bytes
            )
        if is_full and self._paused_s is None:
            self._pause(transport)
        elif not is_full and self._paused_s is not None:
            self._paused_s = None
            self.machine.resume(self._worker.now_s())
            self._worker.paused.discard(self)
            self._read_on()
            if self._paused_s is None and not self.is_closing:
                transport.resume_reading()

    def _is_fast(self) -> bool:
        return self._bucket is not None and self._bucket.is_empty(self._worker.now_s())

    # The end --------------------------------------------------------------------------------

    @property
    def is_leaving(self) -> bool:
        """It ends with the last answer."""
        return self._leaving_since_s is not None

    def flush(self) -> None:
        """Write what has to be sent."""
        if data := self.machine.output():
            transport = self._transport
            if transport is not None and not transport.is_closing():
                transport.write(data)

    def leave(self, code: int, cause: str) -> None:
        """Read nothing more, and send the device the reason (version 5) and close with the last
        answer.
        """
        if not self.is_closing and self._leaving_since_s is None:
            self.machine.leave(code)
            self._leave(cause)

    def _leave(self, cause: str) -> None:
        """Close, where the machine has ended or is ending, with the last answer."""
        self._worker.metrics.ended.labels(cause).inc()
        self._leaving_since_s = self._worker.now_s()
        if self.origin is not None:
            self._worker.commands.closed(self.origin.tracker_id, self)
        self.regulate()
        self._end_if_answered()

    def _end_if_answered(self) -> None:
        """End what is leaving, if all is answered or will not be: there is no link."""
        assert self._leaving_since_s is not None
        waits = self.held_messages and self._worker.sender.is_linked
        if not waits or self._worker.now_s() - self._leaving_since_s > LEAVE_S:
            self._end_leaving()

    def _end_leaving(self) -> None:
        if self.machine.state is ServerState.ENDING:
            self.machine.end_answered()
        self.close()

    def end(self, code: int, cause: str) -> None:
        """Send the device the reason (version 5), and close."""
        if self.is_closing:
            return
        if self._leaving_since_s is not None:
            self._end_leaving()
            return
        self._worker.metrics.ended.labels(cause).inc()
        self.machine.end(code)
        self.close()

    def close(self) -> None:
        """Send what is left, and close after the device has had time to read it."""
        if self.is_closing:
            return
        self.flush()
        self.is_closing = True
        self._unread = b""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._paused_s is not None:
            transport.resume_reading()  # what comes is not looked at
        close_after_reading(transport)

    def abort(self) -> None:
        self.is_closing = True
        if self._transport is not None:
            self._transport.abort()


def close_after_reading(transport: asyncio.Transport) -> None:
    """Close once the other side has had `LINGER_S` to read what was sent."""
    if transport.can_write_eof():
        transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_S, transport.abort)
    else:
        transport.close()


def peer_address(transport: asyncio.BaseTransport) -> str:
    """Return the IP address of the other side; empty for a unix socket."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""
