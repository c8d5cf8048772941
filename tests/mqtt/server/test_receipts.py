"""SUBSCRIBE and UNSUBSCRIBE, and the receipts that they are for."""

from collections.abc import Callable

import mqtt5
import pytest

from mqtt.server import Ended, Receipts, ServerOptions
from mqtt.server.receipts import is_filter, matches
from tests.mqtt.packets import read_all
from tests.mqtt.server.packets import (
    ACK,
    COMMANDS,
    PINGREQ,
    VERSIONS,
    connect,
    packet,
    puback,
    signed_in,
    string,
    subscribe,
    unsubscribe,
)

each_version = pytest.mark.parametrize("version", VERSIONS)

FILTERS = {
    # filter: granted?, has receipts?, refusal of version 5
    ACK: (True, True, None),
    "trackers/trk_1/+": (True, True, None),
    "trackers/trk_1/#": (True, True, None),
    "trackers/trk_1/ack/#": (True, True, None),
    "trackers/trk_1/cmd": (True, False, None),
    "trackers/trk_1/+/ack": (True, False, None),
    "trackers/trk_2/ack": (False, False, 0x87),
    "#": (False, False, 0x87),
    "$share/g/trackers/trk_1/ack": (False, False, 0x9E),
    "trackers/trk_1/a#": (False, False, 0x8F),
    "trackers/trk_1/#/a": (False, False, 0x8F),
    "trackers/trk_1/a+": (False, False, 0x8F),
    "": (False, False, 0x8F),
    "trackers/trk_1/" + "y" * 256: (False, False, 0x8F),
}


@each_version
@pytest.mark.parametrize("pattern", FILTERS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_filter_is_granted_or_refused(version: int, pattern: str, qos: int):
    granted, has_receipts, refusal = FILTERS[pattern]
    connection = signed_in(version)
    events = connection.receive(subscribe(version, (pattern, qos)), 0.0)
    assert events == ([Receipts(True)] if has_receipts else [])
    if version == 5:
        (suback,) = read_all(connection.output())
        assert isinstance(suback, mqtt5.SubAckPacket)
        assert (suback.packet_id, suback.reason_codes) == (9, [qos if granted else refusal])
    else:
        assert connection.output() == b"\x90\x03\0\x09" + bytes((qos if granted else 0x80,))
    assert connection.deliver(ACK, b"{}", None) is has_receipts


@each_version
def test_at_most_eight_filters(version: int):
    connection = signed_in(version)
    filters = [(f"trackers/trk_1/{n}", 1) for n in range(8)]
    connection.receive(subscribe(version, *filters), 0.0)
    connection.output()
    connection.receive(subscribe(version, (ACK, 1), filters[0]), 0.0)
    assert connection.output()[-2:] == bytes((0x97 if version == 5 else 0x80, 1))
    connection.receive(unsubscribe(version, "trackers/trk_1/0"), 0.0)
    assert connection.receive(subscribe(version, (ACK, 1)), 0.0) == [Receipts(True)]


@each_version
def test_unsubscribe_is_always_answered(version: int):
    connection = signed_in(version)
    connection.receive(subscribe(version, (ACK, 1), ("trackers/trk_1/#", 1)), 0.0)
    connection.output()
    assert connection.receive(unsubscribe(version, ACK, "never/asked"), 0.0) == []
    expected = b"\xb0\x05\0\x09\0\0\x11" if version == 5 else b"\xb0\x02\0\x09"
    assert connection.output() == expected
    assert connection.receive(unsubscribe(version, "trackers/trk_1/#"), 0.0) == [Receipts(False)]
    assert not connection.deliver(ACK, b"{}", None)


@each_version
def test_a_session_that_goes_on_keeps_its_subscription(version: int):
    connection = signed_in(version, session_present=True, wants_receipts=True)
    assert connection.deliver(ACK, b"{}", None)
    assert connection.receive(unsubscribe(version, "trackers/trk_1/#"), 0.0) == [Receipts(False)]


WRONG = {
    "packet id 0": (subscribe(4, (ACK, 1), packet_id=0), 0x82),
    "no filter": (subscribe(4), 0x81),
    "QoS 3": (subscribe(4, (ACK, 3)), 0x81),
    "reserved options": (subscribe(4, (ACK, 4)), 0x81),
    "filter that is not UTF-8": (packet(0x82, b"\0\1", string(b"\xff"), b"\1"), 0x81),
    "flags": (b"\x80" + subscribe(4, (ACK, 1))[1:], 0x81),
    "unsubscribe: no filter": (unsubscribe(4), 0x81),
    "unsubscribe: packet id 0": (unsubscribe(4, ACK, packet_id=0), 0x82),
    "unsubscribe: flags": (b"\xa0" + unsubscribe(4, ACK)[1:], 0x81),
}
WRONG_IN_5 = {
    "reserved options": (subscribe(5, (ACK, 0x41)), 0x81),
    "retain handling 3": (subscribe(5, (ACK, 0x31)), 0x81),
    "a subscription id": (packet(0x82, b"\0\1\x02\x0b\1", string(ACK), b"\1"), 0xA1),
    "a property that does not belong": (packet(0x82, b"\0\1\x02\x01\1", string(ACK), b"\1"), 0x82),
}


@pytest.mark.parametrize(
    ("version", "data", "reason_code"),
    [(4, *case) for case in WRONG.values()] + [(5, *case) for case in WRONG_IN_5.values()],
    ids=[*WRONG, *(f"5, {name}" for name in WRONG_IN_5)],
)
def test_a_wrong_subscribe_ends_the_connection(version: int, data: bytes, reason_code: int):
    with pytest.raises(Ended) as ended:
        signed_in(version).receive(data, 0.0)
    assert ended.value.reason_code == reason_code


def test_3_1_repeats_subscribe_with_dup():
    connection = signed_in(3)
    data = b"\x8a" + subscribe(3, (ACK, 1))[1:]
    assert connection.receive(data, 0.0) == [Receipts(True)]


@each_version
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_receipt_is_a_message_of_qos_1_or_less(version: int, qos: int):
    connection = signed_in(version)
    connection.receive(subscribe(version, (ACK, qos)), 0.0)
    connection.output()
    assert connection.deliver(ACK, b"{}", b"id")
    data = connection.output()
    if version == 5:
        (read,) = read_all(data)
        assert isinstance(read, mqtt5.PublishPacket)
        assert (read.topic, read.payload, read.correlation_data) == (ACK, b"{}", b"id")
        assert (read.qos, read.packet_id) == (min(qos, 1), 1 if qos else None)
    else:
        id_bytes = b"\0\1" if qos else b""
        assert data == packet(0x32 if qos else 0x30, string(ACK), id_bytes, b"{}")


def test_receipts_keep_to_the_receive_maximum_of_the_client_and_to_our_bound():
    options = ServerOptions(receipts_max=3)
    connection = signed_in(5, options, connect_packet=connect(5, props=b"\x21\0\x02"))
    connection.receive(subscribe(5, (ACK, 1)), 0.0)
    connection.output()
    assert [connection.deliver(ACK, b"%d" % n, None) for n in range(4)] == [True] * 3 + [False]
    assert [read.payload for read in read_all(connection.output())] == [b"0", b"1"]
    connection.receive(puback(7), 0.0)  # of no message
    assert connection.output() == b""
    connection.receive(puback(1), 0.0)
    (read,) = read_all(connection.output())
    assert isinstance(read, mqtt5.PublishPacket)
    assert (read.payload, read.packet_id) == (b"2", 3)
    assert connection.deliver(ACK, b"4", None)


def test_a_receipt_that_is_longer_than_the_client_takes_is_given_up():
    connection = signed_in(5, connect_packet=connect(5, props=b"\x27\0\0\0\x80"))
    connection.receive(subscribe(5, (ACK, 1)), 0.0)
    connection.output()
    assert not connection.deliver(ACK, b"y" * 128, None)
    assert connection.output() == b""
    assert connection.deliver(ACK, b"y" * 80, None)


MATCHES = [
    ("a/b", "a/b", True),
    ("a/+", "a/b", True),
    ("+/b", "a/b", True),
    ("#", "a/b", True),
    ("a/#", "a", True),
    ("a/b/#", "a/b", True),
    ("a/b/#", "a", False),
    ("a", "a/b", False),
    ("a/+", "a", False),
    ("a/+", "a/b/c", False),
    ("a/b/c", "a/b", False),
    ("+", "a/b", False),
]


@pytest.mark.parametrize(("pattern", "topic", "expected"), MATCHES)
def test_a_filter_includes_a_topic(pattern: str, topic: str, expected: bool):
    assert matches(pattern, topic) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        *((pattern, True) for pattern in ("a", "+", "#", "a/+/b/#", "/", "+/+")),
        *((pattern, False) for pattern in ("", "a#", "#/a", "a+", "##", "++/a")),
    ],
)
def test_wildcards_fill_a_level(pattern: str, expected: bool):
    assert is_filter(pattern) is expected


