"""PUBLISH: what is handed out, what ends the connection, and the answers in their order."""

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqtt.server import Ended, Goodbye, Publish, ServerOptions, ServerState
from tests.mqtt.packets import read_all
from tests.mqtt.server.packets import (
    DISCONNECT,
    PINGREQ,
    VERSIONS,
    connect,
    packet,
    properties,
    publish,
    pubrel,
    signed_in,
    string,
)

each_version = pytest.mark.parametrize("version", VERSIONS)
TOO_LONG = ServerOptions(max_payload_bytes=100, max_packet_bytes=1000, max_head_bytes=50)


def ack(packet_id: int) -> bytes:
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def rec(packet_id: int) -> bytes:
    return b"\x50\x02" + packet_id.to_bytes(2, "big")


def comp(packet_id: int) -> bytes:
    return b"\x70\x02" + packet_id.to_bytes(2, "big")


@each_version
def test_messages_are_numbered_and_answered_when_they_are_settled(version: int):
    connection = signed_in(version)
    data = publish(version, None, b"a") + publish(version, 5, b"b") + publish(version, 6, b"c")
    assert connection.receive(data, 0.0) == [
        Publish(0, "t", b"a", 0),
        Publish(1, "t", b"b", 1, packet_id=b"\0\x05"),
        Publish(2, "t", b"c", 1, packet_id=b"\0\x06"),
    ]
    assert (connection.unsettled, connection.unsettled_bytes) == (3, 3)
    connection.settle(0)
    connection.settle(2)
    assert connection.output() == b""
    connection.settle(1)
    assert connection.output() == ack(5) + ack(6)
    assert (connection.unsettled, connection.unsettled_bytes) == (0, 0)


@each_version
def test_retain_and_dup_change_nothing(version: int):
    connection = signed_in(version)
    (event,) = connection.receive(publish(version, 5, flags=0x09), 0.0)
    assert event == Publish(0, "t", b"x", 1, packet_id=b"\0\x05")


@each_version
@pytest.mark.parametrize("answer", [0x00, 0x10, 0x87, 0x97])
def test_the_older_versions_hear_no_reason(version: int, answer: int):
    connection = signed_in(version)
    connection.receive(publish(version, 5) + publish(version, 6, qos=2), 0.0)
    connection.settle(0, answer, "because")
    connection.settle(1, answer, "because")
    if version == 5 and answer:
        puback, pubrec = read_all(connection.output())
        assert isinstance(puback, mqtt5.PubAckPacket)
        assert isinstance(pubrec, mqtt5.PubRecPacket)
        assert (puback.packet_id, puback.reason_code, puback.reason_str) == (5, answer, "because")
        assert (pubrec.packet_id, pubrec.reason_code, pubrec.reason_str) == (6, answer, "because")
    else:
        assert connection.output() == ack(5) + rec(6)


@pytest.mark.parametrize(
    ("props", "reason"),
    [
        (b"", "y" * 200),
        (b"\x17\x01", "y" * 200),
        (b"\x17\x00", None),  # Request Problem Information
        (b"\x27\x00\x00\x00\x80", None),  # Maximum Packet Size 128
    ],
)
def test_a_reason_string_goes_to_who_wants_it_and_can_take_it(props: bytes, reason: str | None):
    connection = signed_in(5, connect_packet=connect(5, props=props))
    connection.receive(publish(5, 5), 0.0)
    connection.settle(0, 0x97, "y" * 200)
    (read,) = read_all(connection.output())
    assert isinstance(read, mqtt5.PubAckPacket)
    assert (read.reason_code, read.reason_str) == (0x97, reason)


