"""A connection's clocks, its bounds and its end, with a real worker and a clock of the test."""

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from listener.devices.bounds import SHARE_MESSAGES
from listener.link.ingest_link import Sender
from listener.settings import ListenSettings
from listener.stored.identities import Identity
from listener.stored.presence import Presence
from listener.stored.sessions import Sessions
from listener.tcp.connection import FRAME_S, IDLE_S, SIGN_IN_S, TcpDevice
from listener.tcp.places import LOOK_S, SILENT_S, WAIT_S
from listener.tcp.teltonika import Teltonika
from listener.worker import Worker
from telemetry.result import Result
from tests.listener.http.test_connection import SHUTTING_DOWN, Socket
from tests.listener.tcp.boxes import login, packet, record

IDENTITY = Identity(uuid4(), uuid4(), receipts=False)
IMEI = "356938035643809"
PACKET = packet([record(1)])
ANSWER = b"\0\0\0\x01"


class Connected:
    """A connection to a worker that knows one IMEI. is_linked: ingest takes messages."""

    def __init__(self, **settings: Any) -> None:
        url = {"database_url": "postgresql://x@127.0.0.1/x"}
        sender = Sender(uuid4())
        self.worker = Worker(
            ListenSettings.model_validate(url | settings), sender, Sessions(), Presence()
        )
        self.now_s = 1_000.0
        self.known: Identity | None = IDENTITY
        self.worker.now_s = lambda: self.now_s
        known: Any = SimpleNamespace(
            of_imei=lambda imei: self.known if imei == IMEI else None, look_soon=self._look_soon
        )
        self.worker.identities = known
        self.is_linked(True)
        self.socket, self.device = self.another()

    def is_linked(self, linked: bool) -> None:
        link: Any = SimpleNamespace(
            is_open=linked,
            flush_soon=lambda: None,
            opened=lambda _: None,
            closed=lambda _: None,
        )
        self.worker.sender._way = link  # pyright: ignore[reportPrivateUsage]

    def another(self) -> tuple[Socket, TcpDevice]:
        socket, device = Socket(), TcpDevice(self.worker, Teltonika())
        device.connection_made(socket)
        return socket, device

    async def signed_in(self) -> None:
        self.device.data_received(login(IMEI))
        await asyncio.sleep(0)
        assert self.said() == b"\x01"

    async def _look_soon(self, _: float) -> bool:
        return True

    def said(self) -> bytes:
        said, self.socket.written = self.socket.written, b""
        return said

    def after(self, seconds: float) -> bytes:
        """Let time pass, and return what is written by then."""
        self.now_s += seconds
        self.device.tick(self.now_s)
        return self.said()

    def answer(self, result: int = Result.STORED) -> None:
        """Answer the oldest message as ingest does."""
        sender = self.worker.sender
        first, held = sender.outbox.next_block()
        for number, (origin, message) in enumerate(held):
            assert list(sender.outbox.answered(first + number, 1))
            origin.committed(message, result)

    def holds_nothing(self) -> bool:
        return self.worker.holding.bytes == self.worker.unsigned.bytes == 0


@pytest.fixture
async def connected() -> Connected:
    made = Connected()
    made.worker.sender.outbox.begin_again(100, 1_000_000)
    return made


async def test_nothing_is_said_before_commit(connected: Connected) -> None:
    await connected.signed_in()
    connected.device.data_received(PACKET)
    assert connected.after(1) == b""
    connected.answer()
    assert connected.said() == ANSWER
    assert connected.holds_nothing()


@pytest.mark.parametrize("begun", [b"", b"\0", login(IMEI)[:9]])
async def test_who_does_not_sign_in_is_cut(connected: Connected, begun: bytes) -> None:
    connected.device.data_received(begun)
    connected.after(SIGN_IN_S - 1)
    assert not connected.socket.has_ended
    connected.after(2)
    assert connected.socket.has_ended
    assert connected.holds_nothing()


async def test_a_slow_packet_and_a_silent_box_end(connected: Connected) -> None:
    await connected.signed_in()
    connected.device.data_received(PACKET[:20])
    for at in range(20, 25):
        connected.after(FRAME_S / 5)
        connected.device.data_received(PACKET[at : at + 1])
    assert not connected.socket.has_ended
    connected.after(1)
    assert connected.socket.has_ended
    assert connected.holds_nothing()
    connected.socket, connected.device = connected.another()
    await connected.signed_in()
    connected.after(IDLE_S - 1)
    assert not connected.socket.has_ended
    connected.after(2)
    assert connected.socket.has_ended


