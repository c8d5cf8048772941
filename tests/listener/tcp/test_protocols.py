"""Protocols as machines: the same events however the bytes are cut, and little is held."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.tcp.gt06 import Gt06
from listener.tcp.protocol import Damaged, DeviceProtocol, Login, Packet, Question
from listener.tcp.queclink import Queclink
from listener.tcp.teltonika import Teltonika
from telemetry.formats.decode import decode, format_of
from tests.listener.tcp.boxes import login
from tests.listener.tcp.streams import (
    GT06,
    GT06_ALARM,
    GT06_HEARTBEAT,
    GT06_LOGIN,
    GT06_POSITION,
    IMEI,
    LONGEST,
    ONE,
    QUECLINK,
    QUECLINK_REPORT,
    STREAMS,
    TELTONIKA,
    TWO,
    events,
)

_READ = 256


def test_a_box_signs_in_and_sends() -> None:
    said, is_broken = events(Teltonika(), [TELTONIKA])
    assert not is_broken
    assert said == [
        Login(IMEI, b"\x01", b"\0"),
        Packet(ONE, b"\0\0\0\x01"),
        Packet(TWO, b"\0\0\0\x02"),
    ]


def test_a_packet_with_a_wrong_crc_is_asked_for_again() -> None:
    wrong = TWO[:-1] + b"\0"
    said, _ = events(Teltonika(), [login(IMEI) + wrong + TWO])
    assert said[1:] == [Damaged(bytes(4)), Packet(TWO, b"\0\0\0\x02")]


def test_a_gt06_device_signs_in_and_is_answered_as_the_maker_has_it() -> None:
    said, is_broken = events(Gt06(), [GT06])
    assert not is_broken
    assert said == [
        Login("123456789012345", bytes.fromhex("787805010001d9dc0d0a")),
        Question(bytes.fromhex("78780513000f008f0d0a")),
        Packet(GT06_LOGIN + GT06_POSITION, b""),
        Packet(GT06_LOGIN + GT06_ALARM, bytes.fromhex("78780526000c8d070d0a")),
    ]


def test_a_device_of_queclink_is_known_by_its_first_report_and_answered_as_the_maker_has_it() -> (
    None
):
    said, is_broken = events(Queclink(), [QUECLINK])
    assert not is_broken
    assert said == [
        Login("135790246811220", b""),
        Question(b"+SACK:GTHBD,1A0401,11F0$"),
        Packet(QUECLINK_REPORT, b"+SACK:11F1$"),
        Packet(QUECLINK_REPORT, b"+SACK:11F1$"),
    ]


def test_a_report_of_another_imei_is_another_login() -> None:
    other = QUECLINK_REPORT.replace(b"135790246811220", b"862599050544301")
    said, _ = events(Queclink(), [QUECLINK_REPORT + other])
    assert said[2:] == [Login("862599050544301", b""), Packet(other, b"+SACK:11F1$")]


def test_a_frame_with_a_wrong_crc_is_passed_over() -> None:
    said, _ = events(Gt06(), [GT06_LOGIN + GT06_POSITION[:-3] + b"\0\r\n" + GT06_HEARTBEAT])
    assert said[1:] == [Damaged(b""), Question(bytes.fromhex("78780513000f008f0d0a"))]


@pytest.mark.parametrize("stream", [GT06_POSITION, GT06_LOGIN + b"-" + GT06_POSITION])
def test_what_is_no_login_or_no_frame_is_no_protocol(stream: bytes) -> None:
    assert events(Gt06(), [stream])[1]


@pytest.mark.parametrize(("make", "stream"), STREAMS)
def test_the_events_are_the_same_wherever_the_stream_is_cut(
    make: Callable[[], DeviceProtocol], stream: bytes
) -> None:
    whole = events(make(), [stream])
    for at in range(len(stream)):
        assert events(make(), [stream[:at], stream[at:]]) == whole
    assert events(make(), [bytes((byte,)) for byte in stream]) == whole


@pytest.mark.parametrize(("make", "stream"), STREAMS)
def test_a_stream_that_ends_early_says_the_first_of_its_events(
    make: Callable[[], DeviceProtocol], stream: bytes
) -> None:
    whole, _ = events(make(), [stream])
    for at in range(len(stream)):
        said, is_broken = events(make(), [stream[:at]])
        assert not is_broken
        assert said == whole[: len(said)]


@pytest.mark.parametrize(("make", "stream"), STREAMS)
@given(st.data())
def test_noise_raises_nothing_else_and_holds_no_more_than_a_frame(
    make: Callable[[], DeviceProtocol], stream: bytes, data: st.DataObject
) -> None:
    noisy = bytearray(stream * 3)
    for at, byte in data.draw(
        st.dictionaries(st.integers(0, len(noisy) - 1), st.integers(0, 255), max_size=8)
    ).items():
        noisy[at] = byte
    noisy += data.draw(st.binary(max_size=2 * LONGEST))
    pieces = [bytes(noisy[at : at + _READ]) for at in range(0, len(noisy), _READ)]
    said, _ = events(make(), pieces)
    payloads = [event.payload for event in said if isinstance(event, Packet)]
    decode(payloads, [format_of(make().topic("x"))] * len(payloads))


@pytest.mark.parametrize(("make", "stream"), STREAMS)
@given(st.binary(max_size=400))
def test_any_bytes_at_all(make: Callable[[], DeviceProtocol], stream: bytes, noise: bytes) -> None:
    for begin in (b"", stream[: len(login(IMEI))]):
        events(make(), [begin + noise])


@pytest.mark.parametrize(
    ("make", "begin"),
    [
        (Teltonika, b"\x7f\xff"),
        (Teltonika, login(IMEI) + b"\0\0\0\0\x7f\xff\xff\xff"),
        (Teltonika, login(IMEI) + bytes(8)),
        (Gt06, b"\x79\x79\xff\xff"),
        (Gt06, b"\x78\x78\0"),
        (Queclink, b"+" + 4096 * b"x"),
        (Queclink, b"GET / HTTP/1.1"),
        (Queclink, b"+RESP:GTFRI,210102,A10000499AEF9B,,0$"),
    ],
)
def test_a_length_that_no_frame_has_is_not_waited_for(
    make: Callable[[], DeviceProtocol], begin: bytes
) -> None:
    assert events(make(), [begin])[1]
