"""Encoders: what they write, and what they refuse."""

import msgspec
import numpy as np
import pytest

from telemetry.fix import FixBatch, Known, blank_rows
from telemetry.formats.decode import Format
from telemetry.formats.encode import EncodeError, encode_json, encode_msgpack, encode_packed
from tests.telemetry.payloads import decode_one


def batch(n: int = 1) -> FixBatch:
    rows = blank_rows(n)
    rows["time_us"] = 1_769_860_800_000_000
    rows["lat"] = 52.52
    rows["lon"] = 13.405
    return FixBatch(rows)


def known(column: str, bit: Known, value: float) -> FixBatch:
    fixes = batch()
    fixes.rows[column] = value
    fixes.rows["known"] = bit
    return fixes


def test_one_fix_is_an_object_and_two_are_an_array() -> None:
    fix = b'{"time":"2026-01-31T12:00:00Z","lat":52.52,"lon":13.405}'
    assert encode_json(batch()) == fix
    assert encode_json(batch(2)) == b"[" + fix + b"," + fix + b"]"


def test_messagepack_writes_whole_milliseconds_as_a_number_and_the_rest_as_text() -> None:
    fixes = batch(2)
    fixes.rows["time_us"][1] += 1
    times = [fix["time"] for fix in msgspec.msgpack.decode(encode_msgpack(fixes))]
    assert times == [1_769_860_800_000, "2026-01-31T12:00:00.000001Z"]


@pytest.mark.parametrize("value", [5.1, 0.1, 359.9, 12345.678, 1e-7, 3.4e38, -19999.99])
def test_single_precision_is_written_short_and_read_back_the_same(value: float) -> None:
    fixes = known("altitude_m", Known.ALTITUDE, value)
    written = msgspec.json.decode(encode_json(fixes))["altitude_m"]
    assert np.float32(written) == np.float32(value)
    if 0.01 <= abs(value) <= 20_000:
        assert written == pytest.approx(value, abs=1e-3)
        assert len(str(written)) <= len("-19999.9902")


def test_packed_rounds_to_its_steps() -> None:
    fixes = known("speed_mps", Known.SPEED, 3.456)
    fixes.rows["lat"] = 52.123456789
    again = decode_one(encode_packed(fixes), Format.PACKED).batch
    assert again["lat"].tolist() == [52.1234568]
    assert again["speed_mps"].tolist() == [np.float32(3.46)]


@pytest.mark.parametrize(
    ("column", "bit", "most", "beyond"),
    [
        ("speed_mps", Known.SPEED, 655.34, 655.35),
        ("accuracy_m", Known.ACCURACY, 6553.4, 6553.5),
        ("course_deg", Known.COURSE, 360.0, 360.01),
        ("altitude_m", Known.ALTITUDE, 2e8, 3e8),
    ],
)
def test_packed_refuses_what_does_not_fit(
    column: str, bit: Known, most: float, beyond: float
) -> None:
    assert len(encode_packed(known(column, bit, most))) == 32
    with pytest.raises(EncodeError, match=column):
        encode_packed(known(column, bit, beyond))


def test_packed_refuses_to_change_an_identity() -> None:
    odd = batch()
    odd.rows["time_us"] += 1
    with pytest.raises(EncodeError, match="milliseconds"):
        encode_packed(odd)
    late = batch()
    late.rows["seq"] = 65_536
    with pytest.raises(EncodeError, match="seq"):
        encode_packed(late)


@pytest.mark.parametrize("fixes", [FixBatch.empty(), FixBatch(batch().rows, {0: b'{"a":1}'})])
def test_packed_refuses_nothing_and_attributes(fixes: FixBatch) -> None:
    with pytest.raises(EncodeError):
        encode_packed(fixes)
