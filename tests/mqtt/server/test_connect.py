"""CONNECT, and what a device hears of it."""

import mqtt5
import pytest

from mqtt.server import Connect, Ended, Publish, ServerConnection, ServerOptions, ServerState, Will
from mqtt.server.connecting import CLIENT_PACKET_MIN_BYTES
from tests.mqtt.packets import read_all
from tests.mqtt.server.packets import (
    VERSIONS,
    accept,
    connect,
    packet,
    publish,
    signed_in,
    string,
    varint,
)

ASSIGNED = "auto-0123456789abcdef"
"""A client id as the listener assigns it."""

each_version = pytest.mark.parametrize("version", VERSIONS)


def said(data: bytes, options: ServerOptions | None = None) -> Connect:
    connection = ServerConnection(options or ServerOptions(), 0.0)
    (event,) = connection.receive(data, 0.0)
    assert isinstance(event, Connect)
    assert (connection.state, connection.output()) == (ServerState.SIGNING_IN, b"")
    return event


def refused(data: bytes) -> tuple[int, bytes]:
    """Return the reason code, and the answer."""
    connection = ServerConnection(ServerOptions(), 0.0)
    with pytest.raises(Ended) as ended:
        connection.receive(data, 0.0)
    assert (connection.state, ended.value.events) == (ServerState.ENDED, [])
    return ended.value.reason_code, connection.output()


@each_version
def test_who_connects_is_handed_out(version: int):
    data = connect(version, flags=0xC2, rest=string("user") + string(b"\xff\0"), keepalive_s=30)
    assert said(data) == Connect(version, "c", "user", b"\xff\0", True, 30, 0, None)


@each_version
def test_a_will_is_read(version: int):
    delay = packet(0x18, b"")[:1] + (7).to_bytes(4, "big")
    will_properties = varint(len(delay)) + delay if version == 5 else b""
    rest = will_properties + string("w") + string(b"gone")
    expiry = b"\x11\0\0\0\x64" if version == 5 else b""
    event = said(connect(version, flags=0x2E, rest=rest, props=expiry))
    assert event.will == Will("w", b"gone", 7 if version == 5 else 0)


def test_a_will_is_due_when_its_session_ends():
    rest = varint(5) + b"\x18\0\0\0\x07" + string("w") + string(b"")
    will = said(connect(5, flags=0x06, rest=rest, props=b"\x11\0\0\0\x03")).will
    assert will is not None
    assert will.delay_s == 3


@pytest.mark.parametrize(
    ("data", "session_expiry_s"),
    [
        (connect(4, flags=2), 0),
        (connect(4, flags=0), 604_800),
        (connect(5, flags=2), 0),
        (connect(5, props=b"\x11\0\0\0\x64"), 100),
        (connect(5, props=b"\x11\xff\xff\xff\xff"), 604_800),
    ],
)
def test_the_session_expiry_is_bounded(data: bytes, session_expiry_s: int):
    assert said(data).session_expiry_s == session_expiry_s


