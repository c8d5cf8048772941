"""The optional fields of a zone: when it counts as entered and left, its schedule and its assets.

A rule (a field of geofence.model.rules.Rules) that a zone leaves null is as its organization has
it, else as `Rules` has it by default; only what was given is stored. A zone without a schedule
holds always, and without a choice of assets for all of them.
"""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field, WithJsonSchema, model_validator

from api.http import fields
from api.http.encoding import id_text
from api.http.problems import Fault, Problem, bad_field
from db.core.connect import Connection
from db.resources import assets
from geofence.model.rules import GREATEST_SPEED_MPS, NEVER_COARSE_M
from geofence.model.schedule import DAYS, MAX_WINDOWS, ScheduleError, parse_schedule

MAX_IDS = 1_000
_Metres = Annotated[float, Field(ge=0, le=10_000)]
_Seconds = Annotated[float, Field(ge=0, le=86_400)]
_SomeSeconds = Annotated[float, Field(gt=0, le=366 * 86_400, examples=[600])]
_SpeedLimit = Annotated[float, Field(gt=0, le=GREATEST_SPEED_MPS, examples=[13.9])]
_Fixes = Annotated[int, Field(ge=1, le=1_000), fields.WHOLE]
PunchTolerance = Annotated[_Metres | None, Field(examples=[25])]


class Tolerances(BaseModel):
    """Rules that a zone has from its organization unless it gives them."""

    exit_buffer_m: _Metres | None = Field(
        default=None, examples=[20], description="left only when so far outside; default 0"
    )
    accuracy_clamp_m: _Metres | None = Field(
        default=None,
        examples=[50],
        description="a fix's accuracy adds to exit_buffer_m, up to this; default 200",
    )
    coarse_accuracy_m: Annotated[float, Field(ge=0, le=NEVER_COARSE_M)] | None = Field(
        default=None,
        examples=[30],
        description="a fix of a worse accuracy must lie deep inside or far outside; default 30",
    )
    enter_confirm_fixes: _Fixes | None = Field(
        default=None, examples=[1], description="how many fixes in a row make an enter; default 1"
    )
    exit_confirm_fixes: _Fixes | None = Field(
        default=None, examples=[2], description="how many fixes in a row make an exit; default 2"
    )
    enter_confirm_seconds: _Seconds | None = Field(
        default=None,
        examples=[0],
        description="from the first of those fixes to the last; default 0",
    )
    exit_confirm_seconds: _Seconds | None = Field(
        default=None,
        examples=[30],
        description="from the first of those fixes to the last; default 0",
    )
    max_gap_seconds: _Seconds | None = Field(
        default=None,
        examples=[120],
        description="fixes further apart tell of no passing through; 0: none do; default 120",
    )
    pass_min_m: Annotated[float, Field(ge=0, le=1_000_000)] | None = Field(
        default=None,
        examples=[10],
        description="the least way inside of a passing through; default 0",
    )


class RuleFields(Tolerances):
    """The rules of a zone. Of each: null is the organization's setting, else the default."""

    dwell_seconds: _SomeSeconds | None = Field(
        default=None, description="a stay of so long is a dwell; default: no dwell is told"
    )
    close_after_silence_seconds: _SomeSeconds | None = Field(
        default=None,
        examples=[86_400],
        description="a stay ends so long after the last fix; default: never",
    )
    speed_limit_mps: _SpeedLimit | None = Field(
        default=None,
        description="a fix inside that states a higher speed is told once a stay; default: none",
    )


def _wall_time(example: str) -> dict[str, Any]:
    pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"
    return {"type": "string", "pattern": pattern, "maxLength": 5, "examples": [example]}


Schedule = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "description": "the hours outside which nothing alerts, in the time of a place",
            "required": ["timezone", "windows"],
            "properties": {
                "timezone": {
                    "type": "string",
                    "pattern": "^[A-Za-z0-9_+/-]+$",
                    "maxLength": 100,
                    "examples": ["Europe/Zurich"],
                },
                "windows": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_WINDOWS,
                    "items": {
                        "type": "object",
                        "required": ["days", "from", "to"],
                        "properties": {
                            "days": {
                                "type": "array",
                                "minItems": 1,
                                "maxItems": len(DAYS),
                                "uniqueItems": True,
                                "items": {"type": "string", "enum": list(DAYS)},
                            },
                            "from": _wall_time("18:00"),
                            "to": _wall_time("06:00"),
                        },
                    },
                },
            },
        }
    ),
]


class AssetChoice(fields.Body):
    """Assets of these ids, and assets that have any of these tags."""

    ids: list[fields.AssetId] = Field(default_factory=list, max_length=MAX_IDS)
    tags: fields.Tags = Field(default_factory=list)

    @model_validator(mode="after")
    def _not_empty(self) -> "AssetChoice":
        if not self.ids and not self.tags:
            raise ValueError("must have ids or tags; null stands for all assets")
        return self


class ChosenAssets(BaseModel):
    """Assets of these ids, and assets that have any of these tags."""

    ids: list[fields.AssetId] = Field(max_length=MAX_IDS)
    tags: fields.Tags


def changed_rules(rules: Mapping[str, Any], body: RuleFields) -> dict[str, Any]:
    """Return `rules` with what the client sent in `body`; null takes a rule away."""
    sent = {
        name: getattr(body, name) for name in RuleFields.model_fields.keys() & body.model_fields_set
    }
    return {name: value for name, value in {**rules, **sent}.items() if value is not None}


def shown_rules(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return all rules, null where the default holds."""
    return {name: rules.get(name) for name in RuleFields.model_fields}


def check_schedule(schedule: Mapping[str, Any] | None) -> None:
    """Raise Problem (422) with the place of the fault."""
    try:
        if schedule is not None:
            parse_schedule(schedule)
    except ScheduleError as error:
        raise bad_field(f"/schedule{error.pointer}", error.problem) from None


async def check_assets(conn: Connection, chosen: AssetChoice | None) -> None:
    """Raise Problem (422) with the place of each id that the organization has no asset of."""
    if chosen is None:
        return
    missing = await assets.missing(conn, chosen.ids)
    if missing:
        faults = tuple(
            Fault("There is no such asset.", pointer=f"/assets/ids/{place}")
            for place, asset_id in enumerate(chosen.ids)
            if asset_id in missing
        )
        raise Problem(422, "invalid_body", "The body is not valid.", faults=faults)


def stored_assets(chosen: AssetChoice | None) -> dict[str, list[str]] | None:
    """Return the choice as the database has it: each id and tag once, in order."""
    if chosen is None:
        return None
    return {"ids": sorted({str(each) for each in chosen.ids}), "tags": sorted(set(chosen.tags))}


def shown_assets(chosen: Mapping[str, list[str]] | None) -> dict[str, list[str]] | None:
    """Return the choice that `stored_assets` gave as the API shows it."""
    if chosen is None:
        return None
    return {"ids": [id_text("ast", UUID(each)) for each in chosen["ids"]], "tags": chosen["tags"]}
