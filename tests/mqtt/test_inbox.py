"""Receipts, the order of PUBACKs, and what the inbox counts as held."""

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqtt.client.inbox import MESSAGE_OVERHEAD_BYTES, Inbox, Message
from mqtt.errors import ProtocolViolationError
from tests.mqtt.packets import publish, read_all


def arrive(inbox: Inbox, *packet_ids: int | None, payload: bytes = b"") -> None:
    for packet_id in packet_ids:
        (packet,) = read_all(publish(payload, packet_id))
        assert isinstance(packet, mqtt5.PublishPacket)
        inbox.add(packet)


def acknowledged_ids(inbox: Inbox, messages: list[Message]) -> tuple[int, list[int]]:
    counted, data = inbox.acknowledge(messages)
    return counted, [p.packet_id for p in read_all(data) if isinstance(p, mqtt5.PubAckPacket)]


def test_pubacks_leave_in_the_order_of_receipt():
    inbox = Inbox(100)
    arrive(inbox, 5, 3, 9)
    assert acknowledged_ids(inbox, inbox.dequeue(9, 9)) == (3, [5, 3, 9])


def test_a_message_acknowledged_early_waits_for_the_older_one():
    inbox = Inbox(100)
    arrive(inbox, 1, 2, 3)
    one, two, three = inbox.dequeue(9, 9)
    assert acknowledged_ids(inbox, [three]) == (1, [])
    assert acknowledged_ids(inbox, [two]) == (1, [])
    assert acknowledged_ids(inbox, [one]) == (1, [1, 2, 3])


@given(st.permutations(range(20)), st.lists(st.integers(1, 7), min_size=20, max_size=20))
def test_in_whatever_order_the_owner_acknowledges(order: list[int], sizes: list[int]):
    inbox = Inbox(100)
    arrive(inbox, *range(1, 21))
    messages = inbox.dequeue(99, 99)
    out: list[int] = []
    while order:
        part, order = order[: sizes[0]], order[sizes[0] :]
        sizes = sizes[1:]
        counted, ids = acknowledged_ids(inbox, [messages[index] for index in part])
        assert counted == len(part)
        out += ids
    assert out == list(range(1, 21))
    assert inbox.held_bytes == inbox.unacknowledged == 0


def test_a_second_acknowledgement_counts_for_nothing():
    inbox = Inbox(100)
    arrive(inbox, 1, 2)
    one, two = inbox.dequeue(9, 9)
    assert acknowledged_ids(inbox, [two, two]) == (1, [])
    assert acknowledged_ids(inbox, [one, one, two]) == (1, [1, 2])
    assert inbox.stale == 3


def test_qos_0_needs_no_acknowledgement():
    inbox = Inbox(100)
    arrive(inbox, None, 1, None)
    assert acknowledged_ids(inbox, inbox.dequeue(9, 9)) == (1, [1])


def test_a_receipt_is_worthless_after_its_connection():
    inbox = Inbox(100)
    arrive(inbox, 1, 2)
    old = inbox.dequeue(9, 9)
    inbox.connection_lost()
    inbox.connection_made(session_present=True, most_bytes=9_999)
    arrive(inbox, 1, 2)  # they come again, under the same packet ids
    assert acknowledged_ids(inbox, old) == (0, [])
    assert acknowledged_ids(inbox, inbox.dequeue(9, 9)) == (2, [1, 2])


def test_what_waits_stays_though_the_broker_may_send_it_again():
    """A broker that was killed may have lost it."""
    inbox = Inbox(100)
    arrive(inbox, 1, None, 2)
    inbox.connection_lost()
    inbox.connection_made(session_present=True, most_bytes=9_999)
    arrive(inbox, 1, 2)
    messages = inbox.dequeue(9, 9)
    assert [message.qos for message in messages] == [1, 0, 1, 1, 1]
    assert acknowledged_ids(inbox, messages) == (2, [1, 2])
    assert inbox.held_bytes == 0


def test_what_waits_over_many_connections_is_bounded():
    inbox = Inbox(100)
    arrive(inbox, 1, None, 2)
    inbox.connection_lost()
    inbox.connection_made(session_present=True, most_bytes=MESSAGE_OVERHEAD_BYTES)
    assert [message.qos for message in inbox.dequeue(9, 9)] == [0]
    assert inbox.held_bytes == 0


def test_what_the_broker_forgot_is_not_thrown_away():
    inbox = Inbox(100)
    arrive(inbox, 1, None, 2)
    inbox.connection_lost()
    inbox.connection_made(session_present=False, most_bytes=0)
    assert len(messages := inbox.dequeue(9, 9)) == 3
    assert acknowledged_ids(inbox, messages) == (0, [])
    assert inbox.held_bytes == 0


def test_a_message_is_held_until_its_puback_or_until_taken_where_there_is_none():
    inbox = Inbox(100)
    arrive(inbox, None, 1, payload=b"x" * 10)
    each = MESSAGE_OVERHEAD_BYTES + 10
    assert inbox.held_bytes == 2 * each
    messages = inbox.dequeue(9, 99)
    assert inbox.held_bytes == each
    inbox.acknowledge(messages)
    assert inbox.held_bytes == 0


@pytest.mark.parametrize(
    ("max_messages", "max_bytes", "taken"),
    [(99, 999, 4), (3, 999, 3), (1, 999, 1), (99, 20, 2), (99, 29, 2), (99, 30, 3), (99, 1, 1)],
)
def test_take_keeps_to_both_bounds_and_gives_one_at_least(
    max_messages: int, max_bytes: int, taken: int
):
    inbox = Inbox(100)
    arrive(inbox, 1, 2, 3, 4, payload=b"x" * 10)
    assert len(inbox.dequeue(max_messages, max_bytes)) == taken
    assert inbox.waiting == 4 - taken


def test_a_topic_alias_that_we_did_not_allow_is_refused():
    packet = mqtt5.PublishPacket("", b"", topic_alias=1)
    with pytest.raises(ProtocolViolationError, match="alias"):
        Inbox(100).add(packet)


def test_a_qos_1_message_under_packet_id_0_is_refused():
    packet = mqtt5.PublishPacket("t", b"", qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=0)
    with pytest.raises(ProtocolViolationError, match="packet id"):
        Inbox(100).add(packet)
