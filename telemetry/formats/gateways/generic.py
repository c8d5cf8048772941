"""JSON of any gateway, read by a mapping that its organization sets: where each value stands, and
in which unit.

    {"device": "/id", "lat": "/gps/lat", "lon": "/gps/lon", "time": "/at", "time_unit": "s"}

A path is a JSON Pointer (RFC 6901). With `positions` a message is an array of positions of one
device: the other paths, but for that of the device, begin at each of its elements.

The listener adds the mapping and the time of receipt to each message, so what a message means does
not change when the mapping does, and a message that comes from quarantine, or is sent again within
the system, is the same fix. A message whose mapping has no time is of the time of its receipt, and
its fix says so: `time_source` is `receipt`.
"""

from collections.abc import Mapping as Members
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal, cast

import msgspec

from telemetry.formats.app_json import (
    Read,
    Refused,
    add_one,
    add_several,
    decode_each,
    last_of,
)
from telemetry.formats.decoded import Decoded
from telemetry.formats.gather import Fix, Gathered
from telemetry.formats.last_fix import LastFix
from telemetry.rejection import Reason

_NAN = float("nan")
MPS_OF: Members[str, float] = {"mps": 1.0, "kmh": 1 / 3.6, "knots": 1852 / 3600, "mph": 0.44704}
_MS_OF: Members[str, float] = {"s": 1_000, "ms": 1}
_PATHS = (
    *("lat", "lon", "device", "time", "altitude_m", "speed", "course_deg", "accuracy_m"),
    *("battery_pct", "satellites", "ignition"),
)
_NOT_NEGATIVE = ("speed", "course_deg", "accuracy_m", "battery_pct")


