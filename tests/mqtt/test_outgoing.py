"""Publishes: order, window, packet ids, and what goes out again after a cut."""

import asyncio

import mqtt5
import pytest

from mqtt.client.outgoing import BrokerLimits, Outgoing, OutgoingPublish, Published
from mqtt.errors import (
    PublishQueueFullError,
    PublishRefusedError,
    PublishUnsupportedError,
    SessionClosedError,
)
from tests.mqtt.packets import read_all

ALL = 1 << 30


def put(outgoing: Outgoing, *payloads: bytes, retain: bool = False) -> list[Published]:
    futures: list[Published] = []
    for payload in payloads:
        futures.append(asyncio.get_running_loop().create_future())
        outgoing.put_qos_1(OutgoingPublish("t", payload, retain), futures[-1])
    return futures


def sent(outgoing: Outgoing, max_bytes: int = ALL) -> list[mqtt5.PublishPacket]:
    packets = read_all(b"".join(outgoing.dequeue(max_bytes)))
    return [packet for packet in packets if isinstance(packet, mqtt5.PublishPacket)]


def ids(packets: list[mqtt5.PublishPacket]) -> list[int]:
    return [packet.packet_id for packet in packets if packet.packet_id is not None]


async def test_messages_leave_in_order_within_the_brokers_window():
    outgoing = Outgoing(100, ALL)
    outgoing.connection_made(False, BrokerLimits(receive_maximum=2))
    published = put(outgoing, b"1", b"2", b"3")
    assert [packet.payload for packet in sent(outgoing)] == [b"1", b"2"]
    assert sent(outgoing) == []
    outgoing.acknowledge(mqtt5.PubAckPacket(1))
    assert [packet.payload for packet in sent(outgoing)] == [b"3"]
    assert published[0].done()
    assert not published[1].done()


async def test_a_resumed_session_gets_what_was_in_flight_again_marked_dup_and_first():
    outgoing = Outgoing(100, ALL)
    put(outgoing, b"1", b"2", b"3")
    first = sent(outgoing)
    outgoing.acknowledge(mqtt5.PubAckPacket(2))
    outgoing.connection_lost()
    put(outgoing, b"4")
    outgoing.connection_made(True, BrokerLimits())
    again = sent(outgoing)
    assert [(p.payload, p.duplicate) for p in again] == [(b"1", True), (b"3", True), (b"4", False)]
    assert ids(again)[:2] == [ids(first)[0], ids(first)[2]]


async def test_a_lost_session_gets_them_as_new_ones():
    outgoing = Outgoing(100, ALL)
    put(outgoing, b"1", b"2")
    sent(outgoing)
    outgoing.connection_lost()
    outgoing.connection_made(False, BrokerLimits())
    assert [(p.payload, p.duplicate) for p in sent(outgoing)] == [(b"1", False), (b"2", False)]


async def test_a_packet_id_is_not_used_while_in_flight_and_never_that_of_subscribe():
    outgoing = Outgoing(10, ALL)
    put(outgoing, b"stays")
    seen = set(ids(sent(outgoing)))
    assert seen == {1}
    for _ in range(70_000):
        put(outgoing, b"")
        (packet_id,) = ids(sent(outgoing))
        assert packet_id not in (1, 65_535)
        outgoing.acknowledge(mqtt5.PubAckPacket(packet_id))
        seen.add(packet_id)
    assert len(seen) == 65_534


async def test_a_full_queue_says_so():
    by_count, by_bytes = Outgoing(2, ALL), Outgoing(100, 50)
    put(by_count, b"1", b"2")
    put(by_bytes, b"x" * 60)
    for full in (by_count, by_bytes):
        assert not full.has_room
        with pytest.raises(PublishQueueFullError):
            put(full, b"3")
        with pytest.raises(PublishQueueFullError):
            full.put_qos_0(OutgoingPublish("t", b""))


async def test_a_refused_message_carries_the_brokers_reason():
    outgoing = Outgoing(100, ALL)
    (published,) = put(outgoing, b"1")
    sent(outgoing)
    reason = mqtt5.PubAckReasonCode.NOT_AUTHORIZED
    outgoing.acknowledge(mqtt5.PubAckPacket(1, reason_code=reason, reason_str="no"))
    with pytest.raises(PublishRefusedError, match="not authorized") as caught:
        published.result()
    assert (caught.value.topic, caught.value.reason) == ("t", reason)
    assert outgoing.refused == 1


async def test_nobody_listening_is_no_refusal():
    outgoing = Outgoing(100, ALL)
    (published,) = put(outgoing, b"1")
    sent(outgoing)
    reason = mqtt5.PubAckReasonCode.NO_MATCHING_SUBSCRIBERS
    outgoing.acknowledge(mqtt5.PubAckPacket(1, reason_code=reason))
    assert published.result() == reason


async def test_a_puback_for_something_not_in_flight_changes_nothing():
    outgoing = Outgoing(100, ALL)
    (published,) = put(outgoing, b"1")
    outgoing.acknowledge(mqtt5.PubAckPacket(1))
    outgoing.acknowledge(mqtt5.PubAckPacket(77))
    assert not published.done()
    assert len(sent(outgoing)) == 1


@pytest.mark.parametrize(
    ("limits", "retain", "says"),
    [
        (BrokerLimits(max_packet_bytes=20), False, "bytes"),
        (BrokerLimits(qos_1=False), False, "QoS 1"),
        (BrokerLimits(retain=False), True, "retain"),
    ],
)
async def test_what_the_broker_cannot_take_fails_and_is_not_sent(
    limits: BrokerLimits, retain: bool, says: str
):
    outgoing = Outgoing(100, ALL)
    (published,) = put(outgoing, b"x" * 30, retain=retain)
    outgoing.connection_made(False, limits)
    assert sent(outgoing) == []
    with pytest.raises(PublishUnsupportedError, match=says):
        published.result()
    assert outgoing.pending == outgoing.pending_bytes == 0


async def test_a_publish_given_up_before_it_left_does_not_leave():
    outgoing = Outgoing(100, ALL)
    first, _ = put(outgoing, b"1", b"2")
    first.cancel()
    assert [packet.payload for packet in sent(outgoing)] == [b"2"]


async def test_a_publish_given_up_in_flight_keeps_its_packet_id_until_the_puback():
    outgoing = Outgoing(100, ALL)
    (published,) = put(outgoing, b"1")
    sent(outgoing)
    published.cancel()
    assert outgoing.in_flight == 1
    outgoing.acknowledge(mqtt5.PubAckPacket(1))
    assert outgoing.in_flight == 0


async def test_qos_0_is_dropped_and_counted_when_the_connection_ends():
    outgoing = Outgoing(100, ALL)
    outgoing.put_qos_0(OutgoingPublish("t", b"1"))
    outgoing.connection_lost()
    assert sent(outgoing) == []
    assert outgoing.dropped == 1
    assert outgoing.pending == outgoing.pending_bytes == 0


async def test_a_large_backlog_leaves_in_pieces():
    outgoing = Outgoing(100, ALL)
    put(outgoing, *(b"x" * 100 for _ in range(10)))
    assert 3 <= len(sent(outgoing, max_bytes=300)) <= 4
    assert outgoing.in_flight < 10


async def test_the_end_fails_everything_that_is_pending():
    outgoing = Outgoing(100, ALL)
    pending = put(outgoing, b"1", b"2")
    sent(outgoing)
    outgoing.end(SessionClosedError())
    for published in pending:
        with pytest.raises(SessionClosedError):
            published.result()
    assert outgoing.pending == outgoing.pending_bytes == 0
