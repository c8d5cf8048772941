"""Events: what happened, by `seq`.

`seq` counts per organization without gaps and is given after commit, so reading on from the last
`seq` seen misses nothing. Where events behind it are not kept any more, that is an error.
"""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import ok
from api.http.problems import bad_parameter, not_found
from api.openapi.event_types import TypeList, TypePattern, chosen_types
from api.request.access import Reader
from api.request.event_envelope import EventItem, event_item
from api.request.own_hours import hours_of, not_own_hours
from api.request.paging import ListOf, ListQuery, Page
from api.request.references import check_filters
from api.request.route import TenantRoute
from db.core.connect import Connection
from db.history import events
from db.history.events import EventFilter, EventKey
from telemetry.ids import format_id

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=TenantRoute)
_MAX_SEQ = 2**63 - 1


class EventQuery(ListQuery):
    """The filters of events. With `after` the oldest come first, else the newest."""

    after: Annotated[
        int | None,
        Field(ge=0, le=_MAX_SEQ, description="the last seq seen; 0: none", examples=[17]),
        fields.DIGITS,
    ] = None
    type: Annotated[TypePattern | None, Field(description="a type, asset.* or *")] = None
    types: TypeList | None = None
    asset_id: Annotated[fields.AssetId | None, Field(description="events about it")] = None
    zone_id: Annotated[fields.ZoneId | None, Field(description="events about it")] = None
    employee_id: Annotated[fields.EmployeeId | None, Field(description="events about them")] = None
    work_order_id: Annotated[fields.WorkOrderId | None, Field(description="events about it")] = None
    since: Annotated[fields.Time | None, Field(alias="from")] = None
    until: Annotated[fields.Time | None, Field(alias="to")] = None

    def filter(self) -> EventFilter:
        """Return the filter. Events are also of `type` where `types` is given beside it."""
        subjects = (
            ("ast", self.asset_id),
            ("zon", self.zone_id),
            ("emp", self.employee_id),
            ("wo", self.work_order_id),
        )
        chosen = [
            chosen_types(patterns)
            for patterns in (self.type and [self.type], self.types and self.types.split(","))
            if patterns
        ]
        narrowed = [types for types in chosen if types is not None]
        return EventFilter(
            self.after,
            frozenset.intersection(*narrowed) if narrowed else None,
            tuple(format_id(prefix, value) for prefix, value in subjects if value is not None),
            self.since,
            self.until,
        )


@router.get("", operation_id="listEvents", response_model=ListOf[EventItem])
async def list_events(access: Reader, query: Annotated[EventQuery, Query()]) -> Response:
    """List events behind `after` in the order of `seq`, or the newest first."""
    page = Page(access, query, "events", EventKey)
    async with access.transaction() as conn:
        await check_filters(conn, query)
        wanted = query.filter().of_hours_of(await hours_of(conn, access.caller.own_hours_of))
        if query.after and page.after is None:
            await _check_place(conn, query.after)
        total = await page.counted(conn, events.count, wanted)
        rows = await events.listing(
            conn, wanted, after=page.after, limit=page.fetch_limit, offset=page.fetch_offset
        )
    return await page.response(
        rows,
        total,
        key=lambda row: EventKey(row.seq),
        item=partial(event_item, access.caller.org_id),
    )


@router.get("/{id}", operation_id="getEvent", response_model=EventItem)
async def get_event(
    access: Reader, event_id: Annotated[fields.EventId, Path(alias="id")]
) -> Response:
    """Return one event."""
    async with access.transaction() as conn:
        event = await events.find(conn, event_id)
        own = await hours_of(conn, access.caller.own_hours_of)
    if event is None:
        raise not_found("event")
    if own is not None and event.about_hours_of not in (None, own):
        raise not_own_hours(access.caller)
    return ok(event_item(access.caller.org_id, event))


async def _check_place(conn: Connection, after: int) -> None:
    """Check that events behind `after` are kept, and that `after` was given: a reader would miss
    events, or wait for them for ever, without being told.
    """
    gone, newest = await events.kept_events(conn)
    if after > newest:
        raise bad_parameter("after", f"The newest event is {newest}: continue with after={newest}.")
    if after < gone:
        raise bad_parameter(
            "after",
            f"Events up to {gone} were removed: continue with after={gone}.",
            code="events_gone",
        )
