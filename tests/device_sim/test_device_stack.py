"""A device's own stack against a broker: versions, QoS, sessions, and what is repeated."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from device_sim import packets
from device_sim.device_stack import DeviceStack
from device_sim.devices import DeviceProfile, Qos, Version, devices
from device_sim.faults import Faults
from device_sim.packets import PacketType, ReceivedPacket
from mqtt import BrokerAddress
from tests.servers import BrokerUnderTest
from tests.waiting import PATIENCE_S

Answers = Callable[[ReceivedPacket], bytes]


def _stack(address: BrokerAddress, device: DeviceProfile) -> DeviceStack:
    return DeviceStack(address, f"trk_{secrets.token_hex(8)}", "secret", device, 0.1)


@pytest.mark.parametrize("level", [3, 4, 5])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_broker_takes_every_version_and_qos(
    broker: BrokerUnderTest, level: int, qos: int
) -> None:
    faults = Faults({"cut": 0.1, "trickle": 0.2, "twice": 0.1})
    device = DeviceProfile(level, qos, faults=faults, seed=(1, level + qos))
    async with _stack(BrokerAddress.parse(broker.url), device) as stack:
        sent = [stack.publish_nowait("trackers/a/fixes", b"x" * 20) for _ in range(50)]
        answers = await asyncio.wait_for(asyncio.gather(*sent), PATIENCE_S)
    assert answers == [qos > 0] * 50


def test_a_mixed_fleet_has_every_pair_of_version_and_qos() -> None:
    mixed = devices(18, Qos.MIXED, Version.MIXED, Faults({"silent": 0.5}), seed=1)
    again = devices(18, Qos.MIXED, Version.MIXED, Faults({"silent": 0.5}), seed=1)
    fleet = list(mixed)
    assert len({(one.level, one.qos) for one in fleet}) == 9
    assert 0 < sum(one.is_silent for one in fleet) < 18
    assert fleet == list(again)


class _ScriptedBroker:
    """A broker that signs every device in, and answers as told; keeps what comes."""

    def __init__(self) -> None:
        self.has_session = False
        self.answers: Answers = lambda _: b""
        self.received: list[ReceivedPacket] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        data = b""
        while more := await reader.read(65_536):
            found, data = packets.split(data + more)
            for packet in found:
                self.received.append(packet)
                is_connect = packet.kind == 1
                connack = bytes([0x20, 2, self.has_session, 0])
                writer.write(connack if is_connect else self.answers(packet))
        writer.close()

    async def count(self, kind: int, wanted: int) -> None:
        """Wait until this many packets of a kind have come."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if sum(one.kind == kind for one in self.received) >= wanted:
                    return
                await asyncio.sleep(0.01)


@asynccontextmanager
async def _scripted() -> AsyncIterator[tuple[_ScriptedBroker, BrokerAddress]]:
    scripted = _ScriptedBroker()
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    async with server:
        yield scripted, BrokerAddress(*server.sockets[0].getsockname()[:2])


def _puback(packet: ReceivedPacket) -> bytes:
    topic_bytes = int.from_bytes(packet.body[:2], "big")
    return b"\x40\x02" + packet.body[2 + topic_bytes : 4 + topic_bytes]


async def test_without_a_session_what_is_unacknowledged_is_thrown_away() -> None:
    async with _scripted() as (broker, address), _stack(address, DeviceProfile(level=4)) as stack:
        answer = stack.publish_nowait("t", b"x")
        await broker.count(3, 1)
        broker.writers[0].transport.abort()
        assert await asyncio.wait_for(answer, PATIENCE_S) is False
        await broker.count(1, 2)
    assert sum(one.kind == 3 for one in broker.received) == 1


async def test_with_a_session_what_is_unacknowledged_is_sent_again_in_order() -> None:
    async with _scripted() as (broker, address), _stack(address, DeviceProfile(level=4)) as stack:
        sent = [stack.publish_nowait("t", b"%d" % number) for number in range(3)]
        await broker.count(3, 3)
        broker.has_session, broker.answers = True, _puback
        broker.writers[0].transport.abort()
        assert await asyncio.wait_for(asyncio.gather(*sent), PATIENCE_S) == [True] * 3
    published = [one.body for one in broker.received if one.kind == 3]
    assert published[:3] == published[3:]


async def test_a_device_that_retries_repeats_on_the_open_connection() -> None:
    device = DeviceProfile(level=3, retries=True)
    async with _scripted() as (broker, address), _stack(address, device) as stack:
        answer = stack.publish_nowait("t", b"x")
        await broker.count(3, 2)
        broker.answers = _puback
        assert await asyncio.wait_for(answer, PATIENCE_S)
    assert len(broker.writers) == 1


async def test_a_deaf_device_repeats_on_a_new_connection() -> None:
    device = DeviceProfile(level=4, faults=Faults({"deaf": 1}))
    async with _scripted() as (broker, address), _stack(address, device) as stack:
        broker.has_session, broker.answers = True, _puback
        answer = stack.publish_nowait("t", b"x")
        assert await asyncio.wait_for(answer, PATIENCE_S)
    assert [one.kind for one in broker.received if one.kind in (1, 3)] == [1, 3, 1, 3]


async def test_qos_2_is_acknowledged_by_pubcomp_alone() -> None:
    def answer(packet: ReceivedPacket) -> bytes:
        if packet.kind == 3:
            return b"\x50" + _puback(packet)[1:]
        return b"\x70\x02" + packet.body[:2] if packet.kind == 6 else b""

    async with _scripted() as (broker, address), _stack(address, DeviceProfile(4, qos=2)) as stack:
        broker.answers = lambda packet: answer(packet) if packet.kind == 3 else b""
        sent = stack.publish_nowait("t", b"x")
        await broker.count(6, 1)
        assert not sent.done()
        broker.has_session, broker.answers = True, answer
        broker.writers[0].transport.abort()
        assert await asyncio.wait_for(sent, PATIENCE_S)
    kinds = [one.kind for one in broker.received if one.kind in (1, 3, 6)]
    assert kinds == [1, 3, 6, 1, 6]
    assert PacketType.PUBCOMP == 7