WRONG = {
    "packet id 0": (publish(4, 0), 0x82),
    "packet id 0, QoS 2": (publish(4, 0, qos=2), 0x82),
    "QoS 3": (packet(0x36, string("t"), b"\0\1"), 0x81),
    "DUP with QoS 0": (publish(4, None, flags=8), 0x81),
    "wildcard #": (publish(4, 1, topic="t/#"), 0x90),
    "wildcard +": (publish(4, 1, topic="t/+/a"), 0x90),
    "empty topic": (publish(4, 1, topic=""), 0x82),
    "empty topic as the second": (publish(4, 1) + publish(4, 2, topic=""), 0x82),
    "topic that is not UTF-8": (publish(4, 1, topic=b"t\xff"), 0x81),
    "topic with a surrogate": (publish(4, 1, topic=b"t\xed\xa0\x80"), 0x81),
    "topic with an overlong form": (publish(4, 1, topic=b"t\xc0\xaf"), 0x81),
    "topic with U+0000": (publish(4, 1, topic=b"t\0"), 0x81),
    "topic longer than the packet": (packet(0x32, b"\0\x09t\0\1"), 0x81),
    "no packet id": (packet(0x32, string("t"), b"\0"), 0x81),
    "nothing at all": (packet(0x30), 0x81),
    "half a topic length": (packet(0x30, b"\0"), 0x81),
    "a length of five bytes": (b"\x30\xff\xff\xff\xff\x01", 0x81),
    "a length that is not the shortest": (b"\x30\x85\x00" + string("t") + b"12", 0x81),
    "beyond 4 MiB": (b"\x30" + b"\x81\x80\x80\x02", 0x95),
}
WRONG_IN_5 = {
    "no properties": (packet(0x32, string("t"), b"\0\1"), 0x81),
    "properties beyond the packet": (packet(0x32, string("t"), b"\0\1\x05\x01\x01"), 0x81),
    "a property beyond the properties": (publish(5, 1, props=b"\x23\0"), 0x81),
    "a property length that is not the shortest": (
        packet(0x32, string("t"), b"\0\1\x80\x00x"),
        0x81,
    ),
    "a property that does not exist": (publish(5, 1, props=b"\x7e\1"), 0x82),
    "a property of CONNECT": (publish(5, 1, props=b"\x11\0\0\0\1"), 0x82),
    "a subscription id": (publish(5, 1, props=b"\x0b\1"), 0x82),
    "a property twice": (publish(5, 1, props=b"\x01\1\x01\1"), 0x82),
    "payload format 2": (publish(5, 1, props=b"\x01\2"), 0x82),
    "content type that is not UTF-8": (publish(5, 1, props=b"\x03\0\1\xff"), 0x81),
    "alias 0": (publish(5, 1, props=b"\x23\0\0"), 0x94),
    "alias of a long topic": (publish(5, 1, topic="t" * 257, props=b"\x23\0\1"), 0x94),
    "alias 5": (publish(5, 1, props=b"\x23\0\5"), 0x94),
    "alias that is not defined": (publish(5, 1, topic="", props=b"\x23\0\1"), 0x82),
    "neither topic nor alias": (publish(5, 1, topic=""), 0x82),
    "neither topic nor alias, as the second": (publish(5, 1) + publish(5, 2, topic=""), 0x82),
}


def assert_cut(version: int, data: bytes, reason_code: int) -> None:
    connection = signed_in(version)
    first = publish(version, 77, b"before")
    with pytest.raises(Ended) as ended:
        connection.receive(first + data, 0.0)
    events = ended.value.events
    assert events[0] == Publish(0, "t", b"before", 1, packet_id=b"\0\x4d")
    assert ended.value.reason_code == reason_code
    assert (connection.state, connection.unsettled) == (ServerState.ENDING, len(events))
    assert connection.receive(PINGREQ, 0.0) == []
    for event in events:
        connection.settle(event.number)
    assert connection.output().startswith(ack(77))
    connection.end_answered()
    if version == 5:
        (read,) = read_all(connection.output())
        assert isinstance(read, mqtt5.DisconnectPacket)
        assert (read.reason_code, read.reason_str) == (reason_code, ended.value.text)
    assert (connection.state, connection.output()) == (ServerState.ENDED, b"")
    assert connection.receive(PINGREQ, 0.0) == []


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize(("data", "reason_code"), WRONG.values(), ids=WRONG)
def test_a_wrong_message_ends_the_connection(version: int, data: bytes, reason_code: int):
    assert_cut(version, data, reason_code)


