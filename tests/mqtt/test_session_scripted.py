"""The session against a broker that says exact bytes at exact moments."""

import asyncio
from dataclasses import replace

import mqtt5
import pytest

from mqtt import (
    BrokerAddress,
    ClientState,
    ConnectRefusedError,
    ConnectTimeoutError,
    MalformedPacketError,
    NotConnectedError,
    PeerSilentError,
    ServerDisconnectedError,
    Session,
    SessionClosedError,
    SessionOptions,
    Subscription,
)
from tests.mqtt.packets import connack, puback, publish, suback
from tests.mqtt.scripted import Peer, ScriptedBroker

QUICK = SessionOptions(
    "c",
    subscriptions=(Subscription("t/#"),),
    reconnect_min_s=0.01,
    reconnect_max_s=0.05,
    close_timeout_s=0.1,
    seed=1,
)
PUBLISHER = replace(QUICK, client_id="p", subscriptions=())


@pytest.fixture
async def fake():
    async with ScriptedBroker() as broker:
        yield broker


def session(fake: ScriptedBroker, options: SessionOptions = QUICK) -> Session:
    return Session(BrokerAddress.parse(fake.url), options)


async def subscribed(fake: ScriptedBroker) -> Peer:
    peer = await fake.accept()
    await peer.hears(mqtt5.ConnectPacket)
    peer.says(connack())
    await peer.hears(mqtt5.SubscribePacket)
    peer.says(suback())
    return peer


async def resumed(fake: ScriptedBroker, *behind_connack: bytes) -> Peer:
    peer = await fake.accept()
    await peer.hears(mqtt5.ConnectPacket)
    peer.says(connack(session_present=True), *behind_connack)
    return peer


async def test_messages_that_share_a_read_with_connack_are_received(fake: ScriptedBroker):
    async with session(fake) as it:
        first = await subscribed(fake)
        await it.connected.wait()
        first.leaves()
        second = await resumed(fake, publish(b"one", 7), publish(b"two", 3))
        messages = await it.receive()
        assert [message.payload for message in messages] == [b"one", b"two"]
        assert it.acknowledge(messages) == 2
        assert [(await second.hears(mqtt5.PubAckPacket)).packet_id for _ in range(2)] == [7, 3]


async def test_connack_and_suback_and_messages_arrive_byte_by_byte(fake: ScriptedBroker):
    async with session(fake) as it:
        peer = await fake.accept()
        await peer.hears(mqtt5.ConnectPacket)
        for byte in connack() + publish(b"early", 1) + suback() + publish(b"late", 2):
            peer.says(bytes((byte,)))
            await asyncio.sleep(0)
        got = []
        while len(got) < 2:
            got += [message.payload for message in await it.receive()]
        assert got == [b"early", b"late"]
        await it.connected.wait()


async def test_an_acknowledgement_from_an_older_connection_is_not_sent(fake: ScriptedBroker):
    async with session(fake) as it:
        first = await subscribed(fake)
        first.says(publish(b"x", 1))
        old = await it.receive()
        first.leaves()
        second = await resumed(fake, publish(b"x", 1))
        again = await it.receive()
        assert it.acknowledge(old) == 0
        assert it.acknowledge(again) == 1
        await second.hears(mqtt5.PubAckPacket)
        await it.close()
        await second.hears(mqtt5.DisconnectPacket)
        assert it.counters.stale_acknowledgements == 1


async def test_unacknowledged_publishes_are_sent_again_in_order_with_dup(fake: ScriptedBroker):
    async with session(fake, PUBLISHER) as it:
        first = await resumed(fake)
        futures = [it.publish_nowait("t", payload) for payload in (b"1", b"2", b"3")]
        sent = [await first.hears(mqtt5.PublishPacket) for _ in range(3)]
        first.says(puback(sent[1].packet_id or 0))
        await futures[1]
        first.leaves()
        second = await resumed(fake)
        again = [await second.hears(mqtt5.PublishPacket) for _ in range(2)]
        assert [packet.payload for packet in again] == [b"1", b"3"]
        assert all(packet.duplicate for packet in again)
        assert [packet.packet_id for packet in again] == [sent[0].packet_id, sent[2].packet_id]
        second.says(*(puback(packet.packet_id or 0) for packet in again))
        await asyncio.gather(*futures)


