"""The one list of payloads and what each must give; every decoder test starts from it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from geofence.punches.claim import position
from telemetry.fix import OPTIONAL_COLUMNS, FixBatch
from telemetry.formats.decode import Decoded, Format, decode
from telemetry.formats.punches import MAX_NOTE_CHARACTERS
from telemetry.ids import format_id
from telemetry.punch import PUNCH_KINDS, Punch
from telemetry.times import ANCIENT_BEFORE_US, EARLIEST_US, LATEST_US, format_time

_FILE = Path(__file__).parent.parent / "cases" / "payloads.json"


@dataclass(frozen=True)
class Case:
    name: str
    payload: bytes
    format: Format
    fixes: list[dict[str, Any]]
    rejected: list[tuple[int | None, str]]
    punches: list[dict[str, Any]]


_FORMATS = {
    "packed": Format.PACKED,
    "punches_text": Format.PUNCHES,
    "owntracks": Format.OWNTRACKS,
    "teltonika": Format.TELTONIKA,
    "osmand": Format.OSMAND,
    "overland": Format.OVERLAND,
    "traccar": Format.TRACCAR,
    "chirpstack": Format.CHIRPSTACK,
    "tts": Format.TTS,
    "generic": Format.GENERIC,
    "nmea": Format.NMEA,
    "gt06": Format.GT06,
    "queclink": Format.QUECLINK,
    "h02": Format.H02,
    "meitrack": Format.MEITRACK,
    "meitrack_hex": Format.MEITRACK,
}
OF_GATEWAYS = (Format.TRACCAR, Format.CHIRPSTACK, Format.TTS)
_TEXTS = (
    *("text", "punches_text", "owntracks", "osmand", "overland"),
    *("traccar", "chirpstack", "tts", "generic", "nmea", "queclink", "h02", "meitrack"),
)
MAY_SAY_NO_FIX = (
    *(Format.OWNTRACKS, Format.TELTONIKA, Format.TELTONIKA_IMEI, Format.OSMAND, Format.OVERLAND),
    *OF_GATEWAYS,
    *(Format.NMEA, Format.GT06, Format.QUECLINK, Format.H02, Format.MEITRACK),
)
_BYTES = ("packed", "hex", "teltonika", "gt06", "meitrack_hex")


def _case(entry: dict[str, Any]) -> Case:
    payload_format = next((form for key, form in _FORMATS.items() if key in entry), Format.NATIVE)
    if texts := [entry[key] for key in _TEXTS if key in entry]:
        payload = texts[0].encode()
    elif "msgpack" in entry:
        payload = msgspec.msgpack.encode(entry["msgpack"])
    else:
        payload = bytes.fromhex(next(entry[key] for key in _BYTES if key in entry))
    rejected = [(position, reason) for position, reason in entry.get("rejected", [])]
    things = (entry.get("fixes", []), rejected, entry.get("punches", []))
    return Case(entry["name"], payload, payload_format, *things)


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


def described_punches(punches: Sequence[Punch]) -> list[dict[str, Any]]:
    """Return the punches as in the case list: what is not known, or is usual, is left out."""
    found: list[dict[str, Any]] = []
    for punch in punches:
        said = asdict(punch) | {
            "position": -1 if punch.position is None else punch.position,
            "employee_id": format_id("emp", punch.employee_id),
            "time": format_time(punch.time_us),
            "fix_time": None if punch.fix_time_us is None else format_time(punch.fix_time_us),
        }
        for key in ("message", "time_us", "fix_time_us"):
            del said[key]
        known = {key: value for key, value in said.items() if value is not None}
        found.append({key: value for key, value in known.items() if value is not False})
    return found


def outcome(decoded: Decoded) -> list[list[Any]]:
    """Return fixes, rejections and punches as plain values that can be compared, apart from the
    message number.
    """
    refused = [(r.position, r.reason, r.detail) for r in decoded.rejections]
    return [described(decoded.batch), refused, described_punches(decoded.punches)]


def decode_one(payload: bytes, payload_format: Format = Format.NATIVE) -> Decoded:
    return decode([payload], [payload_format])


def assert_independent(messages: list[tuple[bytes, Format]]) -> None:
    """Assert that decoding the list is decoding each alone, and each has an answer."""
    decoded = decode([payload for payload, _ in messages], [form for _, form in messages])
    for number, (payload, form) in enumerate(messages):
        rows = np.flatnonzero(decoded.batch["message"] == number)
        rejections = [r for r in decoded.rejections if r.message == number]
        punches = [p for p in decoded.punches if p.message == number]
        assert len(rows) or rejections or punches or form in MAY_SAY_NO_FIX
        alone = decode_one(payload, form)
        assert outcome(Decoded(decoded.batch.take(rows), rejections, punches)) == outcome(alone)
    numbers = decoded.batch["message"].tolist()
    assert numbers == sorted(numbers)
    refused = [r.message for r in decoded.rejections]
    assert refused == sorted(refused)
    punched = [p.message for p in decoded.punches]
    assert punched == sorted(punched)
    assert_storable(decoded)


def assert_storable(decoded: Decoded) -> None:
    """Assert that the database refuses no value of a column."""
    rows = decoded.batch.rows
    assert (np.abs(rows["lat"]) <= 90).all()
    assert (np.abs(rows["lon"]) <= 180).all()
    assert ((rows["time_us"] >= EARLIEST_US) & (rows["time_us"] <= LATEST_US)).all()
    assert (rows["seq"] >= 0).all()
    for punch in decoded.punches:
        assert punch.kind in PUNCH_KINDS
        assert ANCIENT_BEFORE_US <= punch.time_us <= LATEST_US
        assert EARLIEST_US <= (punch.fix_time_us or 0) <= LATEST_US
        position(punch.fix_time_us, punch.lon, punch.lat, punch.accuracy_m)  # which may raise
        assert len(punch.note or "") <= MAX_NOTE_CHARACTERS
        assert "\0" not in (punch.note or "")
    for column in OPTIONAL_COLUMNS:
        assert np.isfinite(rows[column]).all()
    for row, text in decoded.batch.attributes.items():
        assert 0 <= row < len(rows)
        assert isinstance(msgspec.json.decode(text), dict)
        assert "\0" not in str(msgspec.json.decode(text))
    assert not any("\0" in r.detail or len(r.detail) > 300 for r in decoded.rejections)
