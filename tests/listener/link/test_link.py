"""The link from a listener to ingest, both ends: what is offered is answered once it is stored."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import psycopg
import pytest

from db.core.ids import new_id
from ingest.sources.batching import BatchLimits
from ingest.sources.link import LinkMessage, LinkOptions, LinkServer
from ingest.sources.link_address import LinkAddress
from listener.link import leader
from listener.link.ingest_link import IngestLink, Sender
from listener.link.outbox import DeviceMessage, Origin
from listener.metrics import ListenerMetrics
from stack.servers.postgres import free_port
from telemetry import link
from telemetry.link import FrameReader, Welcome
from tests.servers import ANY_PORT, DatabaseUnderTest
from tests.waiting import until

LIMITS = BatchLimits(messages=10_000, bytes=64 * 1024 * 1024, latency_ms=1)
STORED = 0
ORGANIZATION = UUID(int=1)


class Sent(NamedTuple):
    """A message as a connection gives it to the link."""

    number: int
    payload: bytes
    topic: str = "trackers/t/fixes"
    correlation_data: bytes | None = None
    oversize_bytes: int = 0
    qos: int = 1


class Connection:
    """A device's connection, and the payloads of which it heard that they are committed."""

    def __init__(
        self,
        sender: Sender,
        number: int,
        tracker_id: UUID | None = None,
        org_id: UUID = ORGANIZATION,
    ) -> None:
        self.committed: list[bytes] = []
        self._sender = sender
        self._numbers = 0
        self.origin = Origin(
            id=number,
            organization=0,
            tracker_id=tracker_id or new_id(),
            org_id=org_id,
            client_id="box",
            began_s=0.0,
            committed=self._note,
            released=lambda _: None,
        )

    def open(self, age_s: float = 0.0) -> None:
        self.origin.began_s = time.monotonic() - age_s
        self._sender.opened(self.origin)

    def send(self, payload: bytes, topic: str = "trackers/t/fixes") -> None:
        self._sender.offer(self.origin, Sent(self._numbers, payload, topic))
        self._numbers += 1

    def close(self) -> None:
        self._sender.closed(self.origin)

    def _note(self, message: DeviceMessage, result: int) -> None:
        assert result == STORED
        self.committed.append(message.payload)


@pytest.fixture
def sender() -> Sender:
    return Sender(new_id())


@pytest.fixture
def address(readable_folder: Path) -> LinkAddress:
    return LinkAddress.parse(f"unix:{readable_folder}/ingest.sock")


@asynccontextmanager
async def linked(sender: Sender, address: LinkAddress) -> AsyncIterator[LinkServer]:
    """Return a holder of the lease that the sender is linked to."""
    async with LinkServer(LinkOptions(address), epoch=1) as links:
        made = sender.link()
        await asyncio.get_running_loop().create_unix_connection(lambda: made, address.path)
        await asyncio.wait({made.welcomed, made.lost}, return_when=asyncio.FIRST_COMPLETED)
        assert not made.lost.done()
        yield links
    await made.lost


async def received(links: LinkServer, count: int) -> list[LinkMessage]:
    messages: list[LinkMessage] = []
    async with asyncio.timeout(30):
        while len(messages) < count:
            messages += await links.batch(LIMITS)
    return messages


def store(links: LinkServer, messages: list[LinkMessage]) -> None:
    links.acknowledge(messages, [STORED] * len(messages))


async def test_what_a_connection_brought_that_was_taken_over_is_answered(
    sender: Sender, address: LinkAddress
) -> None:
    older = Connection(sender, 1)
    newer = Connection(sender, 2, older.origin.tracker_id)
    evicted: list[int] = []
    sender.on_evicted = evicted.append
    async with linked(sender, address) as links:
        for number, one in enumerate((older, newer), start=1):
            one.open()
            one.send(b"message %d" % one.origin.id)
            await until(lambda number=number: len(links.queue) == number)
        await until(lambda: evicted == [1])
        older.close()
        store(links, await received(links, 2))
        await until(lambda: not len(sender.outbox))
        assert (older.committed, newer.committed) == ([b"message 1"], [b"message 2"])
        assert (sender.outbox.messages, sender.outbox.bytes) == (0, 0)
        assert list(sender.origins) == [2]


