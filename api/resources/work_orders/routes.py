"""Work orders: jobs of employees at sites, from a draft to what was signed for.

A dispatcher makes and changes them. A technician says the verbs of work and keeps the checklist and
the comments of those that are assigned to them. Deleting and restoring are as those of clients.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.documents.work_order_pdf import WorkOrderSheet
from api.http import fields
from api.http.encoding import created, id_text, no_content, ok
from api.http.problems import bad_field, conflict, forbidden
from api.request.access import Access, Dispatcher, Reader, Technician
from api.request.document_answers import (
    PDF_TYPES,
    file_answer,
    rendered,
    varying,
    wants_pdf,
)
from api.request.paging import ListOf
from api.request.references import check_filters, check_references
from api.request.resource import Resource
from api.request.route import TenantRoute
from api.resources.stock.turns import order_stock_transaction
from api.resources.work_orders.bodies import (
    NewWorkOrder,
    Task,
    WorkOrderChange,
    WorkOrderDetail,
    WorkOrderItem,
    WorkOrderMove,
    order_costs_item,
    work_order_item,
    work_order_without_cost,
)
from api.resources.work_orders.changes import (
    MoveDetails,
    check_drawn,
    check_may_move,
    check_new_assignees,
    check_own,
    check_parent,
    check_references_live,
    check_row,
    check_site,
    checked_off,
    details_in,
    emit_change,
    move,
    needs_assignment,
    stock_of,
)
from api.resources.work_orders.creation import insert_order
from api.resources.work_orders.listing import (
    MAX_COUNTED_OF_STATUS,
    WorkOrderCounts,
    WorkOrderFilters,
    WorkOrderQuery,
    WorkOrderShown,
    included_names,
    status_count,
)
from api.resources.work_orders.sheet import decoded, sheet_of
from db.core.connect import Connection
from db.core.table import db_now
from db.resources import work_orders as table
from db.resources.kinds import KINDS
from db.resources.quotas import check_room
from db.resources.work_orders import WorkOrder
from db.stock.work_order_costs import costs_of
from operations.work_orders.states import (
    FIXED,
    MOVES,
    MOVING_STOCK,
    SIGNED,
    STATES,
    WORK_ORDERS,
    Verb,
)
from use_cases.stock.order_parts import release_reserved

router = APIRouter(prefix="/v1/work-orders", tags=["work-orders"], route_class=TenantRoute)
WorkOrderPath = Annotated[fields.WorkOrderId, Path(alias="id")]
_DETAILS = ("reason", "sign_off", "lat", "lon")
_OF_MOVES = {"status", *_DETAILS}
_OF_TECHNICIANS = {"checklist", *_OF_MOVES}
_LISTS = {"assignee_ids", "asset_ids"}
_COSTS = {"labour_cost_cents", "currency"}  # nobody signs for them
_STOCK_STATES = {each.then for each in MOVES if each.verb in MOVING_STOCK}

orders = Resource(
    table.work_orders,
    work_order_item,
    item_for=lambda access: work_order_item if access.sees_all else work_order_without_cost,
    included=included_names,
)


def check_unchanged(access: Access, row: WorkOrder) -> None:
    """Raise Problem (412) where the order is not as the caller knows it."""
    access.check_unchanged(orders.item_for(access)(row))


@router.get("", operation_id="listWorkOrders", response_model=ListOf[WorkOrderItem])
async def list_work_orders(access: Reader, query: Annotated[WorkOrderQuery, Query()]) -> Response:
    """List work orders, newest first."""
    return await orders.list(access, query)


@router.get("/counts", operation_id="countWorkOrders", response_model=WorkOrderCounts)
async def count_work_orders(
    access: Reader, query: Annotated[WorkOrderFilters, Query()]
) -> Response:
    """Count work orders by status, with the filters of their list. Counting ends at 10,000 of each
    status.
    """
    async with access.transaction() as conn:
        await check_filters(conn, query)
        counts = await table.work_orders.counts(
            conn, query.wanted(), "state", STATES, MAX_COUNTED_OF_STATUS + 1
        )
    return ok({"data": [status_count(state, counts[state]) for state in STATES]})


@router.post("", operation_id="createWorkOrder", status_code=201, response_model=WorkOrderItem)
async def create_work_order(access: Dispatcher, body: Annotated[NewWorkOrder, Body()]) -> Response:
    """Create a work order, as a draft or as one that is to be done. The latter is `assigned` where
    it has assignees.
    """
    async with access.transaction() as conn:
        if body.parent_id is not None:
            await table.lock_tree(conn)
        await check_references(conn, body)
        at = await check_room(conn, "work_orders")
        columns = _columns(dict(body)) | {"state": body.status}
        columns["checklist"] = checked_off([], body.checklist, access.caller.user_id, at)
        row = await insert_order(conn, access, columns, at)
    return created(work_order_item(row), router.prefix)


@router.get(
    "/{id}", operation_id="getWorkOrder", response_model=WorkOrderDetail, responses=PDF_TYPES
)
async def get_work_order(
    request: Request,
    access: Reader,
    work_order_id: WorkOrderPath,
    query: Annotated[WorkOrderShown, Query()],
) -> Response:
    """Return one work order; as a PDF with photos and sign-off for those who accept it. Its costs
    are shown to dispatchers and admins, and not in the PDF.
    """
    if wants_pdf(request):
        return await _printed(access, work_order_id)
    if not query.costs:
        return varying(await orders.get(access, work_order_id, query))
    if not access.sees_all:
        raise forbidden(f"The role {access.caller.role} may not see what a work order costs.")
    async with access.transaction() as conn:
        row = await orders.found(conn, work_order_id)
        names = await included_names(conn, query.include or "", [row])
        costs = await costs_of(conn, row)
    more = names[row.id] | {"costs": order_costs_item(costs)}
    return varying(ok(work_order_item(row) | more))


async def _rendering(access: Access, sheet: WorkOrderSheet) -> bytes:
    return await access.state.renderer.work_order(
        access.caller.org_id, await decoded(access, sheet)
    )


async def _printed(access: Access, work_order_id: UUID) -> Response:
    async with access.transaction() as conn:
        sheet = await sheet_of(
            conn, await orders.found(conn, work_order_id), with_drawing=access.sees_all
        )
    content = await rendered(_rendering(access, sheet))
    return file_answer(content, "application/pdf", f"work-order-{id_text('wo', work_order_id)}.pdf")


@router.patch("/{id}", operation_id="updateWorkOrder", response_model=WorkOrderItem)
async def update_work_order(
    access: Technician, work_order_id: WorkOrderPath, body: Annotated[WorkOrderChange, Body()]
) -> Response:
    """Change the fields that are given, and bring the work order to a status by the verb that leads
    to it. One that is `created` becomes `assigned` with the assignees that are given. A technician
    may give `status` and `checklist` of those that are assigned to them.
    """
    given, item = body.given(), orders.item_for(access)
    await check_drawn(access, body.sign_off, "/sign_off")
    async with _transaction(access, work_order_id, given.get("status") in _STOCK_STATES) as conn:
        if given.get("parent_id") is not None:
            await table.lock_tree(conn)
        row = await orders.found(conn, work_order_id, lock=True)
        _check_may_change(access, row, given)
        check_unchanged(access, row)
        await check_references(conn, body)
        row = await _change(conn, access, row, given)
        row = await _move(conn, access, row, body)
        row = await orders.found(conn, row.id)
    return ok(item(row))


@router.delete("/{id}", operation_id="deleteWorkOrder", status_code=204)
async def delete_work_order(access: Dispatcher, work_order_id: WorkOrderPath) -> Response:
    """Delete a work order that has no children and that nobody signed for. It can be restored."""
    async with order_stock_transaction(access, work_order_id) as conn:
        await table.lock_tree(conn)  # nobody gives it a child meanwhile
        row = await orders.found(conn, work_order_id, lock=True)
        access.check_unchanged(work_order_item(row))
        if await table.has_children(conn, row.id):
            raise conflict("in_use", "Other work orders are parts of it.")
        if row.state in SIGNED:
            raise WORK_ORDERS.illegal(row.state, "to delete")
        await release_reserved(conn, stock_of(access, row))
        at = await db_now(conn)
        deleted = await orders.write(conn, row._replace(deleted_at=at), at)
        await emit_change(conn, access, row, deleted, ["deleted_at"])
    return no_content()


@router.post("/{id}/restore", operation_id="restoreWorkOrder", response_model=WorkOrderItem)
async def restore_work_order(access: Dispatcher, work_order_id: WorkOrderPath) -> Response:
    """Restore a deleted work order, unless its client, its site, its parent or an assignee is
    deleted.
    """
    async with access.transaction() as conn:
        await table.lock_tree(conn)
        row = await orders.found(conn, work_order_id, lock=True, deleted=True)
        access.check_unchanged(work_order_item(row))
        if row.deleted_at is not None:
            await check_references_live(conn, row)
            parent_id = row.parent_id
            if parent_id and not await KINDS["work_order"].lock_existing(conn, [parent_id]):
                raise conflict("parent_deleted", "Its parent is deleted: restore it first.")
            await check_parent(conn, row)
            restored = await orders.write(conn, row._replace(deleted_at=None))
            await emit_change(conn, access, row, restored, ["deleted_at"])
            row = restored
    return ok(work_order_item(row))


# Change ------------------------------------------------------------------------------


def _columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a body as columns of the row, but for the checklist's history."""
    columns = {name: value for name, value in given.items() if name not in _OF_MOVES}
    return columns | {name: sorted(set(given[name])) for name in _LISTS & given.keys()}


