"""The verbs of work orders, as `operations.work_orders.states` has them."""

from typing import Annotated

from fastapi import APIRouter, Body
from starlette.responses import Response

from api.request.access import Dispatcher, Technician
from api.request.route import TenantRoute
from api.resources.work_orders.bodies import (
    Completion,
    ReasonedMove,
    WorkOrderAssignment,
    WorkOrderItem,
    WorkOrderMove,
)
from api.resources.work_orders.routes import WorkOrderPath, apply_verb

router = APIRouter(prefix="/v1/work-orders", tags=["work-orders"], route_class=TenantRoute)
_NOWHERE = WorkOrderMove()
_AS_IT_IS = WorkOrderAssignment()


@router.post("/{id}/issue", operation_id="issueWorkOrder", response_model=WorkOrderItem)
async def issue_work_order(
    access: Dispatcher,
    work_order_id: WorkOrderPath,
    body: Annotated[WorkOrderMove, Body()] = _NOWHERE,
) -> Response:
    """Issue a draft: it is to be done."""
    return await apply_verb(access, work_order_id, "issue", body)


@router.post("/{id}/assign", operation_id="assignWorkOrder", response_model=WorkOrderItem)
async def assign_work_order(
    access: Dispatcher,
    work_order_id: WorkOrderPath,
    body: Annotated[WorkOrderAssignment, Body()] = _AS_IT_IS,
) -> Response:
    """Give a work order to employees: those that are given, or that it has."""
    return await apply_verb(access, work_order_id, "assign", body)


@router.post("/{id}/start", operation_id="startWorkOrder", response_model=WorkOrderItem)
async def start_work_order(
    access: Technician,
    work_order_id: WorkOrderPath,
    body: Annotated[WorkOrderMove, Body()] = _NOWHERE,
) -> Response:
    """Begin to work."""
    return await apply_verb(access, work_order_id, "start", body)


@router.post("/{id}/hold", operation_id="holdWorkOrder", response_model=WorkOrderItem)
async def hold_work_order(
    access: Technician, work_order_id: WorkOrderPath, body: Annotated[ReasonedMove, Body()]
) -> Response:
    """Stop for a while, and say why."""
    return await apply_verb(access, work_order_id, "hold", body)


@router.post("/{id}/resume", operation_id="resumeWorkOrder", response_model=WorkOrderItem)
async def resume_work_order(
    access: Technician,
    work_order_id: WorkOrderPath,
    body: Annotated[WorkOrderMove, Body()] = _NOWHERE,
) -> Response:
    """Go on with work that was on hold."""
    return await apply_verb(access, work_order_id, "resume", body)


@router.post("/{id}/complete", operation_id="completeWorkOrder", response_model=WorkOrderItem)
async def complete_work_order(
    access: Technician, work_order_id: WorkOrderPath, body: Annotated[Completion, Body()]
) -> Response:
    """Complete a work order, which somebody signs for."""
    return await apply_verb(access, work_order_id, "complete", body)


@router.post("/{id}/close", operation_id="closeWorkOrder", response_model=WorkOrderItem)
async def close_work_order(
    access: Dispatcher,
    work_order_id: WorkOrderPath,
    body: Annotated[WorkOrderMove, Body()] = _NOWHERE,
) -> Response:
    """Close a work order that was completed, or that cannot be: it changes no more."""
    return await apply_verb(access, work_order_id, "close", body)


@router.post("/{id}/cancel", operation_id="cancelWorkOrder", response_model=WorkOrderItem)
async def cancel_work_order(
    access: Dispatcher, work_order_id: WorkOrderPath, body: Annotated[ReasonedMove, Body()]
) -> Response:
    """Cancel a work order, and say why."""
    return await apply_verb(access, work_order_id, "cancel", body)


@router.post(
    "/{id}/cannot-complete",
    operation_id="cannotCompleteWorkOrder",
    response_model=WorkOrderItem,
)
async def cannot_complete_work_order(
    access: Technician, work_order_id: WorkOrderPath, body: Annotated[ReasonedMove, Body()]
) -> Response:
    """Give a work order up that cannot be completed, and say why."""
    return await apply_verb(access, work_order_id, "cannot-complete", body)


@router.post("/{id}/reopen", operation_id="reopenWorkOrder", response_model=WorkOrderItem)
async def reopen_work_order(
    access: Dispatcher,
    work_order_id: WorkOrderPath,
    body: Annotated[WorkOrderMove, Body()] = _NOWHERE,
) -> Response:
    """Reopen a work order that has ended: its assignees have it again."""
    return await apply_verb(access, work_order_id, "reopen", body)
