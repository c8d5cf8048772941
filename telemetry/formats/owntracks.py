"""Locations of the OwnTracks apps: JSON, and the CSV of devices without room for JSON.

    {"_type": "location", "tst": 1769860800, "lat": 52.52, "lon": 13.405, "acc": 5, "vel": 54}
    X0,697deec0,k,52520000,13405000,26,4,7,5,872

The app writes kilometres per hour, seconds since 1970, and -1 for what it does not know. A message
is one object, or an array of them. A transition into or out of a region of the app is a fix of its
own beside the location of the same time, so its `seq` comes from its bytes. Presence, waypoints,
settings and the like are no fixes: they give nothing, and are not refused.

The messages: https://owntracks.org/booklet/tech/json. CSV: `csv_to_json` of owntracks/recorder.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast
from zlib import crc32

import msgspec

from telemetry.formats.app_json import Refused, add_one, add_several, decode_each, last_of, parse
from telemetry.formats.decoded import Decoded
from telemetry.formats.gather import Fix, Gathered
from telemetry.formats.last_fix import LastFix
from telemetry.rejection import Reason

_KMH = 3.6
_NAN = float("nan")
_LOCATION, _TRANSITION = "location", "transition"
_NO_FIX = frozenset(
    (
        *("beacon", "card", "cards", "cmd", "configuration", "dump", "lwt", "request", "status"),
        *("step", "steps", "waypoint", "waypoints"),
    )
)
_CSV = re.compile(
    rb"([^,]{1,32}),([0-9A-Fa-f]{1,8}),([^,]{1,8}),(-?[0-9]{1,9}),(-?[0-9]{1,9})"
    rb",([0-9]{1,3}),([0-9]{1,4}),(-?[0-9]{1,5}),([0-9]{1,9}),([0-9]{1,9})\s?"
)


class _Location(msgspec.Struct):
    """The keys of a location or a transition that have a column of ours."""

    tst: int | float
    lat: float
    lon: float
    acc: float = _NAN
    alt: float = _NAN
    vel: float = _NAN
    cog: float = _NAN
    batt: float = _NAN
    ign: bool | None = None


_COLUMNS = frozenset(_Location.__struct_fields__)
_NEGATIVE_IS_UNKNOWN = ("acc", "batt", "cog", "vac", "vel")


def decode_owntracks(payloads: Sequence[bytes]) -> Decoded:
    """Return fixes and rejections of `payloads`; `message` counts from 0."""
    return decode_each(payloads, _gather)


def last_owntracks_fix(payload: bytes) -> LastFix:
    """Read the last fix of a message that can be read. Never raises ValueError."""
    return last_of(decode_owntracks([payload]))


def _gather(gathered: Gathered, payload: bytes) -> None:
    if row := _CSV.fullmatch(payload):
        gathered.add_lone(_of_csv(row))
        return
    said = parse(payload, "the CSV of OwnTracks")
    if isinstance(said, list):
        add_several(gathered, cast("list[Any]", said), _read)
    else:
        add_one(gathered, said if isinstance(said, Refused) else _read(said))


def _read(said: Any) -> Fix | Refused | None:
    """Return one fix, or why it is none; None for what is not meant to be one."""
    if not isinstance(said, dict):
        return Refused(Reason.UNDECODABLE, "a message must be an object")
    members = cast("dict[str, Any]", said)
    kind = members.get("_type")
    if kind == "encrypted":
        hint = "encrypted, and the tracker has no encryption key, or another one than the app"
        return Refused(Reason.UNDECODABLE, hint)
    if isinstance(kind, str) and kind in _NO_FIX:
        return None
    if kind not in (_LOCATION, _TRANSITION):
        return Refused(Reason.UNDECODABLE, "_type is none of OwnTracks' messages")
    return _of_object(members)


def _of_object(members: Mapping[str, Any]) -> Fix | Refused:
    known = {key: value for key, value in members.items() if value is not None}
    for key in _NEGATIVE_IS_UNKNOWN:
        if isinstance(value := known.get(key), int | float) and value < 0:
            del known[key]
    if "tst" not in known:
        return Refused(Reason.UNDECODABLE, "tst is missing")
    for key in ("lat", "lon"):
        if key not in known:
            return Refused(Reason.NO_POSITION, f"{key} is missing")
    is_transition = members["_type"] == _TRANSITION
    try:
        said = msgspec.convert(known, _Location)
        seq = _seq(members) if is_transition else 0
    except RecursionError:
        return Refused(Reason.UNDECODABLE, "nested too deeply")
    except (ValueError, OverflowError) as error:
        return Refused(Reason.UNDECODABLE, str(error))
    rest = {key: value for key, value in known.items() if key not in _COLUMNS}
    if not is_transition:
        del rest["_type"]
    return Fix(
        time=1_000 * said.tst,
        lat=said.lat,
        lon=said.lon,
        seq=seq,
        altitude_m=said.alt,
        speed_mps=said.vel / _KMH,
        course_deg=said.cog,
        accuracy_m=said.acc,
        battery_pct=said.batt,
        attributes=rest or None,
        **({} if said.ign is None else {"ignition": said.ign}),
    )


def _seq(members: Mapping[str, Any]) -> int:
    """Return what tells a record apart from others of its time: 15 bits of its bytes, never 0."""
    return crc32(msgspec.json.encode(members)) & 0x7FFF or 1


def _of_csv(row: re.Match[bytes]) -> Fix:
    device, *_ = texts = [part.decode(errors="replace") for part in row.groups()]
    lat, lon, course, speed, altitude, dist, trip = map(int, texts[3:])
    return Fix(
        time=1_000 * int(texts[1], 16),
        lat=lat / 1e6,
        lon=lon / 1e6,
        altitude_m=10 * altitude,
        speed_mps=speed / _KMH,
        course_deg=10 * course,
        attributes={"tid": device, "t": texts[2], "dist_m": dist, "trip_m": 1_000 * trip},
    )


def owntracks_command(text: str) -> dict[str, Any]:
    """Return the message of a command to the app: its action, or a JSON object that has one."""
    try:
        said = msgspec.json.decode(text)
    except msgspec.DecodeError:
        said = None
    return {**(said if isinstance(said, dict) else {"action": text}), "_type": "cmd"}
