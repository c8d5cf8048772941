"""Positions of OsmAnd and of apps that speak like it: a query, and the JSON of Traccar Client.

    lat=52.52&lon=13.405&timestamp=1769860800&speed=27&bearing=90&accuracy=5&batt=88
    {"location": {"timestamp": "2026-01-31T12:00:00Z", "coords": {"latitude": 52.52, ...}, ...}}

A query is one position. `speed` is in knots, as Traccar has it for these apps, and `speed_mps` in
metres per second. `timestamp` is in seconds or milliseconds since 1970, or a text, where UTC stands
for a zone that is missing. A query without a position (cells, networks, a battery) is no fix. The
JSON has metres per second, and -1 for what is not known; its `is_moving` says little and stays an
attribute.

The parameters: https://www.traccar.org/osmand. The JSON: that of the library
background-geolocation of Transistor Software.
"""

import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec

from telemetry.formats.app_json import (
    Read,
    Refused,
    add_one,
    add_several,
    decode_each,
    last_of,
    parse,
)
from telemetry.formats.decoded import Decoded
from telemetry.formats.gather import Fix, Gathered
from telemetry.formats.last_fix import LastFix
from telemetry.rejection import Reason

_KNOT_MPS = 1852 / 3600
_NAN = float("nan")
_MOST_PARAMETERS = 64
_SECONDS_BELOW = 2**31
_WITHOUT_ZONE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?", re.ASCII)
# What becomes a column, and who sent it, which the key says.
_NUMBERS = {
    "altitude": "altitude_m",
    "bearing": "course_deg",
    "heading": "course_deg",
    "accuracy": "accuracy_m",
    "acc": "accuracy_m",
    "batt": "battery_pct",
    "speed_mps": "speed_mps",
}
_LEFT_OUT = frozenset({"id", "deviceid", "lat", "lon", "location", "timestamp", "time", "valid"})
_FALSE = frozenset({"0", "false"})


def decode_osmand(payloads: Sequence[bytes]) -> Decoded:
    """Return fixes and rejections of `payloads`; `message` counts from 0."""
    return decode_each(payloads, _gather)


def last_osmand_fix(payload: bytes) -> LastFix:
    """Read the last fix of a message that can be read. Never raises ValueError."""
    return last_of(decode_osmand([payload]))


def _gather(gathered: Gathered, payload: bytes) -> None:
    if payload.lstrip()[:1] != b"{":
        add_one(gathered, _of_query(payload))
        return
    said = parse(payload)
    if isinstance(said, Refused):
        gathered.refuse(*said)
        return
    location = cast("dict[str, Any]", said).get("location")
    if isinstance(location, list):
        add_several(gathered, cast("list[Any]", location), _of_location)
    else:
        add_one(gathered, _of_location(location))


# A query --------------------------------------------------------------------------------------


def _of_query(payload: bytes) -> Read:
    try:
        text = payload.decode().strip().removeprefix("/").removeprefix("?")
        pairs = parse_qsl(text, max_num_fields=_MOST_PARAMETERS)
    except ValueError as error:
        return Refused(Reason.UNDECODABLE, f"not a query: {error}")
    said = dict(reversed(pairs))  # of two with one name the first counts
    if not said:
        return Refused(Reason.UNDECODABLE, "a query without parameters")
    if "location" in said:
        said["lat"], _, said["lon"] = said["location"].partition(",")
    if said.get("valid", "").lower() in _FALSE:
        return None  # the receiver has no position; the one that it sends is an old one
    missing = [name for name in ("lat", "lon") if name not in said]
    if len(missing) == 2:
        return None
    if missing:
        return Refused(Reason.NO_POSITION, f"{missing[0]} is missing")
    try:
        return _fix(said)
    except ValueError as error:
        return Refused(Reason.UNDECODABLE, str(error))


def _fix(said: Mapping[str, str]) -> Fix:
    """Raises ValueError, which names the parameter."""
    columns = {
        column: _number(name, said[name]) for name, column in _NUMBERS.items() if name in said
    }
    if "speed" in said and "speed_mps" not in said:
        columns["speed_mps"] = _number("speed", said["speed"]) * _KNOT_MPS
    known: dict[str, Any] = {
        name: value for name, value in columns.items() if value >= 0 or name == "altitude_m"
    }
    rest = {
        name: value
        for name, value in said.items()
        if name not in _LEFT_OUT and name not in _NUMBERS and name not in ("speed", "sat")
    }
    if "sat" in said:
        known["satellites"] = min(255, max(0, int(_number("sat", said["sat"]))))
    return Fix(
        time=_time(said),
        lat=_number("lat", said["lat"]),
        lon=_number("lon", said["lon"]),
        attributes=rest or None,
        **known,
    )


def _time(said: Mapping[str, str]) -> float | str:
    text = said.get("timestamp") or said.get("time")
    if text is None:
        raise ValueError("timestamp is missing")
    try:
        number = float(text)
    except ValueError:
        return text + "Z" if _WITHOUT_ZONE.fullmatch(text) else text
    if not isfinite(number):
        raise ValueError(f"timestamp {text[:40]!r} is no time")
    return 1_000 * number if abs(number) < _SECONDS_BELOW else number


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = _NAN
    if not isfinite(number):
        raise ValueError(f"{name} must be a number, not {text[:40]!r}")
    return number


# The JSON of Traccar Client -------------------------------------------------------------------


class _Coordinates(msgspec.Struct):
    latitude: float
    longitude: float
    accuracy: float = -1.0
    speed: float = -1.0
    heading: float = -1.0
    altitude: float = _NAN


class _Battery(msgspec.Struct):
    level: float = -1.0


class _Location(msgspec.Struct):
    """The members that have a column of ours."""

    timestamp: str
    coords: _Coordinates
    battery: _Battery = msgspec.field(default_factory=_Battery)


_KEPT = frozenset({"activity", "event", "extras", "is_moving", "mock", "odometer", "uuid"})


def _of_location(said: Any) -> Read:
    if not isinstance(said, dict):
        return Refused(Reason.UNDECODABLE, "location must be an object")
    members = {
        name: value for name, value in cast("dict[str, Any]", said).items() if value is not None
    }
    if "coords" not in members:
        return Refused(Reason.NO_POSITION, "location.coords is missing")
    try:
        location = msgspec.convert(members, _Location)
    except (ValueError, OverflowError) as error:
        return Refused(Reason.UNDECODABLE, f"location: {error}")
    at, level = location.coords, location.battery.level
    kept = {name: members[name] for name in _KEPT & members.keys() if members[name] != {}}
    return Fix(
        time=location.timestamp,
        lat=at.latitude,
        lon=at.longitude,
        altitude_m=at.altitude,
        speed_mps=_known(at.speed),
        course_deg=_known(at.heading),
        accuracy_m=_known(at.accuracy),
        battery_pct=100 * _known(level),
        attributes=dict(sorted(kept.items())) or None,
    )


def _known(value: float) -> float:
    return value if value >= 0 else _NAN
