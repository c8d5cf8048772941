"""The ends of a connection: silence, DISCONNECT, the server's own; and the will."""

import mqtt5
import pytest

from mqtt.errors import AtFault
from mqtt.server import Ended, Goodbye, ServerConnection, ServerOptions, ServerState, Will
from tests.mqtt.packets import read_all
from tests.mqtt.server.packets import (
    DISCONNECT,
    PINGREQ,
    VERSIONS,
    connect,
    packet,
    publish,
    signed_in,
    string,
)

each_version = pytest.mark.parametrize("version", VERSIONS)


def silent_at(connection: ServerConnection, now_s: float) -> bool:
    try:
        connection.tick(now_s)
    except Ended as ended:
        return (ended.fault, ended.reason_code) in [
            (AtFault.NETWORK, 0x8D),
            (AtFault.NETWORK, 0xA0),
        ]
    return False


LIMITS = [
    # version, keepalive, seconds of silence allowed
    *((version, 60, 90.0) for version in VERSIONS),
    *((version, 1200, 1800.0) for version in VERSIONS),
    (5, 0, 1800.0),
    (5, 1201, 1800.0),
    (4, 0, 3600.0),
    (3, 65_535, 3600.0),
]


@pytest.mark.parametrize(("version", "keepalive_s", "limit_s"), LIMITS)
def test_silence_ends_the_connection(version: int, keepalive_s: int, limit_s: float):
    connection = signed_in(version, connect_packet=connect(version, keepalive_s=keepalive_s))
    connection.receive(PINGREQ, 10.0)
    assert connection.output() == b"\xd0\0"
    assert not silent_at(connection, 10.0 + limit_s)
    assert silent_at(connection, 10.1 + limit_s)
    if version == 5:
        (read,) = read_all(connection.output())
        assert isinstance(read, mqtt5.DisconnectPacket)
        assert read.reason_code == 0x8D
    else:
        assert connection.output() == b""


def test_a_connect_in_pieces_does_not_move_its_deadline():
    connection = ServerConnection(ServerOptions(), 5.0)
    data = connect(4)
    connection.receive(data[:5], 14.0)
    assert not silent_at(connection, 15.0)
    assert silent_at(connection, 15.1)
    assert connection.output() == b""


def test_no_clock_runs_while_the_sign_in_lasts():
    connection = ServerConnection(ServerOptions(), 0.0)
    connection.receive(connect(4), 1.0)
    connection.tick(1000.0)


@each_version
def test_the_clock_stands_still_while_reading_is_paused(version: int):
    connection = signed_in(version)
    connection.receive(PINGREQ, 0.0)
    connection.pause(80.0)
    connection.pause(85.0)
    assert not silent_at(connection, 120.0)
    connection.resume(130.0)
    assert not silent_at(connection, 140.0)
    assert silent_at(connection, 140.1)


@each_version
def test_a_pause_longer_than_the_keepalive_ends_the_connection(version: int):
    connection = signed_in(version)
    connection.pause(0.0)
    connection.tick(90.0)
    with pytest.raises(Ended) as ended:
        connection.tick(90.1)
    assert (ended.value.reason_code, ended.value.cause) == (0x97, "quota exceeded")


@each_version
def test_answers_that_are_not_taken_are_bounded(version: int):
    connection = signed_in(version, ServerOptions(unread_max_bytes=100))
    connection.receive(PINGREQ * 50, 0.0)
    connection.receive(PINGREQ, 0.0)
    with pytest.raises(Ended, match="not read"):
        connection.receive(PINGREQ, 0.0)


# The will -----------------------------------------------------------------------------------------


def with_will(version: int) -> ServerConnection:
    rest = (b"\0" if version == 5 else b"") + string("w") + string(b"gone")
    data = connect(version, flags=0x06, rest=rest, props=b"\x11\0\0\0\x05")
    return signed_in(version, connect_packet=data)


WILL = Will("w", b"gone", 0)


@each_version
def test_the_will_is_due_once_when_the_connection_is_lost(version: int):
    connection = with_will(version)
    assert connection.lost() == WILL
    assert connection.lost() is None
    assert connection.state is ServerState.ENDED


@each_version
def test_the_will_is_not_due_after_disconnect(version: int):
    connection = with_will(version)
    assert connection.receive(DISCONNECT, 0.0) == [Goodbye(False)]
    assert connection.lost() is None


