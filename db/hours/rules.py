"""The rules by which the hours of employees are counted: those of their organization, and the time
zone of each.

An organization stores the settings that it was given, as the API shows them:

    {"period": "month", "overtime_preset": "us_flsa", "rounding": {"step_s": 900}, ...}
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import columns, rows_of
from operations.hours.local_days import day_end_s, zone_of
from operations.hours.overtime import PRESETS, OvertimeRules
from operations.hours.shift_rules import AutomaticBreak, ShiftRules
from operations.hours.timesheets import DoubtPolicy, Rounding, TimesheetRules

EmployeeKey = tuple[UUID, UUID]
"""An organization and its employee."""

_PLAIN = ("period", "first_weekday", "cuts_at_midnight")
_OF_SHIFTS = ("longest_shift_s", "closes_at_midnight", "shortest_break_s")


class HourRules(NamedTuple):
    """The rules for one employee. now_us: the clock of the database, microseconds since 1970."""

    rules: TimesheetRules
    timezone: str
    now_us: int


def read_rules(stored: Mapping[str, Any], doubts: DoubtPolicy | None = None) -> TimesheetRules:
    """Return the rules of stored settings. doubts: the policy of the organization; None: the
    default. Raises operations.errors.RuleError.
    """
    anchor, rounding = stored.get("anchor"), stored.get("rounding")
    breaks = tuple(AutomaticBreak(**each) for each in stored.get("automatic_breaks", ()))
    return TimesheetRules(
        **_given(stored, _PLAIN),
        anchor=None if anchor is None else date.fromisoformat(anchor),
        overtime=_overtime(stored),
        rounding=None if rounding is None else Rounding(**rounding),
        doubts=doubts or "flag",
        shifts=ShiftRules(**_given(stored, _OF_SHIFTS), automatic_breaks=breaks),
    )


def _overtime(stored: Mapping[str, Any]) -> OvertimeRules:
    if "overtime" in stored:
        return OvertimeRules(**stored["overtime"])
    return PRESETS[stored.get("overtime_preset", "none")]


def _given(stored: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: stored[name] for name in names if name in stored}


_RULES = """
SELECT employee.org_id, employee.id, organization.timesheet_rules::text,
       organization.punch_policy, coalesce(employee.timezone, organization.timezone),
       employee.left_on,
       (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
  FROM unnest(%b::uuid[], %b::uuid[]) AS wanted (org_id, id)
  JOIN employees AS employee USING (org_id, id)
  JOIN organizations AS organization USING (org_id)
"""


async def rules_of_employees(
    conn: Connection, employees: Sequence[EmployeeKey]
) -> dict[EmployeeKey, HourRules]:
    """Return the present rules of employees."""
    rows = await rows_of(conn, _RULES, columns(employees))
    read: dict[tuple[str, DoubtPolicy | None], TimesheetRules] = {}
    found: dict[EmployeeKey, HourRules] = {}
    for org_id, employee_id, stored, doubts, timezone, left_on, now_us in rows:
        if (stored, doubts) not in read:
            read[stored, doubts] = read_rules(json.loads(stored), doubts)
        rules = until_left(read[stored, doubts], left_on, timezone)
        found[org_id, employee_id] = HourRules(rules, timezone, now_us)
    return found


def until_left(rules: TimesheetRules, left_on: date | None, timezone: str) -> TimesheetRules:
    """Return the rules for an employee whose last day is `left_on`; None: they stay."""
    if left_on is None:
        return rules
    shifts = replace(rules.shifts, employed_until_s=day_end_s(left_on, zone_of(timezone)))
    return replace(rules, shifts=shifts)
