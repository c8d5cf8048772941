"""Employees: people who work, with what they are certified for and how they may punch.

An employee may be linked to a user, who signs in; a user is one employee's at most. Since nobody
judges their own hours, admins alone make links, and nobody ends their own. `punch_rights` say with
what and where an employee may punch (`use_cases.punches.record`). Deleting and restoring are as
those of clients.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Body, Path
from pydantic import AfterValidator, BaseModel, Field, model_validator
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, id_text, no_content, ok
from api.http.problems import forbidden
from api.request.access import Access, Dispatcher
from api.request.paging import SortedByNameQuery
from api.request.plain_resource import plain_routes
from api.request.references import check_in_no_open_order, check_references
from api.request.resource import Resource, item_of
from api.resources import employment
from db.core.registry_revision import bump
from db.resources import trackers
from db.resources.employees import Employee, employees
from db.resources.quotas import check_room
from operations.errors import check_together
from operations.stock import MAX_COST_CENTS

_EmployeePath = Annotated[fields.EmployeeId, Path(alias="id")]
_MAX_CERTIFICATIONS = 100
_Name = Annotated[fields.Name, Field(examples=["Anna Keller"])]
_Contact = Annotated[fields.Name, Field(examples=["Peter Keller (husband)"])]
_Title = Annotated[fields.Name, Field(examples=["Crane operator"])]
_Certificate = Annotated[fields.Name, Field(examples=["Crane licence"])]
_Number = Annotated[fields.Name, Field(examples=["K-48213"])]
_ExternalId = Annotated[fields.ExternalId, Field(examples=["E-204"])]


def _in_calendars(day: date) -> date:
    if day.year > 9998:
        raise ValueError("must be a day before the year 9999")
    return day


_LastDay = Annotated[fields.Day, AfterValidator(_in_calendars), Field(examples=["2099-12-31"])]

_Cents = Annotated[int, Field(ge=0, le=MAX_COST_CENTS, examples=[4_800]), fields.WHOLE]

PunchBy = Literal["terminal", "tracker", "phone"]


class Certification(fields.Body):
    """A certification of an employee."""

    name: _Certificate
    number: _Number | None = None
    issued_on: fields.Day | None = Field(default=None, examples=["2024-07-01"])
    expires_on: fields.Day | None = Field(default=None, description="null: never")

    @model_validator(mode="after")
    def _in_order(self) -> "Certification":
        if self.issued_on and self.expires_on and self.expires_on < self.issued_on:
            raise ValueError("expires before it is issued")
        return self


class PunchRights(fields.Body):
    """The rights of an employee to punch: with what, and where."""

    by: Annotated[list[PunchBy], Field(max_length=3)] = Field(
        default_factory=list, description="a punch terminal, their own tracker, a phone"
    )
    site_ids: Annotated[list[fields.SiteId], Field(min_length=1, max_length=1000)] | None = Field(
        default=None, description="null: at any jobsite"
    )


class CertificationItem(BaseModel):
    """A certification of an employee."""

    name: _Certificate
    number: _Number | None
    issued_on: fields.Day | None = Field(examples=["2024-07-01"])
    expires_on: fields.Day | None


class PunchRightsItem(BaseModel):
    """The rights of an employee to punch: with what, and where."""

    by: Annotated[list[PunchBy], Field(max_length=3)]
    site_ids: Annotated[list[fields.SiteId], Field(max_length=1000)] | None = Field(
        description="null: at any jobsite"
    )


class EmployeeItem(fields.StoredItem):
    """An employee."""

    id: fields.EmployeeId
    name: _Name
    external_id: _ExternalId | None = Field(description="the organization's own id of it, unique")
    role: _Title | None = Field(description="a title")
    email: fields.Email | None
    phone: fields.Phone | None
    user_id: fields.UserId | None = Field(
        description="who signs in as this employee; admins change it"
    )
    timezone: fields.TimeZone | None = Field(
        description="where the days of their timesheets begin; null: the organization's"
    )
    certifications: Annotated[list[CertificationItem], Field(max_length=_MAX_CERTIFICATIONS)]
    punch_rights: PunchRightsItem
    hourly_cost_cents: _Cents | None = Field(
        description="what an hour of their work costs, in minor units of the currency; null for"
        " viewers and technicians"
    )
    currency: fields.Currency | None = Field(description="of the hourly cost; null as that")
    address: fields.Address | None = Field(
        description="of their home. Viewers and technicians see this and the emergency contact of"
        " their own employee; of others it is null"
    )
    emergency_contact_name: _Contact | None = Field(description="whom to call; null as the address")
    emergency_contact_phone: fields.Phone | None
    left_on: _LastDay | None = Field(
        description="the last day, in their time zone: later punches are flagged `not_employed`;"
        " null: they stay"
    )
    active: bool = Field(description="false: they have left, and are given no more work orders")


_Certifications = Annotated[list[Certification], Field(max_length=_MAX_CERTIFICATIONS)]


class NewEmployee(fields.Body):
    """A new employee. Unless given, they have no right to punch. `hourly_cost_cents` and `currency`
    go together.
    """

    name: _Name
    external_id: _ExternalId | None = None
    role: _Title | None = None
    email: fields.Email | None = None
    phone: fields.Phone | None = None
    user_id: fields.UserId | None = None
    timezone: fields.TimeZone | None = None
    certifications: _Certifications = Field(default_factory=list)
    punch_rights: PunchRights = Field(default_factory=PunchRights)
    hourly_cost_cents: _Cents | None = None
    currency: fields.Currency | None = None
    address: fields.Address | None = None
    emergency_contact_name: _Contact | None = None
    emergency_contact_phone: fields.Phone | None = None
    left_on: _LastDay | None = None
    active: bool = True


class EmployeeChange(NewEmployee):
    """The fields to change. `certifications` and `punch_rights` are given as a whole."""

    name: _Name = Field(default_factory=fields.absent)
    certifications: _Certifications = Field(default_factory=fields.absent)
    punch_rights: PunchRights = Field(default_factory=fields.absent)
    active: bool = Field(
        default_factory=fields.absent,
        description="false: they leave now, and `left_on` is today; true: they stay",
        examples=[True],
    )


class EmployeeQuery(SortedByNameQuery):
    """The filters of employees."""

    external_id: _ExternalId | None = None
    user_id: fields.UserId | None = None
    role: _Title | None = None
    active: bool | None = None
    expiring_before: Annotated[
        fields.Day | None,
        Field(description="with a certification that expires, or expired, before this day"),
    ] = None
    q: fields.NamePrefix | None = None
    deleted: Annotated[bool, Field(description="those that are deleted, instead")] = False


def _columns(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a body as columns of the row."""
    columns = dict(given)
    if "active" in given:
        columns["is_employed"] = given["active"]
    if "certifications" in given:
        certifications: list[Certification] = given["certifications"]
        days = [each.expires_on for each in certifications if each.expires_on is not None]
        columns["certifications"] = [each.model_dump(mode="json") for each in certifications]
        columns["first_expires_on"] = min(days, default=None)
    rights: PunchRights | None = columns.pop("punch_rights", None)
    if rights is not None:
        columns["punch_by"] = sorted(set(rights.by))
        sites = rights.site_ids
        columns["punch_site_ids"] = None if sites is None else sorted(set(sites))
    return columns


