"""The properties of a zone feature: rules, kind, hours, and which devices.

The names are those of the API. A property that is null is as one that is not there. What is wrong
is a StackError that names the zone and the property.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, cast

from geofence.model.policy import DEFAULT_KIND, Policy
from geofence.model.rules import Rules
from geofence.model.schedule import Schedule, ScheduleError, parse_schedule
from geofence.shapes.geojson import ZoneFeature
from stack.errors import StackError

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
    return isinstance(value, list) and all(isinstance(one, str) for one in cast("list[Any]", value))


def _wrong(feature: ZoneFeature, what: object) -> StackError:
    return StackError(f"zone {feature.zone_id}: properties.{what}")
