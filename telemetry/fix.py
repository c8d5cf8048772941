"""A batch of fixes as columns. Decoders make it, the evaluator judges it, and COPY writes it.

One numpy structured array holds the columns of fixed width. `attributes`, which few fixes have, are
kept beside the array by row number. There is no Python object per fix.

Event time is `time_us`: whole microseconds since 1970-01-01T00:00:00Z, the resolution of
PostgreSQL. The column of an optional value is valid only if its bit is set in `known`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Self

import numpy as np
from numpy.typing import NDArray

SENDER = 0

FIX_DTYPE = np.dtype(
    [
        ("message", "<i4"),  # which message of the decoded sequence the fix came in
        ("position", "<i4"),  # which fix of that message's array, -1 where it was one object
        ("device", "<i2"),  # which device of that message, SENDER where it is the sender itself
        ("tracker", "<i4"),  # ordinal of the tracker, -1 until resolved
        ("asset", "<i4"),  # ordinal of the asset at event time, -1 where there is none
        ("organization", "<i4"),  # ordinal of the organization, -1 until resolved
        ("time_us", "<i8"),
        ("received_us", "<i8"),  # its `received_at`, which rises from batch to batch; 0 until then
        ("lat", "<f8"),  # degrees, WGS 84
        ("lon", "<f8"),  # degrees, WGS 84
        ("seq", "<i4"),  # the tracker's own counter, 0 where the format has none
        ("altitude_m", "<f4"),
        ("speed_mps", "<f4"),
        ("course_deg", "<f4"),
        ("accuracy_m", "<f4"),
        ("battery_pct", "<f4"),
        ("satellites", "<i2"),
        ("ignition", "?"),
        ("known", "u1"),  # Known bits
        ("flags", "u1"),  # Flag bits
    ]
)


class Known(IntFlag):
    """The optional columns of a row that carry a value, as bits."""

    ALTITUDE = 1
    SPEED = 2
    COURSE = 4
    ACCURACY = 8
    BATTERY = 16
    SATELLITES = 32
    IGNITION = 64


OPTIONAL_COLUMNS: Mapping[str, Known] = {
    "altitude_m": Known.ALTITUDE,
    "speed_mps": Known.SPEED,
    "course_deg": Known.COURSE,
    "accuracy_m": Known.ACCURACY,
    "battery_pct": Known.BATTERY,
    "satellites": Known.SATELLITES,
    "ignition": Known.IGNITION,
}


class Flag(IntFlag):
    """Findings about a stored fix. UNAUTHENTICATED: its sender had no secret, but an IMEI alone.
    UPLOADED: it is a point of an uploaded track. QUIET: its events go to no webhook endpoint.
    """

    SUSPECT = 1
    ROLLOVER = 2
    UNAUTHENTICATED = 4
    UPLOADED = 8
    QUIET = 16


NO_EVIDENCE = Flag.SUSPECT | Flag.UNAUTHENTICATED
"""A fix with one of these flags says nothing about a punch."""


def _no_attributes() -> dict[int, bytes]:
    return {}


@dataclass(frozen=True, slots=True)
class FixBatch:
    """n fixes in order of arrival.

    rows: shape (n,), FIX_DTYPE.
    attributes: row number -> one JSON object as UTF-8 text; a row without attributes has no entry.
    """

    rows: NDArray[np.void]
    attributes: Mapping[int, bytes] = field(default_factory=_no_attributes)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, column: str) -> NDArray[np.generic]:
        """Return one column, shape (n,), as a view."""
        return self.rows[column]

    @classmethod
    def empty(cls) -> Self:
        return cls(blank_rows(0))

    def take(self, positions: NDArray[np.integer]) -> "FixBatch":
        """Return the fixes at `positions` (shape (k,), row numbers), in that order."""
        rows = self.rows[positions]
        if not self.attributes:
            return FixBatch(rows)
        old_of_new = enumerate(positions.tolist())
        return FixBatch(
            rows, {new: self.attributes[old] for new, old in old_of_new if old in self.attributes}
        )

    @staticmethod
    def concat(batches: "Sequence[FixBatch]") -> "FixBatch":
        """Return all fixes of `batches`, one after the other."""
        if not any(map(len, batches)):
            return FixBatch.empty()
        attributes: dict[int, bytes] = {}
        start = 0
        for batch in batches:
            attributes.update({start + row: text for row, text in batch.attributes.items()})
            start += len(batch)
        return FixBatch(np.concatenate([batch.rows for batch in batches]), attributes)


def blank_rows(n: int) -> NDArray[np.void]:
    """Return n rows with nothing known; position, tracker, asset and organization not given."""
    rows = np.zeros(n, FIX_DTYPE)
    for column in ("position", "tracker", "asset", "organization"):
        rows[column] = -1
    return rows
