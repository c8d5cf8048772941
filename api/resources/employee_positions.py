"""The last positions of employees, by their trackers, where the organization shows them.

Dispatchers and admins alone see them. Who has left is not among them.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from api.http import fields
from api.request.access import Dispatcher
from api.request.geojson import documented, listed
from api.request.paging import MAX_ROWS, ListOf, Page, SortedByNameQuery
from api.request.positions import check_employees_shown, employee_position, position_feature
from api.request.route import TenantRoute
from api.resources.assets.bodies import PositionItem
from db.history import last_positions
from db.resources.employees import Employee, employees

router = APIRouter(
    prefix="/v1/employees/positions", tags=["employee-positions"], route_class=TenantRoute
)


class EmployeePosition(BaseModel):
    """An employee and where they were last; null if no fix of the last 30 days shows it."""

    id: fields.EmployeeId
    name: fields.Name
    position: PositionItem | None


class EmployeePositionQuery(SortedByNameQuery):
    """The filters of employees."""

    q: fields.NamePrefix | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_ROWS, description="rows of a page")] = MAX_ROWS


@router.get(
    "",
    operation_id="listEmployeePositions",
    response_model=ListOf[EmployeePosition],
    responses=documented("FeatureCollection"),
)
async def list_positions(
    request: Request, access: Dispatcher, query: Annotated[EmployeePositionQuery, Query()]
) -> Response:
    """List the last position of every employee who has not left, the newest employees first. The
    organization has to show them: `shows_employees`.
    """
    page = Page(access, query, "employees/positions", query.order.key_type)
    wanted = query.wanted() | {"active": True, "deleted": False}
    async with access.transaction() as conn:
        await check_employees_shown(conn)
        rows, total = await page.read(conn, employees, wanted, query.order)
        positions = await last_positions.of_employees(conn, [row.id for row in rows])

    def item(row: Employee) -> dict[str, Any]:
        return employee_position(row.id, row.name, positions.get(row.id))

    envelope = page.envelope(rows, total, key=query.order.key, item=item)
    return await listed(request, envelope, position_feature)
