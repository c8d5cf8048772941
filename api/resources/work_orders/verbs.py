"""The verbs of work orders, as `operations.work_orders.states` has them."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body
from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from api.http import fields
from api.http.encoding import ok
from api.http.problems import bad_field, forbidden
from api.request.access import Access, Dispatcher, Technician
from api.request.references import check_references
from api.request.route import TenantRoute
from api.request.signatures import decoded_signature
from api.resources.stock.turns import order_stock_transaction
from api.resources.work_orders.listing import (
    Assignees,
    WorkOrderItem,
    WorkOrderPath,
    is_own,
    order_text,
    orders,
)
from db.core.connect import Connection
from db.resources.work_orders import WorkOrder
from operations.signatures import MAX_SIGNATURE_LENGTH, SignatureError, read_signature
from operations.work_orders.states import MOVING_STOCK, WORK_ORDERS, Verb
from use_cases.work_orders import MoveDetails, move

router = APIRouter(prefix="/v1/work-orders", tags=["work-orders"], route_class=TenantRoute)
_DRAWN = (
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACAQAAAABazTCJAAAADElEQVR42mNwYHIAAAEIAIMme1hiAAAAAElFTkSuQmCC"
)
_BASE64 = r"^[A-Za-z0-9+/]*={0,2}$"


def _signature_text(value: str) -> str:
    try:
        read_signature(value)
    except SignatureError as error:
        raise ValueError(f"must be a PNG in base64: {error}") from None
    return value


Reason = Annotated[str, *order_text(1_000, "The part is missing.")]
Signer = Annotated[fields.Name, Field(examples=["Peter Frei"])]
Signature = Annotated[
    str,
    StringConstraints(max_length=MAX_SIGNATURE_LENGTH),
    AfterValidator(_signature_text),
    Field(description="a PNG in base64", examples=[_DRAWN], json_schema_extra={"pattern": _BASE64}),
]


class SignOff(fields.Body):
    """The signature under a completed work order: a name, and a PNG or an attachment."""

    signer_name: Signer
    signature: Signature | None = None
    signature_attachment_id: fields.AttachmentId | None = None
    signed_at: fields.PlannedTime | None = Field(default=None, description="now, unless given")


class WorkOrderMove(fields.Body):
    """The place of whoever says a verb. `lat` and `lon` go together."""

    lat: fields.Latitude | None = None
    lon: fields.Longitude | None = None


class WorkOrderAssignment(WorkOrderMove):
    """The employees who are to do it; left out: those that it has."""

    # A new work order has nobody, so the example shows what others leave out.
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"assignee_ids": ["emp_01jd8x0k2m4n6p8q0r2s4t6v8w"]}]}
    )

    assignee_ids: Annotated[Assignees, Field(min_length=1)] | None = None


class ReasonedMove(WorkOrderMove):
    """The reason why a work order does not go on."""

    reason: Reason


class Completion(SignOff, WorkOrderMove):
    """The sign-off of a work order that is done."""


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


async def apply_verb(
    access: Access, work_order_id: UUID, verb: Verb, body: WorkOrderMove
) -> Response:
    """Apply a verb to an order, and answer with it. Raises Problem (403, 404, 409, 412, 422),
    IllegalMoveError.
    """
    item, details = orders.item_for(access), await details_in(access, body.given())
    async with move_transaction(access, work_order_id, verb) as conn:
        row = await orders.found(conn, work_order_id, lock=True)
        check_may_move(access, row, verb)
        access.check_unchanged(item(row))
        await check_references(conn, body)
        await move(conn, access.caller, row, verb, details)
        row = await orders.found(conn, work_order_id)
    return ok(item(row))


async def details_in(access: Access, given: Mapping[str, Any], pointer: str = "") -> MoveDetails:
    """Return what is given for a verb, with its drawn signature decoded: to be called before a
    connection is taken. pointer: that of the sign-off. Raises Problem (422, 429, 503).
    """
    if given.get("signature") is None:
        return MoveDetails(**given)
    try:
        png = await decoded_signature(access.state, access.caller.org_id, given["signature"])
    except SignatureError as error:
        raise bad_field(f"{pointer}/signature", f"must be a drawing: {error}") from None
    return MoveDetails(**{**given, "signature": png})


def move_transaction(
    access: Access, order_id: UUID, verb: Verb | None
) -> AbstractAsyncContextManager[Connection]:
    """Return the transaction of a move, which takes the turns of stock where it may move any."""
    return (
        order_stock_transaction(access, order_id) if verb in MOVING_STOCK else access.transaction()
    )


def check_may_move(access: Access, row: WorkOrder, verb: Verb) -> None:
    """Raise Problem (403) where the caller may not say the verb."""
    role, own = access.caller.role, is_own(access, row)
    if not WORK_ORDERS.may_move(row.state, verb, role, is_own=own):
        whose = "that is assigned to them" if own else "that is not assigned to them"
        raise forbidden(f"The role {role} may not {verb} a work order {whose}.")
