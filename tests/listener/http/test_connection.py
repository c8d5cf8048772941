"""A connection's clocks, its bounds and its end, with a real worker and a clock of the test."""

import asyncio
import socket
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from listener.devices.bounds import UNSIGNED_SHARE_BYTES
from listener.http.connection import ANSWER_S, IDLE_S, REQUEST_S, HttpDevice
from listener.link.ingest_link import Sender
from listener.settings import ListenSettings
from listener.stored.identities import Identity
from listener.stored.presence import Presence
from listener.stored.sessions import Sessions
from listener.worker import Worker
from telemetry.ids import format_id
from telemetry.result import Result

IDENTITY = Identity(uuid4(), uuid4(), receipts=False)
NAME = format_id("trk", IDENTITY.tracker_id)
GET = f"GET /v1/ingest/osmand/{NAME}.secret?lat=1&lon=2 HTTP/1.1\r\nHost: x\r\n\r\n".encode()
POST = f"POST /v1/ingest/fixes/{NAME}.secret HTTP/1.1\r\n"
HEAD = f"{POST}Host: x\r\nContent-Length: 9000\r\n\r\n".encode()
SHUTTING_DOWN = 0x8B


_UNCONNECTED = socket.socket()
"""It takes every option."""


class Socket(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("203.0.113.7", 5), "socket": _UNCONNECTED})
        self.written = b""
        self.is_read, self.is_cut, self.has_ended = True, False, False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return self.is_cut

    def abort(self) -> None:
        self.is_cut = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.has_ended = True

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


class Connected:
    """A connection to a worker that knows one tracker and has no link to ingest."""

    def __init__(self, **settings: Any) -> None:
        url = {"database_url": "postgresql://x@127.0.0.1/x"}
        self.worker = Worker(
            ListenSettings.model_validate(url | settings), Sender(uuid4()), Sessions(), Presence()
        )
        self.now_s = 1_000.0
        self.is_registered = True
        self.worker.now_s = lambda: self.now_s
        known: Any = SimpleNamespace(
            check=self._check, look_soon=self._look_soon, owner_of=lambda _: None
        )
        self.worker.identities = known
        self.socket, self.device = self.another()

    def another(self) -> tuple[Socket, HttpDevice]:
        socket, device = Socket(), HttpDevice(self.worker)
        device.connection_made(socket)
        return socket, device

    def _check(self, name: str, secret: bytes) -> Identity | None:
        is_right = self.is_registered and (name, secret) == (NAME, b"secret")
        return IDENTITY if is_right else None

    async def _look_soon(self, _: float) -> bool:
        self.is_registered = True
        return True

    def after(self, seconds: float) -> bytes:
        """Let time pass, and return what is written by then."""
        self.now_s += seconds
        self.device.tick(self.now_s)
        return self.socket.written

    def answer(self, result: int = Result.STORED) -> None:
        """Answer the oldest message as ingest does."""
        sender = self.worker.sender
        first, [(origin, message)] = sender.outbox.next_block()
        assert list(sender.outbox.answered(first, 1))
        origin.committed(message, result)
        if origin.is_gone and not origin.unanswered:
            del sender.origins[origin.id]


@pytest.fixture
async def connected() -> Connected:
    made = Connected()
    made.worker.sender.outbox.begin_again(100, 1_000_000)
    return made


def status(written: bytes) -> int:
    return int(written.split(b" ", 2)[1])


async def test_nothing_is_said_before_commit_and_the_connection_stays(connected: Connected) -> None:
    connected.device.data_received(GET)
    assert connected.socket.written == b""
    assert not connected.socket.is_read
    assert connected.worker.holding.bytes > 0
    connected.answer()
    assert status(connected.socket.written) == 200
    assert connected.socket.is_read
    assert not connected.socket.has_ended
    assert connected.worker.holding.bytes == connected.worker.unsigned.bytes == 0


@pytest.mark.parametrize("begun", [b"GET /v1/", HEAD, HEAD + b"x"])
async def test_a_request_without_an_end_ends(connected: Connected, begun: bytes) -> None:
    connected.device.data_received(begun)
    assert connected.after(REQUEST_S - 1) == b""
    assert status(connected.after(2)) == 408
    assert connected.socket.has_ended
    assert connected.worker.holding.bytes == connected.worker.unsigned.bytes == 0


