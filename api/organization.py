"""The organization itself: its name, its plan and what it has set."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field
from starlette.responses import Response

from api import fields
from api.access import Admin, Reader
from api.problems import bad_field
from api.routes import TenantRoute
from api.wire import id_text, ok, time_text
from db import organizations
from db.newest_first import instant
from db.organizations import Organization
from geofence.schedule import ScheduleError, read_timezone

router = APIRouter(prefix="/v1/organization", tags=["organization"], route_class=TenantRoute)

_TimeZone = Annotated[str, fields.text(64, "Europe/Zurich")]


class OrganizationItem(BaseModel):
    """The caller's organization."""

    id: fields.OrganizationId
    name: fields.Name
    plan: Literal["starter", "team", "unlimited"]
    timezone: _TimeZone = Field(description="where it is at home: a name of the IANA database")
    created_at: datetime
    updated_at: datetime


class OrganizationChange(fields.Body):
    """The fields to change."""

    name: fields.Name = Field(default_factory=fields.absent)
    timezone: _TimeZone = Field(default_factory=fields.absent)


@router.get("", operation_id="getOrganization", response_model=OrganizationItem)
async def get_organization(access: Reader) -> Response:
    """The organization of whoever asks."""
    async with access.transaction() as conn:
        return ok(_item(await organizations.find(conn)))


@router.patch("", operation_id="updateOrganization", response_model=OrganizationItem)
async def update_organization(
    access: Admin, body: Annotated[OrganizationChange, Body()]
) -> Response:
    """Changes the fields that are given."""
    changes = body.given()
    if "timezone" in changes:
        _check_timezone(body.timezone)
    async with access.transaction() as conn:
        organization = await organizations.find(conn, lock=True)
        access.check_unchanged(_item(organization))
        changed = organization._replace(**changes)
        if changed != organization:
            changed = changed._replace(updated_at=await instant(conn))
            await organizations.update(conn, changed)
    return ok(_item(changed))


def _check_timezone(name: str) -> None:
    try:
        read_timezone(name)
    except ScheduleError as error:
        raise bad_field(error.pointer, error.problem) from None


def _item(organization: Organization) -> dict[str, Any]:
    return {
        "id": id_text("org", organization.id),
        "name": organization.name,
        "plan": organization.plan,
        "timezone": organization.timezone,
        "created_at": time_text(organization.created_at),
        "updated_at": time_text(organization.updated_at),
    }
