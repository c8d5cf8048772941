"""Employees: people who work, with what they are certified for and how they may punch."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.listing import Conditions
from db.core.table import Table


class Employee(NamedTuple):
    """One row.

    certifications: objects with name, number, issued_on, expires_on; first_expires_on: the first
    day of the latter. punch_site_ids: where they may punch, None for any jobsite. timezone:
    None for the organization's. currency: of the hourly cost. address: of their home.
    emergency_contact_name, emergency_contact_phone: the person to call. left_on: the last day, in
    their time zone. active: false since somebody said so. is_employed: active, and the last day is
    not over.
    """

    id: UUID
    name: str
    external_id: str | None
    role: str | None
    email: str | None
    phone: str | None
    user_id: UUID | None
    timezone: str | None
    certifications: Sequence[Mapping[str, str | None]]
    first_expires_on: date | None
    punch_by: list[str]
    punch_site_ids: list[UUID] | None
    hourly_cost_cents: int | None
    currency: str | None
    address: str | None
    emergency_contact_name: str | None
    emergency_contact_phone: str | None
    left_on: date | None
    active: bool
    is_employed: bool
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


def _expiring_before(conditions: Conditions, day: date) -> None:
    """Add employees with a certification that ends before the day."""
    conditions.add("first_expires_on < %(day)s", day=day)


async def of_user(conn: Connection, user_id: UUID) -> UUID | None:
    """Return the tenant's employee as whom a user signs in, or None."""
    return await value_of(
        conn,
        "SELECT (SELECT id FROM employees WHERE user_id = %s AND deleted_at IS NULL)",
        (user_id,),
    )


_IS_EMPLOYED: LiteralString = (
    "is_employed(employees.org_id, employees.active, employees.left_on, employees.timezone)"
)


async def have_all_stayed(conn: Connection, employee_ids: Collection[UUID]) -> bool:
    """Return whether none of these employees has left. employee_ids: one or more that are there."""
    statement = sql.SQL("SELECT bool_and({}) FROM employees WHERE id = ANY (%s)")
    return await value_of(conn, statement.format(sql.SQL(_IS_EMPLOYED)), (list(employee_ids),))


def _active(conditions: Conditions, active: bool) -> None:
    conditions.add(_IS_EMPLOYED if active else f"NOT {_IS_EMPLOYED}")


employees = Table(
    "employees",
    Employee,
    jsonb=["certifications"],
    computed={"is_employed": _IS_EMPLOYED},
    filters={"expiring_before": _expiring_before, "active": _active},
    has_row_count=True,
)
