"""Devices that would send and are not let in: those that gateways name by an id that no tracker
has, and trackers whose sign-ins fail.

The listener writes them down (`listener/stored/unknown_devices.py`), up to 1,000 of an
organization. They end 30 days after they were last seen. Positions of devices that are nobody's yet
are for dispatchers and admins, who register them.
"""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import no_content
from api.http.problems import conflict
from api.request.access import Dispatcher
from api.request.paging import ListOf, ListQuery
from api.request.references import check_references
from api.request.resource import Resource, item_of
from api.request.route import TenantRoute
from api.resources.trackers.bodies import NewTrackerItem, Registration
from api.resources.trackers.imeis import check_imeis
from api.resources.trackers.routes import register
from db.core.listing import Order
from db.core.registry_revision import bump
from db.resources import unknown_devices

router = APIRouter(prefix="/v1/unknown-devices", tags=["unknown-devices"], route_class=TenantRoute)
_DevicePath = Annotated[fields.UnknownDeviceId, Path(alias="id")]
_ExternalId = Annotated[fields.ExternalId, Field(examples=["356938035643809"])]

UnknownReason = Literal["not_registered", "wrong_secret", "revoked"]


class UnknownDeviceItem(BaseModel):
    """A device that would send, and is not let in."""

    id: fields.UnknownDeviceId
    external_id: _ExternalId | None = Field(
        description="as the gateway writes it; of a tracker, its own"
    )
    tracker_id: fields.TrackerId | None = Field(
        description="the tracker that could not sign in, or is revoked; null: not registered"
    )
    tracker_name: fields.Name | None
    reason: UnknownReason = Field(description="why it was last not let in")
    gateway_id: fields.GatewayId | None = Field(
        description="the gateway by which it came last; null: it signs in itself"
    )
    gateway_name: fields.Name | None
    protocol: Annotated[str, fields.text(20, "http")] = Field(description="http or mqtt")
    format: Annotated[str, fields.text(20, "traccar")] | None = Field(
        description="of what it sends; null: nothing says so"
    )
    seen: fields.Count = Field(description="how often it was seen: at least so often")
    lat: fields.Latitude | None = Field(description="of its last position; null: it sent none")
    lon: fields.Longitude | None
    position_time: datetime | None = Field(description="as the device says")
    first_seen_at: datetime
    last_seen_at: datetime


class UnknownDeviceQuery(ListQuery):
    """The filters of unknown devices."""

    reason: UnknownReason | None = None
    tracker_id: fields.TrackerId | None = None
    gateway_id: fields.GatewayId | None = None
    sort: Annotated[
        Literal["-last_seen_at", "last_seen_at"], Field(description="-: the last ones first")
    ] = "-last_seen_at"

    @property
    def order(self) -> Order:
        return Order(descending=self.sort.startswith("-"), column="last_seen_at")


_devices = Resource(unknown_devices.table, item_of(UnknownDeviceItem))


@router.get("", operation_id="listUnknownDevices", response_model=ListOf[UnknownDeviceItem])
async def list_unknown_devices(
    access: Dispatcher, query: Annotated[UnknownDeviceQuery, Query()]
) -> Response:
    """List unknown devices, the last seen first."""
    return await _devices.list(access, query)


@router.get("/{id}", operation_id="getUnknownDevice", response_model=UnknownDeviceItem)
async def get_unknown_device(access: Dispatcher, device_id: _DevicePath) -> Response:
    """Return one unknown device."""
    return await _devices.get(access, device_id)


@router.post(
    "/{id}/register",
    operation_id="registerUnknownDevice",
    status_code=201,
    response_model=NewTrackerItem,
)
async def register_unknown_device(
    access: Dispatcher, device_id: _DevicePath, body: Annotated[Registration, Body()]
) -> Response:
    """Create a tracker with the external_id of the device, which is unknown no longer; the answer
    has its secret.
    """
    access.check_scope("trackers:write")
    await check_imeis(access, {"/imei": body.imei})
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        await check_references(conn, body)
        device = await _devices.found(conn, device_id, lock=True)
        access.check_unchanged(_devices.item(device))
        if device.tracker_id is not None:
            raise conflict(
                "already_registered",
                "The device is a tracker: give it another secret, or register another one.",
            )
        await unknown_devices.remove(conn, device.id)
        return await register(conn, body, device.external_id, revision=revision, at=at)


@router.delete("/{id}", operation_id="deleteUnknownDevice", status_code=204)
async def delete_unknown_device(access: Dispatcher, device_id: _DevicePath) -> Response:
    """Forget an unknown device. It comes back when it is seen again."""
    async with _devices.locked(access, device_id) as (conn, device):
        await unknown_devices.remove(conn, device.id)
    return no_content()
