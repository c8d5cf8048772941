"""Settings of an organization: how fixes and punches are judged, whether employees are shown, and
whether trips have events.

What is null is the default of the program; only what was given is stored.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.http import fields
from api.resources.assets.bodies import AssetClass
from api.resources.zones.options import PunchTolerance, Tolerances
from db.resources.organizations import Organization
from geofence.model.rules import (
    GREATEST_SPEED_MPS,
    MAX_ACCURACY_M,
    MAX_SPEED_MPS,
    MAX_SPEED_MPS_OF_CLASS,
)
from geofence.punches.claim import DEFAULT_RULES

_Accuracy = Annotated[float, Field(gt=0, le=10_000, examples=[100])]
_Speed = Annotated[float, Field(gt=0, le=GREATEST_SPEED_MPS)]
_Seconds = Annotated[float, Field(gt=0, le=86_400)]


def _speed(of_class: AssetClass) -> Any:
    default_mps = MAX_SPEED_MPS_OF_CLASS.get(of_class, MAX_SPEED_MPS)
    return Field(default=None, description=f"default {default_mps:g}", examples=[default_mps])


class MaxSpeeds(BaseModel):
    """The greatest speeds by class of asset, metres a second: a fix that is reached faster is
    suspect. Null: the default.
    """

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    vehicle: _Speed | None = _speed("vehicle")
    aircraft: _Speed | None = _speed("aircraft")
    vessel: _Speed | None = _speed("vessel")
    person: _Speed | None = _speed("person")
    other: _Speed | None = _speed("other")


class MaxSpeedsChange(fields.Body, MaxSpeeds):
    """The classes to change."""


def _rule(name: str, says: str) -> Any:
    default: float = getattr(DEFAULT_RULES, name)
    description = f"{says}; default {default:g}"
    return Field(default=None, description=description, examples=[default])


class PunchNumbers(BaseModel):
    """The numbers of the rules by which punches are judged. Null: the default."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    max_fix_age_s: _Seconds | None = _rule(
        "max_fix_age_s", "an older position proves no place: `stale`"
    )
    max_clock_error_s: _Seconds | None = _rule(
        "max_clock_error_s", "so far a claimed time may be from the receipt, or from the position"
    )
    max_speed_mps: _Speed | None = _rule(
        "max_speed_mps", "faster than this between two places is a leap: `teleport`"
    )
    max_flight_mps: _Speed | None = _rule(
        "max_flight_mps", "a leap below this may have been a flight, if it took long enough"
    )
    min_flight_s: _Seconds | None = _rule("min_flight_s", "the least time of such a flight")


class PunchNumbersChange(fields.Body, PunchNumbers):
    """The numbers to change."""


PunchPolicy = Annotated[
    Literal["flag", "allow", "block"],
    Field(
        description="punches that are not verified are shown for review (flag, the default), are"
        " taken as they are (allow), or keep a timesheet from being approved until somebody has"
        " reviewed them (block)",
    ),
]


ShowsEmployees = Annotated[
    bool,
    Field(
        description="dispatchers and admins see on the live map where employees are, by the"
        " trackers that they have; false: nobody does, and no newest positions of theirs are kept"
    ),
]


TripEvents = Annotated[
    bool,
    Field(description="trips and stops of assets have events, of what is received from then on"),
]


class SettingFields(Tolerances):
    """The settings; null is the default of each."""

    max_accuracy_m: _Accuracy | None = Field(
        default=None,
        description=f"fixes of a worse stated accuracy change nothing; default {MAX_ACCURACY_M:g}",
    )
    punch_tolerance_m: PunchTolerance = Field(
        default=None,
        description="so far beyond a site's edge a punch is still there;"
        f" default {DEFAULT_RULES.tolerance_m:g}",
    )
    punch_policy: PunchPolicy | None = None


_OF_ORGANIZATION = ("max_accuracy_m", "punch_tolerance_m", "punch_policy", "shows_employees")
_OBJECTS = ("max_speed_mps", "punch_rules")


def changed_settings(organization: Organization, sent: Mapping[str, Any]) -> Organization:
    """Return the organization with the fields that the client sent; null takes a setting away."""
    rules = {name: value for name, value in sent.items() if name in Tolerances.model_fields}
    others = {name: sent[name] for name in _OF_ORGANIZATION if name in sent}
    for name in sent.keys() & set(_OBJECTS):
        part: fields.Body | None = sent[name]
        given = {} if part is None else getattr(organization, name) | part.given()
        others[name] = _without_null(given)
    return organization._replace(rules=_without_null(organization.rules | rules), **others)


def shown_settings(organization: Organization) -> dict[str, Any]:
    """Return all of them, null where the default holds."""
    return {
        **{name: organization.rules.get(name) for name in Tolerances.model_fields},
        "max_accuracy_m": organization.max_accuracy_m,
        "max_speed_mps": {
            name: organization.max_speed_mps.get(name) for name in MaxSpeeds.model_fields
        },
        "punch_tolerance_m": organization.punch_tolerance_m,
        "punch_policy": organization.punch_policy,
        "shows_employees": organization.shows_employees,
        "trip_events": organization.trip_events_since is not None,
        "punch_rules": {
            name: organization.punch_rules.get(name) for name in PunchNumbers.model_fields
        },
    }


def _without_null(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