async def test_no_more_publishes_are_in_flight_than_the_broker_allows(fake: ScriptedBroker):
    async with session(fake, PUBLISHER) as it:
        peer = await fake.accept()
        await peer.hears(mqtt5.ConnectPacket)
        peer.says(connack(receive_max=2))
        await it.connected.wait()
        futures = [it.publish_nowait("t", b"%d" % number) for number in range(5)]
        for number in range(5):
            packet = await peer.hears(mqtt5.PublishPacket)
            assert packet.payload == b"%d" % number
            assert it.counters.publishes_pending == 5 - max(0, number - 1)
            if number >= 1:
                peer.says(puback(number))
        peer.says(puback(5))
        await asyncio.gather(*futures)


async def test_a_malformed_packet_costs_the_connection_and_nothing_else(fake: ScriptedBroker):
    async with session(fake) as it:
        first = await subscribed(fake)
        first.says(publish(b"good", 1), b"\x00\x00")
        assert (await first.hears(mqtt5.DisconnectPacket)).reason_code == 129
        await first.hears_the_end()
        await resumed(fake, publish(b"good", 1), publish(b"better", 2))
        payloads: list[bytes] = []
        while b"better" not in payloads:
            payloads += [message.payload for message in await it.receive()]
        assert isinstance(it.last_error, MalformedPacketError)
        await it.connected.wait()
        assert it.counters.connects == 2


async def test_a_silent_peer_is_left_and_tried_again(fake: ScriptedBroker):
    options = replace(PUBLISHER, keepalive_s=1)
    async with session(fake, options) as it:
        first = await resumed(fake)
        await first.hears(mqtt5.PingReqPacket)
        await resumed(fake)
        await it.connected.wait()
        assert isinstance(it.last_error, PeerSilentError)


async def test_a_peer_that_answers_pings_is_kept(fake: ScriptedBroker):
    options = replace(PUBLISHER, keepalive_s=1)
    async with session(fake, options) as it:
        peer = await resumed(fake)
        for _ in range(4):
            await peer.hears(mqtt5.PingReqPacket)
            peer.says(mqtt5.PingRespPacket().write())
        assert it.counters.disconnects == 0


async def test_a_broker_that_does_not_answer_is_given_up_in_time(fake: ScriptedBroker):
    options = replace(PUBLISHER, connect_timeout_s=0.1)
    async with session(fake, options) as it:
        await fake.accept()
        await fake.accept()
        assert isinstance(it.last_error, ConnectTimeoutError)
        assert it.state in (ClientState.CONNECTING, ClientState.OFFLINE)


async def test_a_busy_broker_is_tried_again(fake: ScriptedBroker):
    async with session(fake, PUBLISHER) as it:
        peer = await fake.accept()
        peer.says(mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.SERVER_BUSY).write())
        await resumed(fake)
        await it.connected.wait()
        assert isinstance(it.last_error, ConnectRefusedError)


async def test_a_disconnect_that_is_no_take_over_leads_to_a_new_connection(fake: ScriptedBroker):
    async with session(fake) as it:
        first = await subscribed(fake)
        reason = mqtt5.DisconnectReasonCode.SERVER_SHUTTING_DOWN
        first.says(mqtt5.DisconnectPacket(reason_code=reason).write())
        await resumed(fake, publish(b"x", 1))
        await it.receive()
        assert isinstance(it.last_error, ServerDisconnectedError)


async def test_close_says_disconnect_and_ends_every_call(fake: ScriptedBroker):
    it = session(fake)
    async with it:
        peer = await subscribed(fake)
        await it.connected.wait()
        receiving = asyncio.create_task(it.receive())
        publishing = asyncio.create_task(it.publish("t", b""))
        await peer.hears(mqtt5.PublishPacket)
    assert (await peer.hears(mqtt5.DisconnectPacket)).reason_code == 0
    await peer.hears_the_end()
    assert it.state is ClientState.ENDED
    for call in (receiving, publishing, it.receive(), it.publish("t", b""), it.connected.wait()):
        with pytest.raises(SessionClosedError):
            await call
    await it.close()


async def test_close_waits_until_the_broker_has_read_everything(fake: ScriptedBroker):
    async with session(fake, replace(QUICK, close_timeout_s=10)) as it:
        peer = await subscribed(fake)
        await it.connected.wait()
        closing = asyncio.create_task(it.close())
        await peer.hears(mqtt5.DisconnectPacket)
        await asyncio.sleep(0.05)
        assert not closing.done()
        peer.says(publish(b"too late", 1))
        peer.writer.close()
        await closing
        assert it.counters.received == 0