class Mapping(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Where the values of a message stand. None: the gateway does not send it.

    device_topic_level: the level of the MQTT topic that is the device's id, from 0. positions,
    attributes: "" is the message, or the position, itself.
    """

    lat: str
    lon: str
    device: str | None = None
    device_topic_level: int | None = None
    time: str | None = None
    time_unit: Literal["iso", "s", "ms"] = "iso"
    altitude_m: str | None = None
    speed: str | None = None
    speed_unit: Literal["mps", "kmh", "knots", "mph"] = "mps"
    course_deg: str | None = None
    accuracy_m: str | None = None
    battery_pct: str | None = None
    satellites: str | None = None
    ignition: str | None = None
    positions: str | None = None
    attributes: str | None = None


class _Envelope(msgspec.Struct):
    mapping: Mapping
    received_ms: int
    said: Any


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_ANY = msgspec.json.Decoder(Any)


def decode_generic(payloads: Sequence[bytes]) -> Decoded:
    """Return fixes and rejections of `payloads`; `message` counts from 0."""
    return decode_each(payloads, _gather)


def last_generic_fix(payload: bytes) -> LastFix:
    return last_of(decode_generic([payload]))


def enveloped(mapping: Mapping, payload: bytes, received_ms: int) -> bytes:
    """Return a gateway's message, which is JSON, with what it takes to read it."""
    said = msgspec.Raw(payload)
    return msgspec.json.encode({"mapping": mapping, "received_ms": received_ms, "said": said})


def device_of_generic(mapping: Mapping, topic: str, payload: bytes) -> str | None:
    """Return the id of the device of a message, None where it names none or is not JSON."""
    try:
        said = _ANY.decode(payload)
    except (ValueError, RecursionError):
        return None
    if mapping.device_topic_level is not None:
        levels = topic.split("/")
        at = mapping.device_topic_level
        return levels[at] or None if at < len(levels) else None
    name = None if mapping.device is None else _at(said, mapping.device)
    is_name = isinstance(name, str | int) and not isinstance(name, bool)
    return str(name) or None if is_name else None


def _gather(gathered: Gathered, payload: bytes) -> None:
    try:
        envelope = _ENVELOPE.decode(payload)
        path = envelope.mapping.positions
        if path is None:
            add_one(gathered, _read(envelope.mapping, envelope.said, envelope.received_ms))
            return
        positions = _at(envelope.said, path)
        if not isinstance(positions, list):
            gathered.refuse(Reason.NO_POSITION, f"there is no array at {path or 'the top'}")
            return
        read = partial(_read_of_array, envelope.mapping, received_ms=envelope.received_ms)
        add_several(gathered, cast("list[Any]", positions), read)
    except RecursionError:
        gathered.refuse(Reason.UNDECODABLE, "nested too deeply")
    except (ValueError, OverflowError) as error:
        gathered.refuse(Reason.UNDECODABLE, str(error))


def _read_of_array(mapping: Mapping, said: Any, received_ms: int) -> Read:
    try:
        return _read(mapping, said, received_ms)
    except (ValueError, OverflowError) as error:
        return Refused(Reason.UNDECODABLE, str(error))


def _read(mapping: Mapping, said: Any, received_ms: int) -> Read:
    time: Any = received_ms
    for name in ("lat", "lon"):
        if _at(said, getattr(mapping, name)) is None:
            return Refused(Reason.NO_POSITION, f"there is no {name} at {getattr(mapping, name)}")
    if mapping.time is not None:
        time = _at(said, mapping.time)
        if time is None:
            return Refused(Reason.UNDECODABLE, f"there is no time at {mapping.time}")
        if mapping.time_unit == "iso":
            time = _value(said, mapping.time, str)
        else:
            time = _MS_OF[mapping.time_unit] * _value(said, mapping.time, float)
    values = {
        name: _value(said, path, float)
        for name in ("altitude_m", *_NOT_NEGATIVE)
        if (path := getattr(mapping, name)) is not None and _at(said, path) is not None
    }
    known = {name: v for name, v in values.items() if v >= 0 or name not in _NOT_NEGATIVE}
    if not known.get("accuracy_m", 1):
        del known["accuracy_m"]  # 0 is not known
    more: dict[str, Any] = {}
    for name, kind in (
        ("satellites", Annotated[int, msgspec.Meta(ge=0, le=255)]),
        ("ignition", bool),
    ):
        path = getattr(mapping, name)
        if path is not None and _at(said, path) is not None:
            more[name] = _value(said, path, kind)
    return Fix(
        time=time,
        lat=_value(said, mapping.lat, float),
        lon=_value(said, mapping.lon, float),
        altitude_m=known.get("altitude_m", _NAN),
        speed_mps=known.get("speed", _NAN) * MPS_OF[mapping.speed_unit],
        course_deg=known.get("course_deg", _NAN),
        accuracy_m=known.get("accuracy_m", _NAN),
        battery_pct=known.get("battery_pct", _NAN),
        attributes=_attributes(mapping, said),
        **more,
    )


def _attributes(mapping: Mapping, said: Any) -> dict[str, Any] | None:
    """Return the members of the object that is kept, but for null and those through which another
    path leads.
    """
    kept: dict[str, Any] = {}
    if mapping.attributes is not None and isinstance(found := _at(said, mapping.attributes), dict):
        begin = f"{mapping.attributes}/"
        used = {
            _name(path.removeprefix(begin).split("/")[0])
            for part in _PATHS
            if (path := getattr(mapping, part)) is not None and path.startswith(begin)
            if part != "device" or mapping.positions is None
        }
        members = cast("dict[str, Any]", found).items()
        kept = {name: value for name, value in members if name not in used and value is not None}
    if mapping.time is None:
        kept["time_source"] = "receipt"
    return kept or None


def _value(said: Any, path: str, kind: Any) -> Any:
    """Return what stands there; numbers may be written as text. Raises ValueError."""
    try:
        return msgspec.convert(_at(said, path), kind, strict=False)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path}: {error}") from None


def _at(said: Any, path: str) -> Any:
    """Return what a JSON Pointer finds; None where there is nothing."""
    for part in path.split("/")[1:]:
        name = _name(part)
        if isinstance(said, dict):
            said = cast("dict[str, Any]", said).get(name)
        elif isinstance(said, list) and name.isdecimal() and name.isascii() and len(name) < 7:
            elements = cast("list[Any]", said)
            said = elements[int(name)] if int(name) < len(elements) else None
        else:
            return None
    return said


def _name(part: str) -> str:
    """Return the name that a part of a JSON Pointer says."""
    return part.replace("~1", "/").replace("~0", "~")
