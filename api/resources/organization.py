"""The organization itself: its name, its address, its plan and what it has set."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import id_text, ok, time_text
from api.http.problems import bad_field
from api.limits.plans import REQUESTS_PER_MINUTE
from api.request.access import Admin, Reader
from api.request.route import TenantRoute, UngatedRoute
from api.resources.organization_settings import (
    MaxSpeeds,
    MaxSpeedsChange,
    PunchNumbers,
    PunchNumbersChange,
    SettingFields,
    ShowsEmployees,
    TripEvents,
    changed_settings,
    shown_settings,
)
from api.resources.organization_usage import PerMinute
from api.resources.timesheet_rules import (
    TimesheetRuleFields,
    TimesheetRulesChange,
    shown_rules,
)
from db.core.registry_revision import bump
from db.core.table import db_now
from db.core.wakeups import Channel
from db.history import latest_positions
from db.identity.users import Language
from db.resources import organizations
from db.resources.organizations import Organization
from db.resources.plans import PlanName
from geofence.model.schedule import ScheduleError, read_timezone

router = APIRouter(tags=["organization"], route_class=TenantRoute)
_always = APIRouter(route_class=UngatedRoute)
_PATH = "/v1/organization"

_TimeZone = Annotated[str, fields.text(64, "Europe/Zurich")]
_Name = Annotated[fields.Name, Field(examples=["Alpine Crane Hire"])]

_MAX_ADDRESS_LINES = 8
_Days = Annotated[int, Field(ge=1, le=36_500, examples=[365])]


def _check_lines(address: str) -> str:
    if len(address.splitlines()) > _MAX_ADDRESS_LINES:
        raise ValueError(f"must have at most {_MAX_ADDRESS_LINES} lines")
    return address


_Address = Annotated[fields.Address, AfterValidator(_check_lines)]


class RetentionItem(BaseModel):
    """The days for which data is kept, as the operator has set them for this organization. Null: as
    long as the installation keeps it.
    """

    positions_days: _Days | None
    events_days: _Days | None
    audit_days: _Days | None


class OrganizationItem(SettingFields):
    """The caller's organization. Of settings, null is the default."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    id: fields.OrganizationId
    name: _Name
    plan: PlanName
    api_addon: bool
    api_access: bool = Field(description="by the plan or the add-on, programs may use the API")
    requests_per_minute: PerMinute
    timezone: _TimeZone = Field(description="where it is at home: a name of the IANA database")
    language: Language | None = Field(
        description="of documents, letters, and pages of users who have chosen none; null: not"
        " chosen, documents are in English and pages in the language of the browser"
    )
    max_speed_mps: MaxSpeeds
    punch_rules: PunchNumbers
    shows_employees: ShowsEmployees
    trip_events: TripEvents
    timesheet_rules: TimesheetRuleFields
    address: _Address | None = Field(description="as documents show it")
    email: fields.Email | None = Field(
        description="of the office: customers' replies and accepted quotes go there; null: accepted"
        " quotes go to the admins"
    )
    logo_sha256: Annotated[str, fields.text(64, "0f" * 32, "^[0-9a-f]{64}$")] | None = Field(
        description="of the logo at /v1/organization/logo"
    )
    retention: RetentionItem
    created_at: datetime
    updated_at: datetime


class OrganizationChange(fields.Body, SettingFields):
    """The fields to change. Settings bear on what arrives after the change."""

    name: _Name = Field(default_factory=fields.absent)
    timezone: _TimeZone = Field(default_factory=fields.absent)
    language: Language | None = Field(default=None, description="null: not chosen")
    max_speed_mps: MaxSpeedsChange | None = Field(
        default=None, description="null: the defaults; classes that are left out stay as they are"
    )
    punch_rules: PunchNumbersChange | None = Field(
        default=None, description="null: the defaults; numbers that are left out stay as they are"
    )
    shows_employees: ShowsEmployees = Field(default_factory=fields.absent)
    trip_events: TripEvents = Field(default_factory=fields.absent)
    timesheet_rules: TimesheetRulesChange | None = Field(
        default=None, description="all of them; null: the defaults"
    )
    address: _Address | None = Field(
        default=None, description=f"for documents, of up to {_MAX_ADDRESS_LINES} lines"
    )
    email: fields.Email | None = Field(
        default=None, description="of the office: customers' replies and accepted quotes go there"
    )


@_always.get(_PATH, operation_id="getOrganization", response_model=OrganizationItem)
async def get_organization(access: Reader) -> Response:
    """Return the organization of whoever asks."""
    async with access.transaction() as conn:
        return ok(_item(await organizations.find(conn)))


@router.patch(_PATH, operation_id="updateOrganization", response_model=OrganizationItem)
async def update_organization(
    access: Admin, body: Annotated[OrganizationChange, Body()]
) -> Response:
    """Change the fields that are given."""
    sent = body.given()
    if "timezone" in sent:
        _check_timezone(body.timezone)
    own = ("name", "timezone", "language", "address", "email")
    others = {name: sent.pop(name) for name in own if name in sent}
    if "timesheet_rules" in sent:
        rules: TimesheetRulesChange | None = sent.pop("timesheet_rules")
        others["timesheet_rules"] = {} if rules is None else rules.stored()
    trip_events: bool | None = sent.pop("trip_events", None)
    async with access.transaction() as conn:
        revision = (await bump(conn))[0] if sent else None
        organization = await organizations.find(conn, lock=True)
        access.check_unchanged(_item(organization))
        if trip_events is not None and trip_events == (organization.trip_events_since is None):
            others["trip_events_since"] = await db_now(conn) if trip_events else None
        changed = changed_settings(organization._replace(**others), sent)
        if changed != organization:
            changed = changed._replace(updated_at=await db_now(conn))
            await organizations.update(conn, changed, revision)
        if organization.shows_employees and not changed.shows_employees:
            await latest_positions.forget_employees(conn)
            conn.note(Channel.RIGHTS, organization.id)
    return ok(_item(changed))


def _check_timezone(name: str) -> None:
    try:
        read_timezone(name)
    except ScheduleError as error:
        raise bad_field(error.pointer, error.problem, code="timezone") from None


def _item(organization: Organization) -> dict[str, Any]:
    return {
        "id": id_text("org", organization.id),
        "name": organization.name,
        "plan": organization.plan,
        "api_addon": organization.api_addon,
        "api_access": organization.api_access,
        "requests_per_minute": REQUESTS_PER_MINUTE[organization.plan],
        "timezone": organization.timezone,
        "language": organization.language,
        **shown_settings(organization),
        "timesheet_rules": shown_rules(organization.timesheet_rules),
        "address": organization.address,
        "email": organization.email,
        "logo_sha256": None if (logo := organization.logo_sha256) is None else logo.hex(),
        "retention": {name: getattr(organization, name) for name in RetentionItem.model_fields},
        "created_at": time_text(organization.created_at),
        "updated_at": time_text(organization.updated_at),
    }


router.include_router(_always)
