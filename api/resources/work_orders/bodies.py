"""Bodies of work orders, what comes in and what is shown."""

import base64
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.http import fields
from api.http.encoding import id_text
from api.request.resource import Item, item_of
from api.resources.inspections.template_bodies import QuestionId
from api.resources.stock.named_lots import ExpiredLots, LotFields
from api.resources.stock.quantities import ShownQuantity, SomeQuantity, StockQuantity
from db.resources.work_orders import WorkOrder, WorkOrderTransition
from operations.signatures import MAX_SIGNATURE_LENGTH, SignatureError, read_signature
from operations.stock import PartTracking
from operations.work_orders.costs import OrderCosts
from operations.work_orders.states import Priority, State, Verb

MAX_CHECKLIST = 200
MAX_ASSIGNEES = MAX_ASSETS = 100
_DRAWN = (
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACAQAAAABazTCJAAAADElEQVR42mNwYHIAAAEIAIMme1hiAAAAAElFTkSuQmCC"
)
_BASE64 = r"^[A-Za-z0-9+/]*={0,2}$"
_PRINTED = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"


def _signature_text(value: str) -> str:
    try:
        read_signature(value)
    except SignatureError as error:
        raise ValueError(f"must be a PNG in base64: {error}") from None
    return value


def _text(most: int, example: str) -> Any:
    return (
        StringConstraints(strip_whitespace=True, min_length=1, max_length=most),
        AfterValidator(fields.storable),
        Field(examples=[example], json_schema_extra={"pattern": _PRINTED}),
    )


_Title = Annotated[fields.Name, Field(examples=["Replace the crane's cable"])]
_Task = Annotated[str, *_text(500, "Lock the main switch.")]
_Reason = Annotated[str, *_text(1_000, "The part is missing.")]
_Signer = Annotated[fields.Name, Field(examples=["Peter Frei"])]
_ClientName = Annotated[fields.Name, Field(examples=["Frei AG"])]
_SiteName = Annotated[fields.Name, Field(examples=["Quarry north"])]
_AssigneeName = Annotated[fields.Name, Field(examples=["Anna Keller"])]
_Remark = Annotated[fields.Notes, Field(examples=["The key is with the foreman."])]
_Status = Annotated[State, Field(examples=["created"])]
_Priority = Annotated[Priority, Field(examples=["normal"])]
_Cents = Annotated[int, Field(ge=0, le=2**53 - 1, examples=[48_000]), fields.WHOLE]
_Signature = Annotated[
    str,
    StringConstraints(max_length=MAX_SIGNATURE_LENGTH),
    AfterValidator(_signature_text),
    Field(description="a PNG in base64", examples=[_DRAWN], json_schema_extra={"pattern": _BASE64}),
]
Assignees = Annotated[list[fields.EmployeeId], Field(max_length=MAX_ASSIGNEES)]
_Assets = Annotated[list[fields.AssetId], Field(max_length=MAX_ASSETS)]


class Task(fields.Body):
    """An item of a checklist."""

    text: _Task
    done: bool = False


class TaskItem(BaseModel):
    """An item of a checklist, and who has done it."""

    text: _Task
    done: bool
    by: fields.UserId | None = Field(description="who said that it is done")
    at: datetime | None = Field(description="when they did")


class WorkOrderItem(fields.StoredItem):
    """A work order. Names are there where `include` asks for them."""

    id: fields.WorkOrderId
    number: fields.Count = Field(description="1, 2, 3, ... of the organization", examples=[48])
    title: _Title
    description: fields.Notes | None
    priority: _Priority
    status: _Status
    client_id: fields.ClientId | None
    site_id: fields.SiteId | None
    parent_id: fields.WorkOrderId | None = Field(description="the one that it is a part of")
    assignee_ids: Assignees
    asset_ids: _Assets
    planned_start: datetime | None
    planned_end: datetime | None
    due_at: datetime | None
    checklist: Annotated[list[TaskItem], Field(max_length=MAX_CHECKLIST)]
    quote_id: fields.QuoteId | None = Field(description="the quote that it was made of")
    inspection_form_id: fields.InspectionFormId | None = Field(
        description="the form whose defect it is to mend"
    )
    question_id: QuestionId | None = Field(description="the failed question of that form")
    worked_s: fields.Count = Field(description="by the shifts on it that ended", examples=[28_800])
    labour_cost_cents: _Cents | None = Field(
        description="as somebody entered it, in minor units of the currency; null for viewers and"
        " technicians"
    )
    currency: fields.Currency | None = Field(description="of that cost; null as that")
    started_at: datetime | None = Field(description="when work on it began first")
    ended_at: datetime | None = Field(
        description="when it was completed, cancelled, or found to be impossible"
    )
    client_name: _ClientName | None = None
    site_name: _SiteName | None = None
    assignee_names: Annotated[list[_AssigneeName], Field(max_length=MAX_ASSIGNEES)] | None = Field(
        default=None, description="in the order of `assignee_ids`"
    )
    asset_names: Annotated[list[fields.Name], Field(max_length=MAX_ASSETS)] | None = Field(
        default=None, description="in the order of `asset_ids`"
    )


