"""What things did, worked out one by one from their fixes.

The days of a thing are worked out a few at a time, and each alone where there are too many fixes:
what is said of a day does not depend on the others (`geofence.trips.days`).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from api.documents.file_forms import Form
from api.http import fields
from api.http.encoding import id_text
from api.http.problems import bad_parameter
from api.request.access import Access
from api.request.references import check_filters
from api.resources.exports import columns_of
from api.resources.reports.answers import Report, Rows, answered, wanted_form
from api.resources.reports.query import MovementQuery, Span, Window, filter_of, window_of
from archive.trips import FixesOf, TooManyFixes, worked_out
from db.core.connect import Connection
from db.core.standby import again_by_primary
from db.fixes.fix_filters import FixFilter
from db.resources import reported
from db.resources.reported import ReportedThing, ReportFilter
from geofence.trips.days import DayFigures, by_day
from geofence.trips.history import Found
from geofence.trips.track import Track, TripRules
from telemetry.times import to_datetime

MOST_THING_DAYS = 500  # as JSON or PDF
MOST_THING_DAYS_OF_FILE = 10_000
_RULES = TripRules()
_DAYS_AT_A_TIME = 7


class ThingItem(BaseModel):
    """Whose row it is."""

    asset_id: fields.AssetId | None = Field(description="null in a report of employees")
    employee_id: fields.EmployeeId | None
    name: fields.Name


def thing_item(query: MovementQuery, thing: ReportedThing) -> dict[str, Any]:
    """Return a ThingItem."""
    is_employee = query.is_of_employees
    return {
        "asset_id": None if is_employee else id_text("ast", thing.id),
        "employee_id": id_text("emp", thing.id) if is_employee else None,
        "name": thing.name,
    }


@dataclass(frozen=True, slots=True)
class Worked:
    """Some days of a thing. found: the trips and stops that began on these days, and those from
    before that reach into the first day that is asked for.
    """

    thing: ReportedThing
    spans: Sequence[Span]
    days: Sequence[DayFigures]
    track: Track
    found: Sequence[Found[Any]]


WorkedThrough: TypeAlias = AsyncIterator[Worked]


async def movement_report(
    request: Request,
    access: Access,
    query: MovementQuery,
    name: str,
    row: type[BaseModel],
    rows: Callable[[WorkedThrough], Rows],
    drawn: Callable[[], Awaitable[bytes]] | None = None,
) -> Response:
    """Answer with a report about movement. row: its model. drawn: as `Report` has
    it.
    """
    form = wanted_form(request)
    is_file = isinstance(form, Form)
    async with access.transaction() as conn:
        await check_filters(conn, query)
        window = await window_of(conn, query, is_file=is_file)
        wanted = filter_of(access, query, window)
        things = await _things(conn, wanted, query, window, is_file=is_file)
    report = Report(
        name,
        window,
        columns_of(row),
        lambda: rows(worked_through(access, query, window, things)),
        drawn,
    )
    return await answered(request, access, query, form, report)


async def _things(
    conn: Connection, wanted: ReportFilter, query: MovementQuery, window: Window, *, is_file: bool
) -> list[ReportedThing]:
    """Return the things of a report. Raises Problem (400) where there are too many for its days."""
    days = len(window.spans)
    most = (MOST_THING_DAYS_OF_FILE if is_file else MOST_THING_DAYS) // days
    read = reported.employees if query.is_of_employees else reported.assets
    things = await read(conn, wanted, most + 1)
    if len(things) > most:
        noun = "employees" if query.is_of_employees else "assets"
        message = (
            f"There are more than {most:,} {noun}, the most for a report of {days} days: ask for"
            f" fewer {noun} or days{'' if is_file else ', or for CSV or XLSX'}."
        )
        raise bad_parameter("to", message)
    return things


async def worked_through(
    access: Access, query: MovementQuery, window: Window, things: Sequence[ReportedThing]
) -> WorkedThrough:
    """Yield all days of all things, in order of thing and time. Raises Problem (400) where a thing
    has too many fixes on a day.
    """
    for thing in things:
        for begin in range(0, len(window.spans), _DAYS_AT_A_TIME):
            spans = window.spans[begin : begin + _DAYS_AT_A_TIME]
            async for worked in _worked(access, query, window, thing, spans):
                yield worked


async def _worked(
    access: Access,
    query: MovementQuery,
    window: Window,
    thing: ReportedThing,
    spans: Sequence[Span],
) -> WorkedThrough:
    is_employee, begin_us = query.is_of_employees, spans[0].begin_us
    wanted = FixFilter(
        asset_ids=() if is_employee else (thing.id,),
        employee_ids=(thing.id,) if is_employee else (),
        since=to_datetime(begin_us),
        until=to_datetime(spans[-1].end_us),
        hides_people_from=None if access.sees_all else access.caller.user_id,
    )
    fixes = FixesOf(access.transaction, access.state.archive)
    try:
        track, found = await again_by_primary(partial(worked_out, fixes, wanted, _RULES))
    except TooManyFixes as error:
        if len(spans) == 1:
            message = f"{thing.name} has more than {error.most:,} fixes around {spans[0].day}."
            raise bad_parameter("to", message) from None
        for span in spans:
            async for worked in _worked(access, query, window, thing, [span]):
                yield worked
        return
    edges_us = [begin_us, *(span.end_us for span in spans)]
    what = [each.what for each in found]
    days = await asyncio.to_thread(by_day, track, what, edges_us, _RULES)
    is_first = spans[0] is window.spans[0]
    began = [each for each in found if is_first or each.first_us >= begin_us]
    yield Worked(thing, spans, days, track, began)
