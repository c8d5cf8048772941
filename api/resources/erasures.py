"""The erasure of an employee's positions, as a job (`webhooks.erasing`)."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Body, Path
from pydantic import Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import accepted, time_text
from api.http.problems import bad_field, not_found
from api.request.access import Admin
from api.request.route import TenantRoute
from api.resources.jobs import JobItem, make_job
from db.core.table import db_now
from db.resources.jobs import NewJob
from db.resources.kinds import KINDS
from operations.jobs import Erased, ErasedTime

router = APIRouter(prefix="/v1/employees", tags=["employees"], route_class=TenantRoute)
_EmployeePath = Annotated[fields.EmployeeId, Path(alias="id")]
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


class ErasedPeriod(fields.Body):
    """The time whose positions are erased: [from, to)."""

    since: fields.Time | None = Field(
        default=None,
        alias="from",
        description="null: from the first position on",
        examples=["2026-01-01T00:00:00Z"],
    )
    until: fields.Time | None = Field(
        default=None,
        alias="to",
        description="null: now; not later than that",
        examples=["2026-02-01T00:00:00Z"],
    )


@router.post(
    "/{id}/position-erasures",
    operation_id="createEmployeePositionErasure",
    status_code=202,
    response_model=JobItem,
)
async def create_erasure(
    access: Admin, employee_id: _EmployeePath, body: Annotated[ErasedPeriod, Body()]
) -> Response:
    """Erase the positions of an employee for ever, also in the archive: a job removes the fixes of
    trackers while they were theirs, and reads all places again. Also of a deleted employee.
    """
    async with access.transaction() as conn:
        if not await KINDS["employee"].existed(conn, [employee_id]):
            raise not_found("employee")
        now = await db_now(conn)
        since, until = body.since or _FIRST, body.until or now
        if until > now:
            raise bad_field("/to", "must not be later than now: what is to come cannot be erased")
        if since >= until:
            raise bad_field("/from", "must be earlier than to")
        span = {"from": time_text(since), "to": time_text(until)}
        erased = {**span, **Erased()._asdict(), "read_back_at": None}
        content = msgspec.json.encode(ErasedTime(employee_id, since, until))
        new = NewJob("erase_positions", content, result={"erased": erased}, employee_id=employee_id)
        job = await make_job(conn, access, new)
    return accepted(job)
