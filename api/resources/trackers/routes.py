"""Trackers: registered here, they sign in to the listener with their id and their secret.

The secret is shown once, in the answer that creates the tracker or gives it another secret; only
hashes of it are kept. A revoked tracker stays revoked. Which asset a tracker is on is history: an
assignment begins at `assigned_from` and the fixes from then on are the asset's, those too that are
stored already and belong to none (`api.resources.trackers.assignment`).
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, ok, optional_time_text
from api.http.problems import bad_field, conflict
from api.request.access import Dispatcher, Reader
from api.request.paging import ListOf, SortedQuery
from api.request.resource import Resource, item_of
from api.request.route import TenantRoute
from api.resources.trackers.assignment import Assignment, assign, unassign
from db.core.connect import Connection
from db.core.registry_revision import bump
from db.history import last_positions
from db.listener import device_connections
from db.listener.device_connections import ConnectionState
from db.resources import trackers
from db.resources.trackers import Tracker

router = APIRouter(prefix="/v1/trackers", tags=["trackers"], route_class=TenantRoute)
_TrackerPath = Annotated[fields.TrackerId, Path(alias="id")]
SECRET_BYTES = 32
_INCLUDED = "(last_seen_at|connection)"
_INCLUDE = f"^{_INCLUDED}(,{_INCLUDED})*$"
_ASSIGNED = ConfigDict(json_schema_extra={"dependentRequired": {"assigned_from": ["asset_id"]}})
_Name = Annotated[fields.Name, Field(examples=["Tracker of truck 7"])]
_ExternalId = Annotated[fields.ExternalId, Field(examples=["356938035643809"])]


class TrackerItem(BaseModel):
    """A tracker."""

    id: fields.TrackerId
    name: _Name | None
    external_id: _ExternalId | None = Field(description="IMEI, uniqueId, devEui: unique")
    receipts: bool = Field(description="whether each message is answered after its commit")
    asset_id: fields.AssetId | None = Field(description="the asset that it is on now")
    assigned_from: datetime | None
    revoked_at: datetime | None
    created_at: datetime
    updated_at: datetime
    last_seen_at: datetime | None = Field(
        default=None, description="the time of its newest fix, where `include` asks for it"
    )
    connected: bool = Field(
        default=False,
        description="whether it is connected now; this and what follows where `include` asks for"
        " `connection`",
    )
    connected_since: datetime | None = Field(default=None, description="null: it is not connected")
    connected_from: Annotated[str | None, Field(max_length=39, examples=["192.0.2.7"])] = Field(
        default=None, description="the address that it is connected from"
    )
    last_connected_at: datetime | None = Field(
        default=None, description="when it last signed in; null: it never did"
    )
    credential_shared: bool = Field(
        default=False, description="whether two devices took turns with its secret in the last day"
    )


class NewTrackerItem(TrackerItem):
    """A tracker with the secret that it signs in with: shown this once."""

    secret: Annotated[str, fields.text(100, "nM0ZkQ0v3yN3mGm8m6mF0w2g7i9b1c5d8e2f4a6h0jk")]


class ChangedTrackerItem(TrackerItem):
    """A tracker as it is now, and what the change reaches back to."""

    reaches_back_to: datetime | None = Field(
        description="the time of the first stored fix that belonged to no asset and belongs to"
        " this one now; null: there is none. Such fixes are judged soon, as late ones"
    )


class NewTracker(fields.Body):
    """A new tracker, on an asset or not."""

    model_config = _ASSIGNED

    name: _Name | None = None
    external_id: _ExternalId | None = None
    receipts: bool = False
    asset_id: fields.AssetId | None = None
    assigned_from: fields.Time | None = Field(
        default=None,
        description="since when it is on the asset; unless given, ever, or since the asset lost"
        " the tracker before it",
    )


class TrackerChange(fields.Body):
    """The fields to change. `asset_id: null` takes the tracker off its asset."""

    model_config = _ASSIGNED

    name: _Name | None = None
    external_id: _ExternalId | None = None
    receipts: bool = Field(default_factory=fields.absent)
    asset_id: fields.AssetId | None = None
    assigned_from: fields.Time | None = Field(
        default=None,
        description="since when; in the past only where no fix of the tracker since then belongs"
        " to an asset. Unless given: now, or as for a new tracker if it was never on an asset",
    )


Include = Annotated[
    Annotated[
        str,
        fields.shaped(_INCLUDE, "must be last_seen_at, connection, or both with a comma"),
        Field(max_length=100, json_schema_extra={"pattern": _INCLUDE}),
    ]
    | None,
    Field(
        description="last_seen_at, connection, or both with a comma",
        examples=["last_seen_at,connection"],
    ),
]


class TrackerQuery(SortedQuery):
    """The filters of trackers, and what to show of them."""

    external_id: _ExternalId | None = None
    asset_id: Annotated[fields.AssetId | None, Field(description="that are on it now")] = None
    assigned: Annotated[
        bool | None, Field(description="on an asset now, or on none; null: all")
    ] = None
    revoked: Annotated[
        bool | None, Field(description="only those that are, or only those that are not")
    ] = None
    connected: Annotated[
        bool | None, Field(description="only those that are connected now, or that are not")
    ] = None
    include: Include = None


class OneTrackerQuery(fields.Query):
    """The parts of a tracker to show."""

    include: Include = None


async def _included(
    conn: Connection, include: str, tracker_ids: Sequence[UUID]
) -> dict[UUID, dict[str, Any]]:
    """Return, by tracker, the fields that `include` asks for: one look-up for all of them."""
    asked = set(include.split(","))
    more: dict[UUID, dict[str, Any]] = {tracker_id: {} for tracker_id in tracker_ids}
    if "last_seen_at" in asked:
        seen = await last_positions.of_trackers(conn, tracker_ids)
        for tracker_id in tracker_ids:
            more[tracker_id]["last_seen_at"] = optional_time_text(seen.get(tracker_id))
    if "connection" in asked:
        connections = await device_connections.of_trackers(conn, tracker_ids)
        for tracker_id in tracker_ids:
            more[tracker_id] |= _connection_fields(connections.get(tracker_id))
    return more


def _connection_fields(state: ConnectionState | None) -> dict[str, Any]:
    """Return the fields of a TrackerItem that say whether it is connected."""
    since = None if state is None else state.connected_since
    return {
        "connected": since is not None,
        "connected_since": optional_time_text(since),
        "connected_from": None if state is None else state.address,
        "last_connected_at": optional_time_text(None if state is None else state.last_connected_at),
        "credential_shared": state is not None and state.is_credential_shared,
    }


tracker_item = item_of(TrackerItem)
"""Return a TrackerItem, without what is included."""
_trackers = Resource(trackers.table, tracker_item, included=_included)


@router.get("", operation_id="listTrackers", response_model=ListOf[TrackerItem])
async def list_trackers(access: Reader, query: Annotated[TrackerQuery, Query()]) -> Response:
    """List trackers, newest first."""
    return await _trackers.list(access, query)


@router.post("", operation_id="createTracker", status_code=201, response_model=NewTrackerItem)
async def create_tracker(access: Dispatcher, body: Annotated[NewTracker, Body()]) -> Response:
    """Create a tracker; the answer has its secret."""
    wanted = wanted_assignment(body)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        tracker = new_tracker(body, at)
        await trackers.insert(conn, tracker, secret, revision)
        if wanted is not None:
            await assign(conn, tracker, wanted, revision=revision, at=at)
        tracker = await _trackers.found(conn, tracker.id)
    return created(tracker_item(tracker), router.prefix, once={"secret": secret})


@router.get("/{id}", operation_id="getTracker", response_model=TrackerItem)
async def get_tracker(
    access: Reader, tracker_id: _TrackerPath, query: Annotated[OneTrackerQuery, Query()]
) -> Response:
    """Return one tracker."""
    return await _trackers.get(access, tracker_id, query)


@router.patch("/{id}", operation_id="updateTracker", response_model=ChangedTrackerItem)
async def update_tracker(
    access: Dispatcher, tracker_id: _TrackerPath, body: Annotated[TrackerChange, Body()]
) -> Response:
    """Change the fields that are given, and put the tracker on another asset or on none."""
    wanted = wanted_assignment(body)
    own_fields = body.given().keys() & {"name", "external_id", "receipts"}
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        tracker = await _trackers.found(conn, tracker_id)
        access.check_unchanged(tracker_item(tracker))
        changed = tracker._replace(**{name: getattr(body, name) for name in own_fields})
        if changed != tracker:
            await trackers.update(conn, changed._replace(updated_at=at), revision)
        reaches_back_to = None
        if wanted is not None:
            reaches_back_to = await assign(conn, tracker, wanted, revision=revision, at=at)
        elif "asset_id" in body.model_fields_set:
            await unassign(conn, tracker, revision=revision, at=at)
        tracker = await _trackers.found(conn, tracker_id)
    return ok(tracker_item(tracker), once={"reaches_back_to": optional_time_text(reaches_back_to)})


@router.post("/{id}/rotate", operation_id="rotateTracker", response_model=NewTrackerItem)
async def rotate_tracker(access: Dispatcher, tracker_id: _TrackerPath) -> Response:
    """Rotate the secret; the one before is good for nothing, on open connections too."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        tracker = await _trackers.found(conn, tracker_id)
        access.check_unchanged(tracker_item(tracker))
        if tracker.revoked_at is not None:
            detail = "The tracker is permanently revoked: register a new one."
            raise conflict("tracker_revoked", detail)
        tracker = tracker._replace(updated_at=at)
        await trackers.update(conn, tracker, revision, secret=secret)
    return ok(tracker_item(tracker), once={"secret": secret})


@router.post("/{id}/revoke", operation_id="revokeTracker", response_model=TrackerItem)
async def revoke_tracker(access: Dispatcher, tracker_id: _TrackerPath) -> Response:
    """Revoke a tracker: no more of its messages are stored; its history stays."""
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        tracker = await _trackers.found(conn, tracker_id)
        access.check_unchanged(tracker_item(tracker))
        if tracker.revoked_at is None:
            tracker = tracker._replace(revoked_at=at, updated_at=at)
            await trackers.update(conn, tracker, revision)
    return ok(tracker_item(tracker))


def wanted_assignment(body: NewTracker | TrackerChange) -> Assignment | None:
    """Return what the body says of an asset. Raises Problem (422)."""
    if body.asset_id is not None:
        return Assignment(body.asset_id, body.assigned_from)
    if body.assigned_from is not None:
        raise bad_field("/assigned_from", "assigned_from requires asset_id.")
    return None


def new_tracker(body: NewTracker, at: datetime) -> Tracker:
    """Return its row, on no asset yet."""
    own = {"name": body.name, "external_id": body.external_id, "receipts": body.receipts}
    return _trackers.new(own, at)
