"""Commands to devices: a text that the listener sends over the connection of a tracker, with its
answer.

A command waits while the device is not connected, and expires. Dispatchers and admins make and read
commands, since an answer may say where the device is, or what it knows.
"""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, Field, StringConstraints
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, ok
from api.http.problems import Problem, conflict, not_found
from api.request.access import Dispatcher
from api.request.paging import ListOf, SortedQuery
from api.request.resource import Resource, item_of
from api.request.route import TenantRoute
from db.listener import device_connections
from db.resources import commands, trackers
from db.resources.commands import CommandState, TooManyCommands

router = APIRouter(prefix="/v1", tags=["commands"], route_class=TenantRoute)
_CommandPath = Annotated[fields.CommandId, Path(alias="id")]
_TrackerPath = Annotated[fields.TrackerId, Path(alias="id")]
_TEXT = "^[ -~]{1,200}$"
_Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    fields.shaped(_TEXT, "must be printable characters of ASCII"),
    Field(examples=["getinfo"], json_schema_extra={"pattern": _TEXT}),
]
_RETRY_S = 60


class NewCommand(fields.Body):
    """A command to a device."""

    text: _Text = Field(description="as the device understands it")
    repeatable: bool = Field(
        default=False,
        description="whether it may be sent again where no answer came, up to five times",
    )
    expires_in_h: Annotated[int, Field(ge=1, le=168, examples=[24])] = Field(
        default=24, description="hours until it is not sent any more"
    )


class CommandItem(BaseModel):
    """A command to a device."""

    id: fields.CommandId
    tracker_id: fields.TrackerId
    text: _Text
    state: CommandState
    repeatable: bool
    sends: fields.Count = Field(description="how often it was sent")
    answer: Annotated[str, Field(max_length=2_048, examples=["INI:2026/1/31 7:22"])] | None = Field(
        description="the text of the device, in hexadecimal where it is none"
    )
    created_by: fields.UserId
    created_at: datetime
    expires_at: datetime = Field(description="from then on it is not sent")
    sent_at: datetime | None = Field(description="when it was last sent")
    answered_at: datetime | None
    cancelled_at: datetime | None


class CommandQuery(SortedQuery):
    """The filters of commands."""

    tracker_id: fields.TrackerId | None = None
    state: CommandState | None = None


_commands = Resource(commands.table, item_of(CommandItem))


@router.post(
    "/trackers/{id}/commands",
    operation_id="createTrackerCommand",
    status_code=201,
    response_model=CommandItem,
)
async def create_tracker_command(
    access: Dispatcher, tracker_id: _TrackerPath, body: Annotated[NewCommand, Body()]
) -> Response:
    """Queue a command for a tracker: it is sent as soon as the tracker is connected."""
    lasts = timedelta(hours=body.expires_in_h)
    new = commands.NewCommand(tracker_id, body.text, body.repeatable, lasts, access.caller.user_id)
    async with access.transaction() as conn:
        tracker = await trackers.table.find(conn, tracker_id)
        if tracker is None:
            raise not_found("tracker")
        if tracker.revoked_at is not None:
            raise conflict("tracker_revoked", "A tracker that is revoked gets no commands.")
        if await device_connections.refuses_commands(conn, tracker_id):
            raise conflict("no_commands", _NO_COMMANDS)
        try:
            command = await commands.insert(conn, new)
        except TooManyCommands as error:
            detail = f"{error}: wait until some are sent, or cancel some."
            headers = {"Retry-After": str(_RETRY_S)}
            raise Problem(429, "too_many_commands", detail, headers=headers) from None
    return created(_commands.item(command), "/v1/commands")


_NO_COMMANDS = (
    "The tracker is connected in a way that has no commands: they go to boxes of Teltonika and of"
    " GT06 by TCP, and to OwnTracks where it has subscribed to its commands."
)


@router.get("/commands", operation_id="listCommands", response_model=ListOf[CommandItem])
async def list_commands(access: Dispatcher, query: Annotated[CommandQuery, Query()]) -> Response:
    """List commands, newest first."""
    return await _commands.list(access, query)


@router.get("/commands/{id}", operation_id="getCommand", response_model=CommandItem)
async def get_command(access: Dispatcher, command_id: _CommandPath) -> Response:
    """Return one command."""
    return await _commands.get(access, command_id)


@router.post("/commands/{id}/cancel", operation_id="cancelCommand", response_model=CommandItem)
async def cancel_command(access: Dispatcher, command_id: _CommandPath) -> Response:
    """Cancel a command that is queued. One that is cancelled stays as it is."""
    async with _commands.locked(access, command_id) as (conn, command):
        if command.state == "queued":
            await commands.cancel(conn, command_id)
            command = await _commands.found(conn, command_id)
        elif command.state != "cancelled":
            detail = f"The command is {command.state}: only a queued one can be cancelled."
            raise conflict("command_not_queued", detail)
    return ok(_commands.item(command))
