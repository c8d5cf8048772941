"""Protocols as machines: the same events however the bytes are cut, and little is held."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.tcp.meitrack import Meitrack
from listener.tcp.protocol import (
    Answer,
    Counted,
    Damaged,
    DeviceProtocol,
    Login,
    Packet,
    Question,
)
from listener.tcp.queclink import Queclink
from listener.tcp.teltonika import Teltonika, TeltonikaDatagram
from telemetry.formats.boxes.crc import crc_16
from telemetry.formats.decode import Format, decode, format_of
from tests.listener.tcp.boxes import login
from tests.listener.tcp.gt06_devices import frame
from tests.listener.tcp.streams import (
    DATAGRAMS,
    GT06,
    GT06_ALARM,
    GT06_ERROR,
    GT06_HEARTBEAT,
    GT06_ICCID,
    GT06_LOGIN,
    GT06_POSITION,
    GT06_RELAY,
    GT06_STATUS,
    H02_OTHER,
    H02_REPORT,
    H02_SENTENCES,
    IMEI,
    LONGEST,
    MEITRACK,
    MEITRACK_ANSWER,
    MEITRACK_CONFIRMED,
    MEITRACK_REPORT,
    MEITRACK_SEVERAL,
    ONE,
    QUECLINK,
    QUECLINK_REPORT,
    STREAMS,
    TELTONIKA,
    TELTONIKA_BYTES,
    TELTONIKA_DATAGRAM,
    TELTONIKA_GETINFO,
    TELTONIKA_GETIO,
    TELTONIKA_INFO,
    TELTONIKA_IO,
    TELTONIKA_LINE,
    TWO,
    events,
    gt06,
    h02,
)

_READ = 256
INFO = (
    "INI:2019/7/22 7:22 RTC:2019/7/22 7:53 RST:2 ERR:1 SR:0 BR:0 CF:0 FG:0 FL:0 TU:0/0 UT:0 SMS:0"
    " NOGPS:0:30 GPS:1 SAT:0 RS:3 RF:65 SF:1 MD:0"
)


def test_a_box_signs_in_and_sends() -> None:
    said, is_broken = events(Teltonika(), [TELTONIKA])
    assert not is_broken
    assert said == [
        Login(IMEI, b"\x01", b"\0"),
        Packet(ONE, b"\0\0\0\x01"),
        Answer(INFO, unasked=Packet(TELTONIKA_INFO, b"\0\0\0\x01")),
        Packet(TWO, b"\0\0\0\x02"),
    ]


def test_a_packet_with_a_wrong_crc_is_asked_for_again() -> None:
    wrong = TWO[:-1] + b"\0"
    said, _ = events(Teltonika(), [login(IMEI) + wrong + TWO])
    assert said[1:] == [Damaged(wrong, bytes(4)), Packet(TWO, b"\0\0\0\x02")]


@pytest.mark.parametrize(
    ("make", "text", "frame"),
    [
        (Teltonika, "getinfo", TELTONIKA_GETINFO),
        (Teltonika, "getio", TELTONIKA_GETIO),
        (gt06, "Relay,1#", GT06_RELAY),
    ],
)
def test_a_command_is_framed_as_makers_and_others_have_it(
    make: Callable[[], DeviceProtocol], text: str, frame: bytes
) -> None:
    command = make().command
    assert command is not None
    assert command(text) == frame


@pytest.mark.parametrize(
    ("make", "begin", "frame", "text"),
    [
        (Teltonika, login(IMEI), TELTONIKA_IO, "DI1:1 DI2:0 DI3:0 AIN1:0 AIN2:16924 DO1:0 DO2:1"),
        (
            Teltonika,
            login(IMEI),
            TELTONIKA_LINE,
            "UUUUww06.4;04.2;00.0;00.0;00.0;00.0;00.0;00.0;01.3;00.0;10.7;00.0;SSS",
        ),
        (Teltonika, login(IMEI), TELTONIKA_BYTES, "010300010015d5c5"),
        (
            gt06,
            GT06_LOGIN,
            GT06_STATUS,
            "Battery:5.56V,NORMAL; GPRS*Link Up GSM Signal Level:Strong; GPS:OFF;   LOCK:OFF;"
            " BT MAC:B4A828044462;",
        ),
        (gt06, GT06_LOGIN, GT06_ERROR, "Command error!"),
    ],
)
def test_an_answer_is_text_or_hexadecimal(
    make: Callable[[], DeviceProtocol], begin: bytes, frame: bytes, text: str
) -> None:
    (answer,) = events(make(), [begin + frame])[0][1:]
    assert isinstance(answer, Answer)
    assert answer.text == text


@pytest.mark.parametrize("make", [Teltonika, gt06])
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=200))
def test_any_command_is_a_frame_that_the_protocol_itself_can_read(
    make: Callable[[], DeviceProtocol], text: str
) -> None:
    command = make().command
    assert command is not None
    begin = login(IMEI) if make is Teltonika else GT06_LOGIN
    said, is_broken = events(make(), [begin + command(text)])
    assert not is_broken
    assert not any(isinstance(event, Damaged) for event in said)


def test_a_gt06_device_signs_in_and_is_answered_as_the_maker_has_it() -> None:
    said, is_broken = events(gt06(), [GT06])
    assert not is_broken
    assert said == [
        Login("123456789012345", bytes.fromhex("787805010001d9dc0d0a")),
        Question(bytes.fromhex("78780513000f008f0d0a")),
        Packet(GT06_LOGIN + GT06_POSITION, b""),
        Counted("28"),
        Answer("<ICCID:89882390000097302650>", unasked=Packet(GT06_LOGIN + GT06_ICCID, b"")),
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
        Counted("ACK"),
        Packet(QUECLINK_REPORT, b"+SACK:11F1$"),
    ]


def test_a_report_of_another_imei_is_another_login() -> None:
    other = QUECLINK_REPORT.replace(b"135790246811220", b"862599050544301")
    said, _ = events(Queclink(), [QUECLINK_REPORT + other])
    assert said[2:] == [Login("862599050544301", b""), Packet(other, b"+SACK:11F1$")]


def test_a_device_of_h02_is_told_the_time_with_each_position() -> None:
    said, is_broken = events(h02(), [H02_SENTENCES])
    assert not is_broken
    assert said == [
        Login("353588020068342", b""),
        Packet(H02_REPORT, b"*HQ,353588020068342,V4,V1,20260131120000#", is_repeated=False),
        Question(b"*HQ,353588020068342,HTBT#"),
        Question(b"*HQ,353588020068342,V4,NBR,20260131120000#"),
        Packet(H02_OTHER, b"", is_repeated=False),
    ]


def test_a_sentence_without_an_id_is_of_who_spoke_before() -> None:
    nameless = H02_REPORT.replace(b"353588020068342", b"")
    answer = b"*HQ,353588020068342,V4,V1,20260131120000#"
    said, _ = events(h02(), [H02_REPORT + nameless])
    assert said[2:] == [Packet(nameless, answer, is_repeated=False)]
    assert events(h02(), [nameless]) == ([], True)


def test_a_device_of_meitrack_hears_what_it_may_delete() -> None:
    said, is_broken = events(Meitrack(), [MEITRACK])
    assert not is_broken
    assert said == [
        Login("867047043162018", b""),
        Packet(MEITRACK_REPORT, b""),
        Login("123123123123123", b""),
        Packet(MEITRACK_CONFIRMED, b"@@J27,123123123123123,AFF,1*CD\r\n"),
        Login("369800014090021", b""),
        Packet(MEITRACK_SEVERAL, b"@@X27,369800014090021,CCC,1*E4\r\n"),
        Login("353358017784062", b""),
        Packet(MEITRACK_ANSWER, b""),
    ]


def test_a_packet_of_meitrack_with_a_wrong_checksum_is_no_message() -> None:
    wrong = MEITRACK_REPORT.replace(b"*E1", b"*E2")
    said, is_broken = events(Meitrack(), [wrong + MEITRACK_REPORT])
    assert not is_broken
    sent = [Login("867047043162018", b""), Packet(MEITRACK_REPORT, b"")]
    assert said == [Damaged(wrong, b""), *sent]


def test_a_datagram_of_teltonika_is_a_packet_and_answered_as_the_maker_has_it() -> None:
    said, is_broken = events(TeltonikaDatagram(), [TELTONIKA_DATAGRAM])
    assert not is_broken
    data = TELTONIKA_DATAGRAM[23:]
    wanted = bytes(7) + bytes((len(data),)) + data + bytes(2) + crc_16(data).to_bytes(2)
    assert said == [
        Login("356307042441013", b""),
        Packet(wanted, bytes.fromhex("0005cafe011b01")),
    ]
    decoded = decode([wanted], [format_of(TeltonikaDatagram().topic("x"))])
    assert decoded.rejections == []
    assert decoded.batch["lat"].tolist() == [54.6992512]


@pytest.mark.parametrize(("make", "datagram"), DATAGRAMS)
def test_an_answer_is_never_longer_than_what_it_answers(
    make: Callable[[], DeviceProtocol], datagram: bytes
) -> None:
    said, _ = events(make(), [datagram])
    answers = [event.answer for event in said if isinstance(event, Packet | Question)]
    assert answers
    assert sum(map(len, answers)) < len(datagram)


@pytest.mark.parametrize(("make", "datagram"), DATAGRAMS)
def test_a_datagram_that_is_cut_off_says_no_more_than_it_has(
    make: Callable[[], DeviceProtocol], datagram: bytes
) -> None:
    whole, _ = events(make(), [datagram])
    for at in range(len(datagram)):
        said, _ = events(make(), [datagram[:at]])
        assert said == whole[: len(said)]


@given(st.binary(max_size=300))
def test_any_datagram_at_all(noise: bytes) -> None:
    for begin in (b"", TELTONIKA_DATAGRAM[:23]):
        said, _ = events(TeltonikaDatagram(), [begin + noise])
        payloads = [event.payload for event in said if isinstance(event, Packet)]
        decode(payloads, [Format.TELTONIKA_IMEI] * len(payloads))


def test_a_frame_with_a_wrong_crc_is_no_message() -> None:
    wrong = GT06_POSITION[:-3] + b"\0\r\n"
    said, _ = events(gt06(), [GT06_LOGIN + wrong + GT06_HEARTBEAT])
    assert said[1:] == [Damaged(wrong, b""), Question(bytes.fromhex("78780513000f008f0d0a"))]


def test_a_gt06_frame_without_a_length_ends_with_its_line() -> None:
    """Of the tests of Traccar: a list of networks."""
    networks = bytes.fromhex("787800691710231108500200cc080c4e2fa5640c4e2fa66e0d0a")
    said, is_broken = events(gt06(), [GT06_LOGIN + networks + GT06_HEARTBEAT])
    assert not is_broken
    heartbeat = Question(bytes.fromhex("78780513000f008f0d0a"))
    assert said[1:] == [Packet(GT06_LOGIN + networks, b""), heartbeat]


def test_a_gt06_device_that_asks_for_the_time_is_told_it_in_utc() -> None:
    said, _ = events(gt06(), [GT06_LOGIN + frame(0x8A, b"", 7)])
    assert said[1:] == [Question(frame(0x8A, bytes((26, 1, 31, 12, 0, 0)), 7))]


@pytest.mark.parametrize("kind", [0x16, 0x19, 0x26, 0x27, 0x32, 0x95, 0xA4, 0xA5])
def test_an_alarm_of_gt06_is_answered_in_its_form_whatever_it_says(kind: int) -> None:
    short, long = (frame(kind, b"any", 7, is_long=is_long) for is_long in (False, True))
    said, _ = events(gt06(), [GT06_LOGIN + short + long])
    assert said[1:] == [
        Packet(GT06_LOGIN + short, frame(kind, b"", 7)),
        Packet(GT06_LOGIN + long, frame(kind, b"", 7, is_long=True)),
    ]


@pytest.mark.parametrize("stream", [GT06_POSITION, GT06_LOGIN + b"-" + GT06_POSITION])
def test_what_is_no_login_or_no_frame_is_no_protocol(stream: bytes) -> None:
    assert events(gt06(), [stream])[1]


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
        (gt06, b"\x79\x79\xff\xff"),
        (gt06, b"\x78\x78\1"),
        (gt06, GT06_LOGIN + b"\x78\x78\0" + bytes(260)),
        (Queclink, b"+" + 4096 * b"x"),
        (Queclink, b"GET / HTTP/1.1"),
        (Queclink, b"+RESP:GTFRI,210102,A10000499AEF9B,,0$"),
        (h02, b"*HQ," + 2048 * b"1"),
        (h02, b"*HQ,IMEI,V1#"),
        (h02, b"$" + bytes(31)),
        (Meitrack, b"$$A9999,"),
        (Meitrack, b"$$A12345678"),
        (Meitrack, b"$$A-1,"),
        (Meitrack, b"$$A10,"),
        (Meitrack, b"$GPRMC"),
        (TeltonikaDatagram, TELTONIKA_DATAGRAM[:-1]),
        (TeltonikaDatagram, TELTONIKA_DATAGRAM + b"\0"),
    ],
)
def test_a_length_that_no_frame_has_is_not_waited_for(
    make: Callable[[], DeviceProtocol], begin: bytes
) -> None:
    assert events(make(), [begin])[1]
