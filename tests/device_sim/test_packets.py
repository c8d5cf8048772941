"""Packets of a device's own stack: the codec reads what is written, in any pieces."""

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim import packets
from device_sim.packets import PacketType, ReceivedPacket


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16_383, 16_384, 70_000])
def test_a_codec_of_others_reads_what_is_published(size: int) -> None:
    written = packets.publish(5, "trackers/a/fixes", bytes(size), 1, 513)
    read, length = mqtt5.read(memoryview(written))
    assert isinstance(read, mqtt5.PublishPacket)
    assert length == len(written)
    assert (read.topic, read.payload, read.qos, read.packet_id) == (
        "trackers/a/fixes",
        bytes(size),
        mqtt5.QoS.AT_LEAST_ONCE,
        513,
    )
    again, _ = mqtt5.read(memoryview(packets.as_repeated(written)))
    assert isinstance(again, mqtt5.PublishPacket)
    assert again.duplicate


def test_a_codec_of_others_reads_connect() -> None:
    read, _ = mqtt5.read(memoryview(packets.connect(5, "trk_a", "secret", 30)))
    assert isinstance(read, mqtt5.ConnectPacket)
    assert (read.client_id, read.username, read.password) == ("trk_a", "trk_a", b"secret")
    assert (read.clean_start, read.keep_alive) == (False, 30)
    assert read.session_expiry_interval == packets.SESSION_EXPIRY_S


@pytest.mark.parametrize(("version", "name"), [(3, b"\0\x06MQIsdp\x03"), (4, b"\0\x04MQTT\x04")])
def test_older_versions_have_no_properties(version: int, name: bytes) -> None:
    connect = packets.connect(version, "a", "b", 2)
    assert connect[2:] == name + b"\xc0\0\x02" + b"\0\x01a\0\x01a\0\x01b"
    assert packets.publish(version, "t", b"x", 0, 7) == b"\x30\x04\0\x01tx"
    assert packets.publish(version, "t", b"x", 2, 7) == b"\x34\x06\0\x01t\0\x07x"


@given(st.lists(st.integers(0, 40), max_size=8))
def test_however_answers_are_cut_they_are_read(ends: list[int]) -> None:
    data = b"\x20\x02\x01\x00" + b"\x40\x02\x00\x07" + b"\x50\x03\x00\x08\x90" + b"\x70\x02\x00\x09"
    found: list[ReceivedPacket] = []
    rest = b""
    at = 0
    for end in [*sorted(ends), len(data)]:
        some, rest = packets.split(rest + data[at : max(at, end)])
        found += some
        at = max(at, end)
    assert [one.kind for one in found] == [
        PacketType.CONNACK,
        PacketType.PUBACK,
        PacketType.PUBREC,
        PacketType.PUBCOMP,
    ]
    assert [one.packet_id for one in found[1:]] == [7, 8, 9]
    assert [one.is_refusal() for one in found[1:]] == [False, True, False]
    assert rest == b""


def test_a_length_without_end_is_an_error() -> None:
    with pytest.raises(ValueError, match="four bytes"):
        packets.split(b"\x40\xff\xff\xff\xff\x01")
