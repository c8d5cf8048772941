"""Versions of zones as columns that compiled code reads."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geofence.geometry.packing import SHAPE_DTYPE
from geofence.model.rules import Rules
from geofence.shapes.types import Shape

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

    assets: the number of a filter (FILTER_DTYPE rows that the index holds), or ALL_ASSETS.
    remembers_exits: an enter after an exit is marked as such (`returning`). made_us: when a version
    was made that begins before that; fixes that were received earlier open no visit in it.
    """

    zone: int
    version: int
    organization: int
    shape: Shape
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
    """Return the values of RULE_COLUMNS."""
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