REFUSED = {
    "level 2": (connect(4, level=2), 0x84, b"\x20\x02\x00\x01"),
    "level 6": (connect(5, level=6), 0x84, b"\x20\x03\x00\x84\x00"),
    "level 4 with the name of 3.1": (connect(4, name="MQIsdp"), 0x84, b"\x20\x02\x00\x01"),
    "another protocol": (connect(5, name="AMQP"), 0x84, b"\x20\x03\x00\x84\x00"),
    "3.1, no client id": (connect(3, client_id=""), 0x85, b"\x20\x02\x00\x02"),
    "3.1.1, no client id, session kept": (
        connect(4, client_id="", flags=0),
        0x85,
        b"\x20\x02\x00\x02",
    ),
    "an authentication method": (
        connect(5, props=b"\x15" + string("SCRAM")),
        0x8C,
        b"\x20\x03\x00\x8c\x00",
    ),
    "authentication data alone": (
        connect(5, props=b"\x16" + string("x")),
        0x82,
        b"\x20\x03\x00\x82\x00",
    ),
    "receive maximum 0": (connect(5, props=b"\x21\0\0"), 0x82, b"\x20\x03\x00\x82\x00"),
    "maximum packet size 0": (connect(5, props=b"\x27\0\0\0\0"), 0x82, b"\x20\x03\x00\x82\x00"),
    "maximum packet size 63": (connect(5, props=b"\x27\0\0\0\x3f"), 0x95, b"\x20\x03\x00\x95\x00"),
    "a property twice": (connect(5, props=b"\x21\0\1\x21\0\1"), 0x82, b"\x20\x03\x00\x82\x00"),
    "a property of PUBLISH": (connect(5, props=b"\x23\0\1"), 0x82, b"\x20\x03\x00\x82\x00"),
    "a flag that is 2": (connect(5, props=b"\x17\x02"), 0x82, b"\x20\x03\x00\x82\x00"),
    "5, reserved flag": (connect(5, flags=3), 0x81, b"\x20\x03\x00\x81\x00"),
    "3.1.1, reserved flag": (connect(4, flags=3), 0x81, b""),
    "will QoS 3": (
        connect(4, flags=0x1E, rest=string("w") + string("")),
        0x81,
        b"",
    ),
    "will QoS without a will": (connect(4, flags=0x0A), 0x81, b""),
    "will with a wildcard": (connect(4, flags=6, rest=string("#") + string("")), 0x90, b""),
    "3.1.1, password without user name": (connect(4, flags=0x42, rest=string("p")), 0x81, b""),
    "client id is not UTF-8": (connect(4, client_id=b"\xff"), 0x81, b""),
    "client id with U+0000": (connect(4, client_id=b"a\0"), 0x81, b""),
    "bytes after the end": (connect(4, rest=b"x"), 0x81, b""),
    "flags in the first byte": (connect(4, head=0x11), 0x82, b""),
    "another packet": (packet(0xC0), 0x82, b""),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", 0x82, b""),
    "TLS": (b"\x16\x03\x01\x02\x00\x01", 0x82, b""),
    "72 KiB and more": (b"\x10" + varint(72 * 1024 + 1), 0x95, b""),
    "a length of five bytes": (b"\x10\xff\xff\xff\xff\x01", 0x81, b""),
    "a length that is not the shortest": (b"\x10\x80\x00", 0x81, b""),
}


@pytest.mark.parametrize(("data", "reason_code", "answer"), REFUSED.values(), ids=REFUSED)
def test_a_connect_that_is_refused_at_once(data: bytes, reason_code: int, answer: bytes):
    assert refused(data) == (reason_code, answer)


def test_3_1_1_may_have_no_client_id_where_nothing_is_kept():
    assert said(connect(4, client_id="")).client_id == ""
    assert said(connect(5, client_id="", flags=0)).client_id == ""


RETURN_CODES = {0x84: 1, 0x85: 2, 0x88: 3, 0x86: 4, 0x87: 5, 0x97: 3, 0x9F: 3, 0x8B: 3}


@pytest.mark.parametrize(("reason_code", "return_code"), RETURN_CODES.items())
@each_version
def test_a_refusal_is_translated(version: int, reason_code: int, return_code: int):
    connection = ServerConnection(ServerOptions(), 0.0)
    connection.receive(connect(version), 0.0)
    connection.refuse(reason_code)
    answer = connection.output()
    if version == 5:  # 0x8B is none of CONNACK's
        (read,) = read_all(answer)
        assert isinstance(read, mqtt5.ConnAckPacket)
        assert read.reason_code == (0x88 if reason_code == 0x8B else reason_code)
    else:
        assert answer == bytes((0x20, 2, 0, return_code))
    assert connection.state is ServerState.ENDED


