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
    DoubtfulPunch,
    PaidHours,
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
from telemetry.ids import parse_id

_DAY = timedelta(days=1)
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
    users |= {punch["reviewed_by"] for punch in detail["punches"]} - {None}
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
        )
        adjustments[date.fromisoformat(each["day"])].append(line)
    loose: dict[date, list[DoubtfulPunch]] = defaultdict(list)
    for doubt in _doubts(detail["loose_flags"], punches, names):
        loose[doubt.time.astimezone(zone).date()].append(doubt)
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
    """Yield the parts of a shift on these days. The first one has its doubts."""
    started_at = read_time(shift["started_at"])
    ended_at = None if shift["ended_at"] is None else read_time(shift["ended_at"])
    first_day = started_at.astimezone(zone).date().isoformat()
    parts: Sequence[Item] = shift["days"] or [{"day": first_day, "worked_s": shift["worked_s"]}]
    doubts = tuple(_doubts(shift["flags"], punches, names))
    for part in parts:
        day = date.fromisoformat(part["day"])
        if day not in days:
            continue
        cut_start, cut_end = started_at, ended_at
        if len(parts) > 1 and ended_at is not None:
            midnights = Span(day_start_s(day, zone), day_start_s(day + _DAY, zone))
            start, end = (datetime.fromtimestamp(time_s, zone) for time_s in midnights)
            cut_start, cut_end = max(started_at, start), min(ended_at, end)
        yield (
            day,
            ShiftLine(
                started_at=cut_start,
                ended_at=cut_end,
                break_s=_break_s(shift, part, len(parts), cut_start, cut_end),
                worked_s=part["worked_s"],
                site=names.site(shift["site_id"]),
                verified=shift["verified"],
                unverified=shift["unverified"],
                failed=shift["failed"],
                flags=tuple(dict.fromkeys(flag["name"] for flag in shift["flags"])),
                server_worked_s=shift["server_worked_s"] if len(parts) == 1 else None,
                is_settled=all(flag["settled"] for flag in shift["flags"]),
                doubts=doubts,
            ),
        )
        doubts = ()


def _break_s(
    shift: Item, part: Item, parts: int, started_at: datetime, ended_at: datetime | None
) -> int:
    """Return the breaks of a part of a shift: of a whole shift its own, else what is not work."""
    if parts == 1 or ended_at is None:
        return shift["break_s"]
    return max(0, int((ended_at - started_at).total_seconds()) - part["worked_s"])


def _doubts(
    flags: Iterable[Item], punches: Mapping[str, Item], names: Names
) -> Iterable[DoubtfulPunch]:
    """Yield the punches that are flagged, with all flags of each."""
    of_punch: dict[str, list[str]] = defaultdict(list)
    for flag in flags:
        of_punch[flag["punch_id"]].append(flag["name"])
    for punch_id, its_flags in of_punch.items():
        punch = punches.get(punch_id)
        if punch is not None:
            yield _doubt(punch, its_flags, names)


def _doubt(punch: Item, flags: Iterable[str], names: Names) -> DoubtfulPunch:
    review = None
    if punch["review"] is not None:
        review = Review(
            punch["review"],
            names.user(punch["reviewed_by"]),
            read_time(punch["reviewed_at"]),
            punch["review_note"] or "",
        )
    server_time = punch["server_time"]
    return DoubtfulPunch(
        kind=punch["kind"],
        time=read_time(punch["pay_time"]),
        verdict=punch["verdict"],
        reasons=tuple(VerdictReason(each["rule"], each["figures"]) for each in punch["reasons"]),
        flags=tuple(flags),
        server_time=None if server_time is None else read_time(server_time),
        review=review,
    )