@pytest.mark.parametrize("reason_code", [0x04, 0x80, 0x81])
def test_the_will_is_due_after_a_disconnect_with_a_reason(reason_code: int):
    connection = with_will(5)
    assert connection.receive(packet(0xE0, bytes((reason_code,))), 0.0) == [Goodbye(True)]
    assert connection.lost() == WILL


@each_version
def test_the_will_is_due_after_a_violation_and_after_our_own_end(version: int):
    connection = with_will(version)
    with pytest.raises(Ended):
        connection.receive(b"\0\0", 0.0)
    assert connection.lost() == WILL
    connection = with_will(version)
    connection.end(0x8B)
    assert connection.lost() == WILL


@each_version
def test_there_is_no_will_before_the_sign_in(version: int):
    connection = ServerConnection(ServerOptions(), 0.0)
    rest = (b"\0" if version == 5 else b"") + string("w") + string(b"gone")
    connection.receive(connect(version, flags=0x06, rest=rest), 0.0)
    assert connection.lost() is None


# DISCONNECT ---------------------------------------------------------------------------------------


def test_disconnect_may_change_the_session_expiry():
    connection = with_will(5)
    data = packet(0xE0, b"\0\x05\x11\0\0\0\x09")
    assert connection.receive(data, 0.0) == [Goodbye(False, 9)]
    connection = with_will(5)
    data = packet(0xE0, b"\0\x05\x11\xff\xff\xff\xff")
    assert connection.receive(data, 0.0) == [Goodbye(False, 604_800)]


def test_disconnect_does_not_keep_a_session_that_connect_did_not():
    with pytest.raises(Ended, match="protocol error"):
        signed_in(5).receive(packet(0xE0, b"\0\x05\x11\0\0\0\x09"), 0.0)


@pytest.mark.parametrize(
    ("version", "data"),
    [
        (4, packet(0xE0, b"\0")),
        (4, packet(0xE1)),
        (4, packet(0xC0, b"x")),
        (4, packet(0xC1)),
        (4, packet(0xF0)),
        (5, packet(0xF0)),
        (5, packet(0x50, b"\0\1")),
        (5, packet(0x70, b"\0\1")),
        (5, packet(0x20, b"\0\0\0")),
        (5, packet(0xE0, b"\0\x05\x1c\0\2ab")),
        (5, packet(0x40, b"\0\0")),
        (5, packet(0x40, b"\0\1\0\0x")),
        (4, packet(0x40, b"\0\1\0")),
        (5, b"\0\0"),
    ],
)
def test_packets_that_are_wrong_or_not_a_clients_end_the_connection(version: int, data: bytes):
    connection = signed_in(version)
    with pytest.raises(Ended) as ended:
        connection.receive(data, 0.0)
    assert ended.value.fault is AtFault.DEVICE
    assert connection.state is ServerState.ENDED


@each_version
@pytest.mark.parametrize("head", [0x62, 0xC0])
def test_a_packet_with_bytes_too_many_is_not_answered_before_the_end(version: int, head: int):
    connection = signed_in(version)
    with pytest.raises(Ended, match="too many"):
        connection.receive(packet(head, b"\0\1\0\0" + b"x" * 3), 0.0)
    assert [type(read) for read in read_all(connection.output())] == (
        [mqtt5.DisconnectPacket] if version == 5 else []
    )


@each_version
@pytest.mark.parametrize("reason_code", [0x8B, 0x8E, 0x97, 0x98])
def test_version_5_hears_why_the_server_ends(version: int, reason_code: int):
    connection = signed_in(version)
    connection.receive(publish(version, 1) + publish(version, 2), 0.0)
    connection.settle(0)
    connection.end(reason_code)
    connection.settle(1)
    data = connection.output()
    assert data[:4] == b"\x40\x02\0\x01"
    if version == 5:
        assert (
            data[4:]
            == mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode(reason_code)).write()
        )
    else:
        assert data[4:] == b""
    connection.end(reason_code)
    assert connection.output() == b""
    assert not connection.deliver("t", b"", None)


def test_a_connection_that_is_not_answered_is_refused_when_the_server_ends():
    connection = ServerConnection(ServerOptions(), 0.0)
    connection.receive(connect(4), 0.0)
    connection.end(0x8B)
    assert connection.output() == b"\x20\x02\0\x03"


def test_a_reason_longer_than_the_client_takes_is_left_out():
    connection = signed_in(5, connect_packet=connect(5, props=b"\x27\0\0\0\x80"))
    with pytest.raises(Ended):
        connection.receive(publish(5, 1, topic="t/#"), 0.0)
    assert len(connection.output()) < 128