class CostSumItem(BaseModel):
    """The costs in one currency, in whole minor units of it, as ISO 4217 has them."""

    currency: fields.Currency
    labour_cents: fields.Count
    parts_cents: fields.Count = Field(description="of what was used, as it was then")
    total_cents: fields.Count


class OrderCostsItem(BaseModel):
    """The costs of a work order."""

    sums: Annotated[list[CostSumItem], Field(max_length=1_000)] = Field(
        description="one for each currency"
    )
    uncosted_s: fields.Count = Field(
        description="work in no sum: of employees who have no hourly cost"
    )


class WorkOrderDetail(WorkOrderItem):
    """A work order. `costs` are there where `include` asks for them."""

    costs: OrderCostsItem | None = None


_Checklist = Annotated[list[Task], Field(max_length=MAX_CHECKLIST)]


class WorkOrderFields(fields.Body):
    """The fields that somebody gives. `planned_start` and `planned_end` go together."""

    title: _Title
    description: fields.Notes | None = None
    priority: _Priority = "normal"
    client_id: fields.ClientId | None = None
    site_id: fields.SiteId | None = None
    parent_id: fields.WorkOrderId | None = None
    assignee_ids: Assignees = Field(default_factory=list)
    asset_ids: _Assets = Field(default_factory=list)
    planned_start: fields.PlannedTime | None = None
    planned_end: fields.PlannedTime | None = None
    due_at: fields.PlannedTime | None = None
    checklist: _Checklist = Field(default_factory=list)
    labour_cost_cents: _Cents | None = None
    currency: fields.Currency | None = None


class NewWorkOrder(WorkOrderFields):
    """A new work order. `planned_start` and `planned_end` go together."""

    status: Annotated[Literal["draft", "created"], Field(examples=["created"])] = "created"


class SignOff(fields.Body):
    """The signature under a completed work order: a name, and a PNG or an attachment."""

    signer_name: _Signer
    signature: _Signature | None = None
    signature_attachment_id: fields.AttachmentId | None = None
    signed_at: fields.PlannedTime | None = Field(default=None, description="now, unless given")


class WorkOrderChange(WorkOrderFields):
    """The fields to change. Lists are given as a whole. Another `status` is another way to say the
    verb that leads to it; `reason` and `sign_off` are what the verb needs, `lat` and `lon` where
    the user is.
    """

    title: _Title = Field(default_factory=fields.absent)
    parent_id: fields.WorkOrderId | None = Field(default=None, examples=[None])
    priority: _Priority = Field(default_factory=fields.absent)
    status: _Status = Field(default_factory=fields.absent)
    assignee_ids: Assignees = Field(default_factory=fields.absent)
    asset_ids: _Assets = Field(default_factory=fields.absent)
    checklist: _Checklist = Field(default_factory=fields.absent)
    # The examples are of a change that leads to no other status.
    reason: _Reason | None = Field(default=None, exclude=True, examples=[None])
    sign_off: SignOff | None = Field(default=None, exclude=True, examples=[None])
    lat: fields.Latitude | None = Field(default=None, exclude=True, examples=[None])
    lon: fields.Longitude | None = Field(default=None, exclude=True, examples=[None])


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

    reason: _Reason


class Completion(SignOff, WorkOrderMove):
    """The sign-off of a work order that is done."""


