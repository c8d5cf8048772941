"""The zones of a replay: a zone file as the evaluator takes it, and which of them alert when."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, cast

from geofence.model.policy import Policy
from geofence.model.rules import Rules
from geofence.shapes.geojson import ShapeError, ZoneFeature, ZoneFileError, read_shape, read_zones
from geofence.shapes.types import Shape
from geofence.zones.index import ZoneIndex, ZoneVersion
from geofence.zones.versions import ALL_ASSETS
from stack.errors import StackError
from stack.replay.properties import devices_of, policy_of, rules_of
from stack.scenario.zones import warn_of_numbered

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ZoneSet:
    """Zones in order of their ids; the ordinal of a zone in `index` is its place in `features`.

    policies: by zone; none where nothing alerts. devices: by number of a filter in `index`, the ids
    of those that it lets through.
    """

    features: list[ZoneFeature]
    index: ZoneIndex
    policies: list[Policy] = field(default_factory=list[Policy])
    devices: list[frozenset[str]] = field(default_factory=list[frozenset[str]])

    @property
    def zone_ids(self) -> list[str]:
        return [feature.zone_id for feature in self.features]


def read_zone_file(path: Path, kind: str | None = None) -> list[ZoneFeature]:
    """Read the zones of a file; kind: of those that have none."""
    try:
        with _opened(path) as file:
            return [_with_kind(feature, kind) for feature in read_zones(file.read())]
    except (OSError, EOFError, zlib.error, ZoneFileError) as error:
        raise StackError(f"{path}: {error}") from None


def zone_set_of(
    features: Sequence[ZoneFeature], warn: Warn, rules: Rules, *, raw: bool = False
) -> ZoneSet:
    """Return zones in force since always; an invalid shape is repaired or left out, with a warning.

    raw: what the zones' own properties say is passed over.
    """
    warn_of_numbered(features, warn)
    kept: list[ZoneFeature] = []
    shapes: list[Shape] = []
    for feature in sorted(features, key=lambda feature: feature.zone_id):
        shape = _shape(feature, warn)
        if shape is not None:
            kept.append(feature)
            shapes.append(shape)
    if raw:
        plain = (ZoneVersion(zone, 1, 0, shape, rules=rules) for zone, shape in enumerate(shapes))
        return ZoneSet(kept, ZoneIndex(plain))
    return _ruled(kept, shapes, rules)


def _with_kind(feature: ZoneFeature, kind: str | None) -> ZoneFeature:
    if kind is None or feature.properties.get("kind") is not None:
        return feature
    return replace(feature, properties={**feature.properties, "kind": kind})


def _ruled(features: list[ZoneFeature], shapes: list[Shape], rules: Rules) -> ZoneSet:
    """Return the zones with the rules of their properties."""
    versions: list[ZoneVersion] = []
    policies = [policy_of(feature) for feature in features]
    filters: dict[frozenset[str], int] = {}
    for zone, (feature, shape) in enumerate(zip(features, shapes, strict=True)):
        devices = devices_of(feature)
        version = ZoneVersion(
            zone=zone,
            version=1,
            organization=0,
            shape=shape,
            rules=rules_of(feature, rules),
            assets=ALL_ASSETS if devices is None else filters.setdefault(devices, len(filters)),
            remembers_exits=policies[zone].kind == "allowed",
        )
        versions.append(version)
    return ZoneSet(features, ZoneIndex(versions), policies, list(filters))


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