@pytest.mark.parametrize(("data", "reason_code"), WRONG_IN_5.values(), ids=WRONG_IN_5)
def test_a_wrong_message_ends_the_connection_of_version_5(data: bytes, reason_code: int):
    assert_cut(5, data, reason_code)


@each_version
@pytest.mark.parametrize("topic", ["", "\0"])
def test_a_wrong_topic_ends_the_connection_as_its_first_message_too(version: int, topic: str):
    with pytest.raises(Ended):
        signed_in(version).receive(publish(version, 1, topic=topic), 0.0)


def test_what_version_5_says_of_a_message():
    connection = signed_in(5)
    props = b"\x01\1\x09\0\2id\x02\0\0\0\1\x03" + string("text") + b"\x26" + string("k") * 2
    long = b"\x09" + string("y" * 257)
    data = publish(5, 1, props=props) + publish(5, 2, props=long)
    first, second = connection.receive(data, 0.0)
    assert first == Publish(0, "t", b"x", 1, b"id", 0, True, b"\0\1")
    assert second == Publish(1, "t", b"x", 1, None, 0, False, b"\0\2")


def test_topic_aliases_are_defined_used_and_defined_again():
    connection = signed_in(5)
    alias = b"\x23\0\4"
    data = b"".join(
        (
            publish(5, topic="a", props=alias),
            publish(5, topic="b"),
            publish(5, topic="", props=alias),
            publish(5, topic="c", props=alias),
            publish(5, topic="", props=alias),
        )
    )
    assert [event[1] for event in connection.receive(data, 0.0)] == ["a", "b", "a", "c", "c"]


# Retransmission -----------------------------------------------------------------------------------


@each_version
def test_the_same_message_again_is_counted_and_not_handed_out(version: int):
    connection = signed_in(version)
    connection.receive(publish(version, 1, b"a"), 0.0)
    assert connection.receive(publish(version, 1, b"a", flags=8), 0.0) == []
    assert connection.receive(publish(version, 1, b"a"), 0.0) == []
    connection.settle(0)
    assert connection.output() == ack(1)
    assert connection.repeated == 2


@each_version
def test_another_message_with_an_id_in_use_is_handed_out_and_both_are_answered_once(version: int):
    connection = signed_in(version)
    data = publish(version, 1, b"a") + publish(version, 2, b"b") + publish(version, 1, b"c")
    assert [event[2] for event in connection.receive(data, 0.0)] == [b"a", b"b", b"c"]
    connection.settle(0)
    assert connection.output() == b""
    connection.settle(1)
    connection.settle(2)
    assert connection.output() == ack(2) + ack(1)


@each_version
def test_an_id_that_was_answered_is_free_again(version: int):
    connection = signed_in(version)
    for number in range(3):
        assert len(connection.receive(publish(version, 1, b"a"), 0.0)) == 1
        connection.settle(number)
        assert connection.output() == ack(1)


# QoS 2 --------------------------------------------------------------------------------------------


@each_version
def test_qos_2_is_handed_out_once_until_pubrel(version: int):
    connection = signed_in(version)
    data = publish(version, 1, qos=2)
    assert len(connection.receive(data, 0.0)) == 1
    assert connection.receive(data, 0.0) == []
    connection.settle(0)
    assert connection.output() == rec(1)
    assert connection.receive(publish(version, 1, qos=2, flags=8), 0.0) == []
    assert connection.output() == rec(1)
    connection.receive(pubrel(1), 0.0)
    assert connection.output() == comp(1)
    assert len(connection.receive(data, 0.0)) == 1


@each_version
def test_a_pubrel_of_an_unknown_id_is_answered(version: int):
    connection = signed_in(version)
    connection.receive(pubrel(9), 0.0)
    expected = b"\x70\x03\0\x09\x92" if version == 5 else comp(9)
    assert connection.output() == expected


