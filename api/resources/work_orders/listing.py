"""Lists of work orders: their filters and orders, counts by status, and names in their rows."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from api.http import fields
from api.http.problems import bad_parameter
from api.request.paging import ListQuery, given_filters
from api.request.resource import Item
from db.core.connect import Connection
from db.core.listing import Order
from db.resources.names import NamedTable, names_of
from db.resources.search import MAX_CHARACTERS, MIN_CHARACTERS
from db.resources.work_orders import WorkOrder
from operations.work_orders.states import STATES, Priority, State

MAX_COUNTED_OF_STATUS = 10_000
_STATUS_LIST = "^({0})(,({0}))*$".format("|".join(STATES))
_INCLUDED = "client|site|assignees|assets"
_INCLUDE = f"^({_INCLUDED})(,({_INCLUDED}))*$"
_INCLUDE_OF_ONE = "^({0})(,({0}))*$".format(f"costs|{_INCLUDED}")
_Since = Annotated[fields.Time | None, Field(description="at this time or later")]
_Until = Annotated[fields.Time | None, Field(description="before this time")]
_ORDERS: dict[str, Order] = {
    "created_at": Order(),
    "due_at": Order(column="due_key"),
    "planned_start": Order(column="planned_key"),
    "priority": Order("rank", column="priority_key"),
}


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
        fields.shaped(_INCLUDE, f"must be of {_INCLUDED.replace('|', ', ')}, with commas"),
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


class WorkOrderShown(fields.Query):
    """The things to show beside a work order."""

    include: Annotated[
        str | None,
        fields.shaped(
            _INCLUDE_OF_ONE, f"must be of costs, {_INCLUDED.replace('|', ', ')}, with commas"
        ),
        Field(
            max_length=100,
            description="the names of these, with commas, and costs, for dispatchers and admins"
            " alone",
            examples=["client,assignees"],
            json_schema_extra={"pattern": _INCLUDE_OF_ONE},
        ),
    ] = None

    @property
    def costs(self) -> bool:
        """Costs are asked for."""
        return self.include is not None and "costs" in self.include.split(",")


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
