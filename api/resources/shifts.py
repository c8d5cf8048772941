"""Shifts: the working times that follow from the punches of an employee."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, WithJsonSchema
from starlette.responses import Response

from api.http import fields
from api.http.encoding import optional_id_text, optional_time_text, time_text
from api.request.access import Reader
from api.request.own_hours import readable_employee
from api.request.paging import ListOf, ListQuery, Page, order_of
from api.request.references import check_filters
from api.request.route import TenantRoute
from db.core.listing import Order, RowKey
from db.hours import shifts
from db.hours.shifts import ShiftFilter, ShiftRow, StoredFlag
from operations.hours.shifts import FLAGS, WORST_FIRST, Worth
from telemetry.ids import format_id

router = APIRouter(prefix="/v1/shifts", tags=["shifts"], route_class=TenantRoute)
_MAX_FLAGS = 10_000
Seconds = Annotated[int, Field(ge=0, le=2**31 - 1, examples=[28_800])]
_FlagName = Annotated[str, WithJsonSchema({"type": "string", "enum": list(FLAGS)})]


class FlagItem(BaseModel):
    """A remark about a shift or a punch."""

    name: _FlagName
    punch_id: fields.PunchId | None = Field(description="null: it is about an adjustment")
    adjustment_id: fields.AdjustmentId | None = None
    time: datetime = Field(
        description="the credited time of that punch; when the adjustment was made"
    )
    settled: bool = Field(description="it needs nobody's attention any more")


class ShiftItem(BaseModel):
    """The time from an `in` to its `out`. A shift without an `out` ends by rule."""

    id: fields.ShiftId
    employee_id: fields.EmployeeId
    started_at: datetime
    ended_at: datetime | None = Field(description="null: the shift is open")
    break_s: Seconds = Field(description="punched and automatic")
    worked_s: Seconds = Field(description="0 while the shift is open")
    server_worked_s: Seconds | None = Field(
        description="the same by what the server saw; null: no time is disputed"
    )
    verdict: Worth = Field(description="the worst of its punches")
    verified: fields.Count = Field(description="how many of its punches are")
    unverified: fields.Count
    failed: fields.Count
    flags: Annotated[list[FlagItem], Field(max_length=_MAX_FLAGS)]
    site_id: fields.SiteId | None = Field(description="of its first punch at a site")
    asset_id: fields.AssetId | None = Field(description="the machine of its first punch with one")
    work_order_id: fields.WorkOrderId | None = Field(
        description="the one of the employee at that site, if there was exactly one"
    )
    in_punch_id: fields.PunchId
    out_punch_id: fields.PunchId | None


class ShiftQuery(ListQuery):
    """Shifts that share an instant with [from, to)."""

    employee_id: fields.EmployeeId | None = None
    since: Annotated[fields.Time | None, Field(alias="from")] = None
    until: Annotated[fields.Time | None, Field(alias="to")] = None
    open: Annotated[bool | None, Field(description="those that last, or those that ended")] = None
    sort: Annotated[
        Literal["-started_at", "started_at"], Field(description="-: the last ones first")
    ] = "-started_at"

    @property
    def order(self) -> Order:
        """The order that is asked for."""
        return order_of(self.sort)


@router.get("", operation_id="listShifts", response_model=ListOf[ShiftItem])
async def list_shifts(access: Reader, query: Annotated[ShiftQuery, Query()]) -> Response:
    """List shifts, the last start first."""
    page = Page(access, query, "shifts", RowKey)
    async with access.transaction() as conn:
        await check_filters(conn, query)
        employee_id = await readable_employee(conn, access, query.employee_id)
        wanted = ShiftFilter(employee_id, query.since, query.until, query.open)
        rows, total = await page.read(conn, shifts.SHIFTS, wanted, query.order)
    return await page.response(
        rows, total, key=lambda row: RowKey(row.started_at, row.id), item=shift_item
    )


def shift_item(row: ShiftRow) -> dict[str, Any]:
    """Return a ShiftItem."""
    return {
        "id": format_id("shf", row.id),
        "employee_id": format_id("emp", row.employee_id),
        "started_at": time_text(row.started_at),
        "ended_at": optional_time_text(row.ended_at),
        "break_s": row.break_s,
        "worked_s": row.worked_s,
        "server_worked_s": row.server_worked_s,
        "verdict": next(worth for worth in WORST_FIRST if worth in row.verdicts),
        **{worth: row.verdicts.get(worth, 0) for worth in reversed(WORST_FIRST)},
        "flags": [flag_item(flag) for flag in row.flags],
        "site_id": optional_id_text("sit", row.site_id),
        "asset_id": optional_id_text("ast", row.asset_id),
        "work_order_id": optional_id_text("wo", row.work_order_id),
        "in_punch_id": format_id("pun", row.opened_by),
        "out_punch_id": None if row.closed_by is None else format_id("pun", row.closed_by),
    }


def flag_item(flag: StoredFlag) -> dict[str, Any]:
    """Return a FlagItem."""
    return {
        "name": flag["name"],
        "punch_id": format_id("pun", UUID(flag["punch_id"])),
        "time": time_text(datetime.fromtimestamp(flag["time_s"], UTC)),
        "settled": flag["is_settled"],
    }
