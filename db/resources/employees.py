"""Employees: people who work, with what they are certified for and how they may punch."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from db.core.listing import Conditions
from db.core.table import Table


class Employee(NamedTuple):
    """One row.

    certifications: objects with name, number, issued_on, expires_on; first_expires_on: the first
    day of the latter. punch_site_ids: where they may punch, None for any jobsite. timezone:
    None for the organization's. currency: of the hourly cost. address: of their home.
    emergency_contact_name, emergency_contact_phone: the person to call.
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
    active: bool
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


def _expiring_before(conditions: Conditions, day: date) -> None:
    """Add employees with a certification that ends before the day."""
    conditions.add("first_expires_on < %(day)s", day=day)


employees = Table(
    "employees",
    Employee,
    jsonb=["certifications"],
    filters={"expiring_before": _expiring_before},
    has_row_count=True,
)
