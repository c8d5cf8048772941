"""What the load generator sends is what the workload says, pass after pass."""

import json
from itertools import pairwise
from pathlib import Path

import mqtt5
import numpy as np
import pytest

from benchmarks.common.packets import publish_head, remaining_length
from benchmarks.common.payloads import Form, topic
from benchmarks.common.stream import Share, read_stream, write_stream
from benchmarks.common.workload import Messages, Plan, rows_in_order_of_sending, span_us, tracks
from benchmarks.pipeline.counting_subscriber import acknowledgements

PLAN = Plan(trackers=6, zones=1)
FIXES_PER_TRACKER = 40
CONNECTIONS = 3
SPAN_US = span_us(FIXES_PER_TRACKER)


def _messages(fixes_per_message: int) -> Messages:
    return rows_in_order_of_sending(tracks(PLAN, FIXES_PER_TRACKER), fixes_per_message)


def _publishes(share: Share) -> list[bytes]:
    return [share.packets[start:end].tobytes() for start, end in pairwise([0, *share.ends])]


def _payload(packet: bytes, tracker: int, form: Form) -> bytes:
    """Return everything behind the head that this packet should have."""
    for length in range(len(packet)):
        head = publish_head(topic(tracker, form), _packet_id(packet), length)
        if len(head) + length == len(packet):
            assert packet.startswith(head)
            return packet[len(head) :]
    raise AssertionError("no length fits")


def _packet_id(packet: bytes) -> int:
    pubacks, used = acknowledgements(memoryview(packet))
    assert used == len(packet)
    return int.from_bytes(pubacks[2:4], "big")


@pytest.mark.parametrize("fixes_per_message", [1, 20])
def test_json_messages_carry_the_fixes_in_order(tmp_path: Path, fixes_per_message: int) -> None:
    messages = _messages(fixes_per_message)
    write_stream(tmp_path / "s", messages, Form.JSON, CONNECTIONS, SPAN_US)
    share = read_stream(tmp_path / "s").shares[1]
    own = messages[messages["tracker"][:, 0] % CONNECTIONS == 1]
    packets = _publishes(share)
    assert len(packets) == len(own)
    for packet, fixes in zip(packets, own, strict=True):
        body = json.loads(_payload(packet, int(fixes["tracker"][0]), Form.JSON))
        body = body if isinstance(body, list) else [body]
        assert [fix["lat"] for fix in body] == fixes["lat"].tolist()
        assert [fix["seq"] for fix in body] == fixes["seq"].tolist()
        assert [_us(fix["time"]) for fix in body] == fixes["time_us"].tolist()


@pytest.mark.parametrize("form", list(Form))
def test_a_later_pass_differs_in_its_times_alone(tmp_path: Path, form: Form) -> None:
    write_stream(tmp_path / "s", _messages(20), form, CONNECTIONS, SPAN_US)
    stream = read_stream(tmp_path / "s")
    share = stream.shares[0]
    first = share.packets.copy()
    share.clock.advance(2 * stream.span_us)
    assert (first != share.packets).any()
    share.clock.advance(0)
    assert (first == share.packets).all()


def test_a_later_pass_is_later_by_the_span(tmp_path: Path) -> None:
    messages = _messages(20)
    write_stream(tmp_path / "s", messages, Form.JSON, CONNECTIONS, SPAN_US)
    stream = read_stream(tmp_path / "s")
    share = stream.shares[0]
    share.clock.advance(3 * stream.span_us)
    body = json.loads(_payload(_publishes(share)[0], 0, Form.JSON))
    assert _us(body[0]["time"]) == messages["time_us"][0, 0] + 3 * stream.span_us


def test_every_tracker_stays_on_one_connection(tmp_path: Path) -> None:
    write_stream(tmp_path / "s", _messages(20), Form.JSON, CONNECTIONS, SPAN_US)
    topics = [
        {tracker for tracker in range(6) if topic(tracker, Form.JSON).encode() in bytes(s.packets)}
        for s in read_stream(tmp_path / "s").shares
    ]
    assert topics == [{0, 3}, {1, 4}, {2, 5}]


def test_a_publish_is_what_an_mqtt_codec_writes() -> None:
    # MQTT 5 puts an empty property set, one zero byte, between packet id and payload.
    packet = mqtt5.PublishPacket("trackers/x/fixes", payload=b"abc", qos=mqtt5.QoS(1), packet_id=7)
    assert publish_head("trackers/x/fixes", 7, 4) + b"\x00abc" == packet.write()


@pytest.mark.parametrize(
    ("length", "written"),
    [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (2_097_152, b"\x80\x80\x80\x01")],
)
def test_lengths_are_written_in_groups_of_seven_bits(length: int, written: bytes) -> None:
    assert remaining_length(length) == written


def test_the_counting_subscriber_acknowledges_whole_packets_only() -> None:
    packets = b"".join(publish_head("t", number, 200) + bytes(200) for number in (1, 2, 300))
    every_cut = [acknowledgements(memoryview(packets[:cut])) for cut in range(len(packets) + 1)]
    assert every_cut[-1] == (b"\x40\x02\x00\x01\x40\x02\x00\x02\x40\x02\x01\x2c", len(packets))
    assert all(len(acks) // 4 == used // (len(packets) // 3) for acks, used in every_cut)


def _us(text: str) -> int:
    return int(np.datetime64(text.removesuffix("Z"), "us").astype(np.int64))