class PartPlan(fields.Body):
    """A part that is planned, and the warehouse in which it is reserved."""

    quantity: StockQuantity = Field(description="how much of it the whole work order takes")
    warehouse_id: fields.WarehouseId | None = Field(
        default=None, description="null: not chosen, and nothing is reserved"
    )


class NewOrderPart(PartPlan):
    """A part that a work order plans."""

    part_id: fields.PartId


class OrderPartChange(PartPlan):
    """The fields to change. In a work order that is to be done, what is planned and not used yet is
    reserved then.
    """

    quantity: StockQuantity = Field(default_factory=fields.absent)


class PartMove(LotFields, fields.Body):
    """A quantity of a part that is used, or that was not needed after all."""

    quantity: SomeQuantity
    warehouse_id: fields.WarehouseId | None = Field(
        default=None, description="null: the one that is planned"
    )


class OrderPartItem(BaseModel):
    """A part that a work order plans or uses."""

    work_order_id: fields.WorkOrderId
    part_id: fields.PartId
    part_number: Annotated[fields.Name, Field(examples=["OF-2210"])]
    part_name: Annotated[fields.Name, Field(examples=["Oil filter"])]
    unit: Annotated[fields.Name, Field(max_length=20, examples=["piece"])]
    tracking: PartTracking = Field(description="what a use of the part names")
    warehouse_id: fields.WarehouseId | None = Field(description="where it is reserved")
    planned: ShownQuantity
    reserved: ShownQuantity
    used: ShownQuantity = Field(description="less what came back")
    cost_cents: fields.Count | None = Field(
        description="of what was used, as it was then; null for viewers and technicians"
    )
    currency: fields.Currency
    created_at: datetime
    updated_at: datetime
    expired_lots: ExpiredLots = None


class NewComment(fields.Body):
    """A new comment."""

    text: _Remark


class CommentItem(BaseModel):
    """A comment on a work order."""

    id: fields.CommentId
    work_order_id: fields.WorkOrderId
    user_id: fields.UserId
    text: _Remark
    created_at: datetime


class TransitionItem(BaseModel):
    """A way from a status to another, and who took it."""

    id: fields.TransitionId
    work_order_id: fields.WorkOrderId
    verb: Literal["create"] | Verb
    from_status: State | None = Field(description="null: it was made")
    status: State
    user_id: fields.UserId
    created_at: datetime
    lat: fields.Latitude | None = Field(description="where the user was; null: not given")
    lon: fields.Longitude | None
    reason: _Reason | None
    signer_name: _Signer | None
    signed_at: datetime | None
    signature: _Signature | None = Field(
        description="null, as its attachment, for viewers and technicians"
    )
    signature_attachment_id: fields.AttachmentId | None
    open_tasks: Annotated[int, Field(ge=0, le=MAX_CHECKLIST, examples=[0])] | None = Field(
        description="the items of the checklist that were not done when somebody signed; null: of"
        " another verb, or not known"
    )


def _checklist(row: WorkOrder) -> list[Item]:
    return [
        {
            "text": task["text"],
            "done": task["done"],
            "by": None if task["by"] is None else id_text("usr", UUID(task["by"])),
            "at": task["at"],
        }
        for task in row.checklist
    ]


def order_costs_item(costs: OrderCosts) -> Item:
    """Return an OrderCostsItem."""
    sums = [each._asdict() | {"total_cents": each.total_cents} for each in costs.sums]
    return {"sums": sums, "uncosted_s": costs.uncosted_s}


work_order_item = item_of(WorkOrderItem, status=lambda row: row.state, checklist=_checklist)
"""Return a WorkOrderItem."""


def work_order_without_cost(row: WorkOrder) -> Item:
    """Return a WorkOrderItem for whoever does not see what work costs."""
    return work_order_item(row._replace(labour_cost_cents=None, currency=None))


comment_item = item_of(CommentItem)
"""Return a CommentItem."""


def _signature(row: WorkOrderTransition) -> str | None:
    return None if row.signature is None else base64.b64encode(row.signature).decode()


transition_item = item_of(
    TransitionItem,
    from_status=lambda row: row.from_state,
    status=lambda row: row.state,
    signature=_signature,
)
"""Return a TransitionItem."""


def transition_without_signature(row: WorkOrderTransition) -> Item:
    """Return a TransitionItem for whoever does not see how a customer signed."""
    return transition_item(row._replace(signature=None, signature_attachment_id=None))
