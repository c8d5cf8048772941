"""The zones of a replay: a zone file, and the rules by which each zone counts as entered and left.

A zone's own properties, named as the fields of `geofence.rules.Rules`, replace the rules that are
given for all. What is wrong in a file is a StackError.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from geofence.geojson import ShapeError, ZoneFeature, ZoneFileError, read_shape, read_zones
from geofence.index import ZoneIndex, ZoneVersion
from geofence.rules import Rules
from geofence.shapes import Shape
from stack.errors import StackError

Warn = Callable[[str], None]

_WHOLE = frozenset({"enter_confirm_fixes", "exit_confirm_fixes"})


@dataclass(frozen=True, slots=True)
class ZoneSet:
    """Zones in order of their ids; the ordinal of a zone in `index` is its place in `features`."""

    features: list[ZoneFeature]
    index: ZoneIndex

    @property
    def zone_ids(self) -> list[str]:
        return [feature.zone_id for feature in self.features]


def read_zone_file(path: Path) -> list[ZoneFeature]:
    try:
        with _opened(path) as file:
            return read_zones(file.read())
    except (OSError, EOFError, zlib.error, ZoneFileError) as error:
        raise StackError(f"{path}: {error}") from None


def zone_set_of(
    features: Sequence[ZoneFeature], warn: Warn, rules: Rules, *, raw: bool = False
) -> ZoneSet:
    """Zones in force since always; an invalid shape is repaired or left out, with a warning.

    raw: the zones' own rules are passed over.
    """
    kept: list[ZoneFeature] = []
    versions: list[ZoneVersion] = []
    for feature in sorted(features, key=lambda feature: feature.zone_id):
        shape = _shape(feature, warn)
        if shape is None:
            continue
        own = rules if raw else rules_of(feature, rules)
        versions.append(ZoneVersion(len(kept), 1, organization=0, shape=shape, rules=own))
        kept.append(feature)
    return ZoneSet(kept, ZoneIndex(versions))


def rules_of(feature: ZoneFeature, rules: Rules) -> Rules:
    """The rules of one zone: `rules`, but for what its properties say."""
    names = {field.name for field in fields(Rules)}
    own = {name: feature.properties[name] for name in feature.properties if name in names}
    for name, value in own.items():
        if not _is_number(value, whole=name in _WHOLE):
            kind = "a whole number" if name in _WHOLE else "a number"
            raise StackError(f"zone {feature.zone_id}: properties.{name} must be {kind}")
    try:
        return replace(rules, **own)
    except ValueError as error:
        raise StackError(f"zone {feature.zone_id}: properties.{error}") from None


def _is_number(value: Any, *, whole: bool) -> bool:
    return isinstance(value, int if whole else int | float) and not isinstance(value, bool)


def _shape(feature: ZoneFeature, warn: Warn) -> Shape | None:
    try:
        return read_shape(feature.geometry, radius_m=feature.radius_m, width_m=feature.width_m)
    except ShapeError as error:
        if error.repaired is None:
            warn(f"zone {feature.zone_id} is left out: {error.problem}")
            return None
        warn(f"zone {feature.zone_id} is repaired: {error.problem}")
        return read_shape(error.repaired)


def _opened(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
