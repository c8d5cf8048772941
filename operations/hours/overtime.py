"""Overtime: the hours of a work week, split into regular, overtime and double time.

A second counts once: overtime by the day is not counted towards the week again. All numbers are
whole seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from operations.errors import RuleError, check_within
from operations.hours.local_days import WEEK_DAYS

_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S


class Hours(NamedTuple):
    """Seconds by how they are paid."""

    regular_s: int = 0
    overtime_s: int = 0
    double_s: int = 0

    @property
    def total_s(self) -> int:
        """The seconds of all three kinds."""
        return self.regular_s + self.overtime_s + self.double_s


@dataclass(frozen=True, slots=True)
class OvertimeRules:
    """The thresholds of overtime. None: there is no such threshold. Raises RuleError.

    daily_s: work of a day beyond it is overtime. double_daily_s: beyond it, double time.
    weekly_s: regular hours of a work week beyond it are overtime. seventh_day: on the seventh
    consecutive day of work in a work week all is overtime, and double time beyond `daily_s`.
    """

    daily_s: int | None = None
    double_daily_s: int | None = None
    weekly_s: int | None = None
    seventh_day: bool = False

    def __post_init__(self) -> None:
        for field, most in (
            ("daily_s", _DAY_S),
            ("double_daily_s", _DAY_S),
            ("weekly_s", WEEK_DAYS * _DAY_S),
        ):
            if (value := getattr(self, field)) is not None:
                check_within(field, value, 1, most)
        if self.double_daily_s is not None and self.double_daily_s < (self.daily_s or 0):
            raise RuleError("double_daily_s", "it must not be below daily_s")


PRESETS: dict[str, OvertimeRules] = {
    "none": OvertimeRules(),
    "us_flsa": OvertimeRules(weekly_s=40 * _HOUR_S),
    "us_california": OvertimeRules(
        daily_s=8 * _HOUR_S,
        double_daily_s=12 * _HOUR_S,
        weekly_s=40 * _HOUR_S,
        seventh_day=True,
    ),
    "ch_45": OvertimeRules(weekly_s=45 * _HOUR_S),
    "eu_48": OvertimeRules(weekly_s=48 * _HOUR_S),
}
"""Thresholds of public rules, by name:

- us_flsa: Fair Labor Standards Act, 29 U.S.C. 207(a)(1): beyond 40 hours in a work week.
- us_california: California Labor Code, section 510(a): beyond 8 hours a day or 40 a week, and the
  first 8 hours of the seventh day of a work week; double beyond 12 hours a day, and beyond 8 on
  that seventh day.
- ch_45: Swiss Labour Act (ArG, SR 822.11), articles 9 and 12: beyond 45 hours a week, for industry,
  offices and technical staff.
- eu_48: Directive 2003/88/EC, article 6(b), limits the average of up to four months to 48 hours a
  week. Pay is up to national law; here each week beyond 48 hours shows.

Who is exempt, and what each kind is paid, is not decided here.
"""


def split_week(worked_s: Sequence[int], rules: OvertimeRules) -> list[Hours]:
    """Return the hours of each day of one work week. worked_s: seconds of each of seven days."""
    days = [_split_day(seconds, rules) for seconds in worked_s]
    if rules.seventh_day and all(worked_s):
        days[-1] = _split_seventh_day(worked_s[-1], rules)
    return _above_weekly(days, rules.weekly_s)


def _split_day(worked_s: int, rules: OvertimeRules) -> Hours:
    """Return the hours of a day by the daily thresholds alone."""
    double_from_s = worked_s if rules.double_daily_s is None else rules.double_daily_s
    single_s = min(worked_s, double_from_s)
    regular_s = single_s if rules.daily_s is None else min(single_s, rules.daily_s)
    return Hours(regular_s, single_s - regular_s, worked_s - single_s)


def _split_seventh_day(worked_s: int, rules: OvertimeRules) -> Hours:
    overtime_s = worked_s if rules.daily_s is None else min(worked_s, rules.daily_s)
    return Hours(0, overtime_s, worked_s - overtime_s)


def _above_weekly(days: Sequence[Hours], weekly_s: int | None) -> list[Hours]:
    """Return days whose regular hours beyond the weekly threshold have become overtime."""
    if weekly_s is None:
        return list(days)
    left_s, found = weekly_s, list[Hours]()
    for regular_s, overtime_s, double_s in days:
        kept_s = min(regular_s, left_s)
        left_s -= kept_s
        found.append(Hours(kept_s, overtime_s + regular_s - kept_s, double_s))
    return found
