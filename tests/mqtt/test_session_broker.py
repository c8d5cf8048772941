"""The session against a real mosquitto, and against aiomqtt at the other end."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import aiomqtt
import pytest

from mqtt import (
    BrokerAddress,
    ClientState,
    ConnectRefusedError,
    PublishUnsupportedError,
    Session,
    SessionTakenOverError,
    SessionWill,
    SubscriptionRefusedError,
)
from tests.mqtt.traffic import numbers, options, publish_all, receive, receive_all
from tests.servers import BrokerUnderTest


async def test_messages_arrive_in_order_with_all_that_they_carry(
    address: BrokerAddress, topic: str
):
    async with Session(address, options(topic)) as it, Session(address, options()) as publisher:
        await it.connected.wait()
        await publish_all(publisher, topic, numbers(2_000))
        await publisher.publish(
            topic, b"\x00\xff", qos=0, response_topic="answer/here", correlation_data=b"\x01"
        )
        messages = await receive(it, 2_001)
        assert [message.payload for message in messages[:-1]] == numbers(2_000)
        last = messages[-1]
        assert (last.topic, last.payload, last.qos, last.retain) == (topic, b"\x00\xff", 0, False)
        assert (last.response_topic, last.correlation_data) == ("answer/here", b"\x01")


async def test_what_is_not_acknowledged_comes_again_after_a_cut(address: BrokerAddress, topic: str):
    async with Session(address, options(topic)) as it, Session(address, options()) as publisher:
        await it.connected.wait()
        await publish_all(publisher, topic, numbers(10))
        messages = await receive(it, 10, acknowledge=False)
        assert it.acknowledge(messages[:4]) == 4
        await asyncio.sleep(0.1)
        it.abort()
        again = await receive(it, 6)
        assert [message.payload for message in again] == numbers(10)[4:]
        assert all(message.duplicate for message in again)


async def test_a_backlog_beyond_all_packet_ids_comes_in_order_from_a_broker_without_a_limit(
    private_broker: Callable[..., BrokerUnderTest], topic: str
):
    broker = BrokerAddress.parse(private_broker(max_inflight_messages="0").url)
    subscriber = options(topic)
    async with Session(broker, subscriber) as it:
        await it.connected.wait()
    async with Session(broker, options()) as publisher:
        await publish_all(publisher, topic, numbers(70_000))
    async with Session(broker, replace(subscriber, clean_start=False)) as it:
        messages = await receive(it, 70_000)
        assert [message.payload for message in messages] == numbers(70_000)
        assert it.counters.connects == 1


async def test_an_early_acknowledgement_is_not_sent_before_the_older_message_has_its_own(
    address: BrokerAddress, topic: str
):
    async with Session(address, options(topic)) as it, Session(address, options()) as publisher:
        await it.connected.wait()
        await publish_all(publisher, topic, numbers(10))
        messages = await receive(it, 10, acknowledge=False)
        it.acknowledge(messages[1:])
        await asyncio.sleep(0.1)
        it.abort()
        assert [message.payload for message in await receive(it, 10)] == numbers(10)


async def test_a_new_process_resumes_what_the_old_one_left(address: BrokerAddress, topic: str):
    ours = options(topic)
    async with Session(address, ours) as old:
        await old.connected.wait()
    async with Session(address, options()) as publisher:
        await publish_all(publisher, topic, numbers(100))
    async with Session(address, ours) as new:
        assert [message.payload for message in await receive(new, 100)] == numbers(100)


async def test_what_was_acknowledged_just_before_close_does_not_come_again(
    address: BrokerAddress, topic: str
):
    ours = options(topic)
    async with Session(address, ours) as old, Session(address, options()) as publisher:
        await old.connected.wait()
        await publish_all(publisher, topic, numbers(20))
        old.acknowledge((await receive(old, 20, acknowledge=False))[:15])
        await old.close()
        async with Session(address, ours) as new:
            assert [message.payload for message in await receive(new, 5)] == numbers(20)[15:]


async def test_a_clean_start_forgets_it(address: BrokerAddress, topic: str):
    ours = options(topic)
    async with Session(address, ours) as old, Session(address, options()) as publisher:
        await old.connected.wait()
        await old.close()
        await publisher.publish(topic, b"before")
        async with Session(address, replace(ours, clean_start=True)) as new:
            await new.connected.wait()
            await publisher.publish(topic, b"after")
            assert [message.payload for message in await receive(new, 1)] == [b"after"]


async def test_the_one_that_is_taken_over_stops_and_the_other_has_everything(
    address: BrokerAddress, topic: str
):
    ours = options(topic)
    async with Session(address, ours) as active, Session(address, options()) as publisher:
        await active.connected.wait()
        await publish_all(publisher, topic, numbers(5))
        await receive(active, 5, acknowledge=False)
        async with Session(address, ours) as standby:
            again = await receive(standby, 5)
            assert [message.payload for message in again] == numbers(5)
            with pytest.raises(SessionTakenOverError) as caught:
                await active.receive()
            assert caught.value.client_id == ours.client_id
            assert active.state is ClientState.ENDED
            await asyncio.sleep(0.3)
            assert standby.state is ClientState.CONNECTED
            assert standby.counters.disconnects == 0


@pytest.mark.parametrize("ends", ["abort", "close"])
async def test_a_will_is_published_after_a_cut_and_not_after_a_close(
    address: BrokerAddress, topic: str, ends: str
):
    dying = options(
        will=SessionWill(f"{topic}/will", b"gone", qos=1), reconnect_min_s=5, reconnect_max_s=5
    )
    async with Session(address, options(f"{topic}/#")) as it:
        await it.connected.wait()
        async with Session(address, dying) as other:
            await other.connected.wait()
            if ends == "abort":
                other.abort()
                await asyncio.sleep(0.1)
        async with Session(address, options()) as publisher:
            await publisher.publish(f"{topic}/end", b"end")
        payloads = await receive_all(it, {b"end"})
        assert (b"gone" in payloads) is (ends == "abort")


async def test_retained_messages_come_once_and_say_so(address: BrokerAddress, topic: str):
    async with Session(address, options()) as publisher:
        await publisher.publish(topic, b"state", retain=True)
    async with Session(address, options(topic)) as it:
        (message,) = await receive(it, 1)
        assert (message.payload, message.retain) == (b"state", True)
        await asyncio.sleep(0.1)  # so that the PUBACK is on its way
        it.abort()
        async with Session(address, options()) as publisher:
            await publisher.publish(topic, b"", retain=True)
        assert [message.payload for message in await receive(it, 1)] == [b""]


async def test_a_message_above_the_brokers_limit_fails_and_the_next_one_arrives(
    private_broker: Callable[..., BrokerUnderTest],
):
    address = BrokerAddress.parse(private_broker(max_packet_size="1000").url)
    async with Session(address, options("t")) as it:
        await it.connected.wait()
        with pytest.raises(PublishUnsupportedError):
            await it.publish("t", bytes(2_000))
        await it.publish("t", b"small")
        assert [message.payload for message in await receive(it, 1)] == [b"small"]
        assert it.counters.disconnects == 0


async def test_a_large_message_arrives_whole(address: BrokerAddress, topic: str):
    payload = bytes(range(256)) * 4_096
    async with Session(address, options(topic)) as it:
        await it.connected.wait()
        await it.publish(topic, payload)
        assert (await receive(it, 1))[0].payload == payload


async def test_a_broker_that_grants_less_is_refused(
    private_broker: Callable[..., BrokerUnderTest],
):
    address = BrokerAddress.parse(private_broker(max_qos="0").url)
    async with Session(address, options("t")) as it:
        with pytest.raises((SubscriptionRefusedError, ConnectRefusedError)):
            await it.connected.wait()
    async with Session(address, options()) as it:
        with pytest.raises(PublishUnsupportedError, match="QoS 1"):
            await it.publish("t", b"")


async def test_aiomqtt_hears_what_we_publish_and_we_hear_it(broker: BrokerUnderTest, topic: str):
    address = BrokerAddress.parse(broker.url)
    async with (
        aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as theirs,
        Session(address, options(f"{topic}/to-us")) as ours,
    ):
        await theirs.subscribe(f"{topic}/to-them", qos=1)
        await ours.connected.wait()
        for payload in numbers(20):
            await ours.publish(f"{topic}/to-them", payload)
            await theirs.publish(f"{topic}/to-us", payload, qos=1)
        assert [message.payload for message in await receive(ours, 20)] == numbers(20)
        heard: list[object] = []
        async for message in theirs.messages:
            heard.append(message.payload)
            if len(heard) == 20:
                break
        assert heard == numbers(20)