async def test_without_a_link_neither_the_sign_in_nor_a_damaged_packet_is_answered(
    connected: Connected,
) -> None:
    connected.is_linked(False)
    connected.device.data_received(login(IMEI))
    await asyncio.sleep(0)
    connected.device.data_received(PACKET[:-1] + b"\0")
    assert connected.after(SIGN_IN_S + 1) == b""
    connected.is_linked(True)
    assert connected.after(1) == b"\x01" + bytes(4)


async def test_a_box_that_sends_on_and_on_is_not_read(connected: Connected) -> None:
    await connected.signed_in()
    connected.device.data_received(2 * SHARE_MESSAGES * PACKET)
    assert not connected.socket.is_read
    assert len(connected.worker.sender.origins) == SHARE_MESSAGES
    connected.answer()
    assert connected.said() == SHARE_MESSAGES * ANSWER
    connected.answer()
    assert connected.said() == SHARE_MESSAGES * ANSWER
    assert connected.socket.is_read
    assert connected.holds_nothing()


async def test_what_follows_an_imei_that_nobody_knows_may_not_fill_our_memory() -> None:
    connected = Connected(listen_exempt_networks="203.0.113.0/24", listen_max_held_bytes=1_048_576)
    connected.known = None
    ended = 0
    for _ in range(20):
        socket, device = connected.another()
        device.data_received(login(IMEI) + 60_000 * b"x")
        ended += socket.is_cut
        assert connected.worker.unsigned.bytes <= 1_048_576 // 8 + 60_000
        if socket.is_cut:
            device.connection_lost(None)
    assert ended > 10


async def test_who_is_revoked_is_cut_and_not_stored(connected: Connected) -> None:
    await connected.signed_in()
    connected.known = None
    connected.device.data_received(PACKET)
    assert connected.said() == b""
    assert connected.socket.has_ended
    assert connected.worker.sender.origins == {}


async def test_behind_a_proxy_who_is_silent_makes_place_for_a_newer_connection() -> None:
    connected = Connected(listen_proxy_networks="203.0.113.0/24")
    await connected.signed_in()
    boxes = [(connected.socket, connected.device)]
    for _ in range(2):
        connected.socket, connected.device = connected.another()
        connected.now_s += SILENT_S / 3
        connected.device.data_received(login(IMEI))
        await asyncio.sleep(0)
        boxes.append((connected.socket, connected.device))
    assert connected.said() == b""  # the third one waits
    boxes[1][1].data_received(PACKET)
    connected.now_s += SILENT_S / 3 - 1
    await asyncio.sleep(2 * LOOK_S)
    assert connected.said() == b""
    connected.now_s += 2
    await asyncio.sleep(2 * LOOK_S)
    assert connected.said() == b"\x01"
    assert [socket.has_ended for socket, _ in boxes] == [True, False, False]


async def test_who_finds_no_place_in_time_is_not_let_in(connected: Connected) -> None:
    for _ in range(2):
        connected.socket, connected.device = connected.another()
        await connected.signed_in()
    connected.socket, connected.device = connected.another()
    connected.device.data_received(login(IMEI) + PACKET)
    await asyncio.sleep(0)
    connected.after(WAIT_S - 1)
    await asyncio.sleep(2 * LOOK_S)
    assert not connected.socket.has_ended
    connected.now_s += 2
    await asyncio.sleep(2 * LOOK_S)
    assert connected.socket.has_ended
    assert connected.said() == b""
    assert connected.holds_nothing()


async def test_an_orderly_stop_waits_for_the_answer(connected: Connected) -> None:
    await connected.signed_in()
    connected.device.data_received(PACKET)
    connected.device.leave(SHUTTING_DOWN, "shutting down")
    connected.device.data_received(PACKET)
    assert not connected.socket.has_ended
    connected.answer()
    assert connected.said() == ANSWER
    assert connected.socket.has_ended


async def test_who_has_gone_is_forgotten(connected: Connected) -> None:
    await connected.signed_in()
    connected.device.data_received(PACKET + PACKET[:9])
    connected.device.connection_lost(None)
    connected.answer()
    assert connected.said() == b""
    assert connected.worker.devices == {}
    assert connected.holds_nothing()