def _certifications(employee: Employee) -> list[dict[str, str | None]]:
    return [
        {name: each[name] for name in CertificationItem.model_fields}
        for each in employee.certifications
    ]


def _punch_rights(employee: Employee) -> dict[str, Any]:
    site_ids = employee.punch_site_ids
    return {
        "by": employee.punch_by,
        "site_ids": None if site_ids is None else [id_text("sit", each) for each in site_ids],
    }


def _check_link(access: Access, before: UUID | None, then: UUID | None) -> None:
    """Raise Problem (403) where the caller may not link an employee to another user."""
    if then == before:
        return
    if access.caller.role != "admin":
        raise forbidden(f"The role {access.caller.role} may not change user_id: an admin does.")
    if access.is_of_caller_or_maker(before):
        raise forbidden("Nobody ends the link to their own employee: ask another admin.")


def _check(employee: Employee) -> None:
    check_together(employee, "hourly_cost_cents", "currency")


_PRIVATE = dict.fromkeys(("address", "emergency_contact_name", "emergency_contact_phone"))


def _item_for(access: Access) -> Callable[[Employee], dict[str, Any]]:
    """Return what makes an EmployeeItem: of others than their own, viewers and technicians see no
    home and no emergency contact.
    """
    if access.sees_all:
        return _item

    def item(employee: Employee) -> dict[str, Any]:
        hidden = {} if access.is_own(employee.user_id) else _PRIVATE
        return _item(employee._replace(hourly_cost_cents=None, currency=None, **hidden))

    return item


