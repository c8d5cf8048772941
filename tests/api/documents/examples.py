"""Timesheets to print: a plain week, a crowded month, and a period without work."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from api.documents.timesheet import (
    AdjustmentLine,
    DocumentDay,
    NotedPunch,
    PaidHours,
    Review,
    ShiftLine,
    TimesheetDecision,
    TimesheetDocument,
    VerdictReason,
)

ZURICH = ZoneInfo("Europe/Zurich")
HOUR_S = 3600


def at(day: date, hours: float, zone: ZoneInfo = ZURICH) -> datetime:
    """Return the time that is some hours after the local midnight."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    return midnight + timedelta(hours=hours)


def shift(
    day: date, starts: float, ends: float, *, break_s: int = 0, site: str = "Depot North"
) -> ShiftLine:
    """Return a verified shift between two hours of a day."""
    worked_s = round((ends - starts) * HOUR_S) - break_s
    return ShiftLine(at(day, starts), at(day, ends), break_s, worked_s, site, verified=2)


def day_of(day: date, *shifts: ShiftLine, overtime_from_s: int = 30_240) -> DocumentDay:
    """Return a day whose hours beyond a threshold are overtime."""
    worked_s = sum(each.worked_s for each in shifts)
    regular_s = min(worked_s, overtime_from_s)
    return DocumentDay(day, PaidHours(regular_s, worked_s - regular_s), shifts)


def document(
    first_day: date, last_day: date, *days: DocumentDay, **changes: object
) -> TimesheetDocument:
    """Return an approved timesheet with these days."""
    values: dict[str, object] = {
        "document_id": "tms_01jd8x0k2m4n6p8q0r2s4t6v8w",
        "organization": "Keller Tiefbau AG",
        "employee": "Anna Keller",
        "employee_number": "E-204",
        "first_day": first_day,
        "last_day": last_day,
        "timezone": "Europe/Zurich",
        "state": "approved",
        "generated_at": datetime(2026, 4, 1, 7, 30, tzinfo=UTC),
        "days": days,
        "decision": TimesheetDecision("Maria Brunner", at(last_day, 33.2)),
    }
    return TimesheetDocument(**(values | changes))


def plain_week() -> TimesheetDocument:
    """Return five days with a break at noon, and an hour of overtime."""
    monday = date(2026, 3, 2)
    days = [monday + timedelta(days=number) for number in range(5)]
    ends = (16.5, 16.5, 17.5, 16.5, 15.75)
    return document(
        monday,
        monday + timedelta(days=6),
        *(
            day_of(day, shift(day, 7.5, end, break_s=2700))
            for day, end in zip(days, ends, strict=True)
        ),
    )


def crowded_month() -> TimesheetDocument:
    """Return a month of two shifts a day, with flags, adjustments and a change of the clocks."""
    first = date(2026, 3, 1)
    days = [first + timedelta(days=number) for number in range(31)]
    worked = {
        day: day_of(
            day, shift(day, 7.01, 11.52), shift(day, 12.53, 17.01, site="Bahnhofstrasse 12")
        )
        for day in days
        if day.weekday() < 5
    }
    for make in (_outside, _disputed, _night, _missing_out, _adjusted, _loose):
        made = make(worked)
        worked[made.day] = made
    sunday = date(2026, 3, 29)
    worked[sunday] = day_of(sunday, shift(sunday, 1.25, 4.5, site="Gotthard, night closure"))
    return document(
        first,
        days[-1],
        *(worked[day] for day in days if day in worked),
        state="submitted",
        decision=None,
    )


def _outside(days: dict[date, DocumentDay]) -> DocumentDay:
    day = date(2026, 3, 3)
    punch = NotedPunch(
        "in",
        at(day, 7.01),
        "failed",
        (VerdictReason("outside", {"distance_m": 412.3, "accuracy_m": 12.0, "tolerance_m": 25.0}),),
        review=Review(
            "accepted", "Maria Brunner", at(day, 33.25), "Gate was blocked, she parked at the mall."
        ),
    )
    first, second = days[day].shifts
    reviewed = ShiftLine(
        first.started_at,
        first.ended_at,
        first.break_s,
        first.worked_s,
        first.site,
        verified=1,
        failed=1,
        is_settled=True,
        noted=(punch,),
    )
    return day_of(day, reviewed, second)


def _disputed(days: dict[date, DocumentDay]) -> DocumentDay:
    day = date(2026, 3, 10)
    first, second = days[day].shifts
    punch = NotedPunch(
        "in",
        at(day, 7.01),
        "unverified",
        (
            VerdictReason(
                "uncertain", {"distance_m": 18.0, "accuracy_m": 65.0, "tolerance_m": 25.0}
            ),
            VerdictReason("offline", {"delay_s": 8051.4, "limit_s": 120.0}),
        ),
        flags=("disputed",),
        server_time=at(day, 9.25),
    )
    disputed = ShiftLine(
        first.started_at,
        first.ended_at,
        first.break_s,
        first.worked_s,
        first.site,
        verified=1,
        unverified=1,
        flags=("disputed",),
        server_worked_s=8172,
        noted=(punch,),
    )
    return day_of(day, disputed, second)


def _night(days: dict[date, DocumentDay]) -> DocumentDay:
    day = date(2026, 3, 12)
    first = days[day].shifts[0]
    return day_of(day, first, shift(day, 22.0, 24.0, site="Gotthard, night closure"))


def _missing_out(days: dict[date, DocumentDay]) -> DocumentDay:
    day = date(2026, 3, 18)
    shift_line = ShiftLine(
        at(day, 7.0),
        at(day, 30.5),
        0,
        13 * HOUR_S,
        "Depot North",
        verified=1,
        flags=("missing_out",),
    )
    return DocumentDay(day, PaidHours(30_240, 12_960, HOUR_S), (shift_line,))


def _adjusted(days: dict[date, DocumentDay]) -> DocumentDay:
    day = date(2026, 3, 20)
    lines = (
        AdjustmentLine(1800, "Travel from the depot to the site", "Maria Brunner", at(day, 34.0)),
        AdjustmentLine(-900, "Breakfast was not punched", "Maria Brunner", at(day, 34.1)),
    )
    before = days[day]
    paid = PaidHours(before.paid.regular_s, before.paid.overtime_s + 900)
    return DocumentDay(day, paid, before.shifts, lines)


def _loose(days: dict[date, DocumentDay]) -> DocumentDay:
    day = date(2026, 3, 25)
    before = days[day]
    punch = NotedPunch("out", at(day, 18.4), "verified", flags=("not_in",))
    return DocumentDay(day, before.paid, before.shifts, loose=(punch,))


def empty_period() -> TimesheetDocument:
    """Return a week without any work, still open."""
    first = date(2026, 3, 9)
    return document(first, first + timedelta(days=6), state="open", decision=None)
