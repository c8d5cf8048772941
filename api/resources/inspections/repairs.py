"""The work orders that mend the defects of inspection forms."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body
from pydantic import Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, id_text
from api.http.problems import Problem, bad_field
from api.request.access import Access, Dispatcher
from api.request.references import check_references
from api.request.route import TenantRoute
from api.resources.inspections.forms import FormPath, forms
from api.resources.inspections.templates import QuestionId
from api.resources.sites import sites
from api.resources.work_orders.listing import Assignees, WorkOrderItem, work_order_item
from db.core.connect import Connection
from db.resources import work_orders
from db.resources.inspection_forms import Inspection
from db.resources.kinds import KINDS
from db.resources.work_orders import WorkOrder
from operations.inspections.states import check_repairable
from operations.work_orders.states import Priority
from use_cases.work_orders import create

router = APIRouter(
    prefix="/v1/inspection-forms", tags=["inspection-forms"], route_class=TenantRoute
)


class DefectRepair(fields.Body):
    """The defect of a form that a work order is to mend."""

    question_id: QuestionId = Field(description="the question that was answered `fail`")
    title: Annotated[fields.Name, Field(examples=["Replace the brake pads"])] | None = Field(
        default=None, description="null: the label of the question"
    )
    priority: Priority = "high"
    assignee_ids: Assignees = Field(default_factory=list)
    due_at: fields.PlannedTime | None = None


@router.post(
    "/{id}/work-orders",
    operation_id="createInspectionFormWorkOrder",
    status_code=201,
    response_model=WorkOrderItem,
)
async def repair_defect(
    access: Dispatcher, form_id: FormPath, body: Annotated[DefectRepair, Body()]
) -> Response:
    """Make the work order that mends a defect, once for each failed question of a form. Asset and
    site are those of the form, and the client is that of its work order.
    """
    access.check_scope("work-orders:write")
    async with access.transaction() as conn:
        row = await forms.found(conn, form_id, lock=True)
        access.check_unchanged(forms.item(row))
        await check_references(conn, body)
        order = await _order_repair(conn, access, row, body)
    return created(work_order_item(order), "/v1/work-orders")


async def _order_repair(
    conn: Connection, access: Access, row: Inspection, body: DefectRepair
) -> WorkOrder:
    """Make the order that mends a defect of a form. Raises Problem (409, 422), IllegalMoveError."""
    check_repairable(row.state)
    defect = next((each for each in row.defects if each["question_id"] == body.question_id), None)
    if defect is None:
        raise bad_field("/question_id", "must be a question that was answered `fail`")
    made = await work_orders.order_of_defect(conn, row.id, body.question_id)
    if made is not None:
        detail = "A work order was made of the defect already."
        raise Problem(409, "repair_ordered", detail, more={"work_order_id": id_text("wo", made)})
    label: str = defect["label"]
    columns = {
        "title": body.title or label[:200],
        "description": defect["note"],
        "priority": body.priority,
        "assignee_ids": body.assignee_ids,
        "due_at": body.due_at,
        "inspection_form_id": row.id,
        "question_id": body.question_id,
    }
    return await create(conn, access.caller, columns | await _place(conn, row))


async def _place(conn: Connection, row: Inspection) -> dict[str, Any]:
    """Return client, site and assets of a repair; things that are deleted since are left out. The
    client of the site goes before that of the order during which the form was filled in.
    """
    order_id = row.work_order_id
    order = None if order_id is None else await work_orders.work_orders.find(conn, order_id)
    site_id = await _live(conn, "site", row.site_id or (order and order.site_id))
    site = None if site_id is None else await sites.get(conn, site_id)
    client_id = (site and site.client_id) or (order and order.client_id)
    return {
        "client_id": await _live(conn, "client", client_id),
        "site_id": site_id,
        "asset_ids": [each for each in [await _live(conn, "asset", row.asset_id)] if each],
    }


async def _live(conn: Connection, kind: str, row_id: UUID | None) -> UUID | None:
    """Return the id of a thing that is there and stays until the transaction ends."""
    if row_id is None or not await KINDS[kind].lock_existing(conn, [row_id]):
        return None
    return row_id
