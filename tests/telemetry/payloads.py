"""The one list of payloads and what each must give; every decoder test starts from it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from telemetry.fix import OPTIONAL_COLUMNS, FixBatch
from telemetry.formats.decode import Decoded, Format, decode
from telemetry.times import EARLIEST_US, LATEST_US, format_time

_FILE = Path(__file__).parent.parent / "cases" / "payloads.json"


@dataclass(frozen=True)
class Case:
    name: str
    payload: bytes
    format: Format
    fixes: list[dict[str, Any]]
    rejected: list[tuple[int | None, str]]


def _case(entry: dict[str, Any]) -> Case:
    if "text" in entry:
        payload = entry["text"].encode()
    elif "msgpack" in entry:
        payload = msgspec.msgpack.encode(entry["msgpack"])
    else:
        payload = bytes.fromhex(entry.get("packed", entry.get("hex")))
    payload_format = Format.PACKED if "packed" in entry else Format.NATIVE
    rejected = [(position, reason) for position, reason in entry.get("rejected", [])]
    return Case(entry["name"], payload, payload_format, entry.get("fixes", []), rejected)


CASES = [_case(entry) for entry in json.loads(_FILE.read_text())]


def described(batch: FixBatch) -> list[dict[str, Any]]:
    """Return the fixes as in the case list: what is not known, and seq 0, is left out."""
    return [_described(batch, row) for row in range(len(batch))]


def _described(batch: FixBatch, row: int) -> dict[str, Any]:
    values = batch.rows[row]
    fix: dict[str, Any] = {
        "position": int(values["position"]),
        "time": format_time(int(values["time_us"])),
        "lat": float(values["lat"]),
        "lon": float(values["lon"]),
    }
    if values["seq"]:
        fix["seq"] = int(values["seq"])
    for column, bit in OPTIONAL_COLUMNS.items():
        if values["known"] & bit:
            # four decimals hide that a column is single precision
            value = values[column].item()
            fix[column] = round(value, 4) if isinstance(value, float) else value
    if row in batch.attributes:
        fix["attributes"] = msgspec.json.decode(batch.attributes[row])
    return fix


def outcome(decoded: Decoded) -> list[list[Any]]:
    """Return fixes and rejections as plain values that can be compared, apart from the message
    number.
    """
    refused = [(r.position, r.reason, r.detail) for r in decoded.rejections]
    return [described(decoded.batch), refused]


def decode_one(payload: bytes, payload_format: Format = Format.NATIVE) -> Decoded:
    return decode([payload], [payload_format])


def assert_independent(messages: list[tuple[bytes, Format]]) -> None:
    """Assert that decoding the list is decoding each alone, and each has an answer."""
    decoded = decode([payload for payload, _ in messages], [form for _, form in messages])
    for number, (payload, form) in enumerate(messages):
        rows = np.flatnonzero(decoded.batch["message"] == number)
        rejections = [r for r in decoded.rejections if r.message == number]
        assert len(rows) or rejections
        alone = decode_one(payload, form)
        assert outcome(Decoded(decoded.batch.take(rows), rejections)) == outcome(alone)
    numbers = decoded.batch["message"].tolist()
    assert numbers == sorted(numbers)
    refused = [r.message for r in decoded.rejections]
    assert refused == sorted(refused)
    assert_storable(decoded)


def assert_storable(decoded: Decoded) -> None:
    """Assert that the database refuses no value of a column."""
    rows = decoded.batch.rows
    assert (np.abs(rows["lat"]) <= 90).all()
    assert (np.abs(rows["lon"]) <= 180).all()
    assert ((rows["time_us"] >= EARLIEST_US) & (rows["time_us"] <= LATEST_US)).all()
    assert (rows["seq"] >= 0).all()
    for column in OPTIONAL_COLUMNS:
        assert np.isfinite(rows[column]).all()
    for row, text in decoded.batch.attributes.items():
        assert 0 <= row < len(rows)
        assert isinstance(msgspec.json.decode(text), dict)
        assert "\0" not in str(msgspec.json.decode(text))
    assert not any("\0" in r.detail or len(r.detail) > 300 for r in decoded.rejections)
