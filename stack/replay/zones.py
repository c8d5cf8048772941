"""The zones of a replay: a zone file as the evaluator takes it, and which of them alert when."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

from geofence.model.policy import DEFAULT_KIND, Policy
from geofence.model.rules import Rules
from geofence.model.schedule import Schedule, ScheduleError, parse_schedule
from geofence.shapes.geojson import ShapeError, ZoneFeature, ZoneFileError, read_shape, read_zones
from geofence.shapes.types import Shape
from geofence.zones.index import ZoneIndex, ZoneVersion
from geofence.zones.versions import ALL_ASSETS
from stack.errors import StackError
from stack.scenario.zones import warn_of_numbered

_WHOLE = frozenset({"enter_confirm_fixes", "exit_confirm_fixes"})


def rules_of(feature: ZoneFeature, rules: Rules) -> Rules:
    """Return the rules of one zone: `rules`, but for what its properties say."""
    names = {field.name for field in fields(Rules)}
    own = {name: value for name, value in _given(feature).items() if name in names}
    for name, value in own.items():
        if not _is_number(value, whole=name in _WHOLE):
            kind = "a whole number" if name in _WHOLE else "a number"
            raise _wrong(feature, f"{name} must be {kind}")
    try:
        return replace(rules, **own)
    except ValueError as error:
        raise _wrong(feature, error) from None


def policy_of(feature: ZoneFeature) -> Policy:
    """Read which transitions of a zone alert: `kind`, `alert_on` and `schedule`."""
    given = _given(feature)
    alert_on = _alert_on(feature, given.get("alert_on"))
    schedule = _schedule(feature, given.get("schedule"))
    kind = given.get("kind", DEFAULT_KIND)
    try:
        return Policy(kind if isinstance(kind, str) else repr(kind), alert_on, schedule)
    except ValueError as error:
        raise _wrong(feature, error) from None


def devices_of(feature: ZoneFeature) -> frozenset[str] | None:
    """Return the ids of the devices that it bears on: `assets.ids`; None for all devices."""
    assets = _given(feature).get("assets")
    if assets is None:
        return None
    if not isinstance(assets, dict) or not assets.keys() <= {"ids", "tags"}:
        raise _wrong(feature, "assets must be an object with ids")
    chosen = cast("dict[str, Any]", assets)
    if chosen.get("tags"):
        raise _wrong(feature, "assets.tags: a trace tells of no tags; name the devices in ids")
    ids = chosen.get("ids")
    if not ids or not _are_texts(ids):
        raise _wrong(feature, "assets.ids must be a list of device ids, one at least")
    return frozenset(cast("list[str]", ids))


def _given(feature: ZoneFeature) -> Mapping[str, Any]:
    return {name: value for name, value in feature.properties.items() if value is not None}


def _alert_on(feature: ZoneFeature, value: Any) -> frozenset[str] | None:
    if value is None:
        return None
    if not _are_texts(value):
        raise _wrong(feature, "alert_on must be a list of words")
    return frozenset(value)


def _schedule(feature: ZoneFeature, value: Any) -> Schedule | None:
    try:
        return None if value is None else parse_schedule(value)
    except ScheduleError as error:
        raise _wrong(feature, f"schedule{error.pointer}: {error.problem}") from None


def _is_number(value: Any, *, whole: bool) -> bool:
    return isinstance(value, int if whole else int | float) and not isinstance(value, bool)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, str) for item in cast("list[Any]", value)
    )


def _wrong(feature: ZoneFeature, what: object) -> StackError:
    return StackError(f"zone {feature.zone_id}: properties.{what}")


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
