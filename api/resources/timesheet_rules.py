"""The rules by which an organization counts hours, as a part of its settings.

They are given as a whole, and only what differs from the defaults is stored (`db.hours.rules`).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.http import fields
from db.hours.rules import read_rules
from operations.errors import RuleError
from operations.hours.local_days import PeriodLength
from operations.hours.overtime import PRESETS
from operations.hours.shift_rules import MAX_AUTOMATIC_BREAKS, ShiftRules
from operations.hours.timesheets import ROUNDING_STEPS_S

_DAY_S = 86_400
_SHIFTS = ShiftRules()
_STEPS = ", ".join(map(str, ROUNDING_STEPS_S))
_Seconds = Annotated[int, Field(ge=1, le=_DAY_S), fields.WHOLE]
_WeekSeconds = Annotated[int, Field(ge=1, le=7 * _DAY_S), fields.WHOLE]
_Preset = Literal["none", "us_flsa", "us_california", "ch_45", "eu_48"]
assert set(get_args(_Preset)) == PRESETS.keys()
_EXAMPLE = {"period": "month", "overtime_preset": "ch_45", "rounding": {"step_s": 300}}


class AutomaticBreakRule(fields.Body):
    """A break that is taken off where none of its length was punched."""

    after_s: _Seconds = Field(description="seconds of work before it", examples=[21_600])
    break_s: _Seconds = Field(examples=[1_800])


class RoundingRule(fields.Body):
    """Rounding to the marks of a clock."""

    step_s: Annotated[int, Field(ge=60, le=900), fields.WHOLE] = Field(
        description=f"between marks: {_STEPS}", examples=[300]
    )
    grace_s: Annotated[int, Field(ge=0, le=899), fields.WHOLE] | None = Field(
        default=None, description="a time so far behind a mark goes back to it; null: half a step"
    )
    each: Literal["punch", "day"] = "punch"


class OvertimeThresholds(fields.Body):
    """Thresholds of overtime, in seconds; null: there is none."""

    daily_s: _Seconds | None = Field(default=None, examples=[28_800])
    double_daily_s: _Seconds | None = Field(default=None, examples=[43_200])
    weekly_s: _WeekSeconds | None = Field(default=None, examples=[144_000])
    seventh_day: bool = False


class TimesheetRuleFields(BaseModel):
    """The rules by which hours are counted; see the page on timesheets."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    period: PeriodLength = Field(default="week", description="what is approved together")
    first_weekday: Annotated[int, Field(ge=0, le=6), fields.WHOLE] = Field(
        default=0, description="of the work week; 0 is Monday"
    )
    anchor: fields.Day | None = Field(
        default=None, description="the first day of any period; needed for `two_weeks`"
    )
    cuts_at_midnight: bool = Field(
        default=True, description="false: a shift counts to the day on which it began"
    )
    overtime_preset: _Preset = "none"
    overtime: OvertimeThresholds | None = Field(
        default=None, description="instead of a preset", examples=[{"weekly_s": 151_200}]
    )
    rounding: RoundingRule | None = None
    longest_shift_s: Annotated[int, Field(ge=60, le=7 * _DAY_S), fields.WHOLE] = Field(
        default=_SHIFTS.longest_shift_s, description="then it ends by rule"
    )
    closes_at_midnight: bool = Field(
        default=_SHIFTS.closes_at_midnight, description="it ends then at the latest"
    )
    shortest_break_s: Annotated[int, Field(ge=0, le=_DAY_S), fields.WHOLE] = Field(
        default=_SHIFTS.shortest_break_s, description="a shorter one counts as work"
    )
    automatic_breaks: Annotated[
        list[AutomaticBreakRule], Field(max_length=MAX_AUTOMATIC_BREAKS)
    ] = Field(default_factory=list)


class TimesheetRulesChange(fields.Body, TimesheetRuleFields):
    """All rules; what is left out is the default."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        """Refuse rules that cannot be. Raises ValueError."""
        if self.overtime is not None and self.overtime_preset != "none":
            raise ValueError("overtime and overtime_preset exclude each other: leave one out")
        try:
            read_rules(self.stored())
        except RuleError as error:
            raise ValueError(str(error)) from None
        return self

    def stored(self) -> dict[str, Any]:
        """Return what is stored: what differs from the defaults."""
        return self.model_dump(mode="json", exclude_defaults=True, exclude_none=True)


def shown_rules(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return all rules, those that are stored and the defaults of the others."""
    return TimesheetRuleFields.model_validate(stored).model_dump(mode="json")