_item = item_of(
    EmployeeItem,
    certifications=_certifications,
    punch_rights=_punch_rights,
    active=lambda employee: employee.is_employed,
)
_employees = Resource(
    employees,
    _item,
    item_for=_item_for,
    columns=_columns,
    check=_check,
)
router = plain_routes(
    _employees, EmployeeItem, EmployeeQuery, restore="Restore a deleted employee."
)


@router.post("", operation_id="createEmployee", status_code=201, response_model=EmployeeItem)
async def create_employee(access: Dispatcher, body: Annotated[NewEmployee, Body()]) -> Response:
    """Create an employee. An admin alone may give `user_id`."""
    _check_link(access, None, body.user_id)
    if body.active and body.left_on is None:
        return await _employees.create(access, body)
    async with access.transaction() as conn:
        await check_references(conn, body)
        at = await check_room(conn, "employees")
        days = await employment.days_of(conn, body.timezone)
        leaving = employment.changes(body.given(), None, days.today)
        row = _employees.new(_columns(dict(body) | leaving), at)
        _check(row)
        await employees.insert(conn, row)
        nobody = row._replace(user_id=None)
        await employment.follow(conn, access, nobody, row, days_before=days, days=days)
    return created(_employees.item_for(access)(row), router.prefix)


@router.patch("/{id}", operation_id="updateEmployee", response_model=EmployeeItem)
async def update_employee(
    access: Dispatcher, employee_id: _EmployeePath, body: Annotated[EmployeeChange, Body()]
) -> Response:
    """Change the fields that are given. An admin alone may give another `user_id`, but not to their
    own employee. With `left_on` or `active` somebody leaves, or stays after all: what ended by then
    does not come back.
    """
    given = body.given()
    if given.keys().isdisjoint(employment.FIELDS):
        return await _employees.update(access, employee_id, body)
    shown = _employees.item_for(access)
    async with _employees.locked(access, employee_id) as (conn, before):
        await check_references(conn, body)
        days_before = await employment.days_of(conn, before.timezone)
        timezone = given.get("timezone", before.timezone)
        days = await employment.days_of(conn, timezone, days_before.now)
        given = given | employment.changes(given, before, days.today)
        changed = before._replace(**_columns(given))
        _check_link(access, before.user_id, changed.user_id)
        _check(changed)
        if changed != before:
            changed = await _employees.write(conn, changed)
            await employment.follow(
                conn, access, before, changed, days_before=days_before, days=days
            )
    await employment.free_trackers(access, changed)
    return ok(shown(changed))


@router.delete("/{id}", operation_id="deleteEmployee", status_code=204)
async def delete_employee(access: Dispatcher, employee_id: _EmployeePath) -> Response:
    """Delete an employee who has no work orders that have not ended. Their trackers are free then.
    They can be restored.
    """
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        employee = await _employees.found(conn, employee_id, lock=True)
        access.check_unchanged(_employees.item(employee))
        await check_in_no_open_order(conn, "assignees", employee_id, "are assigned to them")
        await trackers.end_assignments_of_employee(
            conn, employee_id=employee_id, assigned_to=at, revision=revision
        )
        await _employees.write(conn, employee._replace(deleted_at=at), at)
    return no_content()