def test_a_refused_message_of_qos_2_is_over_in_version_5():
    connection = signed_in(5)
    connection.receive(publish(5, 1, qos=2), 0.0)
    connection.settle(0, 0x97)
    assert connection.output() == b"\x50\x03\0\1\x97"
    assert len(connection.receive(publish(5, 1, qos=2), 0.0)) == 1


@pytest.mark.parametrize("version", [3, 4])
def test_a_refused_message_of_qos_2_waits_for_pubrel_in_the_older_versions(version: int):
    connection = signed_in(version)
    connection.receive(publish(version, 1, qos=2), 0.0)
    connection.settle(0, 0x97)
    assert connection.output() == rec(1)
    assert connection.receive(publish(version, 1, qos=2), 0.0) == []


def test_3_1_repeats_pubrel_with_dup():
    connection = signed_in(3)
    connection.receive(b"\x6a" + pubrel(9)[1:], 0.0)
    assert connection.output() == comp(9)
    with pytest.raises(Ended, match="flags"):
        signed_in(4).receive(b"\x6a" + pubrel(9)[1:], 0.0)


# Bounds -------------------------------------------------------------------------------------------


@each_version
def test_a_connection_beyond_the_receive_maximum_is_full_and_not_cut(version: int):
    """Many clients of version 5, too, send all that they have at CONNACK."""
    connection = signed_in(version, ServerOptions(receive_maximum=3))
    connection.receive(b"".join(publish(version, n) for n in (1, 2, 3)), 0.0)
    assert not connection.is_full
    assert len(connection.receive(publish(version, 4) + publish(version, 5, qos=2), 0.0)) == 2
    assert connection.is_full
    connection.settle(0)
    connection.settle(1)
    assert not connection.is_full


@each_version
def test_every_id_may_wait_for_its_pubrel(version: int):
    """A client that sends all that it has sends the first PUBREL behind its last message."""
    connection = signed_in(version)
    for number in range(65_535):
        connection.receive(publish(version, number + 1, qos=2), 0.0)
        connection.settle(number)
        assert connection.output() == rec(number + 1)
    assert not connection.is_full
    assert connection.receive(publish(version, 700, qos=2), 0.0) == []
    assert connection.output() == rec(700)
    connection.receive(pubrel(700) + pubrel(65_535), 0.0)
    assert connection.output() == comp(700) + comp(65_535)
    assert len(connection.receive(publish(version, 700, qos=2), 0.0)) == 1


@each_version
@pytest.mark.parametrize("cut", [1, 7, 60, 10_000])
def test_a_payload_that_is_too_long_is_read_past(version: int, cut: int):
    connection = signed_in(version, TOO_LONG)
    long = publish(version, 1, b"y" * 101)
    data = publish(version, 2, b"z" * 100) + long + long + PINGREQ
    events = []
    for at in range(0, len(data), cut):
        events += connection.receive(data[at : at + cut], 0.0)
        assert connection.held_bytes <= 150
    assert events == [
        Publish(0, "t", b"z" * 100, 1, packet_id=b"\0\2"),
        Publish(1, "t", b"", 1, None, 101, packet_id=b"\0\1"),
    ]
    assert connection.repeated == 1
    assert connection.output() == b"\xd0\0"
    connection.settle(0)
    connection.settle(1)
    assert connection.output() == ack(2) + ack(1)


@each_version
def test_a_packet_that_is_too_long_ends_the_connection(version: int):
    for data in (publish(version, 1, b"y" * 1000), packet(0x82, b"y" * 51)):
        connection = signed_in(version, TOO_LONG)
        with pytest.raises(Ended) as ended:
            connection.receive(data[:3], 0.0)
        assert ended.value.cause == "packet too large"
        assert connection.held_bytes == 0


@each_version
def test_nothing_is_looked_at_after_disconnect(version: int):
    connection = signed_in(version)
    data = publish(version, 1) + DISCONNECT + publish(version, 2)
    assert connection.receive(data, 0.0) == [
        Publish(0, "t", b"x", 1, packet_id=b"\0\1"),
        Goodbye(False),
    ]
    connection.settle(0)
    assert (connection.output(), connection.state) == (b"", ServerState.ENDED)


