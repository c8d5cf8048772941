"""Employees: people who work, with what they are certified for and how they may punch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from db.core.listing import Conditions
from db.core.table import Table


class Employee(NamedTuple):
    """One row.

    certifications: objects with name, number, issued_on, expires_on; first_expires_on: the first
    day of the latter. punch_site_ids: where they may punch, None for any jobsite.
    """

    id: UUID
    name: str
    external_id: str | None
    role: str | None
    email: str | None
    phone: str | None
    user_id: UUID | None
    certifications: Sequence[Mapping[str, str | None]]
    first_expires_on: date | None
    punch_by: list[str]
    punch_site_ids: list[UUID] | None
    active: bool
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


employees = Table("employees", Employee, jsonb=["certifications"])


@dataclass(frozen=True, slots=True)
class EmployeeFilter:
    """A filter of employees. expiring_before: with a certification that ends before that day.
    expiring_before: with a certification that ends before that day.
    """

    external_id: str | None = None
    user_id: UUID | None = None
    role: str | None = None
    active: bool | None = None
    expiring_before: date | None = None
    name_prefix: str | None = None
    deleted: bool = False

    def conditions(self) -> Conditions:
        conditions = Conditions()
        conditions.add_deleted(self.deleted)
        conditions.add_equal(
            external_id=self.external_id, user_id=self.user_id, role=self.role, active=self.active
        )
        if self.expiring_before is not None:
            conditions.add("first_expires_on < %(before)s", before=self.expiring_before)
        conditions.add_name_prefix(self.name_prefix)
        return conditions
