"""Ingest's end of the log: what is taken, what comes again, and what is put aside."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from ingest.sources.batching import BatchLimits
from ingest.sources.log import PREFETCH_BLOCKS, LogMessage, LogOptions, LogSource, _read
from service.amqp import rabbitmq
from service.amqp.address import LogAddress
from service.amqp.rabbitmq import LogConnection
from telemetry import link
from telemetry.link import Connections, Extra, FrameError, Opened, Topic
from tests.servers import LogUnderTest
from tests.waiting import until

LIMITS = BatchLimits(messages=10_000, bytes=64 * 1024 * 1024, latency_ms=1)
TRACKER, ORG, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
LISTENER = "listener"


def block(*payloads: bytes, org_id: UUID = ORG) -> bytes:
    opened = link.frame(Connections([Opened(1, TRACKER, org_id, "", 0)], []))
    topics = [Topic(0, 1, "trackers/t/fixes")]
    return opened + link.block(0, [0] * len(payloads), payloads, topics)


@asynccontextmanager
async def connected(address: LogAddress) -> AsyncIterator[LogConnection]:
    log = await rabbitmq.connect(address, address.hosts[0], "test")
    yield log
    log.close()


@pytest.fixture
def address(log_server: LogUnderTest) -> LogAddress:
    return LogAddress.parse(log_server.new_url())


def publish(log: LogConnection, blocks: Sequence[bytes], org_id: UUID = ORG) -> None:
    queue = rabbitmq.queue_name(rabbitmq.queue_of(org_id))
    for one in blocks:
        log.publish(queue, one, sender=LISTENER, reply_to="nobody", is_lasting=True)


async def received(source: LogSource, count: int) -> list[LogMessage]:
    messages: list[LogMessage] = []
    async with asyncio.timeout(30):
        while len(messages) < count:
            messages += await source.batch(LIMITS)
    return messages


def payloads(messages: Sequence[LogMessage]) -> list[bytes]:
    return [message.payload for message in messages]


def finish(source: LogSource, messages: Sequence[LogMessage]) -> None:
    source.acknowledge(messages, [0] * len(messages))


async def test_what_is_not_finished_comes_again_in_order(address: LogAddress) -> None:
    options = LogOptions(address)
    texts = [(b"%d" % number, b"%d+" % number) for number in range(20)]
    async with connected(address) as log, LogSource(options, 1) as source:
        publish(log, [block(*text) for text in texts])
        first = await received(source, 40)
        assert payloads(first) == [text for pair in texts for text in pair]
        finish(source, first[:4])  # two blocks at the front
        finish(source, first[5:6])  # a half
        finish(source, first[20:24])  # two beyond
    async with LogSource(options, 2) as source:
        again = await received(source, 32)
        assert payloads(again) == payloads([*first[4:20], *first[24:]])
        finish(source, again)
        async with connected(address) as log:
            publish(log, [block(b"last")])
            assert payloads(await received(source, 1)) == [b"last"]


async def test_a_bound_is_taken_and_the_rest_is_shown_as_waiting(
    address: LogAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.sources.log.LOOK_S", 0.1)
    async with connected(address) as log, LogSource(LogOptions(address), 1) as source:
        looking = asyncio.create_task(source.keep())
        publish(log, [block(b"%d" % number) for number in range(PREFETCH_BLOCKS + 9)])
        taken = await received(source, PREFETCH_BLOCKS)
        await until(lambda: source.waiting == 9)
        assert len(taken) == PREFETCH_BLOCKS
        finish(source, taken)
        await received(source, 9)
        await until(lambda: source.waiting == 0)
        looking.cancel()


async def test_an_organization_that_floods_has_no_more_than_its_turns(address: LogAddress) -> None:
    async with connected(address) as log, LogSource(LogOptions(address), 1) as source:
        publish(log, [block(*[b"x" * 1_000] * 100) for _ in range(50)])
        await received(source, 100)
        publish(log, [block(b"other", org_id=OTHER)], OTHER)
        few = BatchLimits(messages=200, bytes=1 << 20, latency_ms=1)
        for _ in range(25):
            if any(message.payload == b"other" for message in await source.batch(few)):
                break
        else:
            pytest.fail("the flood comes first")


async def test_the_end_of_the_connection_ends_the_term(
    address: LogAddress, log_server: LogUnderTest
) -> None:
    async with LogSource(LogOptions(address), 1) as source:
        looking = asyncio.create_task(source.keep())
        await asyncio.to_thread(
            log_server.control, "close_all_connections", "--global", "by the test"
        )
        with pytest.raises(rabbitmq.LogLost, match="by the test"):
            await asyncio.wait_for(looking, 30)
        source.acknowledge([], [])


async def test_connections_of_a_listener_that_is_gone_are_forgotten(
    address: LogAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.sources.log.LOOK_S", 0.1)
    async with connected(address) as log, LogSource(LogOptions(address), 1) as source:
        publish(log, [block(b"1")])
        finish(source, await received(source, 1))
        looking = asyncio.create_task(source.keep())
        await until(lambda: source._tracker_connections.peer_of(TRACKER) is None)
        looking.cancel()


OPENED = link.frame(Connections([Opened(1, TRACKER, ORG, "", 0)], []))
TOPIC = [Topic(0, 1, "t")]


@pytest.mark.parametrize(
    "body",
    [
        b"x",
        OPENED[:-1],
        OPENED + b"\0",
        link.block(0, [0], [b"1"], TOPIC),  # whose?
        OPENED + link.block(0, [1], [b"1"], TOPIC),  # to which topic?
        OPENED + link.block(0, [0], [b"1"], TOPIC, [Extra(1)]),  # to which message?
        link.evicted([1]),
    ],
)
def test_what_cannot_be_read_by_itself_is_no_block(body: bytes) -> None:
    with pytest.raises(FrameError):
        _read(body)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"hosts": (("127.0.0.1", 1),)}, "127.0.0.1:1: .*refused"),
        ({"password": "wrong"}, "ACCESS_REFUSED|authentication"),
        ({"vhost": "nowhere"}, "nowhere"),
    ],
)
async def test_a_log_that_cannot_be_had_says_why(
    address: LogAddress, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(rabbitmq.LogLost, match=told):
        async with LogSource(LogOptions(address._replace(**change)), 1):
            pass


async def test_a_node_that_is_away_is_passed_over(address: LogAddress) -> None:
    hosts = (("127.0.0.1", 1), *address.hosts)
    async with LogSource(LogOptions(address._replace(hosts=hosts)), 1) as source:
        assert not await source.batch(LIMITS)


async def test_equal_arguments_are_declared_again_and_others_are_an_error(
    address: LogAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(address) as log:
        await rabbitmq.declare(log)
        await rabbitmq.declare(log)
        monkeypatch.setitem(rabbitmq._ARGUMENTS, "x-max-length-bytes", 1)
        with pytest.raises(rabbitmq.LogLost, match="x-max-length-bytes"):
            await rabbitmq.declare(log)
