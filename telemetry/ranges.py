"""The values of the optional columns that a sensor can mean, and what becomes of the others.

A course of -1 or a battery of 250 % does not spoil a good position. Such a value is not written to
its column; it is kept as it came, under its own name, in the attributes of the fix.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from telemetry.attributes import with_members
from telemetry.fix import OPTIONAL_COLUMNS

RANGES: Mapping[str, tuple[float, float]] = {
    "altitude_m": (-20_000.0, 100_000_000.0),
    "speed_mps": (0.0, 100_000.0),
    "course_deg": (0.0, 360.0),
    "accuracy_m": (0.0, 100_000_000.0),
    "battery_pct": (0.0, 100.0),
    "satellites": (0, 255),
}


def write_column(
    rows: NDArray[np.void],
    attributes: dict[int, bytes],
    column: str,
    values: NDArray[np.floating],
) -> None:
    """Fill an optional column of `rows` from `values`, shape (n,); not finite is not known.

    Values out of range go to `attributes` (row number -> JSON object).
    """
    low, high = RANGES[column]
    good = (values >= low) & (values <= high)
    known = np.uint8(OPTIONAL_COLUMNS[column])
    if good.all():
        rows[column] = values
        rows["known"] |= known
        return
    rows[column] = np.where(good, values, 0)
    rows["known"] |= np.where(good, known, np.uint8(0))
    for row in np.flatnonzero(~good & np.isfinite(values)).tolist():
        attributes[row] = with_members(attributes.get(row), {column: values[row].item()})
