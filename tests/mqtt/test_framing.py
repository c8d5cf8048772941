"""Packets come out of the reader whole and in order, however the network cut the bytes."""

from itertools import pairwise

import mqtt5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqtt.client.framing import PacketReader, frame_size
from mqtt.errors import MalformedPacketError, ProtocolViolationError
from tests.mqtt.packets import SPOKEN_BY_BROKER, publish

LIMIT = 10_000
# The codec panics over strings that are not UTF-8, and reports its own panic as unraisable.
codec_may_panic = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
each_packet = pytest.mark.parametrize(
    "packet", SPOKEN_BY_BROKER.values(), ids=SPOKEN_BY_BROKER.keys()
)


def fed(reader: PacketReader, *pieces: bytes) -> list[mqtt5.Packet]:
    return [packet for piece in pieces for packet in reader.feed(piece)]


@each_packet
def test_what_was_written_is_read(packet: mqtt5.Packet):
    assert fed(PacketReader(LIMIT), packet.write()) == [packet]


@each_packet
def test_every_truncation_waits_and_the_rest_completes_it(packet: mqtt5.Packet):
    data = packet.write()
    for cut in range(len(data)):
        reader = PacketReader(LIMIT)
        assert fed(reader, data[:cut]) == []
        assert reader.held_bytes == cut
        assert fed(reader, data[cut:]) == [packet]
        assert reader.held_bytes == 0


def test_a_stream_of_all_packets_arrives_byte_by_byte():
    packets = list(SPOKEN_BY_BROKER.values())
    stream = b"".join(packet.write() for packet in packets)
    assert fed(PacketReader(LIMIT), *(bytes((byte,)) for byte in stream)) == packets


@given(st.lists(st.integers(0, 2000)))
def test_a_stream_of_all_packets_arrives_in_any_pieces(cuts: list[int]):
    packets = list(SPOKEN_BY_BROKER.values())
    stream = b"".join(packet.write() for packet in packets)
    edges = [0, *sorted(cut % len(stream) for cut in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(edges)]
    assert fed(PacketReader(LIMIT), *pieces) == packets


def test_packets_before_a_bad_one_are_given_out_first():
    reader = PacketReader(LIMIT)
    packets = reader.feed(publish(b"good", 1) + b"\x00\x00")
    assert isinstance(next(packets), mqtt5.PublishPacket)
    with pytest.raises(MalformedPacketError) as caught:
        next(packets)
    assert caught.value.head == b"\x00\x00"
    assert caught.value.disconnect_reason is mqtt5.DisconnectReasonCode.MALFORMED_PACKET


@codec_may_panic
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x00\x00", id="packet type 0"),
        pytest.param(b"\xff\x00", id="flags that are reserved"),
        pytest.param(b"\x36\x05\x00\x01a\x00\x01", id="QoS 3"),
        pytest.param(b"\x30\xff\xff\xff\xff\x01", id="length of five bytes"),
        pytest.param(b"\x30\x02\x00\x05", id="topic longer than the packet"),
        pytest.param(b"\x20\x02\x00\x01", id="CONNACK of MQTT 3.1.1"),
        pytest.param(b"\x30\x04\x00\x01\xff\x00", id="topic that is not UTF-8"),
    ],
)
def test_bytes_that_are_no_packet_raise(data: bytes):
    with pytest.raises(MalformedPacketError):
        fed(PacketReader(LIMIT), data)


@pytest.mark.parametrize("sent", [2, 3, 150])
def test_a_packet_above_the_bound_raises_as_soon_as_its_length_is_known(sent: int):
    data = publish(b"x" * 200)
    with pytest.raises(ProtocolViolationError) as caught:
        fed(PacketReader(100), data[:sent], data[sent:])
    assert caught.value.disconnect_reason is mqtt5.DisconnectReasonCode.PACKET_TOO_LARGE


def test_a_packet_at_the_bound_is_read():
    data = publish(b"x" * 200)
    assert len(fed(PacketReader(len(data)), data)) == 1


@codec_may_panic
@given(
    st.sampled_from(list(SPOKEN_BY_BROKER.values())),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_damaged_packets_raise_only_our_own_errors(
    packet: mqtt5.Packet, damage: list[tuple[int, int]]
):
    data = bytearray(packet.write())
    for position, byte in damage:
        data[position % len(data)] = byte
    reader = PacketReader(LIMIT)
    try:
        fed(reader, bytes(data))
    except ProtocolViolationError:
        return
    assert reader.held_bytes <= len(data)


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_frame_size_is_known_from_the_first_bytes(length: int):
    # PUBLISH: two bytes of topic length, one of topic, one of property length
    data = publish(b"x" * (length - 4)) if length >= 4 else bytes((0xD0, length)) + b"\0" * length
    assert frame_size(memoryview(data)) == len(data)
    assert frame_size(memoryview(data[:1])) is None
