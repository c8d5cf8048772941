"""Trackers: registered here, they sign in to the listener with their id and their secret.

The secret is shown once, in the answer that creates the tracker or gives it another secret; only
hashes of it are kept. A revoked tracker stays revoked. Which asset a tracker is on, or whose it is,
is history: an assignment begins at `assigned_from` and the fixes from then on are the asset's,
those too that are stored already and belong to none (`api.resources.trackers.assignment`).
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, ok, optional_time_text
from api.http.problems import conflict
from api.request.access import Access, Dispatcher, Reader
from api.request.paging import ListOf
from api.request.resource import Resource
from api.request.route import TenantRoute
from api.resources.trackers.assignment import assign, unassign
from api.resources.trackers.bodies import (
    ChangedTrackerItem,
    NewTracker,
    NewTrackerItem,
    OneTrackerQuery,
    Registration,
    TrackerChange,
    TrackerItem,
    TrackerQuery,
    tracker_item,
    wanted_assignment,
)
from api.resources.trackers.imeis import check_imeis
from db.core.connect import Connection
from db.core.registry_revision import bump
from db.history import last_positions
from db.listener import device_connections, imei_claims
from db.listener.device_connections import ConnectionState
from db.resources import encryption_keys, trackers
from db.resources.quotas import check_room
from db.resources.trackers import Tracker

router = APIRouter(prefix="/v1/trackers", tags=["trackers"], route_class=TenantRoute)
_TrackerPath = Annotated[fields.TrackerId, Path(alias="id")]
SECRET_BYTES = 32
_OWNERS = frozenset({"asset_id", "employee_id"})
_OWN_FIELDS = ("name", "external_id", "imei", "receipts", "is_punch_terminal")


async def _included(
    conn: Connection, include: str, rows: Sequence[Tracker]
) -> dict[UUID, dict[str, Any]]:
    """Return, by tracker, the fields that `include` asks for: one look-up for all of them."""
    asked, tracker_ids = set(include.split(",")), [row.id for row in rows]
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


_trackers = Resource(trackers.table, tracker_item, included=_included)


@router.get("", operation_id="listTrackers", response_model=ListOf[TrackerItem])
async def list_trackers(access: Reader, query: Annotated[TrackerQuery, Query()]) -> Response:
    """List trackers, newest first."""
    return await _trackers.list(access, query)


@router.post("", operation_id="createTracker", status_code=201, response_model=NewTrackerItem)
async def create_tracker(access: Dispatcher, body: Annotated[NewTracker, Body()]) -> Response:
    """Create a tracker; the answer has its secret."""
    await check_imeis(access, {"/imei": body.imei})
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        return await register(conn, body, body.external_id, revision=revision, at=at)


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
    """Change the fields that are given, and give the tracker to another asset or employee."""
    wanted = wanted_assignment(body)
    own_fields = body.given().keys() & set(_OWN_FIELDS)
    await _check_imei(access, tracker_id, body)
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        tracker = await _trackers.found(conn, tracker_id)
        access.check_unchanged(tracker_item(tracker))
        changed = tracker._replace(**{name: getattr(body, name) for name in own_fields})
        if "encryption_key" in body.given():
            await encryption_keys.put(conn, tracker.id, _sealed(access, tracker.id, body))
        if changed != tracker or "encryption_key" in body.given():
            await trackers.update(conn, changed._replace(updated_at=at), revision)
        if changed.imei != tracker.imei:
            await imei_claims.give_up(conn, tracker.id)
            if changed.imei is not None:
                await imei_claims.claim(conn, {tracker.id: changed.imei}, at)
        reaches_back_to = None
        if wanted is not None:
            reaches_back_to = await assign(conn, tracker, wanted, revision=revision, at=at)
        elif any(getattr(tracker, name) is not None for name in body.given().keys() & _OWNERS):
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
            await imei_claims.give_up(conn, tracker.id)
            tracker = tracker._replace(imei=None)
    return ok(tracker_item(tracker))


async def register(
    conn: Connection, body: Registration, external_id: str | None, *, revision: int, at: datetime
) -> Response:
    """Insert a tracker and assign it as the body says; the answer has its secret. Raises Problem,
    QuotaExceeded. An IMEI was checked before.
    """
    wanted = wanted_assignment(body)
    await check_room(conn, "trackers")
    tracker, secret = new_tracker(body, external_id, at), secrets.token_urlsafe(SECRET_BYTES)
    await trackers.insert(conn, tracker, secret, revision)
    if tracker.imei is not None:
        await imei_claims.claim(conn, {tracker.id: tracker.imei}, at)
    if wanted is not None:
        await assign(conn, tracker, wanted, revision=revision, at=at)
    tracker = await _trackers.found(conn, tracker.id)
    return created(tracker_item(tracker), router.prefix, once={"secret": secret})


async def _check_imei(access: Access, tracker_id: UUID, body: TrackerChange) -> None:
    """Check an IMEI that the tracker has not claimed yet. Raises Problem."""
    if body.imei is None:
        return
    async with access.transaction() as conn:
        tracker = await _trackers.found(conn, tracker_id)
    if tracker.revoked_at is not None:
        raise conflict("tracker_revoked", "A tracker that is revoked claims no IMEI.")
    if tracker.imei != body.imei:
        await check_imeis(access, {"/imei": body.imei})


def _sealed(access: Access, tracker_id: UUID, body: TrackerChange) -> bytes | None:
    """Return the new encryption key as it is stored; None: the tracker has none from now on."""
    if body.encryption_key is None:
        return None
    return access.state.encryption_keys.seal(body.encryption_key.encode(), tracker_id.bytes)


def new_tracker(body: Registration, external_id: str | None, at: datetime) -> Tracker:
    """Return its row, not yet assigned."""
    own = {name: getattr(body, name) for name in _OWN_FIELDS if name != "external_id"}
    return _trackers.new(own | {"external_id": external_id, "has_encryption_key": False}, at)
