"""A zone as a simulated run gives it to a system, and the zones of a file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from geofence.model.rules import Rules
from geofence.shapes.geojson import ShapeError, ZoneFeature, read_shape

_RULES = frozenset(field.name for field in fields(Rules))


@dataclass(frozen=True, slots=True)
class SimZone:
    """A zone as it is given to the system. None, and a rule that is not there, leave it the choice.

    rules: fields of geofence.model.rules.Rules. schedule: as geofence.model.schedule.parse_schedule
    reads it. tags: which assets it bears on, all unless given.
    """

    external_id: str
    name: str
    geometry: Mapping[str, Any]
    radius_m: float | None = None
    kind: str | None = None
    alert_on: Sequence[str] | None = None
    width_m: float | None = None
    rules: Mapping[str, Any] = field(default_factory=dict[str, Any])
    schedule: Mapping[str, Any] | None = None
    tags: Sequence[str] | None = None

    @property
    def is_timed(self) -> bool:
        """Whether something happens to those inside or outside without a fix."""
        deadlines = self.rules.keys() & {"dwell_seconds", "close_after_silence_seconds"}
        return bool(deadlines) or self.schedule is not None


def zones_of_features(
    features: Sequence[ZoneFeature], warn: Callable[[str], None]
) -> list[SimZone]:
    """Return zones of a file. An invalid shape is repaired where it can be, with a warning that
    names it.

    Those without an id are numbered, with a warning. Raises ShapeError for one that cannot be
    repaired.
    """
    warn_of_numbered(features, warn)
    return [_zone_of_feature(feature, warn) for feature in features]


def warn_of_numbered(features: Sequence[ZoneFeature], warn: Callable[[str], None]) -> None:
    """Say which zones got their ids from their places in the file."""
    numbered = [feature.zone_id for feature in features if feature.is_numbered]
    if numbered:
        ids = numbered[0] if len(numbered) == 1 else f"{numbered[0]} to {numbered[-1]}"
        warn(f"features without an id, which are numbered: {len(numbered):,}, {ids}")


def _zone_of_feature(feature: ZoneFeature, warn: Callable[[str], None]) -> SimZone:
    geometry = feature.geometry
    try:
        read_shape(geometry, radius_m=feature.radius_m, width_m=feature.width_m)
    except ShapeError as error:
        if error.repaired is None:
            raise
        warn(f"zone {feature.zone_id} is repaired: {error}")
        geometry = error.repaired
    return SimZone(
        external_id=feature.zone_id,
        name=feature.name or feature.zone_id,
        geometry=geometry,
        radius_m=feature.radius_m,
        kind=feature.properties.get("kind"),
        alert_on=feature.properties.get("alert_on"),
        width_m=feature.width_m,
        rules={name: value for name, value in feature.properties.items() if name in _RULES},
        schedule=feature.properties.get("schedule"),
    )
