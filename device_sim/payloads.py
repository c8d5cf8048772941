"""The payloads of a simulated tracker's messages.

What a format cannot carry is rounded before it is noted as sent, so that a ledger holds what the
other side can know: the packed format keeps whole milliseconds and 1e-7 degrees.
"""

from collections.abc import Callable
from enum import StrEnum
from itertools import pairwise

import msgspec
import numpy as np

from device_sim.packing import Messages
from telemetry.fix import FixBatch
from telemetry.formats.encode import encode_json, encode_msgpack, encode_packed

_DEGREES_E7 = 1e7
RECORD_BYTES = 32


class PayloadFormat(StrEnum):
    """The native formats of trackers."""

    JSON = "json"
    MSGPACK = "msgpack"
    PACKED = "packed"


def payloads(payload_format: PayloadFormat, messages: Messages) -> list[bytes]:
    """Return the bytes of each message. Raises telemetry.formats.encode.EncodeError for what cannot
    be carried.

    A latitude that is not a number is written as NaN, though that is no JSON.

    All fixes are encoded at once and then cut apart, which costs a tenth of encoding each message.
    """
    if not len(messages.fixes):
        return []
    if payload_format is PayloadFormat.PACKED:
        records = encode_packed(messages.fixes)
        ends = (np.cumsum(messages.lengths) * RECORD_BYTES).tolist()
        return [records[start:end] for start, end in pairwise([0, *ends])]
    if payload_format is PayloadFormat.JSON:
        texts = _apart(encode_json(messages.fixes), len(messages.fixes), msgspec.json.decode)
        for row in np.flatnonzero(np.isnan(messages.fixes.rows["lat"])).tolist():
            texts[row] = msgspec.Raw(bytes(texts[row]).replace(b'"lat":null', b'"lat":NaN', 1))
        return _joined(texts, messages.lengths.tolist(), msgspec.json.encode)
    texts = _apart(encode_msgpack(messages.fixes), len(messages.fixes), msgspec.msgpack.decode)
    return _joined(texts, messages.lengths.tolist(), msgspec.msgpack.encode)


def _apart(
    encoded: bytes, fixes: int, decode: Callable[..., list[msgspec.Raw]]
) -> list[msgspec.Raw]:
    """Return each object of an encoded array; a single fix is encoded as an object alone."""
    return [msgspec.Raw(encoded)] if fixes == 1 else decode(encoded, type=list[msgspec.Raw])


def _joined(
    texts: list[msgspec.Raw], lengths: list[int], encode: Callable[[list[msgspec.Raw]], bytes]
) -> list[bytes]:
    contents: list[bytes] = []
    start = 0
    for length in lengths:
        end = start + length
        contents.append(bytes(texts[start]) if length == 1 else encode(texts[start:end]))
        start = end
    return contents


def truncated(content: bytes) -> bytes:
    """Return the first half of a message, which is no message in any of the formats."""
    return content[: len(content) // 2 | 1]


def as_sent(messages: Messages, payload_format: PayloadFormat) -> Messages:
    """Return the messages with what will be left of their fixes in this format."""
    if payload_format is not PayloadFormat.PACKED:
        return messages
    rows = messages.fixes.rows.copy()
    rows["time_us"] -= rows["time_us"] % 1000
    for column in ("lat", "lon"):
        rows[column] = np.rint(rows[column] * _DEGREES_E7) / _DEGREES_E7
    return messages._replace(fixes=FixBatch(rows))
