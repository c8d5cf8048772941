"""What a message says of its last fix, whether or not the fix can be stored."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.formats import packed
from telemetry.formats.decode import DECODERS, Decoder
from telemetry.formats.last_fix import UNKNOWN, LastFix, last_native_fix, last_packed_fix

NOON_US = 1_767_268_800_000_000  # 2026-01-01T12:00:00Z
NOON = "2026-01-01T12:00:00Z"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"time": NOON, "lat": 1, "lon": 2, "seq": 7}, LastFix(NOON_US, 7)),
        ([{"time": "2020-01-01T00:00:00Z", "seq": 1}, {"time": NOON, "seq": 2}], (NOON_US, 2)),
        ({"time": NOON_US // 1000, "lat": 0, "lon": 0}, LastFix(NOON_US, 0)),
        ({"time": NOON_US / 1000}, LastFix(NOON_US, 0)),
        ({"time": "1980-01-06T00:00:00Z"}, LastFix(315_964_800_000_000, 0)),
        ({"time": "yesterday", "seq": 3}, LastFix(None, 3)),
        ({"time": 1e300, "seq": "x"}, UNKNOWN),
        ({"time": True, "seq": True}, UNKNOWN),
        ([], UNKNOWN),
        ([1, 2], UNKNOWN),
        (3, UNKNOWN),
    ],
)
def test_time_and_seq_are_read_as_they_were_sent(said: object, expected: LastFix) -> None:
    for payload in (msgspec.json.encode(said), msgspec.msgpack.encode(said)):
        assert last_native_fix(payload) == expected


def test_the_last_record_of_a_packed_message_tells() -> None:
    records = np.zeros(2, packed.RECORD)
    records["time_ms"], records["seq"] = [1, NOON_US // 1000], [5, 6]
    assert last_packed_fix(records.tobytes()) == (NOON_US, 6)
    assert last_packed_fix(records.tobytes()[:-1]) == UNKNOWN
    assert last_packed_fix(b"") == UNKNOWN


@given(st.binary(max_size=100), st.sampled_from(list(DECODERS.values())))
def test_whatever_the_bytes_are_it_never_raises(payload: bytes, decoder: Decoder) -> None:
    decoder.last_fix(payload)


def test_deep_nesting_tells_nothing() -> None:
    assert last_native_fix(b"[" * 100_000) == UNKNOWN
