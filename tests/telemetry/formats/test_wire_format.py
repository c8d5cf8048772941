"""What docs/wire-format.md shows is what the decoders do."""

import re
from pathlib import Path

import pytest

from telemetry.fix import OPTIONAL_COLUMNS
from telemetry.formats.decode import Format, Reason
from telemetry.formats.packed import RECORD
from telemetry.ranges import RANGES
from tests.telemetry.payloads import decode_one, described

PAGE = (Path(__file__).parents[3] / "docs" / "wire-format.md").read_text()
FULL_FIX = {
    "time": "2026-01-31T12:00:00Z",
    "lat": 52.52,
    "lon": 13.405,
    "seq": 41,
    "altitude_m": 34.5,
    "speed_mps": 8.3,
    "course_deg": 271.5,
    "accuracy_m": 4.5,
    "satellites": 9,
    "battery_pct": 88.0,
    "ignition": True,
}


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [content for found, content in fenced if found == language]


@pytest.mark.parametrize("example", blocks("json"))
def test_every_json_example_is_accepted(example: str) -> None:
    assert decode_one(example.encode()).rejections == []


def test_the_full_json_example_fills_every_field() -> None:
    full, other = described(decode_one(blocks("json")[1].encode()).batch)
    assert full == FULL_FIX | {"position": 0, "attributes": {"door": "closed"}}
    assert other["attributes"] == {"hdop": 0.9}


def worked_example() -> list[tuple[bytes, str, int]]:
    """Return octets, field and value of each line."""
    lines = [re.split(r" {2,}", line) for line in blocks("")[0].splitlines()]
    return [(bytes.fromhex(octets), name, int(value)) for octets, name, value in lines]


def test_the_packed_example_is_the_fix_that_the_text_says() -> None:
    record = b"".join(octets for octets, _, _ in worked_example())
    decoded = decode_one(record, Format.PACKED)
    assert decoded.rejections == []
    assert described(decoded.batch) == [FULL_FIX | {"position": 0}]


def test_the_packed_example_names_each_field_and_value() -> None:
    assert [name for _, name, _ in worked_example()] == list(RECORD.names or ())
    for octets, name, value in worked_example():
        assert int.from_bytes(octets, "little") == value, name


def test_the_table_of_fields_is_the_record() -> None:
    assert RECORD.fields is not None
    for name, (dtype, offset) in RECORD.fields.items():
        kind = f"{dtype.kind}{dtype.itemsize * 8}"
        assert re.search(rf"^\| {offset} \| `{name}` \| {kind} \|", PAGE, re.MULTILINE), name


def test_every_range_and_optional_field_is_listed() -> None:
    for column in OPTIONAL_COLUMNS:
        assert f"| `{column}` |" in PAGE
    for column, (low, high) in RANGES.items():
        assert f"| `{column}` | | {low:,.0f} to {high:,.0f}" in PAGE


def test_every_reason_is_listed() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \| (?:message|fix|punch) \|", PAGE, re.MULTILINE))
    assert listed == set(Reason)