# Against models -----------------------------------------------------------------------------------


@given(st.sampled_from(VERSIONS), st.lists(st.integers(0, 2), max_size=40), st.randoms())
def test_answers_leave_in_the_order_of_receipt_whatever_is_settled_first(version, levels, random):
    connection = signed_in(version)
    data, expected = b"", []
    for number, qos in enumerate(levels):
        data += publish(version, number + 1 if qos else None, qos=qos)
        expected.append({0: b"", 1: ack(number + 1), 2: rec(number + 1)}[qos])
    connection.receive(data, 0.0)
    order = list(range(len(levels)))
    random.shuffle(order)
    settled: set[int] = set()
    sent = b""
    for number in order:
        connection.settle(number)
        connection.settle(number, 0x97)  # a second time, of no account
        settled.add(number)
        sent += connection.output()
        ready = next((n for n in range(len(levels)) if n not in settled), len(levels))
        assert sent == b"".join(expected[:ready])
    assert (connection.unsettled, connection.unsettled_bytes) == (0, 0)


ACTIONS = st.one_of(
    st.tuples(st.just("publish"), st.integers(1, 3), st.integers(1, 2), st.sampled_from(b"ab")),
    st.tuples(st.just("release"), st.integers(1, 3), st.just(0), st.just(0)),
    st.tuples(st.just("settle"), st.just(0), st.just(0), st.just(0)),
)


@given(st.sampled_from(VERSIONS), st.lists(ACTIONS, max_size=60))
def test_packet_ids_behave_as_the_simplest_model(version: int, actions):
    """The model: a list of messages, searched from end to end."""
    connection = signed_in(version)
    messages: list[list] = []  # [id, qos, payload, is settled]
    completing: set[int] = set()
    for action, packet_id, qos, letter in actions:
        expected, handed_out = b"", 0
        if action == "publish":
            payload = bytes((letter,))
            data = publish(version, packet_id, payload, qos=qos)
            same_id = [m for m in messages if m[0] == packet_id and not m[3]]
            if same_id and same_id[-1][1:3] == [qos, payload]:
                pass
            elif not same_id and qos == 2 and packet_id in completing:
                expected = rec(packet_id)
            else:
                messages.append([packet_id, qos, payload, False])
                handed_out = 1
            assert len(connection.receive(data, 0.0)) == handed_out
        elif action == "release":
            connection.receive(pubrel(packet_id), 0.0)
            known = packet_id in completing
            completing.discard(packet_id)
            unknown = b"\x70\x03" + packet_id.to_bytes(2, "big") + b"\x92"
            expected = unknown if version == 5 and not known else comp(packet_id)
        elif open_ones := [n for n, m in enumerate(messages) if not m[3]]:
            number = open_ones[0]
            message = messages[number]
            message[3] = True
            connection.settle(number)
            if not any(m[0] == message[0] and not m[3] for m in messages):
                expected = ack(message[0]) if message[1] == 1 else rec(message[0])
                completing |= {message[0]} if message[1] == 2 else set()
        assert connection.output() == expected
    assert connection.unsettled == sum(not m[3] for m in messages)


def test_an_oversize_message_carries_its_properties():
    connection = signed_in(5, TOO_LONG)
    data = publish(5, 1, b"y" * 200, props=b"\x09" + string("id") + b"\x23\0\1", topic="a")
    data += publish(5, 2, topic="", props=b"\x23\0\1")
    first, second = connection.receive(data, 0.0)
    assert first == Publish(0, "a", b"", 1, b"id", 200, False, b"\0\1")
    assert second == Publish(1, "a", b"x", 1, packet_id=b"\0\2")
    assert properties(5) == b"\0"


def test_a_publish_has_at_most_64_properties():
    user_property = b"\x26" + string("a") + string("b")
    connection = signed_in(5)
    assert connection.receive(publish(5, 1, props=user_property * 64), 0.0)
    with pytest.raises(Ended) as ended:
        connection.receive(publish(5, 2, props=user_property * 65), 0.0)
    assert ended.value.reason_code == 0x97
