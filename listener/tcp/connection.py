"""One TCP connection of a device: the asyncio protocol between its socket and its protocol.

What it brings is offered to the link, and answered after COMMIT, in the order in which it came. A
connection that holds more than its share, or sends faster than it may, is not read for a while.
While ingest takes nothing, sign-ins and heartbeats are not answered either: the device keeps what
it has.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, cast

from db.listener.commands import TakenCommand
from listener.devices.bounds import SHARE_MESSAGES, TokenBucket, is_within
from listener.devices.connection import (
    LEAVE_S,
    UNREAD_BYTES,
    close_after_reading,
    peer_address,
)
from listener.link.outbox import MESSAGE_OVERHEAD_BYTES, Origin, PlainMessage
from listener.stored.identities import Identity
from listener.stored.presence import ConnectedDevice
from listener.tcp.places import LOOK_S, SILENT_S, WAIT_S, ByImei
from listener.tcp.probes import PROBE_S, probe, probe_no_more
from listener.tcp.protocol import (
    Answer,
    Counted,
    Damaged,
    DeviceProtocol,
    Event,
    Login,
    NoProtocol,
    Packet,
    Question,
)
from telemetry.ids import format_id
from telemetry.result import Result

if TYPE_CHECKING:
    from listener.worker import Worker

SIGN_IN_S = 10.0
"""From accept to the IMEI."""
USER_TIMEOUT_MS = 60_000
"""Of the kernel, for what the other side does not acknowledge."""
PROBE_AGAIN_S = 20.0
"""A connection that answered a probe is left alone so long."""
FRAME_S = 30.0
"""From the first byte of a frame to its last."""
IDLE_S = 7_200.0
"""Trackers of parked vehicles send once an hour."""
MOST_DAMAGED = 10
"""The number of damaged frames in a row at which a connection ends."""
LOOK_SOON_S = 1.0
NOTED_EVERY_S = 3_600.0


@dataclass(slots=True, eq=False)
class _Pending:
    """An answer that is due. origin: of the message that it waits for; None: of none. is_login: it
    lets the device in.
    """

    answer: bytes
    origin: Origin | None = None
    is_committed: bool = False
    is_login: bool = False


class TcpDevice(asyncio.Protocol):
    """A connection from its first byte on. identity: None until the device has signed in."""

    __slots__ = (
        "_bucket",
        "_command",
        "_counted_bytes",
        "_damaged",
        "_frame_since_s",
        "_imei",
        "_is_paused",
        "_is_probed",
        "_is_signing_in",
        "_leaving_since_s",
        "_noted_s",
        "_pending",
        "_probed_s",
        "_protocol",
        "_transport",
        "_worker",
        "address",
        "connected",
        "heard_s",
        "identity",
        "is_closing",
    )

    def __init__(self, worker: "Worker", protocol: DeviceProtocol, address: str = "") -> None:
        self._worker = worker
        self._protocol = protocol
        self._transport: asyncio.Transport | None = None
        self.address = address
        self.identity: Identity | None = None
        self.connected: ConnectedDevice | None = None
        self._imei = ""
        self._bucket: TokenBucket | None = None
        self._pending: deque[_Pending] = deque()
        self._command: TakenCommand | None = None  # that was sent last, until it is answered
        self._damaged = self._counted_bytes = 0
        self._is_signing_in = self._is_paused = self._is_probed = self.is_closing = False
        self.heard_s = self._frame_since_s = worker.now_s()
        self._noted_s = self._probed_s = float("-inf")
        self._leaving_since_s: float | None = None

    # The socket -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=UNREAD_BYTES)
        if not self.address:
            self.address = peer_address(transport)
        if (why := self._worker.admit(self)) is not None:
            self._worker.metrics.refused.labels(why).inc()
            self.abort()

    def data_received(self, data: bytes) -> None:
        if self.is_closing or self._leaving_since_s is not None:
            return
        if self.identity is not None and not self._protocol.held_bytes:
            self._frame_since_s = self._worker.now_s()
        self._protocol.receive(data)
        if self._bucket is not None:
            self._bucket.spend(0, len(data), self._worker.now_s())
        self._read_on()

    def _read_on(self) -> None:
        """Go through what was received, as far as there is room."""
        try:
            while self._may_read and (event := self._protocol.next()) is not None:
                self.heard_s = self._frame_since_s = self._worker.now_s()
                self._handle(event)
        except NoProtocol:
            self._keep(self._protocol.sample)
            self.leave(0, "no protocol")
        if not self.is_closing:
            self._count(self._protocol.held_bytes)
            self.regulate()

    @property
    def _may_read(self) -> bool:
        is_busy = self._is_signing_in or self.is_closing or self._leaving_since_s is not None
        return not is_busy and not self._is_full

    @property
    def _is_full(self) -> bool:
        """Whether the connection holds as much as it may, or sends faster."""
        worker, identity = self._worker, self.identity
        if identity is None or self._bucket is None:
            return False
        held, organization = len(self._pending), worker.organization(identity.org_id)
        return (
            held >= SHARE_MESSAGES
            or self._bucket.is_empty(worker.now_s())
            or not worker.holding.has_room(organization, held, self._counted_bytes)
        )

    def _count(self, size: int) -> None:
        """Count what is held of a frame without its end: for the organization, once it is known."""
        more, worker = size - self._counted_bytes, self._worker
        self._counted_bytes = size
        if self.identity is not None:
            worker.holding.add(worker.organization(self.identity.org_id), more)
            return
        worker.unsigned.bytes += more
        if not worker.unsigned.has_room(size) and not self.is_closing:
            worker.metrics.ended.labels("memory before sign-in").inc()
            self.abort()

    def regulate(self) -> None:
        """Stop reading where there is no room, or the device is not known yet; else go on."""
        transport = self._transport
        if transport is None or self.is_closing or transport.is_closing():
            return
        if not self._may_read and not self._is_paused:
            self._is_paused = True
            self._worker.paused.add(self)
            transport.pause_reading()
        elif self._may_read and self._is_paused:
            self._is_paused = False
            self._worker.paused.discard(self)
            self._frame_since_s = self._worker.now_s()
            transport.resume_reading()
            self._read_on()

    def eof_received(self) -> bool:
        return False  # close

    def pause_writing(self) -> None:
        self._worker.metrics.ended.labels("answers not read").inc()
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closing = True
        self._let_go()
        self._worker.lost(self)
        if self.identity is not None:
            self._worker.places.leave(self.identity.tracker_id, self)

    # What it says ---------------------------------------------------------------------------

    def _handle(self, event: Event) -> None:
        if isinstance(event, Packet):
            self._damaged = 0
            self._offer(event)
        elif isinstance(event, Login):
            self._begin_sign_in(event)
        elif isinstance(event, Question):
            self._pending.append(_Pending(event.answer))
            self._answer()
        elif isinstance(event, Answer):
            self._handle_answer(event)
        elif isinstance(event, Counted):
            self._worker.metrics.without_position.labels(self._protocol.name, event.kind).inc()
        else:
            self._handle_damaged(event)

    def _handle_damaged(self, event: Damaged) -> None:
        self._damaged += 1
        is_last = self._damaged > MOST_DAMAGED
        if not is_last:
            self._pending.append(_Pending(event.answer))
            self._answer()
        self._keep(event.frame)
        if is_last:
            self.leave(0, "damaged frames")

    def _handle_answer(self, answer: Answer) -> None:
        """Note what the device says to the command; without one it is nobody's answer."""
        command, self._command = self._command, None
        if command is not None:
            self._worker.commands.answered(command, answer.text)
        elif answer.unasked is not None:
            self._offer(answer.unasked)

    def _keep(self, bytes_: bytes) -> None:
        """Have what cannot be read kept in quarantine, once it is known whose it is."""
        if bytes_ and self.identity is not None:
            self._offer(Packet(bytes_, answer=b""))

    def _offer(self, packet: Packet) -> None:
        """Give a message to the link, and hold it until `_committed`."""
        identity, worker = self.identity, self._worker
        assert identity is not None, "a protocol has no packets before the login"
        assert self._bucket is not None
        if not self._is_known():
            return
        self._bucket.spend(1, MESSAGE_OVERHEAD_BYTES, worker.now_s())
        topic = self._protocol.topic(format_id("trk", identity.tracker_id))
        pending = _Pending(packet.answer)
        self._pending.append(pending)
        message = PlainMessage(topic, packet.payload, qos=packet.qos)
        pending.origin = worker.offer(identity, message, partial(self._committed, pending))

    def _is_known(self) -> bool:
        """Return whether the tracker still has the IMEI; where not, let the connection leave."""
        is_known = self._worker.identities.of_imei(self._imei) == self.identity
        if not is_known:
            self.leave(0, "revoked or changed")
        return is_known

    def _begin_sign_in(self, login: Login) -> None:
        if self.identity is None:
            self._is_signing_in = True
            self._worker.spawn(self._sign_in(login))
        elif login.imei == self._imei:  # once more
            self._pending.append(_Pending(login.answer))
            self._answer()
        else:
            self.leave(0, "another IMEI")

    async def _sign_in(self, login: Login) -> None:
        worker = self._worker
        identity, is_sure = worker.identities.of_imei(login.imei), True
        if identity is None:  # it may have been claimed just now
            is_sure = await worker.identities.look_soon(LOOK_SOON_S)
            identity = worker.identities.of_imei(login.imei)
        if self.is_closing or self._leaving_since_s is not None:
            return
        if identity is None:
            worker.metrics.refused.labels("imei" if is_sure else "not checked").inc()
            if is_sure:
                worker.addresses.failed(self.address, worker.now_s())
                self._write(login.refusal)
            self.close()
        elif worker.holding.bytes > worker.holding.max_bytes:
            worker.metrics.refused.labels("memory").inc()
            self.close()
        elif not await self._waited_for_place(identity, login):
            worker.metrics.refused.labels("connections of an imei").inc()
            self.close()
        else:
            self._begin(identity, login)

    async def _waited_for_place(self, identity: Identity, login: Login) -> bool:
        """Wait for a place among the connections of the IMEI; True: this one is there now."""
        worker = self._worker
        until_s = worker.now_s() + WAIT_S
        while not self._has_place(identity):
            await asyncio.sleep(LOOK_S)
            is_gone = self.is_closing or self._leaving_since_s is not None
            is_known = worker.identities.of_imei(login.imei) == identity
            if is_gone or not is_known or worker.now_s() > until_s:
                return False
        return True

    def _has_place(self, identity: Identity) -> bool:
        owner, now = (identity.org_id, identity.tracker_id), datetime.now(UTC)
        takes_commands = self._protocol.command is not None
        self.connected = ConnectedDevice(*owner, self.address, None, now, takes_commands)
        return self._worker.places.enter(identity.tracker_id, self, self._worker.now_s())

    is_connection = True

    def find_out_if_there(self, now_s: float) -> None:
        """Let the connection end soon if the device is not there any more."""
        transport = self._transport
        if transport is None or transport.is_closing() or self._is_proxied:
            return
        if now_s - self._probed_s >= PROBE_AGAIN_S:
            self._probed_s, self._is_probed = now_s, True
            probe(transport, now_s - self.heard_s)

    def _end_probe(self) -> None:
        self._is_probed = False
        if self._transport is not None and not self._transport.is_closing():
            probe_no_more(self._transport, USER_TIMEOUT_MS)

    def gives_way(self, newcomer: ByImei, now_s: float) -> bool:
        """Whether a silent one behind a proxy makes place: there a probe finds out nothing."""
        is_silent = now_s - self.heard_s >= SILENT_S
        return is_silent and newcomer.is_connection and self._is_proxied

    @property
    def _is_proxied(self) -> bool:
        assert self._transport is not None
        networks = self._worker.settings.proxy_networks
        return is_within(peer_address(self._transport), networks)

    def _begin(self, identity: Identity, login: Login) -> None:
        worker = self._worker
        self._count(0)
        self.identity, self._imei = identity, login.imei
        worker.signed_in(self)
        worker.metrics.signed_in.labels(self._protocol.name).inc()
        self._bucket = worker.buckets.of(identity.tracker_id, worker.now_s())
        self._is_signing_in = False
        self._pending.append(_Pending(login.answer, is_login=True))
        self._answer()
        self._count(self._protocol.held_bytes)
        self.regulate()

    # After COMMIT ---------------------------------------------------------------------------

    def _committed(self, pending: _Pending, result: int) -> None:
        """Note that a message is stored or in quarantine."""
        pending.is_committed = True
        if self.is_closing:
            return
        worker = self._worker
        if result == Result.STORED and worker.now_s() - self._noted_s > NOTED_EVERY_S:
            assert self.identity is not None
            self._noted_s = worker.now_s()
            worker.claims.note(self.identity.tracker_id)
        self._answer()
        self.regulate()
        self._end_if_answered()

    def _answer(self) -> None:
        """Send the answers that are due, in order."""
        while self._pending and self._is_due(self._pending[0]):
            pending = self._pending.popleft()
            self._write(pending.answer)
            if pending.is_login:
                self._take_commands()

    def _is_due(self, pending: _Pending) -> bool:
        if pending.origin is not None:
            return pending.is_committed
        worker = self._worker
        has_room = worker.holding.bytes <= worker.holding.max_bytes
        return worker.sender.is_linked and has_room and not worker.is_draining

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if data and transport is not None and not transport.is_closing():
            transport.write(data)

    # Commands -------------------------------------------------------------------------------

    answers_commands = True

    def _take_commands(self) -> None:
        identity = self.identity
        if identity is not None and self._protocol.command is not None:
            self._worker.commands.opened(identity.org_id, identity.tracker_id, self)

    def _take_no_commands(self) -> None:
        if self.identity is not None:
            self._worker.commands.closed(self.identity.tracker_id, self)

    def send_command(self, command: TakenCommand) -> None:
        """Send a command that is marked as sent. A connection that ends meanwhile loses it."""
        if self._protocol.command is not None:
            self._command = command
            self._write(self._protocol.command(command.text))

    # Time, and the end ----------------------------------------------------------------------

    def tick(self, now_s: float) -> None:
        """Keep the clocks: of the sign-in, of a frame, of silence, of the last answers."""
        if self.is_closing:
            return
        if self._is_probed and now_s - self._probed_s > PROBE_S + 1:
            self._end_probe()
        if self._leaving_since_s is not None:
            self._end_if_answered()
        elif self.identity is None:
            if not self._is_signing_in and now_s - self._frame_since_s > SIGN_IN_S:
                self.end(0, "no sign-in")
        elif self._is_known():
            if now_s - self.heard_s > IDLE_S:
                self.end(0, "silent")
            elif (
                self._protocol.held_bytes
                and not self._is_paused
                and now_s - self._frame_since_s > FRAME_S
            ):
                self.end(0, "frame without an end")
            else:
                self._answer()
                self.regulate()

    def leave(self, _code: int, cause: str) -> None:
        """Read nothing more, and close with the last answer."""
        if self.is_closing or self._leaving_since_s is not None:
            return
        self._worker.metrics.ended.labels(cause).inc()
        self._leaving_since_s = self._worker.now_s()
        self._take_no_commands()
        self.regulate()
        self._end_if_answered()

    def _end_if_answered(self) -> None:
        if self._leaving_since_s is None or self.is_closing:
            return
        worker = self._worker
        waits = any(not each.is_committed for each in self._pending if each.origin is not None)
        has_time = worker.now_s() - self._leaving_since_s <= LEAVE_S
        if not (waits and has_time and worker.sender.is_linked):
            self.close()

    def end(self, _code: int, cause: str) -> None:
        if not self.is_closing:
            if self._leaving_since_s is None:
                self._worker.metrics.ended.labels(cause).inc()
            self.close()

    def close(self) -> None:
        """Close after the device has had time to read what is sent."""
        if self.is_closing:
            return
        self.is_closing = True
        self._let_go()
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.resume_reading()  # what comes is not looked at
            close_after_reading(transport)

    def abort(self) -> None:
        self.is_closing = True
        if self._transport is not None:
            self._transport.abort()

    def _let_go(self) -> None:
        """Let go of what nobody waits for: what ingest has, it stores all the same. What the device
        will not send again waits on, where there is room.
        """
        worker = self._worker
        self._count(0)
        self._take_no_commands()
        worker.paused.discard(self)
        has_room = worker.holding.bytes <= worker.holding.max_bytes // 2
        pending, self._pending = self._pending, deque()
        for each in pending:
            if each.origin is not None and not each.is_committed:
                worker.sender.drop_waiting(each.origin, keeps_qos_0=has_room)
                worker.sender.closed(each.origin)