@each_version
@pytest.mark.parametrize("packet_of", [subscribe, unsubscribe])
def test_a_packet_has_at_most_64_filters(version: int, packet_of: Callable[..., bytes]):
    filters = [(f"other/{n}", 0) if packet_of is subscribe else f"other/{n}" for n in range(65)]
    connection = signed_in(version)
    connection.receive(packet_of(version, *filters[:64]), 0.0)
    assert connection.without_message >= 64  # each counts against the rate
    with pytest.raises(Ended) as ended:
        connection.receive(packet_of(version, *filters), 0.0)
    assert ended.value.reason_code == 0x97


def test_a_ping_counts_more_than_a_message():
    connection = signed_in(5)
    connection.receive(PINGREQ * 3, 0.0)
    assert connection.without_message > 3


@each_version
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_command_goes_to_who_subscribed_to_its_very_topic(version: int, qos: int):
    connection = signed_in(version)
    assert not connection.deliver(COMMANDS, b"{}", None)
    assert connection.receive(subscribe(version, ("trackers/trk_1/#", qos)), 0.0) == [
        Receipts(True)
    ]
    assert not connection.deliver(COMMANDS, b"{}", None)
    events = connection.receive(subscribe(version, (COMMANDS, qos)), 0.0)
    assert events == [Receipts(True, COMMANDS)]
    connection.output()
    assert connection.deliver(COMMANDS, b"{}", None)
    data = connection.output()
    if version == 5:
        (read,) = read_all(data)
        assert isinstance(read, mqtt5.PublishPacket)
        assert (read.topic, read.qos, read.packet_id) == (COMMANDS, min(qos, 1), 1 if qos else None)
    else:
        id_bytes = b"\0\1" if qos else b""
        assert data == packet(0x32 if qos else 0x30, string(COMMANDS), id_bytes, b"{}")
    assert connection.receive(unsubscribe(version, COMMANDS), 0.0) == [Receipts(True)]
    assert not connection.deliver(COMMANDS, b"{}", None)


@each_version
def test_a_session_goes_on_with_its_commands_until_the_client_unsubscribes(version: int):
    connection = signed_in(version, session_present=True, command_topic=COMMANDS)
    assert connection.deliver(COMMANDS, b"{}", None)
    assert not connection.deliver(ACK, b"{}", None)
    assert connection.receive(unsubscribe(version, COMMANDS), 0.0) == [Receipts(False)]
    assert not connection.deliver(COMMANDS, b"{}", None)
