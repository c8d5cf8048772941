"""Messages of apps in JSON: an object, or an array of objects, each read by a function.

The function gives a fix, or why there is none, or None for what is not meant to be one: presence,
settings, a list of cells.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import msgspec

from telemetry.formats.decoded import MAX_MESSAGE_BYTES, Decoded, oversize_message
from telemetry.formats.gather import FLUSH_FIXES, Fix, Gathered
from telemetry.formats.last_fix import UNKNOWN, LastFix
from telemetry.rejection import Reason, Rejection

_JSON = msgspec.json.Decoder(Any)


class Refused(NamedTuple):
    reason: Reason
    detail: str


Read: TypeAlias = Fix | Refused | None


def decode_each(payloads: Sequence[bytes], gather: Callable[[Gathered, bytes], None]) -> Decoded:
    """Return fixes and rejections of `payloads`; `message` counts from 0. gather: adds one payload
    that is not too long.
    """
    gathered = Gathered()
    for payload in payloads:
        if len(payload) > MAX_MESSAGE_BYTES:
            gathered.refuse(Reason.OVERSIZE, oversize_message(len(payload)))
            continue
        gather(gathered, payload)
        if len(gathered.fixes) >= FLUSH_FIXES:
            gathered.flush()
    return gathered.decoded()


def last_of(decoded: Decoded) -> LastFix:
    """Return the last fix of a message that can be read."""
    rows = decoded.batch.rows
    return LastFix(int(rows["time_us"][-1]), int(rows["seq"][-1])) if len(rows) else UNKNOWN


def parse(payload: bytes, other: str = "") -> Any:
    """Return what a JSON payload says, or a Refused. other: what else it might have been."""
    try:
        return _JSON.decode(payload)
    except RecursionError:
        return Refused(Reason.UNDECODABLE, "nested too deeply")
    except ValueError as error:
        what = f"neither JSON nor {other}" if other else "not JSON"
        detail = f"{what}: {error}" if payload else "an empty message"
        return Refused(Reason.UNDECODABLE, detail)


def add_one(gathered: Gathered, read: Read) -> None:
    """Add a message that is one object."""
    match read:
        case Fix():
            gathered.add_lone(read)
        case Refused():
            gathered.refuse(*read)
        case None:
            gathered.add_array([])


def add_several(gathered: Gathered, elements: Sequence[Any], read: Callable[[Any], Read]) -> None:
    """Add a message that is an array."""
    if not gathered.length_is_good(elements):
        return
    fixes: dict[int, Fix] = {}
    for position, element in enumerate(elements):
        match read(element):
            case Fix() as fix:
                fixes[position] = fix
            case Refused() as refused:
                message = len(gathered.spans)
                gathered.rejections.append(Rejection(message, position, *refused))
            case None:
                pass
    gathered.add_some(fixes)
