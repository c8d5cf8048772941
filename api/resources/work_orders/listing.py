"""Work orders: jobs of employees at sites, from a draft to what was signed for.

A dispatcher makes and changes them. A technician says the verbs of work and keeps the checklist and
the comments of those that are assigned to them. Here are their lists, with filters, orders, counts
by status, and names in the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, Self
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator
from starlette.responses import Response

from api.http import fields
from api.http.encoding import id_text, ok
from api.http.problems import bad_parameter
from api.request.access import Access, Reader
from api.request.paging import ListOf, ListQuery, given_filters
from api.request.references import check_filters
from api.request.resource import Item, Resource, item_of
from api.request.route import TenantRoute
from api.resources.inspections.templates import QuestionId
from db.core.connect import Connection
from db.core.listing import Order
from db.resources.names import NamedTable, names_of
from db.resources.search import MAX_CHARACTERS, MIN_CHARACTERS
from db.resources.work_orders import WorkOrder, work_orders
from operations.work_orders.states import STATES, Priority, State

router = APIRouter(prefix="/v1/work-orders", tags=["work-orders"], route_class=TenantRoute)
WorkOrderPath = Annotated[fields.WorkOrderId, Path(alias="id")]
MAX_CHECKLIST = 200
MAX_ASSIGNEES = MAX_ASSETS = 100
MAX_COUNTED_OF_STATUS = 10_000
_STATUS_LIST = "^({0})(,({0}))*$".format("|".join(STATES))
INCLUDED = "client|site|assignees|assets"
_INCLUDE = f"^({INCLUDED})(,({INCLUDED}))*$"
PRINTED = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"


def order_text(most: int, example: str) -> Any:
    """Return the annotations of a text with at least one character that is printed."""
    return (
        StringConstraints(strip_whitespace=True, min_length=1, max_length=most),
        AfterValidator(fields.storable),
        Field(examples=[example], json_schema_extra={"pattern": PRINTED}),
    )


OrderTitle = Annotated[fields.Name, Field(examples=["Replace the crane's cable"])]
TaskText = Annotated[str, *order_text(500, "Lock the main switch.")]
_ClientName = Annotated[fields.Name, Field(examples=["Frei AG"])]
_SiteName = Annotated[fields.Name, Field(examples=["Quarry north"])]
_AssigneeName = Annotated[fields.Name, Field(examples=["Anna Keller"])]
OrderPriority = Annotated[Priority, Field(examples=["normal"])]
OrderStatus = Annotated[State, Field(examples=["created"])]
Cents = Annotated[int, Field(ge=0, le=2**53 - 1, examples=[48_000]), fields.WHOLE]
Assignees = Annotated[list[fields.EmployeeId], Field(max_length=MAX_ASSIGNEES)]
Assets = Annotated[list[fields.AssetId], Field(max_length=MAX_ASSETS)]
_Since = Annotated[fields.Time | None, Field(description="at this time or later")]
_Until = Annotated[fields.Time | None, Field(description="before this time")]
_ORDERS: dict[str, Order] = {
    "created_at": Order(),
    "due_at": Order(column="due_key"),
    "planned_start": Order(column="planned_key"),
    "priority": Order("rank", column="priority_key"),
}


class TaskItem(BaseModel):
    """An item of a checklist, and who has done it."""

    text: TaskText
    done: bool
    by: fields.UserId | None = Field(description="who said that it is done")
    at: datetime | None = Field(description="when they did")


class WorkOrderItem(fields.StoredItem):
    """A work order. Names are there where `include` asks for them."""

    id: fields.WorkOrderId
    number: fields.Count = Field(description="1, 2, 3, ... of the organization", examples=[48])
    title: OrderTitle
    description: fields.Notes | None
    priority: OrderPriority
    status: OrderStatus
    client_id: fields.ClientId | None
    site_id: fields.SiteId | None
    parent_id: fields.WorkOrderId | None = Field(description="the one that it is a part of")
    assignee_ids: Assignees
    asset_ids: Assets
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
    labour_cost_cents: Cents | None = Field(
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


class WorkOrderFilters(fields.Query):
    """The filters of work orders. from, to: those whose planned time shares an instant with
    [from, to).
    """

    assignee_id: fields.EmployeeId | None = None
    unassigned: Annotated[
        bool | None,
        Field(description="a draft, or created, and given to nobody yet; false: the others"),
    ] = None
    priority: Priority | None = None
    asset_id: fields.AssetId | None = None
    client_id: fields.ClientId | None = None
    site_id: fields.SiteId | None = None
    parent_id: Annotated[
        fields.WorkOrderId | None, Field(description="the children of this one")
    ] = None
    number: Annotated[int | None, Field(ge=1, le=2**31 - 1, examples=[48]), fields.DIGITS] = None
    q: Annotated[
        str | None,
        AfterValidator(fields.storable),
        Field(
            min_length=MIN_CHARACTERS,
            max_length=MAX_CHARACTERS,
            description="the first letters of words of the title, or of the number; all must be"
            " there. Not with `deleted`",
            examples=["crane cab"],
            json_schema_extra={"pattern": r"^[^\u0000]+$"},
        ),
    ] = None
    since: Annotated[fields.Time | None, Field(alias="from")] = None
    until: Annotated[fields.Time | None, Field(alias="to")] = None
    created_from: _Since = None
    created_to: _Until = None
    due_from: _Since = None
    due_to: _Until = None
    scheduled_from: Annotated[
        fields.Time | None, Field(description="planned to begin, or due, at this time or later")
    ] = None
    scheduled_to: Annotated[
        fields.Time | None, Field(description="planned to begin, or due, before this time")
    ] = None
    overdue: Annotated[
        bool | None, Field(description="due before now and not ended, or the others")
    ] = None
    deleted: Annotated[bool, Field(description="those that are deleted, instead")] = False

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        """Raise Problem (400) for a window that ends before it begins, and for words of what is
        deleted, which no index has.
        """
        for name in ("created", "due", "scheduled"):
            since, until = self._window(f"{name}_from", f"{name}_to")
            if since is not None and until is not None and since > until:
                raise bad_parameter(f"{name}_from", f"must not be later than {name}_to: swap them")
        if self.deleted and self.q is not None:
            raise bad_parameter("q", "finds nothing that is deleted: leave q or deleted out")
        return self

    def _window(self, since: str, until: str) -> tuple[datetime | None, datetime | None]:
        return getattr(self, since), getattr(self, until)

    def wanted(self) -> dict[str, Any]:
        """Return the filters that are given, by name, with both ends of a window as one."""
        wanted = given_filters(self)
        windows = {name: (f"{name}_from", f"{name}_to") for name in ("created", "due", "scheduled")}
        for name, ends in ({"planned": ("since", "until")} | windows).items():
            if wanted.keys() & set(ends):
                wanted[name] = wanted.pop(ends[0], None), wanted.pop(ends[1], None)
        return wanted


class WorkOrderQuery(WorkOrderFilters, ListQuery):
    """The filters of work orders, their order, and what to show beside them. from, to: those whose
    planned time shares an instant with [from, to).
    """

    status: Annotated[
        str | None,
        StringConstraints(max_length=200),
        fields.shaped(_STATUS_LIST, f"must be of {', '.join(STATES)}, with commas"),
        Field(
            description="one or several, with commas",
            examples=["assigned,started"],
            json_schema_extra={"pattern": _STATUS_LIST},
        ),
    ] = None
    sort: Annotated[
        Literal[
            "-created_at",
            "created_at",
            "due_at",
            "-due_at",
            "planned_start",
            "-planned_start",
            "priority",
            "-priority",
        ],
        Field(
            description="-: the last ones first; what is due or planned at no time comes last, and"
            " what is urgent has the last priority"
        ),
    ] = "-created_at"
    include: Annotated[
        str | None,
        fields.shaped(_INCLUDE, f"must be of {INCLUDED.replace('|', ', ')}, with commas"),
        Field(
            max_length=100,
            description="the names of these in each row, with commas",
            examples=["client,site,assignees,assets"],
            json_schema_extra={"pattern": _INCLUDE},
        ),
    ] = None

    @property
    def order(self) -> Order:
        """The order that is asked for."""
        return replace(_ORDERS[self.sort.removeprefix("-")], descending=self.sort.startswith("-"))


class StatusCount(BaseModel):
    """The number of work orders of a status."""

    status: State
    total: fields.Count
    total_is_estimate: bool = Field(description="true: there are at least as many")


class WorkOrderCounts(BaseModel):
    """The numbers of work orders by status, those of all statuses."""

    data: Annotated[list[StatusCount], Field(max_length=len(STATES))]


def status_count(state: State, rows: int) -> Item:
    """Return a StatusCount of a count that ended at MAX_COUNTED_OF_STATUS + 1."""
    return {
        "status": state,
        "total": min(rows, MAX_COUNTED_OF_STATUS),
        "total_is_estimate": rows > MAX_COUNTED_OF_STATUS,
    }


def _checklist(row: WorkOrder) -> list[Item]:
    """Return its items; jsonb keeps no order of keys."""
    return [
        {
            "text": task["text"],
            "done": task["done"],
            "by": None if task["by"] is None else id_text("usr", UUID(task["by"])),
            "at": task["at"],
        }
        for task in row.checklist
    ]


work_order_item = item_of(WorkOrderItem, status=lambda row: row.state, checklist=_checklist)
"""Return a WorkOrderItem."""


def _without_cost(row: WorkOrder) -> Item:
    """Return a WorkOrderItem for whoever does not see what work costs."""
    return work_order_item(row._replace(labour_cost_cents=None, currency=None))


class _Named(NamedTuple):
    """The names that an `include` shows. column: the id of a row, or its ids, in their order."""

    table: NamedTable
    column: str
    field: str


_NAMED: Mapping[str, _Named] = {
    "client": _Named("clients", "client_id", "client_name"),
    "site": _Named("sites", "site_id", "site_name"),
    "assignees": _Named("employees", "assignee_ids", "assignee_names"),
    "assets": _Named("assets", "asset_ids", "asset_names"),
}


async def included_names(
    conn: Connection, include: str, rows: Sequence[WorkOrder]
) -> dict[UUID, Item]:
    """Return, by work order, the names that `include` asks for: one look-up of each kind for all of
    them.
    """
    found: dict[UUID, Item] = {row.id: {} for row in rows}
    for name, each in _NAMED.items():
        if name in include.split(","):
            names = await names_of(
                conn, each.table, {one for row in rows for one in _ids(row, each)}
            )
            for row in rows:
                found[row.id][each.field] = _shown(row, each, names)
    return found


def _ids(row: WorkOrder, named: _Named) -> list[UUID]:
    held = getattr(row, named.column)
    if isinstance(held, list):
        return held
    return [] if held is None else [held]


def _shown(row: WorkOrder, named: _Named, names: Mapping[UUID, str]) -> list[str] | str | None:
    found = [names[each] for each in _ids(row, named)]
    if isinstance(getattr(row, named.column), list):
        return found
    return found[0] if found else None


orders = Resource(
    work_orders,
    work_order_item,
    item_for=lambda access: work_order_item if access.sees_all else _without_cost,
    included=included_names,
)


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
        counts = await work_orders.counts(
            conn, query.wanted(), "state", STATES, MAX_COUNTED_OF_STATUS + 1
        )
    return ok({"data": [status_count(state, counts[state]) for state in STATES]})


def is_own(access: Access, row: WorkOrder) -> bool:
    """Return whether the caller is an assignee."""
    return any(map(access.is_own, row.user_ids))


def check_own(access: Access, row: WorkOrder) -> None:
    """Raise Problem (403) for a technician who is no assignee."""
    access.check_own(access.caller.user_id if is_own(access, row) else None, "work orders")


async def check_own_order(conn: Connection, access: Access, order_id: UUID | None) -> None:
    """Raise Problem (403) where a technician names an order of which they are no assignee."""
    if order_id is None or not access.is_technician:
        return
    row = await work_orders.find(conn, order_id)
    if row is not None:
        check_own(access, row)
