"""How large a batch may be, and how long its messages wait."""

import asyncio
import math
from typing import NamedTuple

import pytest

from ingest.sources.batching import BatchLimits, FixSize, batch
from telemetry.formats.packed import RECORD_BYTES


def test_before_anything_was_seen_a_fix_has_the_size_of_a_packed_one() -> None:
    assert FixSize().bytes_of(40_000) == 40_000 * RECORD_BYTES


def test_the_size_follows_what_is_sent() -> None:
    size = FixSize()
    for _ in range(40):
        size.saw(1_000, 170_000)
    assert size.bytes_of(1_000) == pytest.approx(170_000, rel=0.01)
    for _ in range(40):
        size.saw(1_000, 32_000)
    assert size.bytes_of(1_000) == pytest.approx(32_000, rel=0.01)


@pytest.mark.parametrize("payload_bytes", [0, 1, 31])
def test_a_fix_is_never_held_to_be_smaller_than_a_record(payload_bytes: int) -> None:
    size = FixSize()
    size.saw(1, payload_bytes)
    assert size.bytes_of(1) == RECORD_BYTES


def test_a_batch_without_fixes_tells_nothing() -> None:
    size = FixSize()
    size.saw(0, 8_000_000)
    assert size.bytes_of(1) == RECORD_BYTES


def test_limits_are_the_smaller_of_the_two_and_leave_room_for_something() -> None:
    limits = BatchLimits(messages=10, bytes=1_000, latency_ms=1)
    assert limits.within(5_000) == limits
    assert limits.within(300) == BatchLimits(messages=10, bytes=300, latency_ms=1)
    assert limits.within(0).bytes == 1


class _Message(NamedTuple):
    payload: bytes


class _Session:
    """A session with one message after the other, as they are put in."""

    def __init__(self, *payloads: bytes) -> None:
        self._messages = asyncio.Queue[_Message]()
        for payload in payloads:
            self._messages.put_nowait(_Message(payload))

    async def receive(self, max_messages: int, max_bytes: int) -> list[_Message]:
        assert min(max_messages, max_bytes) > 0
        return [await self._messages.get()]


@pytest.mark.parametrize(
    ("messages", "most_bytes", "waits_s", "gathered"),
    [
        (2, 100, 0.0, 2),  # full
        (9, 5, 0.0, 2),  # full of bytes, the last may be beyond
        (9, 100, 3_601.0, 1),  # the first one has waited for longer than the latency
        (9, 100, math.inf, 1),
        (9, 100, 3_599.95, 3),  # until it has
    ],
)
async def test_a_batch_ends_when_it_is_full_or_its_oldest_message_has_waited_long_enough(
    messages: int, most_bytes: int, waits_s: float, gathered: int
) -> None:
    limits = BatchLimits(messages, most_bytes, latency_ms=3_600_000)
    since_s = asyncio.get_running_loop().time() - waits_s
    async with asyncio.timeout(30):
        came = await batch(_Session(b"123", b"456", b"789"), limits, lambda _: since_s)
    assert [one.payload for one in came] == [b"123", b"456", b"789"][:gathered]
