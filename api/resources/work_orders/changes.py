"""Work orders are changed, deleted and restored."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import no_content, ok
from api.http.problems import bad_field, forbidden
from api.request.access import Access, Dispatcher, Technician
from api.request.references import check_references
from api.request.route import TenantRoute
from api.resources.stock.turns import order_stock_transaction
from api.resources.work_orders.creation import Checklist, Task, WorkOrderFields
from api.resources.work_orders.listing import (
    Assets,
    Assignees,
    OrderPriority,
    OrderStatus,
    OrderTitle,
    WorkOrderItem,
    WorkOrderPath,
    check_own,
    orders,
    work_order_item,
)
from api.resources.work_orders.verbs import Reason, SignOff, check_may_move, details_in
from db.resources.work_orders import WorkOrder, lock_tree
from operations.work_orders.states import MOVES, MOVING_STOCK, WORK_ORDERS
from use_cases.work_orders import (
    MoveDetails,
    change,
    delete,
    move,
    needs_assignment,
    restore,
)

router = APIRouter(prefix="/v1/work-orders", tags=["work-orders"], route_class=TenantRoute)
_PLACE_AND_REASON = ("lat", "lon", "reason")
_OF_MOVES = {"status", "sign_off", *_PLACE_AND_REASON}
_OF_TECHNICIANS = {"checklist", *_OF_MOVES}
_STOCK_STATES = {each.then for each in MOVES if each.verb in MOVING_STOCK}


class WorkOrderChange(WorkOrderFields):
    """The fields to change. Lists are given as a whole. Another `status` is another way to say the
    verb that leads to it; `reason` and `sign_off` are what the verb needs, `lat` and `lon` where
    the user is.
    """

    title: OrderTitle = Field(default_factory=fields.absent)
    parent_id: fields.WorkOrderId | None = Field(default=None, examples=[None])
    priority: OrderPriority = Field(default_factory=fields.absent)
    status: OrderStatus = Field(default_factory=fields.absent)
    assignee_ids: Assignees = Field(default_factory=fields.absent)
    asset_ids: Assets = Field(default_factory=fields.absent)
    checklist: Checklist = Field(default_factory=fields.absent)
    # The examples are of a change that leads to no other status.
    reason: Reason | None = Field(default=None, exclude=True, examples=[None])
    sign_off: SignOff | None = Field(default=None, exclude=True, examples=[None])
    lat: fields.Latitude | None = Field(default=None, exclude=True, examples=[None])
    lon: fields.Longitude | None = Field(default=None, exclude=True, examples=[None])


@router.patch("/{id}", operation_id="updateWorkOrder", response_model=WorkOrderItem)
async def update_work_order(
    access: Technician, work_order_id: WorkOrderPath, body: Annotated[WorkOrderChange, Body()]
) -> Response:
    """Change the fields that are given, and bring the work order to a status by the verb that leads
    to it. One that is `created` becomes `assigned` with the assignees that are given. A technician
    may give `status` and `checklist` of those that are assigned to them.
    """
    given, item = body.given(), orders.item_for(access)
    said = {name: given[name] for name in _PLACE_AND_REASON if name in given}
    details = MoveDetails(**said)
    if body.sign_off is not None:
        details = await details_in(access, said | body.sign_off.given(), "/sign_off")
    moves_stock = given.get("status") in _STOCK_STATES
    transaction = (
        order_stock_transaction(access, work_order_id) if moves_stock else access.transaction()
    )
    async with transaction as conn:
        if given.get("parent_id") is not None:
            await lock_tree(conn)
        row = await orders.found(conn, work_order_id, lock=True)
        _check_may_change(access, row, given)
        access.check_unchanged(item(row))
        await check_references(conn, body)
        columns = {name: value for name, value in given.items() if name not in _OF_MOVES}
        row = await change(conn, access.caller, row, columns)
        then = given.get("status", row.state)
        if then != row.state:
            verb = WORK_ORDERS.verb_between(row.state, then)
            check_may_move(access, row, verb)
            await move(conn, access.caller, row, verb, details)
        else:
            _refuse_details(row, given)
            if "assignee_ids" in given and needs_assignment(row):
                await move(conn, access.caller, row, "assign", MoveDetails())
        row = await orders.found(conn, work_order_id)
    return ok(item(row))


def _check_may_change(access: Access, row: WorkOrder, given: Mapping[str, Any]) -> None:
    """Raise Problem (403) for a technician who may not give these fields."""
    check_own(access, row)
    others = sorted(given.keys() - _OF_TECHNICIANS)
    if access.caller.role != "technician":
        return
    if others:
        raise forbidden(f"A technician may only change status and checklist, not {others[0]}.")
    tasks: list[Task] | None = given.get("checklist")
    if tasks is not None and [task.text for task in tasks] != [
        task["text"] for task in row.checklist
    ]:
        detail = "A technician says which items of the checklist are done"
        raise forbidden(f"{detail}, and does not change, add or remove any.")


def _refuse_details(row: WorkOrder, given: Mapping[str, Any]) -> None:
    """Raise Problem (422), IllegalMoveError for what only another status has."""
    for name in ("reason", "sign_off", "lat", "lon"):
        if given.get(name) is not None:
            if "status" in given:
                raise WORK_ORDERS.illegal(row.state, f"to give {name} again")
            raise bad_field(f"/{name}", "goes with another status")


@router.delete("/{id}", operation_id="deleteWorkOrder", status_code=204)
async def delete_work_order(access: Dispatcher, work_order_id: WorkOrderPath) -> Response:
    """Delete a work order that has no children and that nobody signed for. It can be restored."""
    async with order_stock_transaction(access, work_order_id) as conn:
        await lock_tree(conn)
        row = await orders.found(conn, work_order_id, lock=True)
        access.check_unchanged(work_order_item(row))
        await delete(conn, access.caller, row)
    return no_content()


@router.post("/{id}/restore", operation_id="restoreWorkOrder", response_model=WorkOrderItem)
async def restore_work_order(access: Dispatcher, work_order_id: WorkOrderPath) -> Response:
    """Restore a deleted work order, unless its client, its site, its parent or an assignee is
    deleted.
    """
    async with access.transaction() as conn:
        await lock_tree(conn)
        row = await orders.found(conn, work_order_id, lock=True, deleted=True)
        access.check_unchanged(work_order_item(row))
        row = await restore(conn, access.caller, row)
    return ok(work_order_item(row))
