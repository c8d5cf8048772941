"""A timesheet as its document (`api.documents.timesheet`), made from what an answer shows of it."""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from api.documents.timesheet import (
    AdjustmentLine,
    DocumentDay,
    DocumentError,
    NotedPunch,
    PaidHours,
    PunchEntry,
    Review,
    ShiftLine,
    TimesheetDecision,
    TimesheetDocument,
    VerdictReason,
)
from api.http.fields import read_time
from api.http.problems import conflict
from db.core.connect import Connection
from db.hours.timesheets import TimesheetRow
from db.resources.names import names_of
from operations.hours.local_days import Span, day_start_s
from operations.hours.shifts import STEPS, WORST_FIRST
from telemetry.ids import parse_id

_DAY = timedelta(days=1)
_DO_NOT_FIT = {step.flag for step in STEPS.values() if step.flag is not None}
Item = Mapping[str, Any]


class Names(NamedTuple):
    """The names of what a timesheet refers to, by id."""

    sites: Mapping[UUID, str]
    users: Mapping[UUID, str]

    def site(self, text: str | None) -> str:
        """Return the name of a site; empty where there is none."""
        return "" if text is None else self.sites.get(parse_id("sit", text), "")

    def user(self, text: str) -> str:
        """Return the name of a user."""
        return self.users.get(parse_id("usr", text), "")


async def names_in(conn: Connection, detail: Item) -> Names:
    """Read the names of the sites and users in the answer about a timesheet."""
    sites = {shift["site_id"] for shift in detail["shifts"]} - {None}
    users = {each["created_by"] for each in detail["adjustments"]}
    for punch in detail["punches"]:
        users |= {punch["reviewed_by"], punch["entered_by"]} - {None}
    return Names(
        await names_of(conn, "sites", [parse_id("sit", each) for each in sites]),
        await names_of(conn, "users", [parse_id("usr", each) for each in users]),
    )


def document_of(
    row: TimesheetRow, detail: Item, names: Names, generated_at: datetime
) -> TimesheetDocument:
    """Return the document of a timesheet. Raises Problem (409) where there is too much on it."""
    decided = row.state in ("approved", "rejected", "locked")
    try:
        return TimesheetDocument(
            document_id=detail["id"],
            organization=row.organization_name,
            employee=row.employee_name,
            employee_number=row.employee_number or "",
            first_day=row.first_day,
            last_day=row.last_day,
            timezone=detail["timezone"],
            state=row.state,
            generated_at=generated_at,
            days=_days(detail, names),
            decision=TimesheetDecision(row.decider or "", row.decided_at)
            if decided and row.decided_at is not None
            else None,
        )
    except DocumentError as error:
        detail_text = f"The timesheet cannot be printed: {error}. Read it as JSON."
        raise conflict("document_too_large", detail_text) from None


def _days(detail: Item, names: Names) -> tuple[DocumentDay, ...]:
    zone = ZoneInfo(detail["timezone"])
    punches = {punch["id"]: punch for punch in detail["punches"]}
    days = {date.fromisoformat(item["day"]): item for item in detail["days"]}
    shifts: dict[date, list[ShiftLine]] = defaultdict(list)
    for shift in detail["shifts"]:
        for day, line in _lines(shift, days, punches, names, zone):
            shifts[day].append(line)
    adjustments: dict[date, list[AdjustmentLine]] = defaultdict(list)
    for each in detail["adjustments"]:
        line = AdjustmentLine(
            seconds=each["seconds"],
            reason=each["reason"],
            actor=names.user(each["created_by"]),
            made_at=read_time(each["created_at"]),
            is_own=each["own"],
        )
        adjustments[date.fromisoformat(each["day"])].append(line)
    loose: dict[date, list[NotedPunch]] = defaultdict(list)
    for noted in _noted(detail["loose_flags"], (), punches, names):
        loose[noted.time.astimezone(zone).date()].append(noted)
    return tuple(
        DocumentDay(
            day,
            PaidHours(item["regular_s"], item["overtime_s"], item["double_s"]),
            tuple(shifts[day]),
            tuple(adjustments[day]),
            tuple(loose[day]),
        )
        for day, item in days.items()
    )


def _lines(
    shift: Item,
    days: Container[date],
    punches: Mapping[str, Item],
    names: Names,
    zone: ZoneInfo,
) -> Iterable[tuple[date, ShiftLine]]:
    """Yield the parts of a shift on these days. The first one has its footnotes."""
    started_at = read_time(shift["started_at"])
    ended_at = None if shift["ended_at"] is None else read_time(shift["ended_at"])
    parts: Sequence[Item] = shift["days"] or [_only_part(shift, started_at, zone)]
    entered = [punch for punch in punches.values() if _is_entry_of(punch, shift)]
    settled = [punch for punch in entered if _is_verdict_settled(punch, shift["flags"])]
    counted = [punch for punch in settled if not _is_beside(punch, shift["flags"])]
    noted = tuple(_noted(shift["flags"], entered, punches, names))
    for part in parts:
        day = date.fromisoformat(part["day"])
        if day not in days:
            continue
        cut_start, cut_end = started_at, ended_at
        if len(parts) > 1 and ended_at is not None:
            midnights = Span(day_start_s(day, zone), day_start_s(day + _DAY, zone))
            start, end = (datetime.fromtimestamp(time_s, zone) for time_s in midnights)
            cut_start, cut_end = max(started_at, start), min(ended_at, end)
        break_s, worked_s = _hours(shift, part, len(parts), cut_start, cut_end)
        yield (
            day,
            ShiftLine(
                started_at=cut_start,
                ended_at=cut_end,
                break_s=break_s,
                worked_s=worked_s,
                site=names.site(shift["site_id"]),
                **{
                    worth: shift[worth] - sum(punch["verdict"] == worth for punch in counted)
                    for worth in WORST_FIRST
                },
                flags=tuple(_flag_names(shift["flags"], settled)),
                server_worked_s=shift["server_worked_s"] if len(parts) == 1 else None,
                is_settled=all(flag["settled"] for flag in shift["flags"]),
                entries=tuple(_entry(punch, names) for punch in entered),
                noted=noted,
            ),
        )
        noted = ()


