"""The rules by which a zone counts as entered and left: the fields of geofence.model.rules.Rules,
all optional.

What a zone leaves null is as its organization has it, else as `Rules` has it by default; only what
was given is stored.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from api.http import fields
from geofence.model.rules import GREATEST_SPEED_MPS, NEVER_COARSE_M

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


def changed_rules(rules: Mapping[str, Any], body: RuleFields) -> dict[str, Any]:
    """Return `rules` with what the client sent in `body`; null takes a rule away."""
    sent = {
        name: getattr(body, name) for name in RuleFields.model_fields.keys() & body.model_fields_set
    }
    return {name: value for name, value in {**rules, **sent}.items() if value is not None}


def shown_rules(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return all of them, null where the default holds."""
    return {name: rules.get(name) for name in RuleFields.model_fields}
