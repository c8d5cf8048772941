"""A port for datagrams, its bounds and its senders, with a real worker and a clock of the test."""

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from listener.devices.bounds import SHARE_MESSAGES
from listener.stored.identities import Identity
from listener.tcp.connection import IDLE_S
from listener.tcp.datagrams import Address, DatagramDoor
from listener.tcp.places import SILENT_S
from listener.tcp.queclink import Queclink
from listener.tcp.teltonika import TeltonikaDatagram
from tests.listener.tcp.boxes import record
from tests.listener.tcp.streams import H02_REPORT, QUECLINK_HEARTBEAT, h02
from tests.listener.tcp.test_tcp_connection import IMEI, Connected
from tests.listener.udp.datagrams import accepted, datagram

HERE: Address = ("192.0.2.1", 5_027)
SENT = datagram(IMEI, [record(1)])


class Sent:
    """A socket that keeps what is sent."""

    def __init__(self) -> None:
        self.said: list[tuple[bytes, Address]] = []

    def sendto(self, data: bytes, address: Address) -> None:
        self.said.append((data, address))


class Port(Connected):
    """A door of a worker that knows one IMEI."""

    def __init__(self, make: Any = TeltonikaDatagram, **settings: Any) -> None:
        super().__init__(**settings)
        self.worker.sender.outbox.begin_again(100, 1_000_000)
        loop: Any = SimpleNamespace(
            add_reader=lambda *_: None,
            remove_reader=lambda *_: None,
            create_task=lambda work: (work.close(), SimpleNamespace(cancel=lambda: None))[1],
        )
        self.worker.loop = loop
        self.out = Sent()
        bound: Any = self.out
        self.door = DatagramDoor(self.worker, bound, make)


@pytest.fixture
async def port() -> Port:
    return Port()


async def test_nothing_is_said_before_commit(port: Port) -> None:
    assert port.door.receive(SENT, HERE) == "taken"
    assert port.out.said == []
    port.answer()
    assert port.out.said == [(accepted(1), HERE)]
    assert port.holds_nothing()


async def test_a_sender_that_sends_on_and_on_is_not_taken(port: Port) -> None:
    taken = [port.door.receive(SENT, HERE) for _ in range(SHARE_MESSAGES + 2)]
    assert taken == ["taken"] * SHARE_MESSAGES + ["no room"] * 2
    port.answer()
    assert len(port.out.said) == SHARE_MESSAGES
    assert port.holds_nothing()


async def test_a_sender_that_is_too_fast_is_not_taken() -> None:
    port = Port(listen_tracker_messages_per_s=1)
    results: list[str] = []
    for _ in range(4):
        results.append(port.door.receive(SENT, HERE))
        port.answer()
    assert results == ["taken", "taken", "too fast", "too fast"]
    assert port.door.receive(SENT, ("192.0.2.2", 1)) == "taken"  # a stranger costs the box nothing


async def test_without_a_link_neither_a_report_nor_a_heartbeat_is_taken() -> None:
    port = Port(Queclink)
    known: Any = SimpleNamespace(of_imei=lambda _: port.known)
    port.worker.identities = known
    assert port.door.receive(QUECLINK_HEARTBEAT, HERE) == "taken"
    assert port.out.said == [(b"+SACK:GTHBD,1A0401,11F0$", HERE)]
    port.is_linked(False)
    port.door.receive(QUECLINK_HEARTBEAT, HERE)
    assert len(port.out.said) == 1
    assert Port().door.receive(SENT, HERE) == "taken"
    port = Port()
    port.is_linked(False)
    assert port.door.receive(SENT, HERE) == "not open"


async def test_a_forged_address_costs_no_memory(port: Port) -> None:
    for number in range(1_000):
        address = (f"198.51.{number // 250}.{number % 250}", 9)
        assert port.door.receive(datagram("356938035643817", [record(1)]), address) == "imei"
        result = port.door.receive(SENT, address)
        assert result == ("taken" if number < 2 else "no place")
    assert len(port.door._senders) == 2  # pyright: ignore[reportPrivateUsage]
    assert port.worker.addresses.refusal("198.51.0.1", port.now_s) is None
    assert port.out.said == []


async def test_who_is_silent_makes_place_and_is_forgotten(port: Port) -> None:
    first, second, third = (("192.0.2.1", 1), ("192.0.2.2", 1), ("192.0.2.3", 1))
    assert [port.door.receive(SENT, one) for one in (first, second)] == ["taken"] * 2
    port.now_s += SILENT_S + 1
    assert port.door.receive(SENT, second) == "taken"
    assert port.door.receive(SENT, third) == "taken"
    assert port.door.receive(SENT, first) == "no place"
    port.now_s += IDLE_S + 1
    port.door.sweep()
    assert port.door.receive(SENT, first) == "taken"
    port.known = Identity(uuid4(), uuid4(), receipts=False)  # another tracker's now
    port.door.sweep()
    assert port.worker.places._of == {}  # pyright: ignore[reportPrivateUsage]


async def test_the_number_of_senders_is_bounded(port: Port) -> None:
    port.worker.max_connections = 1
    for number in range(5):
        assert port.door.receive(SENT, (f"192.0.2.{number}", 1)) == "taken"
    assert len(port.door._senders) == 1  # pyright: ignore[reportPrivateUsage]


async def test_what_nobody_repeats_is_kept_without_a_link_while_there_is_room() -> None:
    port = Port(h02, listen_max_held_bytes=1_048_576)
    known: Any = SimpleNamespace(of_imei=lambda _: port.known)
    port.worker.identities = known
    port.is_linked(False)
    assert port.door.receive(H02_REPORT, HERE) == "taken"
    port.worker.holding.add(0, 2_000_000)
    assert port.door.receive(H02_REPORT, HERE) == "no room"
    port.worker.holding.add(0, -2_000_000)
    port.is_linked(True)
    port.answer()
    assert port.out.said == [(b"*HQ,353588020068342,V4,V1,20260131120000#", HERE)]


async def test_an_answer_that_is_longer_than_its_question_is_not_sent() -> None:
    port = Port(h02)
    known: Any = SimpleNamespace(of_imei=lambda _: port.known)
    port.worker.identities = known
    assert port.door.receive(b"*HQ,353588020068342,V1#", HERE) == "taken"  # no position
    port.answer()
    assert port.out.said == []
    heartbeats = 3 * b"*HQ,353588020068342,HTBT,9#"
    assert port.door.receive(heartbeats, HERE) == "taken"
    assert len(port.out.said) == 3