async def test_what_was_not_answered_is_sent_again_in_order_on_the_next_link(
    sender: Sender, address: LinkAddress
) -> None:
    device = Connection(sender, 1)
    device.open()
    for number in range(3):
        device.send(b"%d" % number)
    async with linked(sender, address) as links:
        first = await received(links, 3)
        device.send(b"3")
        await received(links, 1)
        store(links, first[:1])
        await until(lambda: device.committed == [b"0"])
    device.send(b"4")
    device.close()
    async with linked(sender, address) as links:
        again = await received(links, 4)
        assert [one.payload for one in again] == [b"1", b"2", b"3", b"4"]
        store(links, again)
        await until(lambda: not len(sender.outbox))
    assert device.committed == [b"0", b"1", b"2", b"3", b"4"]
    assert not sender.origins


@pytest.mark.parametrize("topics", [["a", "a"], ["a", "b"]])
async def test_a_message_waits_for_others_unless_its_device_waited_for_an_answer(
    sender: Sender, address: LinkAddress, topics: list[str]
) -> None:
    backlog, calm = Connection(sender, 1), Connection(sender, 2)
    patient = replace(LIMITS, latency_ms=3_600_000)
    async with linked(sender, address) as links:
        for device in (backlog, calm):
            device.open()
        backlog.send(b"first", topics[0])
        store(links, await received(links, 1))
        await until(lambda: backlog.committed == [b"first"])
        calm.send(b"calm")
        gathering = asyncio.create_task(links.batch(patient))
        await until(lambda: not len(links.queue))
        assert not gathering.done()
        backlog.send(b"second", topics[1])
        async with asyncio.timeout(30):
            gathered = await gathering
        assert {message.payload for message in gathered} == {b"calm", b"second"}
        store(links, gathered)
        await until(lambda: not len(sender.outbox))


async def test_topics_and_client_ids_as_long_as_mqtt_allows_do_not_break_the_link(
    sender: Sender, address: LinkAddress
) -> None:
    devices = [Connection(sender, number) for number in range(1, 400)]
    for device in devices:
        device.origin.client_id = "c" * 65_535
        device.open()
        device.send(b"x", topic=f"{device.origin.id:065535}")
    async with linked(sender, address) as links:
        store(links, await received(links, len(devices)))
        await until(lambda: not len(sender.outbox))


