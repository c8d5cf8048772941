"""Readers of tests/cases/timesheets.json and payroll_days.toml: punches, rules and hours, each
written as a person would.

A punch is a line: kind, local day, local time, and what else is known, such as
`in 2026-06-01 08:00 failed server=2026-06-01T10:00`. Hours are `h:mm` or `h:mm:ss`.
"""

import json
import tomllib
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from operations.hours.overtime import PRESETS, OvertimeRules
from operations.hours.shift_rules import AutomaticBreak, ShiftRules
from operations.hours.shifts import CreditedPunch, ShiftFlag
from operations.hours.timesheets import Adjustment, Rounding, TimesheetRules

_FOLDER = Path(__file__).parents[2] / "cases"
CASES = json.loads((_FOLDER / "timesheets.json").read_text())
CASES["timesheets"] += tomllib.loads((_FOLDER / "payroll_days.toml").read_text())["timesheets"]
NOBODY = UUID(int=0)


def instant_us(text: str, timezone: str) -> int:
    """Return the microseconds since 1970 of a local time; an offset makes it unambiguous."""
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(timezone))
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def read_punch(line: str, timezone: str) -> CreditedPunch:
    """Return the punch of a line; its id follows from the line."""
    kind, day, clock, *more = line.split()
    at_us = instant_us(f"{day}T{clock}", timezone)
    punch = CreditedPunch(uuid5(NOBODY, line), kind, at_us, "verified")
    for word in more:
        if word in ("accepted", "rejected"):
            punch = replace(punch, review=word)
        elif word.startswith("server="):
            punch = replace(punch, server_time_us=instant_us(word[7:], timezone))
        else:
            punch = replace(punch, verdict=word)
    return punch


def read_rules(given: dict[str, Any]) -> TimesheetRules:
    """Return rules; what is not given has its default."""
    rules = dict(given)
    if isinstance(overtime := rules.get("overtime"), str):
        rules["overtime"] = PRESETS[overtime]
    elif overtime:
        rules["overtime"] = OvertimeRules(**overtime)
    if "rounding" in rules:
        rules["rounding"] = Rounding(**rules["rounding"])
    if "anchor" in rules:
        rules["anchor"] = date.fromisoformat(rules["anchor"])
    if "shifts" in rules:
        breaks = rules["shifts"].get("automatic_breaks", ())
        breaks = tuple(AutomaticBreak(*each) for each in breaks)
        rules["shifts"] = ShiftRules(**{**rules["shifts"], "automatic_breaks": breaks})
    return TimesheetRules(**rules)


def read_adjustments(given: dict[str, str]) -> list[Adjustment]:
    """Return adjustments by day."""
    return [
        Adjustment(date.fromisoformat(day), seconds_of(hours), "forgotten", NOBODY)
        for day, hours in given.items()
    ]


def seconds_of(hours: str) -> int:
    """Return the seconds of `h:mm` or `h:mm:ss`, which a minus may precede."""
    hour, minute, second = (hours.lstrip("-") + ":00").split(":")[:3]
    seconds = int(hour) * 3600 + int(minute) * 60 + int(second)
    return -seconds if hours.startswith("-") else seconds


def written_flag(flag: ShiftFlag, timezone: str) -> str:
    """Return a flag as the cases write it."""
    moment = datetime.fromtimestamp(flag.time_s, ZoneInfo(timezone))
    return f"{flag.name} {moment:%Y-%m-%d %H:%M}"
