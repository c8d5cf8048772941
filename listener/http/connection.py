"""One HTTP connection: the asyncio protocol between its socket and the machine of requests.

A request is one message of a tracker. It is answered after COMMIT, also where the message is in
quarantine: an app repeats what is not answered by 2xx, and would send nothing else. While it waits
the connection is not read.
"""

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import msgspec

from listener.devices.bounds import UNSIGNED_SHARE_BYTES, is_within
from listener.devices.connection import UNREAD_BYTES, close_after_reading, peer_address
from listener.http.doors import Credentials, Door, Place, credentials_of, payload_of, place_of
from listener.http.requests import HEAD_BYTES, RefusedRequest, Request, RequestReader
from listener.link.outbox import MESSAGE_OVERHEAD_BYTES, Origin, PlainMessage
from listener.stored.gateways import Gateway
from listener.stored.identities import Identity
from telemetry.formats.owntracks import owntracks_command
from telemetry.ids import format_id
from telemetry.result import Result
from telemetry.topics import gateway_topic

if TYPE_CHECKING:
    from listener.worker import Worker

REQUEST_S = 30.0
"""From the first byte of a request to its last."""
ANSWER_S = 30.0
"""What is not committed by then is not acknowledged: the app sends it again."""
IDLE_S = 75.0
LOOK_SOON_S = 1.0
_SOON_S, _LATER_S = 1, 5
_METHODS = ("GET", "POST", "PUT")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class HttpDevice(asyncio.Protocol):
    """A connection of a device, or of a proxy for many of them. address: empty where it is a
    proxy's, which is no device's.
    """

    __slots__ = (
        "_counted_bytes",
        "_has_continued",
        "_is_busy",
        "_is_leaving",
        "_keeps_alive",
        "_peer",
        "_place",
        "_reader",
        "_sender",
        "_since_s",
        "_transport",
        "_unread",
        "_waiting",
        "_worker",
        "address",
        "is_closing",
    )

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self._transport: asyncio.Transport | None = None
        self._reader = RequestReader()
        self._peer = self.address = ""
        self.is_closing = self._is_busy = self._is_leaving = False
        self._waiting: Origin | None = None
        self._counted_bytes = 0
        self._begin()

    def _begin(self) -> None:
        self._since_s = self._worker.now_s()
        self._place: Place | None = None
        self._sender: Identity | Gateway | None = None
        self._has_continued = False
        self._keeps_alive = True
        self._unread = b""

    # The socket -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=UNREAD_BYTES)
        self._peer = peer_address(transport)
        if not is_within(self._peer, self._worker.settings.ingest_proxy_networks):
            self.address = self._peer
        if (why := self._worker.admit(self)) is not None:
            self._worker.metrics.refused.labels(why).inc()
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.is_closing:
            return
        if self._is_busy:
            self._keeps_alive = False  # more than one at a time: the client sends it again
            return
        if not self._reader.has_begun:
            self._since_s = self._worker.now_s()
        # The head first: who sends is known before a body is read.
        at = len(data) if self._reader.has_head else HEAD_BYTES
        self._read(data[:at])
        if at < len(data):
            self._go_on(data[at:])

    def _go_on(self, rest: bytes) -> None:
        """Read what came with the head: now, or once the sender is known."""
        if self._is_busy and self._reader.is_complete:
            self._keeps_alive = False
        elif self._is_busy:
            self._unread = rest
            self._count(self._counted_bytes + len(rest))
        elif not self.is_closing:
            self._read(rest)

    def _read(self, data: bytes) -> None:
        try:
            request = self._reader.feed(data)
        except RefusedRequest as refused:
            self._refuse(refused.status, str(refused))
            return
        if self._reader.has_head and self._place is None and not self._look_at_head():
            return
        self._count(self._reader.held_bytes)
        if self.is_closing:
            return
        if request is not None:
            self._handle(request)
        elif self._place is not None and self._sender is None and self._is_long:
            self._sign_in_first()
        elif self._sender is not None and not self._has_room(self._sender):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "busy", _SOON_S)
        elif self._reader.expects_continue and not self._has_continued:
            self._has_continued = True
            self._write(_CONTINUE)

    def eof_received(self) -> bool:
        self._keeps_alive = False
        return self._is_busy  # a client that has no more to say may wait for its answer

    def pause_writing(self) -> None:
        self._worker.metrics.ended.labels("answers not read").inc()
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closing = True
        self._count(0)
        self._forget_waiting()
        self._worker.lost(self)

    def _count(self, size: int) -> None:
        """Count what a request holds that is not complete: for its organization, where the sender
        is known.
        """
        more, worker = size - self._counted_bytes, self._worker
        self._counted_bytes = size
        if self._sender is not None:
            worker.holding.add(worker.organization(self._sender.org_id), more)
            return
        worker.unsigned.bytes += more
        if not worker.unsigned.has_room(size):
            worker.metrics.ended.labels("memory before sign-in").inc()
            self.abort()

    @property
    def _is_long(self) -> bool:
        return self._reader.held_bytes > UNSIGNED_SHARE_BYTES

    def _has_room(self, sender: Identity | Gateway) -> bool:
        """Whether the body that is coming may be kept on."""
        organization = self._worker.organization(sender.org_id)
        return self._worker.holding.has_room(organization, 1, self._reader.held_bytes)

    # A request ------------------------------------------------------------------------------

    def _look_at_head(self) -> bool:
        """Find the door and the sender. False where the request is answered already."""
        head = self._reader.head()
        place = place_of(head.path)
        if place is None:
            self._refuse(HTTPStatus.NOT_FOUND, "nothing at this path")
            return False
        if head.method not in _METHODS:
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, "GET and POST are allowed")
            return False
        credentials = place.credentials or credentials_of(head.headers.get(b"authorization", ""))
        if credentials is None:
            self._refuse(HTTPStatus.UNAUTHORIZED, "a key is needed")
            return False
        self._place = place._replace(credentials=credentials)
        sender = self._check(self._place.door, credentials)
        if sender is not None:
            self._count(0)
            self._sender = sender
        return True

    def _check(self, door: Door, credentials: Credentials) -> Identity | Gateway | None:
        identities = self._worker.identities
        known = identities.gateways if door.topic is None else identities
        return known.check(credentials.name, credentials.secret)

    def _handle(self, request: Request) -> None:
        assert self._transport is not None
        self._is_busy = True
        self._since_s = self._worker.now_s()
        self._keeps_alive = request.keeps_alive
        self._transport.pause_reading()
        if self._sender is not None:
            self._admit(self._sender, request)
        else:
            self._worker.spawn(self._sign_in(request))

    def _sign_in_first(self) -> None:
        """Read on where the key is right: the body of nobody is not kept."""
        assert self._transport is not None
        self._is_busy = True
        self._transport.pause_reading()
        self._worker.spawn(self._sign_in(self._reader.head()))

    async def _sign_in(self, request: Request) -> None:
        """Look once more: the tracker may have been registered just now."""
        worker, address = self._worker, self._client_address(request)
        assert self._place is not None
        assert self._place.credentials is not None
        if worker.addresses.refusal(address, worker.now_s()) == "failures":
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, "too many wrong keys", retry_after_s=60)
            return
        is_sure = await worker.identities.look_soon(LOOK_SOON_S)
        if self.is_closing:
            return
        sender = self._check(self._place.door, self._place.credentials)
        if sender is None:
            worker.metrics.refused.labels("credentials" if is_sure else "not checked").inc()
            if is_sure:
                worker.addresses.failed(address, worker.now_s())
                self._refuse(HTTPStatus.UNAUTHORIZED, "the key is wrong")
                if self._place.door.topic is not None:
                    worker.note_failure(self._place.credentials.name, "http", self._place.name)
            else:
                self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "keys cannot be checked", _LATER_S)
            return
        self._count(0)
        self._sender = sender
        if self._reader.is_complete:
            self._admit(sender, request)
        else:
            assert self._transport is not None
            self._is_busy = False
            self._count(self._reader.held_bytes)
            self._transport.resume_reading()
            rest, self._unread = self._unread, b""
            if rest:
                self._read(rest)

    def _client_address(self, request: Request) -> str:
        """Return the address that the nearest proxy names, or the other side's."""
        said = request.headers.get(b"x-forwarded-for")
        return said.rpartition(",")[2].strip() if said and not self.address else self._peer

    def _admit(self, sender: Identity | Gateway, request: Request) -> None:
        """Go on with a request whose sender is known, where there is room for it."""
        worker = self._worker
        assert self._place is not None
        door, now_s = self._place.door, worker.now_s()
        message = payload_of(door, request, worker.now_ms()), request.oversize_bytes
        is_gateway = isinstance(sender, Gateway)
        bucket = worker.buckets.of(sender.gateway_id if is_gateway else sender.tracker_id, now_s)
        size = len(message[0]) + MESSAGE_OVERHEAD_BYTES
        self._count(0)
        if worker.is_draining or worker.holding.bytes > worker.holding.max_bytes:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "busy", _LATER_S)
        elif bucket.is_empty(now_s):
            self._answer(HTTPStatus.TOO_MANY_REQUESTS, b"", retry_after_s=_SOON_S)
        elif not worker.holding.has_room(worker.organization(sender.org_id), 1, size):
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, b"", retry_after_s=_SOON_S)
        else:
            bucket.spend(1, size, now_s)
            if is_gateway:
                worker.spawn(self._forward(sender, *message))
            else:
                assert door.topic is not None
                self._offer(sender, door.topic(format_id("trk", sender.tracker_id)), *message)

    async def _forward(self, gateway: Gateway, payload: bytes, oversize_bytes: int) -> None:
        """Give the link a message as one of the tracker that it is of."""
        self._worker.gateway_sightings.sent(gateway)
        identities, identity = self._worker.identities, None
        device = gateway.device_of("", payload)
        if device is not None:
            identity = identities.of_device(gateway.org_id, device)
            if identity is None and await identities.look_soon(LOOK_SOON_S):
                identity = identities.of_device(gateway.org_id, device)
        if self.is_closing:
            return
        if identity is None:
            reason = Result.UNDECODABLE if device is None else Result.UNKNOWN_TRACKER
            reason = Result.OVERSIZE if oversize_bytes else reason
            self._worker.metrics.unforwarded.labels(reason.name.lower()).inc()
            if device is not None and reason is Result.UNKNOWN_TRACKER:
                payload = gateway.message_of(payload, self._worker.now_ms())
                self._worker.unknown_devices.forwarded(gateway, device, payload, "http")
            self._answer_result(reason)
            return
        topic = gateway_topic(format_id("trk", identity.tracker_id), gateway.kind)
        payload = gateway.message_of(payload, self._worker.now_ms())
        self._offer(identity, topic, payload, oversize_bytes)

    def _offer(self, identity: Identity, topic: str, payload: bytes, oversize_bytes: int) -> None:
        message = PlainMessage(topic, payload, oversize_bytes)
        self._waiting = self._worker.offer(identity, message, self._committed)

    # After COMMIT ---------------------------------------------------------------------------

    def _committed(self, result: int) -> None:
        """Answer: the message is stored or in quarantine."""
        if self._waiting is None:  # given up
            return
        self._waiting = None
        self._answer_result(Result(result))

    def _answer_result(self, result: Result) -> None:
        """Accept a message, whatever became of it."""
        assert self._place is not None
        sender, commands = self._sender, self._worker.commands
        if (
            self._place.door.takes_commands
            and isinstance(sender, Identity)
            and commands.is_waited_for(sender.tracker_id)
        ):
            self._worker.spawn(self._answer_with_command(sender, result))
        else:
            self._answer(HTTPStatus.OK, self._place.door.answer, result=result.name.lower())

    async def _answer_with_command(self, sender: Identity, result: Result) -> None:
        """Accept a message, and send the command that waits for the app."""
        command = await self._worker.commands.ask(sender.org_id, sender.tracker_id)
        messages = [] if command is None else [owntracks_command(command.text)]
        self._answer(HTTPStatus.OK, msgspec.json.encode(messages), result=result.name.lower())

    def _forget_waiting(self) -> None:
        """Let go of a message that nobody waits for: what ingest has, it stores all the same."""
        if (origin := self._waiting) is not None:
            self._waiting = None
            self._worker.sender.drop_waiting(origin, keeps_qos_0=False)
            self._worker.sender.closed(origin)

    # Answers --------------------------------------------------------------------------------

    def _refuse(self, status: HTTPStatus, detail: str, retry_after_s: int = 0) -> None:
        """Answer with a reason, and close."""
        self._keeps_alive = False
        self._answer(status, f"{detail}\n".encode(), retry_after_s=retry_after_s)

    def _answer(
        self, status: HTTPStatus, body: bytes, *, retry_after_s: int = 0, result: str = ""
    ) -> None:
        if self.is_closing:
            return
        self._worker.metrics.http_answers.labels(str(status.value)).inc()
        is_kept = self._keeps_alive and not self._is_leaving
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", f"content-length: {len(body)}"]
        lines.append("cache-control: no-store")
        if body:
            kind = "application/json" if status is HTTPStatus.OK else "text/plain"
            lines.append(f"content-type: {kind}")
        if status is HTTPStatus.UNAUTHORIZED:
            lines.append('www-authenticate: Basic realm="trackers"')
        if retry_after_s:
            lines.append(f"retry-after: {retry_after_s}")
        if result:
            lines.append(f"opsc-result: {result}")
        if not is_kept:
            lines.append("connection: close")
        self._write("\r\n".join((*lines, "", "")).encode() + body)
        if not is_kept:
            self.close()
            return
        self._count(0)
        self._reader.next()
        self._is_busy = False
        self._begin()
        assert self._transport is not None
        self._transport.resume_reading()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # Time, and the end ----------------------------------------------------------------------

    def tick(self, now_s: float) -> None:
        """Keep the clocks: of a request, of its answer, of a connection without one."""
        if self.is_closing:
            return
        passed_s = now_s - self._since_s
        if self._is_busy and passed_s > ANSWER_S:
            self._forget_waiting()
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "not stored in time", _LATER_S)
        elif not self._is_busy and self._reader.has_begun and passed_s > REQUEST_S:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "the request has no end")
        elif not self._is_busy and not self._reader.has_begun and passed_s > IDLE_S:
            self.close()

    def leave(self, _code: int, cause: str) -> None:
        """Close after the answer that is waited for."""
        self._is_leaving = True
        if not self._is_busy:
            self.end(_code, cause)

    def end(self, _code: int, cause: str) -> None:
        if not self.is_closing:
            self._worker.metrics.ended.labels(cause).inc()
            self.close()

    def close(self) -> None:
        """Close after the client has had time to read what is sent."""
        if self.is_closing:
            return
        self.is_closing = True
        self._count(0)
        self._forget_waiting()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.resume_reading()  # what comes is not looked at
        close_after_reading(transport)

    def abort(self) -> None:
        self.is_closing = True
        if self._transport is not None:
            self._transport.abort()
