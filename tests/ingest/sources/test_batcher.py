"""How large a batch may be."""

import pytest

from ingest.sources.batching import BatchLimits, FixSize
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
    limits = BatchLimits(messages=10, bytes=1_000, age_ms=1)
    assert limits.within(5_000) == limits
    assert limits.within(300) == BatchLimits(messages=10, bytes=300, age_ms=1)
    assert limits.within(0).bytes == 1
