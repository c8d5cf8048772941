"""Locations of the app Overland: features of GeoJSON in one object.

    {"locations": [{"type": "Feature", "geometry": {"type": "Point", "coordinates": [lon, lat]},
                    "properties": {"timestamp": "2026-01-31T12:00:00Z", "speed": 4, ...}}]}

Metres and metres per second, a battery from 0 to 1, and -1 for what is not known. What stands
beside `locations` (the position now, a trip) is no fix.

The messages: https://github.com/aaronpk/Overland-iOS, "API".
"""

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from telemetry.formats.app_json import Read, Refused, add_several, decode_each, last_of, parse
from telemetry.formats.decoded import Decoded
from telemetry.formats.gather import Fix, Gathered
from telemetry.formats.last_fix import LastFix
from telemetry.rejection import Reason

_NAN = float("nan")


class _Properties(msgspec.Struct):
    """The properties that have a column of ours."""

    timestamp: str
    altitude: float = _NAN
    speed: float = -1.0
    course: float = -1.0
    horizontal_accuracy: float = -1.0
    battery_level: float = -1.0


_COLUMNS = frozenset(_Properties.__struct_fields__)
_WHO = frozenset({"device_id", "unique_id"})


def decode_overland(payloads: Sequence[bytes]) -> Decoded:
    """Return fixes and rejections of `payloads`; `message` counts from 0."""
    return decode_each(payloads, _gather)


def last_overland_fix(payload: bytes) -> LastFix:
    """Read the last fix of a message that can be read. Never raises ValueError."""
    return last_of(decode_overland([payload]))


def _gather(gathered: Gathered, payload: bytes) -> None:
    said = parse(payload)
    if isinstance(said, Refused):
        gathered.refuse(*said)
        return
    locations: Any = cast("dict[str, Any]", said).get("locations") if isinstance(said, dict) else 0
    if not isinstance(locations, list):
        gathered.refuse(Reason.UNDECODABLE, "locations must be an array")
    elif locations:
        add_several(gathered, cast("list[Any]", locations), _of_feature)
    else:
        gathered.add_array([])


def _of_feature(said: Any) -> Read:
    feature = cast("dict[str, Any]", said) if isinstance(said, dict) else {}
    properties: Any = feature.get("properties")
    geometry: Any = feature.get("geometry")
    if not isinstance(properties, dict) or not isinstance(geometry, dict):
        return Refused(Reason.UNDECODABLE, "a location must be a feature of GeoJSON")
    place: Any = cast("dict[str, Any]", geometry).get("coordinates")
    known = {
        name: value
        for name, value in cast("dict[str, Any]", properties).items()
        if value is not None
    }
    try:
        lon, lat, *_ = msgspec.convert(place, list[float])
        at = msgspec.convert(known, _Properties)
    except (ValueError, OverflowError) as error:
        return Refused(Reason.UNDECODABLE, str(error))
    rest = {name: value for name, value in known.items() if name not in _COLUMNS | _WHO}
    return Fix(
        time=at.timestamp,
        lat=lat,
        lon=lon,
        altitude_m=at.altitude,
        speed_mps=_known(at.speed),
        course_deg=_known(at.course),
        accuracy_m=_known(at.horizontal_accuracy),
        battery_pct=100 * _known(at.battery_level),
        attributes={name: value for name, value in rest.items() if value not in ("", [])} or None,
    )


def _known(value: float) -> float:
    return value if value >= 0 else _NAN
