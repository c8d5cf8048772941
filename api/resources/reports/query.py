"""What a report is asked for: a time, cut at local days, and things.

A time without a time of day is a day of the time zone: `from` begins with it, and `to` ends with
it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, WithJsonSchema

from api.http import fields
from api.http.problems import bad_parameter
from api.request.access import Access
from api.request.paging import ListQuery
from archive.trips import EARLIEST, LATEST
from db.core.connect import Connection
from db.core.table import db_now
from db.resources import organizations
from db.resources.reported import ReportFilter
from operations.hours.local_days import day_start_s, local_day
from telemetry.times import MAX_CHARACTERS

MOST_DAYS = 31  # as JSON or PDF
MOST_DAYS_OF_FILE = 366
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


def _day_or_time(value: object) -> date:
    """Return a day, or a time. Raises ValueError."""
    try:
        return fields.read_day(value)
    except ValueError:
        pass
    try:
        return fields.read_time(value)
    except ValueError:
        message = "must be a day, like 2026-01-31, or a time, like 2026-01-31T00:00:00Z"
        raise ValueError(message) from None


_MOMENT: dict[str, Any] = {
    "type": "string",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ].+)?$",
    "maxLength": MAX_CHARACTERS,
    "examples": ["2026-01-31"],
}
# A date, or a datetime, which is a date as Python has it.
Moment = Annotated[Any, BeforeValidator(_day_or_time), WithJsonSchema(_MOMENT)]


class ReportQuery(ListQuery):
    """The time and the assets of a report."""

    first: Annotated[
        Moment | None,
        Field(alias="from", description="a day or a time; without it the day on which to lies"),
    ] = None
    last: Annotated[
        Moment | None,
        Field(alias="to", description="a day, with all of it, or a time; without it now"),
    ] = None
    time_zone: Annotated[
        fields.TimeZone | None, Field(description="of days; without it the organization's")
    ] = None
    asset_id: Annotated[fields.AssetIds | None, Field(description="of these, with commas")] = None
    client_id: Annotated[
        fields.ClientIds | None, Field(description="of these clients, with commas")
    ] = None
    zone_id: Annotated[
        fields.ZoneIds | None, Field(description="which were in these, with commas")
    ] = None
    tag: Annotated[
        fields.AnyTags | None, Field(description="of assets that have any of these now")
    ] = None

    @property
    def unfit(self) -> str | None:
        """A filter that is given and that employees do not have, in a report of employees."""
        return None


class MovementQuery(ReportQuery):
    """The time and the things of a report about movement."""

    of: Annotated[
        Literal["asset", "employee"],
        Field(description="whose: of assets, or of employees by their trackers"),
    ] = "asset"
    employee_id: Annotated[
        fields.EmployeeIds | None,
        Field(description="of these employees, with commas; `of` is then employee"),
    ] = None

    @property
    def is_of_employees(self) -> bool:
        return self.of == "employee" or self.employee_id is not None

    @property
    def unfit(self) -> str | None:
        if not self.is_of_employees:
            return None
        of_assets = ("asset_id", "client_id", "zone_id", "tag")
        return next((name for name in of_assets if getattr(self, name) is not None), None)


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a local day that is asked for. Microseconds since 1970."""

    day: date
    begin_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Window:
    """The time that is asked for, up to now, and its parts by local day."""

    since: datetime
    until: datetime
    zone: ZoneInfo
    spans: Sequence[Span]


async def window_of(conn: Connection, query: ReportQuery, *, is_file: bool) -> Window:
    """Return the time of a report. Raises Problem (400)."""
    zone = ZoneInfo(query.time_zone or (await organizations.find(conn)).timezone)
    now = await db_now(conn)
    until = now if query.last is None else min(now, _end_of(query.last, zone))
    first = local_day(_whole_s(until - _SECOND), zone) if query.first is None else query.first
    since = _begin_of(first, zone)
    if since >= until:
        raise bad_parameter("from", "from must be earlier than to, and than now.")
    most = MOST_DAYS_OF_FILE if is_file else MOST_DAYS
    if until - since > (most + 1) * _DAY or len(spans := _spans(since, until, zone)) > most:
        more = "" if is_file else f", and {MOST_DAYS_OF_FILE} as CSV or XLSX"
        raise bad_parameter("to", f"A report has {most} days at most{more}.")
    return Window(since, until, zone, spans)


def _end_of(last: date, zone: ZoneInfo) -> datetime:
    end = last if isinstance(last, datetime) else min(last, LATEST.date()) + _DAY
    return _begin_of(end, zone)


def _begin_of(first: date, zone: ZoneInfo) -> datetime:
    if isinstance(first, datetime):
        return min(max(first, EARLIEST), LATEST)
    day = min(max(first, EARLIEST.date() + _DAY), LATEST.date())
    return _EPOCH + timedelta(seconds=day_start_s(day, zone))


def _spans(since: datetime, until: datetime, zone: ZoneInfo) -> list[Span]:
    day, begin_us, end_us = (
        local_day(_whole_s(since), zone),
        microseconds(since),
        microseconds(until),
    )
    spans: list[Span] = []
    while begin_us < end_us:
        day_end_us = min(end_us, day_start_s(day + _DAY, zone) * 1_000_000)
        if begin_us < day_end_us:  # a zone may skip a whole day
            spans.append(Span(day, begin_us, day_end_us))
        day, begin_us = day + _DAY, day_end_us
    return spans


def microseconds(time: datetime) -> int:
    """Return the microseconds since 1970."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def _whole_s(time: datetime) -> int:
    return (time - _EPOCH) // _SECOND


def filter_of(access: Access, query: ReportQuery, window: Window) -> ReportFilter:
    """Return what a report is about. Raises Problem (400) for what employees do not have."""
    employee_ids = None
    if isinstance(query, MovementQuery) and query.is_of_employees:
        employee_ids = query.employee_id
    if (name := query.unfit) is not None:
        raise bad_parameter(name, f"A report of employees has no {name}: leave it out.")
    return ReportFilter(
        since=window.since,
        until=window.until,
        asset_ids=query.asset_id,
        employee_ids=employee_ids,
        client_ids=query.client_id,
        zone_ids=query.zone_id,
        tags=query.tag,
        reader=None if access.sees_all else access.caller.user_id,
    )
