"""The bytes of the workload's messages, and the times inside them as something to move on.

Bytes are built once and sent many times: before each further pass the load generator writes later
times into them (`Clock.advance`). That costs nanoseconds per fix and keeps every fix new.
"""

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from telemetry.fix import FixBatch
from telemetry.formats.encode import encode_packed
from telemetry.ids import derived_id, format_id
from telemetry.topics import fixes_topic, packed_topic

PACKED_FIX_BYTES = 32
JSON_FIX = (
    '{"time":"%sZ","lat":%.7f,"lon":%.7f,"seq":%d,"altitude_m":%.1f,"speed_mps":%.2f,'
    '"course_deg":%.1f,"accuracy_m":%.1f,"satellites":%d}'
)
JSON_COLUMNS = (
    "lat",
    "lon",
    "seq",
    "altitude_m",
    "speed_mps",
    "course_deg",
    "accuracy_m",
    "satellites",
)
# Where the digits of HH:MM stand behind the start of a JSON fix.
_HOUR_MINUTE = len('{"time":"2026-01-05T') + np.array([0, 1, 3, 4])
_DAY_MINUTES = 1_440


class Form(StrEnum):
    """The format of a message."""

    JSON = "json"
    PACKED = "packed"


def tracker_id(tracker: int) -> str:
    """Return the public id of the tracker with this number."""
    return format_id("trk", derived_id(b"bench tracker", tracker.to_bytes(4, "big")))


def tracker_secret(tracker: int) -> str:
    """Return the secret of the tracker with this number."""
    return f"bench-secret-{tracker}"


def topic(tracker: int, form: Form) -> str:
    """Return the topic of the tracker with this number."""
    wanted = fixes_topic if form is Form.JSON else packed_topic
    return wanted(tracker_id(tracker))


def fix_texts(rows: NDArray[np.void], form: Form) -> list[bytes]:
    """Return each fix on its own, shape (n,), FIX_DTYPE."""
    if form is Form.PACKED:
        packed = encode_packed(FixBatch(rows))
        return [packed[at : at + PACKED_FIX_BYTES] for at in range(0, len(packed), 32)]
    times = np.datetime_as_string(rows["time_us"].astype("datetime64[us]"), unit="s")
    columns = [times.tolist(), *(rows[name].tolist() for name in JSON_COLUMNS)]
    return [(JSON_FIX % values).encode() for values in zip(*columns, strict=True)]


def joined(fixes: Sequence[bytes], form: Form) -> bytes:
    """Return one message of the fixes. Its first fix begins at `first_fix_at`."""
    if form is Form.PACKED:
        return b"".join(fixes)
    return fixes[0] if len(fixes) == 1 else b"[" + b",".join(fixes) + b"]"


def fix_offsets(fixes: Sequence[bytes], form: Form) -> list[int]:
    """Return where in the joined message each fix begins."""
    separator = 0 if form is Form.PACKED else 1
    position = separator if len(fixes) > 1 else 0
    offsets: list[int] = []
    for fix in fixes:
        offsets.append(position)
        position += len(fix) + separator
    return offsets


class Clock:
    """The times inside a stretch of packets.

    packets: uint8, written in place. starts: where each fix begins, shape (n,). times_us: each
    fix's time in the first pass, shape (n,).
    """

    def __init__(
        self,
        packets: NDArray[np.uint8],
        starts: NDArray[np.int64],
        times_us: NDArray[np.int64],
        form: Form,
    ) -> None:
        digits = _HOUR_MINUTE if form is Form.JSON else np.arange(8)
        self._packets = packets
        self._positions = starts[:, None] + digits
        self._times_us = times_us
        self._write = _hour_minute if form is Form.JSON else _milliseconds

    def advance(self, by_us: int) -> None:
        """Write the first pass's times plus `by_us`: whole minutes, within the first pass's day."""
        self._packets[self._positions] = self._write(self._times_us + by_us)


def _hour_minute(times_us: NDArray[np.int64]) -> NDArray[np.uint8]:
    hour, minute = np.divmod(times_us // 60_000_000 % _DAY_MINUTES, 60)
    digits = np.stack([hour // 10, hour % 10, minute // 10, minute % 10], axis=1)
    return (digits + ord("0")).astype(np.uint8)


def _milliseconds(times_us: NDArray[np.int64]) -> NDArray[np.uint8]:
    return (times_us // 1_000).astype("<i8").view(np.uint8).reshape(-1, 8)
