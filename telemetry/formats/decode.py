"""The decoder of many messages: one batch of fixes, and lists of punches and rejections.

`DECODERS` is the table of formats: a new format is a file beside this one and a row there.

`decode` never raises for what a device may send. What one message gives does not depend on its
neighbours: decoding a list is decoding each alone, put together. Each message ends as fixes or
punches, as rejections, or as both; as nothing where a format has messages that mean no fix.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from telemetry.fix import FixBatch, Flag
from telemetry.formats.boxes.gt06 import decode_gt06, last_gt06_fix
from telemetry.formats.boxes.h02 import decode_h02, last_h02_fix
from telemetry.formats.boxes.meitrack import decode_meitrack, last_meitrack_fix
from telemetry.formats.boxes.queclink import decode_queclink, last_queclink_fix
from telemetry.formats.boxes.teltonika import decode_teltonika, last_teltonika_fix
from telemetry.formats.decoded import Decoded, in_order, merge, reject_row
from telemetry.formats.gateways.forwarded import (
    decode_chirpstack,
    decode_traccar,
    decode_tts,
    last_chirpstack_fix,
    last_traccar_fix,
    last_tts_fix,
)
from telemetry.formats.gateways.generic import decode_generic, last_generic_fix
from telemetry.formats.last_fix import LastFix, last_native_fix, last_packed_fix
from telemetry.formats.native import decode_native
from telemetry.formats.nmea import decode_nmea, last_nmea_fix
from telemetry.formats.osmand import decode_osmand, last_osmand_fix
from telemetry.formats.overland import decode_overland, last_overland_fix
from telemetry.formats.owntracks import decode_owntracks, last_owntracks_fix
from telemetry.formats.packed import decode_packed
from telemetry.formats.punches import decode_punches
from telemetry.rejection import Reason, Rejection
from telemetry.times import ANCIENT_BEFORE_US, format_ancient, format_time
from telemetry.topics import is_of_owntracks, plain_topic

__all__ = ["Decoded", "Format", "Reason", "Rejection", "check_clock", "decode"]

MAX_AHEAD_US = 5 * 60 * 1_000_000


class Format(IntEnum):
    """The way in which the payload of a message is written."""

    NATIVE = 0  # JSON where the first byte after blanks is { or [, else MessagePack
    PACKED = 1  # 32-byte records
    PUNCHES = 2  # JSON
    OWNTRACKS = 3  # JSON or CSV
    TELTONIKA = 4  # packets of Codec 8, 8 Extended and 16
    OSMAND = 5  # a query, or the JSON of Traccar Client
    OVERLAND = 6  # JSON
    TRACCAR = 7  # JSON that these gateways forward
    CHIRPSTACK = 8
    TTS = 9
    NMEA = 10  # lines
    TELTONIKA_IMEI = 11  # the packets of TELTONIKA from a device without a secret
    GT06 = 12  # a position behind a login, from a device without a secret
    QUECLINK = 13  # a report in ASCII, from a device without a secret
    H02 = 14  # a sentence, from a device without a secret
    MEITRACK = 15  # a packet, from a device without a secret
    GENERIC = 16  # JSON of any gateway, with the mapping that reads it


class Decoder(NamedTuple):
    """The reader of one format.

    topic: the MQTT filter of the topics that say the format; the tracker's id stands for the first
        `+`.
    decode: gives the fixes, punches and rejections of payloads; `message` counts from 0.
    last_fix: gives what one payload says of its last fix or punch.
    """

    topic: str
    decode: Callable[[Sequence[bytes]], Decoded]
    last_fix: Callable[[bytes], LastFix]


def _unauthenticated(decode: Callable[[Sequence[bytes]], Decoded]) -> Callable[..., Decoded]:
    """Return a decoder whose fixes carry the flag of senders without a secret."""

    def decode_with_flag(payloads: Sequence[bytes]) -> Decoded:
        decoded = decode(payloads)
        decoded.batch.rows["flags"] |= np.uint8(Flag.UNAUTHENTICATED)
        return decoded

    return decode_with_flag


DECODERS: Mapping[Format, Decoder] = {
    Format.NATIVE: Decoder("trackers/+/fixes", decode_native, last_native_fix),
    Format.PACKED: Decoder("trackers/+/packed", decode_packed, last_packed_fix),
    Format.PUNCHES: Decoder("trackers/+/punches", decode_punches, last_native_fix),
    Format.OWNTRACKS: Decoder("owntracks/+/#", decode_owntracks, last_owntracks_fix),
    Format.TELTONIKA: Decoder("trackers/+/teltonika", decode_teltonika, last_teltonika_fix),
    Format.OSMAND: Decoder("trackers/+/osmand", decode_osmand, last_osmand_fix),
    Format.OVERLAND: Decoder("trackers/+/overland", decode_overland, last_overland_fix),
    Format.TRACCAR: Decoder("trackers/+/traccar", decode_traccar, last_traccar_fix),
    Format.CHIRPSTACK: Decoder("trackers/+/chirpstack", decode_chirpstack, last_chirpstack_fix),
    Format.TTS: Decoder("trackers/+/tts", decode_tts, last_tts_fix),
    Format.NMEA: Decoder("trackers/+/nmea", decode_nmea, last_nmea_fix),
    Format.TELTONIKA_IMEI: Decoder(
        "trackers/+/teltonika-imei", _unauthenticated(decode_teltonika), last_teltonika_fix
    ),
    Format.GT06: Decoder("trackers/+/gt06", _unauthenticated(decode_gt06), last_gt06_fix),
    Format.QUECLINK: Decoder(
        "trackers/+/queclink", _unauthenticated(decode_queclink), last_queclink_fix
    ),
    Format.H02: Decoder("trackers/+/h02", _unauthenticated(decode_h02), last_h02_fix),
    Format.MEITRACK: Decoder(
        "trackers/+/meitrack", _unauthenticated(decode_meitrack), last_meitrack_fix
    ),
    Format.GENERIC: Decoder("trackers/+/generic", decode_generic, last_generic_fix),
}
OF_GATEWAYS = frozenset({Format.TRACCAR, Format.CHIRPSTACK, Format.TTS, Format.GENERIC})
BY_HTTP = frozenset({Format.OSMAND, Format.OVERLAND})
BY_IMEI = frozenset(
    {Format.TELTONIKA_IMEI, Format.GT06, Format.QUECLINK, Format.H02, Format.MEITRACK}
)
"""What comes by these doors of the listener alone, and from no broker."""
SUBSCRIPTIONS = tuple(
    decoder.topic
    for form, decoder in DECODERS.items()
    if form not in OF_GATEWAYS | BY_HTTP | BY_IMEI
)
_FORMAT_OF = {
    decoder.topic.rpartition("/")[2]: form
    for form, decoder in DECODERS.items()
    if form != Format.OWNTRACKS
}


def format_of(topic: str) -> Format:
    """Return the format that a topic says; NATIVE where it says none."""
    if is_of_owntracks(topic):
        return Format.OWNTRACKS
    return _FORMAT_OF.get(topic.rpartition("/")[2], Format.NATIVE)


def tracker_of(topic: str) -> str:
    """Return the id of the tracker, as text, that publishes fixes or punches on a topic; "" where
    it is no such topic.
    """
    first, _, own = plain_topic(topic).partition("/")
    tracker_id, _, last = own.partition("/")
    return tracker_id if first == "trackers" and last in _FORMAT_OF else ""


def decode(payloads: Sequence[bytes], formats: Sequence[Format] | NDArray[np.integer]) -> Decoded:
    """Decode `payloads`; `formats` gives the format of each. Columns `message` and `position` say
    where a fix came from; tracker, asset and organization are left unresolved.
    """
    form_of = np.asarray(formats, np.uint8)
    if len(form_of) != len(payloads):
        raise ValueError(f"{len(payloads)} payloads, {len(form_of)} formats")
    parts: list[tuple[Decoded, NDArray[np.intp]]] = []
    for form, decoder in DECODERS.items():
        places = np.flatnonzero(form_of == form)
        if len(places) == len(payloads):
            return decoder.decode(payloads)
        if len(places):
            parts.append((decoder.decode([payloads[i] for i in places.tolist()]), places))
    return merge(parts)


def check_clock(
    batch: FixBatch,
    received_us: int | NDArray[np.int64],
    oldest_us: int | NDArray[np.int64] = ANCIENT_BEFORE_US,
) -> tuple[NDArray[np.intp], list[Rejection]]:
    """Return the row numbers of the fixes with a credible time, in order, and the rejections of the
    others.

    received_us: when the messages were received: one time for all, or shape (messages,), looked
        up by the column `message`.
    oldest_us: what is older is not kept; never before 2000-01-01. One time for all, or one for each
        fix.
    """
    rows = batch.rows
    each_has_its_own = isinstance(received_us, np.ndarray)
    receipt_us = received_us[rows["message"]] if each_has_its_own else received_us
    ancient = rows["time_us"] < np.maximum(oldest_us, ANCIENT_BEFORE_US)
    future = rows["time_us"] - receipt_us > MAX_AHEAD_US
    implausible = (
        (Reason.ANCIENT, ancient, format_ancient),
        (Reason.FUTURE, future & ~ancient, format_time),
    )
    rejections = [
        reject_row(rows[row], reason, shown(int(rows["time_us"][row])))
        for reason, refused, shown in implausible
        for row in np.flatnonzero(refused).tolist()
    ]
    return np.flatnonzero(~(ancient | future)), in_order(rejections)
