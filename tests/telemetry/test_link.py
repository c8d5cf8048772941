"""The frames between listener and ingest: what goes in comes out, however the network cuts it."""

import contextlib
from random import Random
from uuid import UUID

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry import link
from telemetry.link import (
    Block,
    Connections,
    Extra,
    FrameError,
    FrameReader,
    Hello,
    Opened,
    Receipt,
    Topic,
    Welcome,
)

TRACKER, ORGANIZATION = UUID(int=7), UUID(int=8)
FRAMES = [
    link.frame(Hello(1, TRACKER, b"key")),
    link.frame(Welcome(1, 12, 65_536, 1 << 26)),
    link.frame(
        Connections([Opened(1, TRACKER, ORGANIZATION, "client", 1_700_000_000_000_000)], [4, 5])
    ),
    link.block(0, [1, 2, 1], [b"a", b"", b"c" * 300], [Topic(1, 1, "t"), Topic(2, 1, "u")]),
    link.block(3, [2], [b"x"], extras=[Extra(0, b"correlation", 0)]),
    link.results(12, np.array([0, 1, 3], np.uint64), np.array([0, 0, 1], np.uint8)),
    link.evicted([1, 9]),
    link.receipts([Receipt(TRACKER, b"{}", None)]),
]
STREAM = b"".join(FRAMES)


def _bodies(*parts: bytes) -> list[link.Body]:
    reader = FrameReader()
    return [body for part in parts for body in reader.feed(part)]


def _plain(bodies: list[link.Body]) -> list[object]:
    return [
        (body.epoch, body.runs.tolist()) if isinstance(body, link.Results) else body
        for body in bodies
    ]


WHOLE = _plain(_bodies(STREAM))


def test_each_kind_comes_back_as_it_was() -> None:
    assert [
        Hello(1, TRACKER, b"key"),
        Welcome(1, 12, 65_536, 1 << 26),
        Connections([Opened(1, TRACKER, ORGANIZATION, "client", 1_700_000_000_000_000)], [4, 5]),
        Block(0, [1, 2, 1], [b"a", b"", b"c" * 300], [Topic(1, 1, "t"), Topic(2, 1, "u")], []),
        Block(3, [2], [b"x"], [], [Extra(0, b"correlation", 0)]),
        (12, [(0, 2, 0), (3, 1, 1)]),
        [1, 9],
        [Receipt(TRACKER, b"{}", None)],
    ] == WHOLE


@pytest.mark.parametrize("at", range(len(STREAM)))
def test_a_cut_anywhere_changes_nothing(at: int) -> None:
    assert _plain(_bodies(STREAM[:at], STREAM[at:])) == WHOLE


def test_one_byte_at_a_time_changes_nothing() -> None:
    assert _plain(_bodies(*(bytes([byte]) for byte in STREAM))) == WHOLE


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=40)), min_size=1, max_size=30))
def test_a_block_keeps_every_payload(messages: list[tuple[int, bytes]]) -> None:
    topics, payloads = [topic for topic, _ in messages], [payload for _, payload in messages]
    assert _bodies(link.block(9, topics, payloads)) == [Block(9, topics, payloads, [], [])]


@given(
    st.lists(st.integers(0, 60), min_size=1, unique=True).map(sorted),
    st.randoms(use_true_random=False),
)
def test_ranges_of_results_say_each_message_once(numbers: list[int], random: Random) -> None:
    codes = [random.choice([0, 0, 0, 1, 7]) for _ in numbers]
    frame = link.results(1, np.array(numbers, np.uint64), np.array(codes, np.uint8))
    (body,) = _bodies(frame)
    assert isinstance(body, link.Results)
    told = [
        (first + step, result)
        for first, count, result in body.runs.tolist()
        for step in range(count)
    ]
    assert told == list(zip(numbers, codes, strict=True))


@given(st.binary(max_size=200))
def test_any_bytes_give_frames_or_an_error_of_ours(data: bytes) -> None:
    with contextlib.suppress(FrameError):
        _bodies(data)


@given(st.integers(5, len(STREAM) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_frames_or_an_error_of_ours(at: int, byte: int) -> None:
    with contextlib.suppress(FrameError):
        _bodies(STREAM[:at] + bytes([byte]) + STREAM[at + 1 :])


def test_a_frame_that_is_too_long_is_refused_by_its_length_alone() -> None:
    with pytest.raises(FrameError, match="are allowed"):
        _bodies((link.MAX_FRAME_BYTES + 1).to_bytes(4, "little") + b"\x04")


@pytest.mark.parametrize("payload", [b"\x01", msgspec.msgpack.encode([1])])
def test_a_body_that_says_something_else_is_refused(payload: bytes) -> None:
    body = len(payload).to_bytes(4, "little")
    with pytest.raises(FrameError, match="kind 2"):
        _bodies((len(payload) + 1).to_bytes(4, "little") + b"\x02" + payload + body)


def test_a_frame_of_results_does_not_end_in_the_next_one() -> None:
    short = b"\x02\0\0\0" + bytes((link.FrameKind.RESULTS, 12))
    with pytest.raises(link.FrameError, match="cannot be read"):
        _bodies(short + STREAM)
