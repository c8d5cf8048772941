"""The decoder of many messages: one batch of fixes and a list of rejections.

`decode` never raises for what a device may send. What one message gives does not depend on its
neighbours: decoding a list is decoding each alone, put together. Each message ends as fixes, as
rejections, or as both.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from telemetry.fix import FixBatch
from telemetry.formats.decoded import Decoded, in_order, merge, reject_row
from telemetry.formats.native import decode_native
from telemetry.formats.packed import decode_packed
from telemetry.rejection import Reason, Rejection
from telemetry.times import format_time
from telemetry.topics import Format

__all__ = ["Decoded", "Format", "Reason", "Rejection", "check_clock", "decode"]

MAX_AHEAD_US = 5 * 60 * 1_000_000
ANCIENT_BEFORE_US = 946_684_800_000_000  # 2000-01-01T00:00:00Z


def decode(payloads: Sequence[bytes], formats: Sequence[Format] | NDArray[np.integer]) -> Decoded:
    """Decode `payloads`; `formats` gives the format of each. Columns `message` and `position` say
    where a fix came from; tracker, asset and organization are left unresolved.
    """
    is_packed = np.asarray(formats, np.uint8) == Format.PACKED
    if len(is_packed) != len(payloads):
        raise ValueError(f"{len(payloads)} payloads, {len(is_packed)} formats")
    if not is_packed.any():
        return decode_native(payloads)
    if is_packed.all():
        return decode_packed(payloads)
    parts: list[tuple[Decoded, NDArray[np.intp]]] = []
    for decoder, chosen in ((decode_native, ~is_packed), (decode_packed, is_packed)):
        places = np.flatnonzero(chosen)
        parts.append((decoder([payloads[i] for i in places.tolist()]), places))
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
    rejections = [
        reject_row(rows[row], reason, format_time(int(rows["time_us"][row])))
        for reason, refused in ((Reason.ANCIENT, ancient), (Reason.FUTURE, future & ~ancient))
        for row in np.flatnonzero(refused).tolist()
    ]
    return np.flatnonzero(~(ancient | future)), in_order(rejections)
