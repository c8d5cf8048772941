"""A crew's punches, events, shifts and hours: each planted difference is found and named."""

from collections.abc import Callable
from typing import Any

import pytest

from device_sim.crew import CrewPlan, PlannedPunch, PunchFaults, planned_punches
from stack.verify.comparison import Comparison
from stack.verify.punches import CrewFound, compare_crew, reckoned_shifts
from telemetry.times import format_time, parse_time_us

START_US = 1_800_043_200_000_000  # 20:00 UTC: nobody works over midnight
PLAN = CrewPlan(12, 60.0, 3, PunchFaults({"forget": 0.2, "offline": 0.2, "clock": 0.2}))
SENT = planned_punches(PLAN, START_US)
EMPLOYEES = [f"emp_{number}" for number in range(12)]
TRACKERS = [f"trk_{number}" for number in range(12)]
TYPES = {"in": "employee.punched_in", "out": "employee.punched_out"}

Json = dict[str, Any]


def stored() -> CrewFound:
    """Return what a system has that does as it should."""
    punches = [_row(number, punch) for number, punch in enumerate(SENT)]
    events = [
        {
            "id": f"evt_{row['id']}",
            "type": TYPES[row["kind"]],
            "data": {name: row[name] for name in ("verdict", "reasons")} | {"punch_id": row["id"]},
        }
        for row in punches
        if row["kind"] in TYPES
    ]
    shifts: list[Json] = []
    sheets: dict[str, Json] = {}
    for shift in reckoned_shifts(SENT, EMPLOYEES, punches):
        shifts.append(
            {
                "id": f"shf_{len(shifts)}",
                "employee_id": shift.employee_id,
                "started_at": _time(shift.started_s),
                "ended_at": None if shift.ended_s is None else _time(shift.ended_s),
                "break_s": shift.break_s,
                "worked_s": shift.worked_s,
                "flags": [],
            }
        )
        day = {"day": _time(shift.started_s)[:10], "worked_s": shift.worked_s}
        sheets[shift.employee_id] = {
            "id": f"tms_{shift.employee_id}",
            "employee_id": shift.employee_id,
            "worked_s": shift.worked_s,
            "days": [day],
        }
    return CrewFound(punches, events, shifts, list(sheets.values()))


def _row(number: int, punch: PlannedPunch) -> Json:
    claimed, received = format_time(punch.claimed_us), format_time(START_US + 55_000_000)
    return {
        "id": f"pun_{number}",
        "employee_id": EMPLOYEES[punch.employee],
        "tracker_id": TRACKERS[punch.phone],
        "kind": punch.kind,
        "time": claimed,
        "received_at": received,
        "verdict": punch.verdict,
        "reasons": [{"rule": rule} for rule in punch.rules],
        "pay_time": received if punch.is_disputed else claimed,
        "pay_time_source": "disputed" if punch.is_disputed else "claimed",
        "revision": 1,
    }


def _time(time_s: int) -> str:
    return format_time(time_s * 1_000_000)


def compared(found: CrewFound, webhook_ids: set[str] | None = None) -> dict[str, Comparison]:
    all_compared = compare_crew(SENT, EMPLOYEES, TRACKERS, found, webhook_ids)
    return {one.what: one for one in all_compared}


def test_nothing_differs_where_the_system_does_as_it_should() -> None:
    found = stored()
    results = compared(found, {event["id"] for event in found.events})
    assert {what: dict(one.counts) for what, one in results.items()} == {
        "punches": {}, "punch events": {}, "shifts": {}, "days": {},
    }  # fmt: skip
    assert results["punches"].expected == len(SENT)
    assert any(shift["ended_at"] is None for shift in found.shifts)


def _first(rows: Any, **wanted: Any) -> Json:
    return next(row for row in rows if wanted.items() <= row.items())


def lose(found: CrewFound) -> None:
    found.punches.pop()


def double(found: CrewFound) -> None:
    found.punches.append(found.punches[0])


def other_rule(found: CrewFound) -> None:
    found.punches[0]["reasons"].append({"rule": "mock"})


def a_second_less(found: CrewFound) -> None:
    shift = next(one for one in found.shifts if one["ended_at"] is not None)
    shift["ended_at"] = format_time(parse_time_us(shift["ended_at"]) - 1_000_000)


def no_disputed_time(found: CrewFound) -> None:
    row = _first(found.punches, pay_time_source="disputed")
    row["pay_time"] = row["time"]


def event_twice(found: CrewFound) -> None:
    found.events.append(found.events[0])


def no_event(found: CrewFound) -> None:
    found.events.pop()


def closed_silently(found: CrewFound) -> None:
    shift = _first(found.shifts, ended_at=None)
    shift["ended_at"] = shift["started_at"]


def hours_of_another_day(found: CrewFound) -> None:
    next(one for one in found.timesheets if one["worked_s"])["days"][0]["day"] = "2001-01-01"


def another_sum(found: CrewFound) -> None:
    found.timesheets[0]["worked_s"] += 1


@pytest.mark.parametrize(
    ("spoil", "what", "kind"),
    [
        (lose, "punches", "lost"),
        (double, "punches", "stored twice"),
        (other_rule, "punches", "other verdict"),
        (no_disputed_time, "punches", "paid otherwise"),
        (event_twice, "punch events", "twice"),
        (no_event, "punch events", "missing"),
        (a_second_less, "shifts", "other"),
        (closed_silently, "shifts", "other"),
        (hours_of_another_day, "days", "other hours"),
        (another_sum, "days", "other sum"),
    ],
)
def test_a_planted_difference_is_found(
    spoil: Callable[[CrewFound], None], what: str, kind: str
) -> None:
    found = stored()
    spoil(found)
    assert compared(found)[what].counts[kind] >= 1


def test_a_webhook_that_never_came_is_found() -> None:
    found = stored()
    ids = {event["id"] for event in found.events[1:]}
    assert compared(found, ids)["punch events"].counts == {"webhook never received": 1}