def _transaction(
    access: Access, order_id: UUID, moves_stock: bool
) -> AbstractAsyncContextManager[Connection]:
    """Return the transaction of a change, which takes the turns of stock where it may move any."""
    return order_stock_transaction(access, order_id) if moves_stock else access.transaction()


async def _write_lists(conn: Connection, row: WorkOrder, names: set[str]) -> None:
    if "assignee_ids" in names:
        await table.set_assignees(conn, row.id, row.assignee_ids)
    if "asset_ids" in names:
        await table.set_assets(conn, row.id, row.asset_ids)


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


async def _change(
    conn: Connection, access: Access, row: WorkOrder, given: Mapping[str, Any]
) -> WorkOrder:
    """Write the fields that differ, and tell it. Raises Problem (422), IllegalMoveError."""
    at = await db_now(conn)
    columns = _columns(given)
    if "checklist" in columns:
        tasks, user_id = columns["checklist"], access.caller.user_id
        columns["checklist"] = checked_off(row.checklist, tasks, user_id, at)
    names = [name for name, value in columns.items() if getattr(row, name) != value]
    if not names:
        return row
    if row.state in FIXED and not (row.state == "completed" and _COSTS.issuperset(names)):
        raise WORK_ORDERS.illegal(row.state, "to change")
    changed = row._replace(**columns, updated_at=at)
    check_row(changed)
    if not {"client_id", "site_id"}.isdisjoint(names):
        await check_site(conn, changed)
    await check_new_assignees(conn, row, changed)
    if "parent_id" in names:
        await check_parent(conn, changed)
    await table.work_orders.update(conn, changed)
    await _write_lists(conn, changed, set(names))
    await emit_change(conn, access, row, changed, names)
    return changed