async def test_what_was_published_with_qos_0_before_close_is_sent(fake: ScriptedBroker):
    async with session(fake, PUBLISHER) as it:
        peer = await resumed(fake)
        await it.connected.wait()
        it.publish_nowait("t", b"last words", qos=0)
    assert (await peer.hears(mqtt5.PublishPacket)).payload == b"last words"
    await peer.hears(mqtt5.DisconnectPacket)


async def test_close_does_not_wait_for_a_peer_that_does_not_read(fake: ScriptedBroker):
    async with session(fake, QUICK) as it:
        peer = await subscribed(fake)
        await it.connected.wait()
        peer.writer.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]
        for _ in range(20):
            it.publish_nowait("t", bytes(1_000_000))
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            await it.close()
    assert it.state is ClientState.ENDED


async def test_close_before_the_first_connection_ends_at_once():
    it = Session(BrokerAddress.parse("mqtt://127.0.0.1:9"), QUICK)  # nobody listens there
    async with it:
        assert not it.connected.is_set()
        with pytest.raises(NotConnectedError):
            it.publish_nowait("t", b"", qos=0)
        pending = it.publish_nowait("t", b"", qos=1)
    with pytest.raises(SessionClosedError):
        await pending


async def test_a_publisher_waits_for_room_and_goes_on(fake: ScriptedBroker):
    options = replace(PUBLISHER, max_pending_publishes=2)
    async with session(fake, options) as it:
        peer = await resumed(fake)
        await it.connected.wait()
        publishing = [asyncio.create_task(it.publish("t", b"%d" % number)) for number in range(5)]
        for number in range(5):
            packet = await peer.hears(mqtt5.PublishPacket)
            assert packet.payload == b"%d" % number
            assert it.counters.publishes_pending <= 2
            peer.says(puback(packet.packet_id or 0))
        await asyncio.gather(*publishing)


async def test_a_publish_cancelled_in_flight_leaves_the_others_alone(fake: ScriptedBroker):
    async with session(fake, PUBLISHER) as it:
        peer = await resumed(fake)
        given_up = asyncio.create_task(it.publish("t", b"1"))
        other = asyncio.create_task(it.publish("t", b"2"))
        first, second = [await peer.hears(mqtt5.PublishPacket) for _ in range(2)]
        given_up.cancel()
        peer.says(puback(first.packet_id or 0), puback(second.packet_id or 0))
        await other
        assert given_up.cancelled() or await asyncio.wait([given_up])
        assert it.counters.publishes_pending == 0


async def test_the_connection_stops_reading_at_the_bound_and_goes_on(fake: ScriptedBroker):
    bound, payload, many = 100_000, bytes(10_000), 200
    options = replace(PUBLISHER, max_buffered_bytes=bound, keepalive_s=1)
    async with session(fake, options) as it:
        peer = await resumed(fake)
        peer.says(*(publish(payload, packet_id) for packet_id in range(1, many + 1)))
        most, got = 0, 0
        while got < many:
            messages = await it.receive()
            most = max(most, it.counters.held_bytes)
            if got == 0:
                await asyncio.sleep(2.0)  # longer than a silent peer would be borne with
                assert it.counters.held_bytes < bound + 300_000  # the bound, one read, one packet
                assert it.counters.received < many
            got += it.acknowledge(messages)
        assert most < bound + 300_000
        assert it.counters.disconnects == 0
        assert it.counters.held_bytes == 0


async def test_a_mistake_that_nobody_foresaw_ends_the_session_instead_of_hanging_it(
    fake: ScriptedBroker,
):
    text = "a password has to be bytes"
    options = replace(QUICK, password=text)  # pyright: ignore[reportArgumentType]
    async with session(fake, options) as it:
        for call in (it.connected.wait(), it.receive(), it.publish("t", b"")):
            with pytest.raises(TypeError, match="password"):
                await call
        assert it.state is ClientState.ENDED


async def test_a_session_can_be_entered_once(fake: ScriptedBroker):
    async with session(fake) as it:
        with pytest.raises(RuntimeError):
            await it.__aenter__()


async def test_receive_and_publish_refuse_nonsense(fake: ScriptedBroker):
    async with session(fake) as it:
        with pytest.raises(ValueError, match="max_messages"):
            await it.receive(max_messages=0)
        with pytest.raises(ValueError, match="QoS 2"):
            it.publish_nowait("t", b"", qos=2)
        with pytest.raises(ValueError, match="wildcard"):
            await it.publish("t/#", b"")
