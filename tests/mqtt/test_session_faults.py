"""Cut, stalled and dribbling networks, brokers that stop or die: all arrives, in order."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.faults.proxy import Link
from mqtt import BrokerAddress, Session
from tests.mqtt.traffic import (
    firsts,
    numbers,
    options,
    publish_all,
    publish_slowly,
    receive,
    receive_all,
)
from tests.servers import BrokerUnderTest


async def test_a_broker_that_restarts_loses_nothing(
    private_broker: Callable[..., BrokerUnderTest],
):
    broker = private_broker()
    address = BrokerAddress.parse(broker.url)
    async with Session(address, options("t")) as it, Session(address, options()) as publisher:
        await it.connected.wait()
        await publish_all(publisher, "t", numbers(50))
        held = await receive(it, 50, acknowledge=False)
        broker.stop()
        pending = asyncio.gather(*(publisher.publish("t", b"late %d" % i) for i in range(50)))
        await asyncio.sleep(0.1)
        assert it.acknowledge(held) == 0
        broker.start()
        wanted = set(numbers(50)) | {b"late %d" % i for i in range(50)}
        payloads = await receive_all(it, wanted)
        await pending
        assert firsts(payloads) == numbers(50) + [b"late %d" % i for i in range(50)]
        assert it.counters.connects == 2


async def test_a_broker_that_is_killed_is_met_again(
    private_broker: Callable[..., BrokerUnderTest],
):
    broker = private_broker()
    address = BrokerAddress.parse(broker.url)
    async with Session(address, options("t")) as it:
        await it.connected.wait()
        broker.kill()
        pending = asyncio.create_task(it.publish("t", b"after"))
        await asyncio.sleep(0.1)
        broker.start()
        assert [message.payload for message in await receive(it, 1)] == [b"after"]
        await pending


async def test_connections_that_are_cut_again_and_again_lose_nothing(
    broker: BrokerUnderTest, topic: str
):
    async with Link(broker.port) as link:
        through = BrokerAddress("127.0.0.1", link.port)
        async with Session(through, options(topic)) as it, Session(through, options()) as publisher:
            await it.connected.wait()
            publishing = asyncio.create_task(publish_slowly(publisher, topic, numbers(1_000)))
            cutting = asyncio.create_task(cut_often(link))
            payloads = await receive_all(it, set(numbers(1_000)))
            cutting.cancel()
            await publishing
            assert firsts(payloads) == numbers(1_000)
            assert it.counters.connects > 2


async def cut_often(link: Link) -> None:
    while True:
        await asyncio.sleep(0.25)
        link.reset()


async def test_a_network_that_hands_on_one_byte_at_a_time(broker: BrokerUnderTest, topic: str):
    async with Link(broker.port) as link:
        link.dribble()
        through = BrokerAddress("127.0.0.1", link.port)
        async with Session(through, options(topic)) as it:
            await it.connected.wait()
            await publish_all(it, topic, numbers(50))
            assert [message.payload for message in await receive(it, 50)] == numbers(50)


async def test_a_network_that_stalls_is_noticed_and_nothing_is_lost(
    broker: BrokerUnderTest, topic: str
):
    async with Link(broker.port) as link:
        through = BrokerAddress("127.0.0.1", link.port)
        async with Session(through, options(topic, keepalive_s=1, connect_timeout_s=1)) as it:
            await it.connected.wait()
            link.stall()
            pending = asyncio.create_task(it.publish(topic, b"x"))
            async with asyncio.timeout(30):
                while link.passed < 2:  # noqa: ASYNC110  # a link tells nobody of a connection
                    await asyncio.sleep(0.01)
            link.go_on()
            assert b"x" in await receive_all(it, {b"x"})
            await pending


async def test_a_close_that_is_given_up_leaves_nothing_behind(broker: BrokerUnderTest, topic: str):
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
    async with Link(broker.port) as link:
        it = Session(BrokerAddress("127.0.0.1", link.port), options(topic))
        async with it:
            await it.connected.wait()
            link.stall()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(it.close(), 0.1)
        await asyncio.sleep(0.1)
    assert complaints == []
