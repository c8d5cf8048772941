"""Versions of zones as columns for compiled code, and marks.

Marks are the instants at which a version of an organization begins or ends to be in force:
MARK_DTYPE rows, sorted by organization, then time, without repeats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geofence.geometry.packing import SHAPE_DTYPE
from geofence.model.rules import Rules
from geofence.shapes.types import Shape

_FEW = 64


def no_marks() -> NDArray[np.void]:
    return np.empty(0, MARK_DTYPE)


def with_more(
    marks: NDArray[np.void], organization: NDArray[np.integer], time_us: NDArray[np.int64]
) -> NDArray[np.void]:
    """Merge `marks` with more of them, in any order. Instants that mean always or never are left
    out.
    """
    more = np.zeros(len(time_us), MARK_DTYPE)
    more["key"], more["time_us"] = organization, time_us
    more = more[(time_us != MIN_TIME_US) & (time_us != MAX_TIME_US)]
    if len(more) > _FEW:
        return _sorted(np.concatenate((marks, more)))
    for mark in more:
        marks = _with_one(marks, mark)
    return marks


def _with_one(marks: NDArray[np.void], mark: Any) -> NDArray[np.void]:
    key, time_us = int(mark["key"]), int(mark["time_us"])
    first, last = (int(end) for end in np.searchsorted(marks["key"], [key, key + 1]))
    place = first + int(np.searchsorted(marks["time_us"][first:last], time_us))
    if place < last and marks["time_us"][place] == time_us:
        return marks
    return np.insert(marks, place, mark)


def _sorted(marks: NDArray[np.void]) -> NDArray[np.void]:
    marks = marks[np.lexsort((marks["time_us"], marks["key"]))]  # np.unique compares row by row
    is_new = np.ones(len(marks), bool)
    for name in ("key", "time_us"):
        is_new[1:] &= marks[name][1:] == marks[name][:-1]
    is_new[1:] = ~is_new[1:]
    return marks[is_new]


MIN_TIME_US = int(np.iinfo(np.int64).min)  # in force since always
MAX_TIME_US = int(np.iinfo(np.int64).max)  # in force until further notice
ALL_ASSETS = -1
NEVER_US = MAX_TIME_US

ENTRY_DTYPE = np.dtype(
    [
        ("zone", "<i8"),
        ("version", "<i8"),
        ("organization", "<i8"),
        ("valid_from_us", "<i8"),
        ("made_us", "<i8"),  # what was received before opens no visit; MIN_TIME_US: all does
        ("filter", "<i8"),  # which assets it bears on; ALL_ASSETS
        ("before", "<i8"),  # the entry of the zone's version before this one; -1
        ("remembers_exits", "?"),
        ("enter_fixes", "<i8"),  # the Rules, times as microseconds
        ("exit_fixes", "<i8"),
        ("enter_us", "<i8"),
        ("exit_us", "<i8"),
        ("exit_buffer_m", "<f8"),
        ("accuracy_clamp_m", "<f8"),
        ("coarse_accuracy_m", "<f8"),
        ("gap_us", "<i8"),
        ("pass_min_m", "<f8"),
        ("dwell_us", "<i8"),  # NEVER_US: none
        ("silence_us", "<i8"),  # NEVER_US: none
        ("speed_limit_mps", "<f4"),  # as fixes state it; infinite: none
        ("shape", SHAPE_DTYPE),
    ]
)

_COLUMNS = tuple(ENTRY_DTYPE.fields or ())
RULE_COLUMNS = _COLUMNS[_COLUMNS.index("enter_fixes") : _COLUMNS.index("shape")]

MARK_DTYPE = np.dtype(
    [
        ("key", "<i8"),  # the organization
        ("time_us", "<i8"),  # something of it begins or ends to be in force
    ]
)

FILTER_DTYPE = np.dtype(
    [
        ("filter", "<i8"),
        ("organization", "<i8"),
        ("asset", "<i8"),
        ("from_us", "<i8"),  # the filter lets the asset through in [from_us, to_us)
        ("to_us", "<i8"),
    ]
)


_DEFAULT_RULES = Rules()


@dataclass(frozen=True, slots=True)
class ZoneVersion:
    """One version of a zone, in force at the instants t with valid_from_us <= t < valid_to_us.

    shape: None will do for a version that the index has. assets: the number of a filter
    (FILTER_DTYPE rows that the index holds), or ALL_ASSETS. remembers_exits: an enter after an exit
    is marked as such (`returning`). made_us: when a version was made that begins before that; fixes
    that were received earlier open no visit in it.
    """

    zone: int
    version: int
    organization: int
    shape: Shape | None
    valid_from_us: int = MIN_TIME_US
    valid_to_us: int = MAX_TIME_US
    rules: Rules = _DEFAULT_RULES
    assets: int = ALL_ASSETS
    remembers_exits: bool = False
    made_us: int = MIN_TIME_US

    def __post_init__(self) -> None:
        if self.zone < 0 or self.organization < 0:
            raise ValueError("zones and organizations are ordinals from 0")
        if self.version < 1:
            raise ValueError("versions of a zone count from 1")
        if self.valid_from_us > self.valid_to_us:
            raise ValueError(f"version {self.version} of zone {self.zone} ends before it begins")


def entries_of(versions: Sequence[ZoneVersion]) -> NDArray[np.void]:
    """Return ENTRY_DTYPE, (n,), of the versions; `before` and `shape` are not filled."""
    entries = np.zeros(len(versions), ENTRY_DTYPE)
    columns = [name for name in _COLUMNS if name not in ("before", "shape")]
    for name, values in zip(columns, zip(*map(_entry, versions), strict=True), strict=True):
        entries[name] = values
    return entries


def _entry(version: ZoneVersion) -> tuple[object, ...]:
    return (
        version.zone,
        version.version,
        version.organization,
        version.valid_from_us,
        version.made_us,
        version.assets,
        version.remembers_exits,
        *rule_values(version.rules),
    )


def rule_values(rules: Rules) -> tuple[float, ...]:
    return (
        rules.enter_confirm_fixes,
        rules.exit_confirm_fixes,
        _us(rules.enter_confirm_seconds),
        _us(rules.exit_confirm_seconds),
        rules.exit_buffer_m,
        rules.accuracy_clamp_m,
        rules.coarse_accuracy_m,
        _us(rules.max_gap_seconds),
        rules.pass_min_m,
        _us(rules.dwell_seconds),
        _us(rules.close_after_silence_seconds),
        np.inf if rules.speed_limit_mps is None else rules.speed_limit_mps,
    )


def _us(seconds: float | None) -> int:
    return NEVER_US if seconds is None else round(seconds * 1_000_000)
