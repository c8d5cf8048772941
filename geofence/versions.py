"""Versions of zones as columns: what the index is built of.

Entries are the rows of ENTRY_DTYPE; boxes, keys and boundaries are worked out from them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geofence.shapes import Circle, Shape, boxes

MIN_TIME_US = int(np.iinfo(np.int64).min)  # in force since always
MAX_TIME_US = int(np.iinfo(np.int64).max)  # in force until further notice

ENTRY_DTYPE = np.dtype(
    [
        ("zone", "<i4"),
        ("version", "<i4"),
        ("organization", "<i4"),
        ("valid_from_us", "<i8"),
        ("valid_to_us", "<i8"),
    ]
)


@dataclass(frozen=True, slots=True)
class ZoneVersion:
    """One version of a zone, in force at the instants t with valid_from_us <= t < valid_to_us."""

    zone: int
    version: int
    organization: int
    shape: Shape
    valid_from_us: int = MIN_TIME_US
    valid_to_us: int = MAX_TIME_US

    def __post_init__(self) -> None:
        if self.zone < 0 or self.organization < 0:
            raise ValueError("zones and organizations are ordinals from 0")
        if self.version < 1:
            raise ValueError("versions of a zone count from 1")
        if self.valid_from_us > self.valid_to_us:
            raise ValueError(f"version {self.version} of zone {self.zone} ends before it begins")


def entries_of(versions: Sequence[ZoneVersion]) -> NDArray[np.void]:
    return np.array(
        [(v.zone, v.version, v.organization, v.valid_from_us, v.valid_to_us) for v in versions],
        dtype=ENTRY_DTYPE,
    )


def boxes_of(versions: Sequence[ZoneVersion]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Boxes (m, 4), and for each the number of its version."""
    found = [(box, entry) for entry, v in enumerate(versions) for box in boxes(v.shape)]
    box = np.array([box for box, _ in found], dtype=np.float64).reshape(-1, 4)
    return box, np.array([entry for _, entry in found], dtype=np.intp)


def version_keys(zone: NDArray[np.integer], version: NDArray[np.integer]) -> NDArray[np.int64]:
    return zone.astype(np.int64) << 32 | version


def by_version(entries: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Keys of (zone, version), ascending, and the entry of each."""
    keys = version_keys(entries["zone"], entries["version"])
    order = np.argsort(keys)
    keys = keys[order]
    if len(repeated := np.flatnonzero(keys[1:] == keys[:-1])):
        zone, version = divmod(int(keys[repeated[0]]), 1 << 32)
        raise ValueError(f"version {version} of zone {zone} is given twice")
    return keys, order


def object_array(values: Sequence[object]) -> NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def circles_of(shapes: NDArray[np.object_]) -> NDArray[np.float64]:
    """(n, 3): lon, lat, radius_m; NaN for what is no circle."""
    circles = np.full((len(shapes), 3), np.nan)
    for entry, shape in enumerate(shapes.tolist()):
        if isinstance(shape, Circle):
            circles[entry] = shape.lon, shape.lat, shape.radius_m
    return circles


def boundaries_of(entries: NDArray[np.void]) -> dict[int, NDArray[np.int64]]:
    """Organization -> the instants at which one of its versions begins or ends, ascending."""
    organization = np.concatenate((entries["organization"], entries["organization"]))
    instant = np.concatenate((entries["valid_from_us"], entries["valid_to_us"]))
    real = (instant != MIN_TIME_US) & (instant != MAX_TIME_US)
    organization, instant = organization[real], instant[real]
    order = np.lexsort((instant, organization))
    organization, instant = organization[order], instant[order]
    starts = np.flatnonzero(np.diff(organization, prepend=-1))
    if not len(starts):
        return {}
    groups = zip(organization[starts].tolist(), np.split(instant, starts[1:]), strict=True)
    return {ordinal: np.unique(times) for ordinal, times in groups}
