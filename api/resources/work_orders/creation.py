"""Work orders are made."""

from typing import Annotated, Literal

from fastapi import APIRouter, Body
from pydantic import Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created
from api.request.access import Dispatcher
from api.request.references import check_references
from api.request.route import TenantRoute
from api.resources.work_orders.listing import (
    MAX_CHECKLIST,
    Assets,
    Assignees,
    Cents,
    OrderPriority,
    OrderTitle,
    TaskText,
    WorkOrderItem,
    work_order_item,
)
from db.resources.work_orders import lock_tree
from use_cases.work_orders import create

router = APIRouter(prefix="/v1/work-orders", tags=["work-orders"], route_class=TenantRoute)


class Task(fields.Body):
    """An item of a checklist."""

    text: TaskText
    done: bool = False


Checklist = Annotated[list[Task], Field(max_length=MAX_CHECKLIST)]


class WorkOrderFields(fields.Body):
    """The fields that somebody gives. `planned_start` and `planned_end` go together."""

    title: OrderTitle
    description: fields.Notes | None = None
    priority: OrderPriority = "normal"
    client_id: fields.ClientId | None = None
    site_id: fields.SiteId | None = None
    parent_id: fields.WorkOrderId | None = None
    assignee_ids: Assignees = Field(default_factory=list)
    asset_ids: Assets = Field(default_factory=list)
    planned_start: fields.PlannedTime | None = None
    planned_end: fields.PlannedTime | None = None
    due_at: fields.PlannedTime | None = None
    checklist: Checklist = Field(default_factory=list)
    labour_cost_cents: Cents | None = None
    currency: fields.Currency | None = None


class NewWorkOrder(WorkOrderFields):
    """A new work order. `planned_start` and `planned_end` go together."""

    status: Annotated[Literal["draft", "created"], Field(examples=["created"])] = "created"


@router.post("", operation_id="createWorkOrder", status_code=201, response_model=WorkOrderItem)
async def create_work_order(access: Dispatcher, body: Annotated[NewWorkOrder, Body()]) -> Response:
    """Create a work order, as a draft or as one that is to be done. The latter is `assigned` where
    it has assignees.
    """
    columns = dict(body)
    columns["state"] = columns.pop("status")
    async with access.transaction() as conn:
        if body.parent_id is not None:
            await lock_tree(conn)
        await check_references(conn, body)
        row = await create(conn, access.caller, columns)
    return created(work_order_item(row), router.prefix)
