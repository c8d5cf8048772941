"""The messages of a gateway's connection: turns of its devices, and nothing that stays held."""

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from listener.devices.connection import Device
from listener.link.ingest_link import Sender
from listener.settings import ListenSettings
from listener.stored.gateways import Gateway
from listener.stored.identities import Identity
from listener.stored.presence import Presence
from listener.stored.sessions import Sessions
from listener.worker import Worker
from telemetry.ids import format_id
from telemetry.result import Result
from tests.listener.http.test_connection import Socket
from tests.listener.wire import PUBACK, connect, publish
from tests.waiting import until

GATEWAY = Gateway(uuid4(), uuid4(), "traccar")
TRACKERS = {name: Identity(uuid4(), GATEWAY.org_id, receipts=False) for name in ("one", "two")}


def position(name: str) -> bytes:
    return b'{"device": {"uniqueId": "%s"}}' % name.encode()


class Connected:
    """A gateway that has signed in. Ingest takes one message at a time."""

    def __init__(self) -> None:
        settings = ListenSettings.model_validate({"database_url": "postgresql://x@127.0.0.1/x"})
        self.worker = Worker(settings, Sender(uuid4()), Sessions(), Presence())
        known: Any = SimpleNamespace(
            gateways=SimpleNamespace(check=lambda *_: GATEWAY),
            of_device=lambda org_id, name: TRACKERS.get(name) if org_id == GATEWAY.org_id else None,
            look_soon=self._look_soon,
        )
        self.worker.identities = known
        self.sender = self.worker.sender
        self.sender.outbox.begin_again(2, 1_000_000)
        self.socket, self.device = Socket(), Device(self.worker)
        self.device.connection_made(self.socket)

    async def _look_soon(self, _: float) -> bool:
        return True

    async def sign_in(self) -> None:
        self.device.data_received(connect(format_id("gtw", GATEWAY.gateway_id)))
        await until(lambda: self.socket.written)
        self.socket.written = b""

    def say(self, *names: str) -> None:
        for number, name in enumerate(names, 1):
            self.device.data_received(publish("positions", position(name), number))

    def answer(self) -> str:
        """Answer the message at ingest, and return the device that it is of."""
        first, [(origin, message)] = self.sender.outbox.next_block()
        assert list(self.sender.outbox.answered(first, 1))
        origin.committed(message, Result.NO_POSITION)
        if origin.is_gone and not origin.unanswered:
            del self.sender.origins[origin.id]
        self.sender.outbox.refill()
        self.sender.on_answers()
        return next(name for name, one in TRACKERS.items() if one.tracker_id == origin.tracker_id)


@pytest.fixture
async def connected() -> Connected:
    made = Connected()
    await made.sign_in()
    return made


async def test_a_device_that_sends_its_past_holds_no_other_up(connected: Connected) -> None:
    connected.say(*["one"] * 5, "two")
    assert [connected.answer() for _ in range(6)] == ["one", "one", "two", "one", "one", "one"]
    assert connected.socket.written.count(bytes((PUBACK,))) == 6
    assert connected.worker.holding.bytes == 0
    assert connected.sender.origins == {}
    connected.say("one")
    assert connected.answer() == "one"


async def test_what_waits_of_a_connection_that_is_lost_is_let_go_of(connected: Connected) -> None:
    connected.say(*["one"] * 5, "two", "three")
    connected.device.connection_lost(None)
    await asyncio.sleep(0.01)
    assert connected.answer() == "one"
    assert len(connected.sender.outbox) == connected.worker.holding.bytes == 0
    assert connected.sender.origins == {}


async def test_a_device_that_is_nobodys_is_noted_and_answered(connected: Connected) -> None:
    connected.say("three")
    await until(lambda: connected.socket.written)
    assert connected.socket.written[0] == PUBACK
    assert len(connected.worker.unknown_devices) == 1
    assert connected.worker.holding.bytes == 0