@pytest.mark.parametrize(
    "head",
    [
        GET.replace(b" HTTP/1.1\r\nHost: x", b""),
        f"{POST}Transfer-Encoding: gzip, chunked\r\n\r\n1\r\n[\r\n".encode(),
    ],
    ids=["no version", "gzip"],
)
async def test_what_is_no_http_1_1_is_a_400_and_the_end(connected: Connected, head: bytes) -> None:
    connected.device.data_received(head)
    assert status(connected.socket.written) == 400
    assert b"connection: close" in connected.socket.written
    assert connected.socket.has_ended
    assert connected.worker.holding.bytes == connected.worker.unsigned.bytes == 0


async def test_a_silent_connection_ends(connected: Connected) -> None:
    connected.after(IDLE_S - 1)
    assert not connected.socket.has_ended
    connected.after(2)
    assert connected.socket.has_ended


async def test_what_is_not_committed_in_time_is_sent_again(connected: Connected) -> None:
    connected.device.data_received(GET)
    assert connected.after(ANSWER_S - 1) == b""
    answer = connected.after(2)
    assert status(answer) == 503
    assert b"retry-after" in answer
    connected.answer()  # it is stored after all
    assert connected.socket.written == answer
    assert connected.worker.holding.bytes == 0


async def test_a_wrong_key_may_not_fill_our_memory(connected: Connected) -> None:
    wrong = HEAD.replace(b".secret", b".wrong!")
    connected.device.data_received(wrong + UNSIGNED_SHARE_BYTES * b"x")
    assert not connected.socket.is_read
    await asyncio.sleep(0)  # the tracker may have been registered just now
    assert status(connected.socket.written) == 401
    assert connected.worker.unsigned.bytes == 0


@pytest.mark.parametrize("pieces", [(9_000,), (100, 8_900), (5_000, 4_000), (8_500, 500)])
async def test_a_long_body_of_a_tracker_that_was_registered_just_now(
    connected: Connected, pieces: tuple[int, ...]
) -> None:
    connected.is_registered = False
    first, *others = pieces
    connected.device.data_received(HEAD + first * b" ")
    await asyncio.sleep(0)
    for more in others:
        assert connected.socket.is_read
        connected.device.data_received(more * b" ")
        await asyncio.sleep(0)
    connected.answer(Result.UNDECODABLE)
    assert status(connected.socket.written) == 200
    assert connected.worker.holding.bytes == connected.worker.unsigned.bytes == 0


async def test_bodies_that_are_not_complete_may_not_fill_our_memory() -> None:
    connected = Connected(listen_exempt_networks="203.0.113.0/24")
    half = connected.worker.holding.max_bytes // 2
    head = HEAD.replace(b"9000", b"500000")
    sockets: list[Socket] = []
    for _ in range(200):
        socket, device = connected.another()
        device.data_received(head + 400_000 * b"x")
        sockets.append(socket)
    assert status(sockets[-1].written) == 503
    assert sockets[0].written == b""
    assert connected.worker.holding.bytes <= half


async def test_a_second_request_at_once_is_not_answered(connected: Connected) -> None:
    connected.device.data_received(GET)
    connected.device.data_received(GET)
    connected.answer()
    assert connected.socket.written.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in connected.socket.written


async def test_who_has_gone_is_forgotten(connected: Connected) -> None:
    connected.device.data_received(GET)
    connected.device.connection_lost(None)
    connected.answer()
    assert connected.socket.written == b""
    assert connected.worker.sender.origins == {}
    assert connected.worker.devices == {}
    assert connected.worker.holding.bytes == 0


async def test_beyond_its_rate_a_tracker_is_told_to_wait() -> None:
    connected = Connected(listen_tracker_messages_per_s=1)
    connected.worker.sender.outbox.begin_again(100, 1_000_000)
    for wanted in (200, 200, 429):
        socket, device = connected.another()
        device.data_received(GET)
        if wanted == 200:
            connected.answer()
        assert status(socket.written) == wanted


async def test_an_orderly_stop_waits_for_the_answer(connected: Connected) -> None:
    socket, silent = connected.another()
    silent.leave(SHUTTING_DOWN, "shutting down")
    assert socket.has_ended
    connected.device.data_received(GET)
    connected.device.leave(SHUTTING_DOWN, "shutting down")
    assert not connected.socket.has_ended
    connected.answer()
    assert status(connected.socket.written) == 200
    assert connected.socket.has_ended


async def test_who_does_not_read_is_cut(connected: Connected) -> None:
    connected.device.pause_writing()
    assert connected.socket.is_cut