@each_version
def test_what_follows_connect_waits_for_the_answer(version: int):
    connection = ServerConnection(ServerOptions(), 0.0)
    following = publish(version, 7)
    assert len(connection.receive(connect(version) + following[:3], 0.0)) == 1
    assert connection.receive(following[3:], 0.0) == []
    assert connection.output() == b""
    assert [type(event) for event in accept(connection)] == [Publish]


@each_version
def test_what_follows_connect_is_bounded(version: int):
    connection = ServerConnection(ServerOptions(waiting_max_bytes=100), 0.0)
    connection.receive(connect(version) + b"x" * 100, 0.0)
    with pytest.raises(Ended) as ended:
        connection.receive(b"x", 0.0)
    assert ended.value.cause == "quota exceeded"
    assert connection.held_bytes == 0


def connack(version: int, data: bytes, *, session_present: bool = False) -> mqtt5.ConnAckPacket:
    connection = ServerConnection(ServerOptions(), 0.0)
    connection.receive(data, 0.0)
    accept(connection, session_present=session_present)
    (read,) = read_all(connection.output())
    assert isinstance(read, mqtt5.ConnAckPacket)
    return read


def test_version_5_hears_the_bounds():
    read = connack(5, connect(5, props=b"\x11\xff\xff\xff\xff"), session_present=True)
    assert read == mqtt5.ConnAckPacket(
        session_present=True,
        session_expiry_interval=604_800,
        receive_max=64,
        topic_alias_max=4,
        max_packet_size=4 * 1024 * 1024,
        subscription_id_available=False,
        shared_subscription_available=False,
    )


@pytest.mark.parametrize(
    ("keepalive_s", "announced"), [(0, 1200), (1201, 1200), (1200, None), (1, None)]
)
def test_a_keepalive_that_is_too_long_is_another_one_in_version_5(
    keepalive_s: int, announced: int | None
):
    assert connack(5, connect(5, keepalive_s=keepalive_s)).server_keep_alive == announced


def test_version_5_hears_its_assigned_client_id():
    assert connack(5, connect(5, client_id="")).assigned_client_id == "assigned"
    assert connack(5, connect(5)).assigned_client_id is None


def test_a_client_that_takes_short_packets_is_sent_none_that_is_longer():
    props = b"\x11\xff\xff\xff\xff" + b"\x27" + CLIENT_PACKET_MIN_BYTES.to_bytes(4, "big")
    connection = ServerConnection(ServerOptions(), 0.0)
    connection.receive(connect(5, client_id="", keepalive_s=0, props=props), 0.0)
    accept(connection, client_id=ASSIGNED)
    answer = connection.output()
    (read,) = read_all(answer)
    assert isinstance(read, mqtt5.ConnAckPacket)
    assert read.assigned_client_id == ASSIGNED
    assert len(answer) <= CLIENT_PACKET_MIN_BYTES


@pytest.mark.parametrize(("version", "flag"), [(3, 0), (4, 1)])
def test_the_older_versions_hear_the_least(version: int, flag: int):
    connection = ServerConnection(ServerOptions(), 0.0)
    connection.receive(connect(version, flags=0), 0.0)
    accept(connection, session_present=True)
    assert connection.output() == bytes((0x20, 2, flag, 0))


@each_version
def test_a_second_connect_ends_the_connection(version: int):
    connection = signed_in(version)
    with pytest.raises(Ended, match="CONNECT while connected"):
        connection.receive(connect(version), 0.0)


@each_version
def test_an_answer_after_the_end_does_nothing(version: int):
    connection = ServerConnection(ServerOptions(), 0.0)
    connection.receive(connect(version), 0.0)
    connection.lost()
    assert accept(connection) == []
    connection.refuse(0x88)
    assert (connection.output(), connection.state) == (b"", ServerState.ENDED)


def test_a_connect_has_at_most_64_properties():
    user_property = b"\x26" + string("a") + string("b")
    said(connect(5, props=user_property * 64))
    code, _ = refused(connect(5, props=user_property * 65))
    assert code == 0x97
