"""Alerts: what somebody has to look at, one for each visit that alerts.

An alert follows its visit: it says when the visit ended, and a visit that turns out never to have
been resolves it. People acknowledge it, take it on or give it to somebody, resolve it, and write
what they know; all of that stays in its log.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from api.auth.caller import sees_all
from api.http import fields
from api.http.encoding import ok, optional_id_text, time_text
from api.http.problems import Fault, bad_field, not_found
from api.request.access import Dispatcher, Reader
from api.request.paging import ListOf, SortedQuery
from api.request.resource import Item, Resource, item_of
from api.request.route import TenantRoute
from db.core.connect import Connection
from db.core.table import db_now
from db.identity import users
from db.resources import alerts
from db.resources.alerts import MAX_LOG, AlertRow, LogEntry, State, Told

router = APIRouter(prefix="/v1/alerts", tags=["alerts"], route_class=TenantRoute)
_AlertPath = Annotated[fields.AlertId, Path(alias="id")]
_UserName = Annotated[str, fields.text(254, "Anna Keller")]
_Remark = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000),
    AfterValidator(fields.storable),
    Field(
        examples=["The driver takes another way now."],
        json_schema_extra={"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"},
    ),
]


class AlertItem(BaseModel):
    """An alert. Names and the kind of the zone are those of the time when it was told."""

    id: fields.AlertId
    visit_id: fields.VisitId | None = Field(description="null: the asset is in no visit")
    asset_id: fields.AssetId
    asset_name: fields.Name
    zone_id: fields.ZoneId
    zone_name: fields.Name
    zone_kind: Annotated[str, fields.text(20, "restricted")]
    occurred_at: datetime = Field(description="of the first thing that was told")
    left_at: datetime | None = Field(description="when the visit ended; null while it lasts")
    lat: fields.Latitude
    lon: fields.Longitude
    told: list[Told] = Field(
        min_length=1,
        max_length=5,
        description="what was told of the visit; schedule_started: the zone's hours began",
    )
    state: State
    assigned_to: fields.UserId | None
    assignee_name: _UserName | None
    retracted: bool = Field(description="a late fix showed that the visit never was")
    created_at: datetime
    updated_at: datetime


class LogEntryItem(BaseModel):
    """A thing that somebody did with the alert; user_id is null where it happened by itself."""

    at: datetime
    user_id: fields.UserId | None
    user_name: _UserName | None
    state: State
    assigned_to: fields.UserId | None
    text: _Remark | None


class AlertWithLog(AlertItem):
    """An alert, and what was done with it, the oldest first."""

    log: list[LogEntryItem] = Field(max_length=MAX_LOG)


class AlertChange(fields.Body):
    """A change of an alert. One that is assigned without a `state` becomes `assigned`, and one that
    is taken from somebody `acknowledged`; one that is resolved stays so.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"state": "acknowledged", "text": "I look at it."}]}
    )

    state: State = Field(default_factory=fields.absent)
    assigned_to: fields.UserId | None = None
    text: _Remark | None = Field(default=None, description="a remark for the log")


class AlertQuery(SortedQuery):
    """The filters of alerts."""

    state: State | None = None
    open: Annotated[
        bool | None, Field(description="those that are not resolved, or those that are")
    ] = None
    assigned_to: fields.UserId | None = None
    asset_id: fields.AssetId | None = None
    zone_id: fields.ZoneId | None = None


_alerts = Resource(alerts.table, item_of(AlertItem))


@router.get("", operation_id="listAlerts", response_model=ListOf[AlertItem])
async def list_alerts(access: Reader, query: Annotated[AlertQuery, Query()]) -> Response:
    """List alerts, newest first."""
    return await _alerts.list(access, query)


@router.get("/{id}", operation_id="getAlert", response_model=AlertWithLog)
async def get_alert(access: Reader, alert_id: _AlertPath) -> Response:
    """Return one alert with its log."""
    async with access.transaction() as conn:
        alert = await _alerts.found(conn, alert_id)
        return ok(await _with_log(conn, alert))


@router.patch("/{id}", operation_id="updateAlert", response_model=AlertWithLog)
async def update_alert(
    access: Dispatcher, alert_id: _AlertPath, body: Annotated[AlertChange, Body()]
) -> Response:
    """Acknowledge, assign or resolve an alert, or open it again, and write a remark."""
    async with access.transaction() as conn:
        alert = await _alerts.found(conn, alert_id, lock=True)
        access.check_unchanged(await _with_log(conn, alert))
        changed = _changed(alert, body.given())
        if changed.assigned_to not in (None, alert.assigned_to):
            await _check_assignee(conn, changed.assigned_to)
        if changed != alert or body.text is not None:
            user_id, at = access.caller.user_id, await db_now(conn)
            await alerts.change(conn, changed, user_id, at, body.text)
            alert = await _alerts.found(conn, alert_id)
        return ok(await _with_log(conn, alert))


def _changed(alert: AlertRow, given: dict[str, Any]) -> AlertRow:
    """Return the alert as the body wants it. Raises Problem (422)."""
    assignee: UUID | None = given.get("assigned_to", alert.assigned_to)
    state: State = given.get("state", alert.state)
    if "state" not in given and assignee != alert.assigned_to and state != "resolved":
        state = "assigned" if assignee else "acknowledged"
    if state == "assigned" and assignee is None:
        raise bad_field("/assigned_to", "an assigned alert is somebody's: give their id")
    if state in ("new", "acknowledged"):
        if given.get("assigned_to"):
            raise bad_field("/assigned_to", "an alert of this state is nobody's")
        assignee = None
    if alert.retracted and state != "resolved":
        raise bad_field("/state", "there is nothing to look at: the visit never was")
    return alert._replace(state=state, assigned_to=assignee)


async def _check_assignee(conn: Connection, user_id: UUID) -> None:
    """Raise Problem where there is no such user (404), or none who may work on alerts (422)."""
    user = await users.table.find(conn, user_id)
    if user is None:
        raise not_found("user", fault=Fault("There is no such user.", pointer="/assigned_to"))
    if not (user.is_active and sees_all(user.role)):
        raise bad_field("/assigned_to", "must be an active dispatcher or admin")


async def _with_log(conn: Connection, alert: AlertRow) -> Item:
    log = await alerts.log_of(conn, alert.id)
    return _alerts.item(alert) | {"log": list(map(_entry_item, log))}


def _entry_item(entry: LogEntry) -> Item:
    return {
        "at": time_text(entry.at),
        "user_id": optional_id_text("usr", entry.user_id),
        "user_name": entry.user_name,
        "state": entry.state,
        "assigned_to": optional_id_text("usr", entry.assigned_to),
        "text": entry.text,
    }