async def _move(
    conn: Connection, access: Access, row: WorkOrder, body: WorkOrderChange
) -> WorkOrder:
    """Bring the order to the status of the body, if it has another one, and one that is given to
    somebody to `assigned`. Raises Problem (422), IllegalMoveError; both for what only another
    status has.
    """
    given = body.given()
    status = given.get("status", row.state)
    if status == row.state:
        for name in _DETAILS:
            if given.get(name) is not None:
                if "status" in given:
                    raise WORK_ORDERS.illegal(row.state, f"to give {name} again")
                raise bad_field(f"/{name}", "goes with another status")
        if "assignee_ids" in given and needs_assignment(row):
            return await move(conn, access, row, "assign", MoveDetails(), await db_now(conn))
        return row
    verb = WORK_ORDERS.verb_between(row.state, status)
    check_may_move(access, row, verb)
    details = MoveDetails(body.lat, body.lon, body.reason, body.sign_off)
    return await move(conn, access, row, verb, details, await db_now(conn))


async def apply_verb(
    access: Access, work_order_id: UUID, verb: Verb, body: WorkOrderMove
) -> Response:
    """Apply a verb to an order, and answer with it. Raises Problem (403, 404, 409, 412, 422),
    IllegalMoveError.
    """
    item, details = orders.item_for(access), details_in(body)
    await check_drawn(access, details.sign_off, "")
    async with _transaction(access, work_order_id, verb in MOVING_STOCK) as conn:
        row = await orders.found(conn, work_order_id, lock=True)
        check_may_move(access, row, verb)
        check_unchanged(access, row)
        await check_references(conn, body)
        moved = await move(conn, access, row, verb, details, await db_now(conn))
        await _write_lists(conn, moved, _LISTS & body.given().keys())
        row = await orders.found(conn, moved.id)
    return ok(item(row))
