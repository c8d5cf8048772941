"""Positions that gateways forward, one device a message: Traccar, ChirpStack 4, The Things Stack 3.

`device_of` says which device a message is of, by the id that the gateway knows it by: the IMEI or
`uniqueId` of Traccar, the DevEUI of a LoRaWAN device.

- Traccar (`forward.type` `json`): knots; accuracy 0 is not known; a position that is not `valid` is
  an old one, and no fix.
- ChirpStack (integration HTTP, JSON): an event with `location`, or with coordinates in `object`,
  what the codec made of an uplink. Zeros are left out.
- The Things Stack (webhooks): `locations["frm-payload"]`, what its network solved, else coordinates
  in `decoded_payload`.

Where a gateway stands (`rx_metadata`, `rxInfo`) and what was typed in (`user`) is never a position.
Messages without coordinates (a join, a status, a battery) are no fixes. The time of LoRaWAN devices
is that at which the network received the uplink.

The messages: https://www.traccar.org/forward, https://www.chirpstack.io/docs/chirpstack/integrations,
https://www.thethingsindustries.com/docs/integrations/data-formats.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from zlib import crc32

import msgspec

from telemetry.formats.app_json import Read, Refused, add_one, decode_each, last_of, parse
from telemetry.formats.decoded import Decoded
from telemetry.formats.gather import Fix, Gathered
from telemetry.formats.last_fix import LastFix
from telemetry.rejection import Reason

_KNOT_MPS = 1852 / 3600
_NAN = float("nan")
_Object = Mapping[str, Any]
# What codecs call coordinates in what they decode.
_LATITUDES = ("latitude", "lat", "gps_lat")
_LONGITUDES = ("longitude", "lon", "lng", "long", "gps_lon")
_ALTITUDES = ("altitude", "alt")


def decode_traccar(payloads: Sequence[bytes]) -> Decoded:
    """Return fixes and rejections of what Traccar forwards; `message` counts from 0."""
    return decode_each(payloads, _gathering(_of_traccar))


def decode_chirpstack(payloads: Sequence[bytes]) -> Decoded:
    """The same of ChirpStack."""
    return decode_each(payloads, _gathering(_of_chirpstack))


def decode_tts(payloads: Sequence[bytes]) -> Decoded:
    """The same of The Things Stack."""
    return decode_each(payloads, _gathering(_of_tts))


def last_traccar_fix(payload: bytes) -> LastFix:
    return last_of(decode_traccar([payload]))


def last_chirpstack_fix(payload: bytes) -> LastFix:
    return last_of(decode_chirpstack([payload]))


def last_tts_fix(payload: bytes) -> LastFix:
    return last_of(decode_tts([payload]))


class _OfTraccar(msgspec.Struct):
    class Device(msgspec.Struct, rename="camel"):
        unique_id: str | None = None

    device: Device = msgspec.field(default_factory=Device)

    @property
    def name(self) -> str | None:
        return self.device.unique_id


class _OfChirpstack(msgspec.Struct, rename="camel"):
    class Info(msgspec.Struct, rename="camel"):
        dev_eui: str | None = None

    device_info: Info = msgspec.field(default_factory=Info)

    @property
    def name(self) -> str | None:
        return self.device_info.dev_eui


class _OfTts(msgspec.Struct):
    class Ids(msgspec.Struct):
        dev_eui: str | None = None
        device_id: str | None = None

    end_device_ids: Ids = msgspec.field(default_factory=Ids)

    @property
    def name(self) -> str | None:
        return self.end_device_ids.dev_eui or self.end_device_ids.device_id


# Readers of the device alone: what a message has beside it is skipped, not built.
_NAMED: Mapping[str, msgspec.json.Decoder[_OfTraccar | _OfChirpstack | _OfTts]] = {
    "traccar": msgspec.json.Decoder(_OfTraccar),
    "chirpstack": msgspec.json.Decoder(_OfChirpstack),
    "tts": msgspec.json.Decoder(_OfTts),
}


def device_of(kind: str, payload: bytes) -> str | None:
    """Return the id of the device of a message, None where it names none. kind: of the gateway."""
    try:
        return _NAMED[kind].decode(payload).name or None
    except (ValueError, RecursionError):
        return None


def _gathering(read: Callable[[_Object], Read]) -> Callable[[Gathered, bytes], None]:
    def gather(gathered: Gathered, payload: bytes) -> None:
        said = parse(payload)
        if isinstance(said, Refused):
            gathered.refuse(*said)
        elif not isinstance(said, dict):
            gathered.refuse(Reason.UNDECODABLE, "a message must be an object")
        else:
            try:
                found = read(cast("dict[str, Any]", said))
            except (ValueError, OverflowError) as error:
                found = Refused(Reason.UNDECODABLE, str(error))
            add_one(gathered, found)

    return gather


class _Position(msgspec.Struct, rename="camel"):
    """A position of Traccar: the members that have a column of ours."""

    latitude: float
    longitude: float
    fix_time: str
    valid: bool = True
    altitude: float = _NAN
    speed: float = -1.0
    course: float = -1.0
    accuracy: float = 0.0
    protocol: str | None = None
    attributes: dict[str, Any] = {}


class _Known(msgspec.Struct, rename="camel"):
    """Attributes of Traccar that have a column of ours."""

    sat: int | None = None
    battery_level: float = -1.0
    ignition: bool | None = None


def _of_traccar(said: _Object) -> Read:
    if said.get("position") is None:
        return None  # of a device that has none
    position = msgspec.convert(_without_null(said["position"]), _Position)
    if not position.valid:
        return None
    attributes = _without_null(position.attributes)
    known = msgspec.convert(attributes, _Known)
    rest = {
        name: value for name, value in attributes.items() if name not in ("sat", "batteryLevel")
    }
    rest.pop("ignition", None)
    if position.protocol is not None:
        rest["protocol"] = position.protocol
    more: dict[str, Any] = {}
    if known.sat is not None:
        more["satellites"] = min(255, max(0, known.sat))
    if known.ignition is not None:
        more["ignition"] = known.ignition
    return Fix(
        time=position.fix_time,
        lat=position.latitude,
        lon=position.longitude,
        altitude_m=position.altitude,
        speed_mps=_above(position.speed) * _KNOT_MPS,
        course_deg=_above(position.course),
        accuracy_m=position.accuracy if position.accuracy > 0 else _NAN,
        battery_pct=_above(known.battery_level),
        attributes=rest or None,
        **more,
    )


def _of_chirpstack(said: _Object) -> Read:
    location, decoded = said.get("location"), _object(said.get("object"))
    if isinstance(location, dict):
        place = cast("dict[str, Any]", location)
        lat, lon = place.get("latitude", 0.0), place.get("longitude", 0.0)  # zeros are left out
        altitude, accuracy = place.get("altitude"), place.get("accuracy")
    else:
        lat, lon = _first(decoded, _LATITUDES), _first(decoded, _LONGITUDES)
        altitude, accuracy = _first(decoded, _ALTITUDES), None
    identity = said.get("deduplicationId")
    seq = _seq(identity) if isinstance(identity, str) else 0
    return _lora_fix(said.get("time"), (lat, lon, altitude, accuracy), seq, decoded)


def _of_tts(said: _Object) -> Read:
    uplink = _object(said.get("uplink_message"))
    decoded = _object(uplink.get("decoded_payload"))
    solved = _object(_object(said.get("location_solved")).get("location"))
    place = _object(_object(uplink.get("locations")).get("frm-payload")) or solved
    lat, lon = place.get("latitude"), place.get("longitude")
    altitude, accuracy = place.get("altitude"), place.get("accuracy")
    if not place:
        lat, lon = _first(decoded, _LATITUDES), _first(decoded, _LONGITUDES)
        altitude = _first(decoded, _ALTITUDES)
    elif lat is None or lon is None:
        lat, lon = lat or 0.0, lon or 0.0  # zeros are left out
    count = uplink.get("f_cnt")
    seq = count & 0x7FFF if isinstance(count, int) else 0
    time = uplink.get("received_at") or said.get("received_at")
    return _lora_fix(time, (lat, lon, altitude, accuracy), seq, decoded)


def _lora_fix(time: Any, place: tuple[Any, Any, Any, Any], seq: int, decoded: _Object) -> Read:
    lat, lon, altitude, accuracy = place
    if lat is None or lon is None:
        return None
    if not isinstance(time, str):
        return Refused(Reason.UNDECODABLE, "the time is missing")
    rest = {
        name: value
        for name, value in decoded.items()
        if name not in (*_LATITUDES, *_LONGITUDES, *_ALTITUDES)
    }
    return Fix(
        time=time,
        lat=_number(lat),
        lon=_number(lon),
        seq=seq,
        altitude_m=_NAN if altitude is None else _number(altitude),
        accuracy_m=_NAN if not accuracy else _number(accuracy),
        attributes=rest or None,
    )


def _seq(identity: str) -> int:
    """Return what tells an uplink apart from others of its time: 15 bits, never 0."""
    return crc32(identity.encode()) & 0x7FFF or 1


def _first(said: _Object, names: Sequence[str]) -> Any:
    return next((said[name] for name in names if said.get(name) is not None), None)


def _object(said: Any) -> _Object:
    return cast("dict[str, Any]", said) if isinstance(said, dict) else {}


def _without_null(said: Any) -> Any:
    if not isinstance(said, dict):
        return said
    members = cast("dict[str, Any]", said)
    return {name: value for name, value in members.items() if value is not None}


def _number(value: Any) -> float:
    return msgspec.convert(value, float)


def _above(value: float) -> float:
    return value if value >= 0 else _NAN