def _only_part(shift: Item, started_at: datetime, zone: ZoneInfo) -> Item:
    """Return the one part of a shift that counts to no day yet."""
    day = started_at.astimezone(zone).date().isoformat()
    hours = {"worked_s": shift["worked_s"], "break_s": shift["break_s"], "rounding_s": 0}
    return {"day": day, **hours}


def _hours(
    shift: Item, part: Item, parts: int, started_at: datetime, ended_at: datetime | None
) -> tuple[int, int]:
    """Return the breaks and the work of a part of a shift, in seconds before rounding. Where they
    are not known, the breaks are what is not work, and no more than those of the shift.
    """
    if part["break_s"] is not None:
        return part["break_s"], part["worked_s"] - part["rounding_s"]
    if parts == 1 or ended_at is None:
        return shift["break_s"], shift["worked_s"]
    idle_s = int((ended_at - started_at).total_seconds()) - part["worked_s"]
    return min(max(0, idle_s), shift["break_s"]), part["worked_s"]


# Punches ------------------------------------------------------------------------------------------


def _is_entry_of(punch: Item, shift: Item) -> bool:
    """Return whether a punch is one of a shift, and was entered by hand."""
    if punch["entered_by"] is None or punch["review"] == "rejected":
        return False
    if any(flag["punch_id"] == punch["id"] for flag in shift["flags"]):
        return True
    if punch["kind"] in ("in", "out"):
        return punch["id"] in (shift["in_punch_id"], shift["out_punch_id"])
    time = read_time(punch["pay_time"]).replace(microsecond=0)
    ended_at = shift["ended_at"]
    is_before_end = ended_at is None or time <= read_time(ended_at)
    return read_time(shift["started_at"]) <= time and is_before_end


def _is_settled(punch: Item, flags: Iterable[Item]) -> bool:
    """Return whether a punch needs nobody's attention any more."""
    return all(flag["settled"] for flag in flags if flag["punch_id"] == punch["id"])


def _is_verdict_settled(punch: Item, flags: Sequence[Item]) -> bool:
    """Return whether a punch needs nobody's attention for its verdict, whatever else is missing."""
    return _is_settled(punch, [flag for flag in flags if flag["name"] == punch["verdict"]])


def _is_beside(punch: Item, flags: Iterable[Item]) -> bool:
    """Return whether a punch did not fit its shift, which has nothing of it but the flag."""
    return any(flag["punch_id"] == punch["id"] and flag["name"] in _DO_NOT_FIT for flag in flags)


def _flag_names(flags: Iterable[Item], settled: Iterable[Item]) -> Iterable[str]:
    """Return the names of flags, each once, without the verdicts on settled entries."""
    known = {(punch["id"], punch["verdict"]) for punch in settled}
    return dict.fromkeys(
        flag["name"] for flag in flags if (flag["punch_id"], flag["name"]) not in known
    )


def _noted(
    flags: Sequence[Item], entered: Iterable[Item], punches: Mapping[str, Item], names: Names
) -> list[NotedPunch]:
    """Return the punches that are flagged, with all flags of each, and those that were entered by
    hand, by time.
    """
    of_punch: dict[str, list[str]] = {punch["id"]: [] for punch in entered}
    for flag in flags:
        of_punch.setdefault(flag["punch_id"], []).append(flag["name"])
    found = [
        _noted_punch(punches[punch_id], its_flags, _is_settled(punches[punch_id], flags), names)
        for punch_id, its_flags in of_punch.items()
        if punch_id in punches
    ]
    return sorted(found, key=lambda punch: punch.time)


def _noted_punch(punch: Item, flags: Iterable[str], is_settled: bool, names: Names) -> NotedPunch:
    review = None
    if punch["review"] is not None:
        review = Review(
            punch["review"],
            names.user(punch["reviewed_by"]),
            read_time(punch["reviewed_at"]),
            punch["review_note"] or "",
        )
    server_time = punch["server_time"]
    return NotedPunch(
        kind=punch["kind"],
        time=read_time(punch["pay_time"]),
        verdict=punch["verdict"],
        reasons=tuple(VerdictReason(each["rule"], each["figures"]) for each in punch["reasons"]),
        flags=tuple(flags),
        server_time=None if server_time is None else read_time(server_time),
        review=review,
        entry=None if punch["entered_by"] is None else _entry(punch, names),
        is_settled=is_settled,
    )


def _entry(punch: Item, names: Names) -> PunchEntry:
    by, at = names.user(punch["entered_by"]), read_time(punch["received_at"])
    return PunchEntry(by, at, punch["reason"])