class Leader:
    """The other end of a link, in the hands of a test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer, self._frames = reader, writer, FrameReader()

    async def bodies(self) -> list[link.Body]:
        """Read what came at once; nothing where the link ended."""
        return list(self._frames.feed(await self._reader.read(65_536)))

    def welcome(self) -> None:
        self._writer.write(link.frame(Welcome(link.VERSION, 1, 1_000, 1_000_000)))


@asynccontextmanager
async def owned(database: DatabaseUnderTest) -> AsyncIterator[asyncio.Queue[Leader]]:
    """Return the links of a holder of the lease that a test plays."""
    made: asyncio.Queue[Leader] = asyncio.Queue()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.put_nowait(Leader(reader, writer))

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    address = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    with psycopg.connect(database.url("admin"), autocommit=True) as conn:
        conn.execute(
            "UPDATE leases SET epoch = 1, address = %s, expires_at = 'infinity'"
            " WHERE name = 'ingest'",
            (address,),
        )
    try:
        yield made
    finally:
        server.close()


async def test_a_link_that_is_not_welcomed_in_time_is_given_up(
    sender: Sender, database: DatabaseUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader, "WELCOME_S", 0.2)
    keeping = leader.LeaderLink(database.url("opsc_listen"), sender, ListenerMetrics(), None)
    async with owned(database) as links, asyncio.timeout(30):
        task = asyncio.create_task(keeping.run())
        frozen = await links.get()
        while await frozen.bodies():
            pass
        current = await links.get()
        assert await current.bodies()
        current.welcome()
        await until(lambda: sender.is_linked)
        task.cancel()


async def test_a_link_that_was_given_up_is_not_welcomed(sender: Sender) -> None:
    given_up = sender.link()
    given_up.cut()
    device = Connection(sender, 1)
    device.open()
    device.send(b"x")
    given_up.data_received(link.frame(Welcome(link.VERSION, 1, 1_000, 1_000_000)))
    assert given_up.epoch is None
    assert sender.outbox.credit_messages == 0


async def test_a_second_welcome_ends_the_link(sender: Sender) -> None:
    made: IngestLink = sender.link()
    for _ in range(2):
        assert not made.lost.done()
        made.data_received(link.frame(Welcome(link.VERSION, 1, 1_000, 1_000_000)))
    assert made.lost.done()


async def test_the_lease_is_watched_although_sessions_of_the_database_end(
    sender: Sender, database: DatabaseUnderTest
) -> None:
    keeping = leader.LeaderLink(database.url("opsc_listen"), sender, ListenerMetrics(), None)
    async with owned(database) as links, asyncio.timeout(30):
        task = asyncio.create_task(keeping.run())
        frozen = await links.get()
        frozen.welcome()
        await until(lambda: sender.is_linked)
        with psycopg.connect(database.url("admin"), autocommit=True) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'opsc_listen' AND datname = current_database()"
            )
            await asyncio.sleep(1.5)  # a look fails
            conn.execute("UPDATE leases SET epoch = 2 WHERE name = 'ingest'")
        await links.get()
        task.cancel()


async def test_an_empty_topic_is_a_topic_like_any_other(
    sender: Sender, address: LinkAddress
) -> None:
    """The machine refuses it; should it come all the same, the link must not break for ever."""
    device = Connection(sender, 1)
    device.open()
    device.send(b"1", topic="")
    async with linked(sender, address) as links:
        (message,) = await received(links, 1)
        assert message.topic == ""


async def test_a_new_link_ends_the_one_before(sender: Sender, address: LinkAddress) -> None:
    """Their numbers mean different messages: an answer on the old one would acknowledge others."""
    device = Connection(sender, 1)
    device.open()
    device.send(b"1")
    async with linked(sender, address) as links:
        old = await received(links, 1)
        loop = asyncio.get_running_loop()
        _, link = await loop.create_unix_connection(sender.link, address.path)
        await link.welcomed
        device.send(b"2")
        again = await received(links, 2)
        store(links, old)
        await asyncio.sleep(0.1)
        assert device.committed == []
        store(links, again)
        await until(lambda: device.committed == [b"1", b"2"])


@pytest.mark.parametrize("index", [1, -1])
async def test_extras_of_a_message_that_does_not_exist_end_the_link(
    sender: Sender, address: LinkAddress, index: int
) -> None:
    opened = link.Opened(1, new_id(), new_id(), "box", 1)
    block = link.block(0, [1], [b"x"], [link.Topic(1, 1, "t")], [link.Extra(index, b"id")])
    hello = link.frame(link.Hello(link.VERSION, new_id()))
    frames = hello + link.frame(link.Connections([opened], [])) + block
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, error: errors.append(error))
    async with linked(sender, address) as links, asyncio.timeout(30):
        reader, writer = await asyncio.open_unix_connection(address.path)
        writer.write(frames)
        with suppress(ConnectionResetError):
            while await reader.read(1024):
                pass
        assert errors == []
        assert len(links.queue) == 0
        writer.close()


async def test_of_two_connections_the_one_that_began_last_stays_whoever_tells_first(
    sender: Sender, address: LinkAddress
) -> None:
    """After a change of the leader, listeners tell of their connections in any order."""
    other = Sender(new_id())
    newer = Connection(sender, 1)
    older = Connection(other, 2, newer.origin.tracker_id)
    evicted: list[int] = []
    sender.on_evicted = other.on_evicted = evicted.append
    newer.open()
    older.open(age_s=100)
    async with linked(sender, address) as links:
        last = other.link()
        await asyncio.get_running_loop().create_unix_connection(lambda: last, address.path)
        await until(lambda: evicted == [2])
        assert links.tracker_connections.peer_of(newer.origin.tracker_id) is not None


async def test_a_link_without_hello_is_cut(sender: Sender, address: LinkAddress) -> None:
    async with LinkServer(LinkOptions(address), epoch=1, hello_s=0.2) as links, asyncio.timeout(30):
        made = sender.link()
        await asyncio.get_running_loop().create_unix_connection(lambda: made, address.path)
        await made.welcomed
        silent, writer = await asyncio.open_unix_connection(address.path)
        await until(lambda: len(links.peers) == 2)
        assert await silent.read() == b""
        writer.close()
        assert sender.is_linked
        assert len(links.peers) == 1
    await made.lost


async def test_both_ends_of_a_link_over_tcp_end_when_the_other_is_gone_without_a_word(
    sender: Sender,
) -> None:
    address = LinkAddress.parse(f"tcp://127.0.0.1:{free_port(ANY_PORT)}")
    async with LinkServer(LinkOptions(address), epoch=1) as links:
        loop, made = asyncio.get_running_loop(), sender.link()
        ours, _ = await loop.create_connection(lambda: made, address.host, address.port)
        await made.welcomed
        (peer,) = links.peers
        for transport in (ours, peer._transport):
            assert transport is not None
            end = transport.get_extra_info("socket")
            timeout_ms = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
            assert 0 < timeout_ms <= 60_000
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    await made.lost
