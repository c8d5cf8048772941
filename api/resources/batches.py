"""Many at once: up to 1,000 new assets, trackers or zones in one request, all of them or none.

The body is an array of what the POST of one takes, the answer has them in the same order. Where
something is wrong, nothing is made, and every fault that was found is named with its place:
`/3/name` is the name of the fourth.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, LiteralString, TypeVar
from uuid import UUID

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from api.context import ApiState
from api.http.encoding import created_batch
from api.http.problems import Fault, Problem, bad_field, unavailable
from api.limits.geometry_checks import WAITING_IMPORTS
from api.limits.turns import TooManyOfAll, TooManyOfOne
from api.request.access import Access, Dispatcher
from api.request.references import missing_references, references_in
from api.request.route import LargeBodyRoute
from api.resources.assets.bodies import AssetItem, NewAsset, asset_item, new_asset
from api.resources.trackers.bodies import (
    NewTracker,
    NewTrackerItem,
    tracker_item,
    wanted_assignment,
)
from api.resources.trackers.imeis import check_imeis
from api.resources.trackers.routes import SECRET_BYTES, new_tracker
from api.resources.zones.bodies import NewZone, ZoneItem, new_zone, shape_of, zone_item
from api.resources.zones.crowds import NewShape, check_crowds, new_shape
from api.resources.zones.options import check_schedule
from api.resources.zones.validation import check_shapes, shape_in
from db.core.connect import Connection
from db.core.registry_revision import bump
from db.listener import imei_claims
from db.resources import assets, batches, trackers
from db.resources.kinds import kind_of_table
from db.resources.quotas import check_room
from db.resources.trackers import EVER, Tracker
from db.resources.zones import Zone, keep_shapes

MOST = 1_000
_IMPORT_S = 1  # of the processor, about

_BODY = TypeVar("_BODY", bound=BaseModel)
_MADE = TypeVar("_MADE")


class _ImportRoute(LargeBodyRoute):
    """A route of imports: one too many is refused before its body is read."""

    async def admit(self, request: Request) -> None:
        await super().admit(request)
        state: ApiState = request.app.state.api
        with _refusing_imports():
            state.shapes.imports.check_room(request.state.caller.org_id)


router = APIRouter(prefix="/v1", route_class=LargeBodyRoute)
_imports = APIRouter(route_class=_ImportRoute)


class AssetBatch(BaseModel):
    """New assets."""

    data: Annotated[list[AssetItem], Field(min_length=1, max_length=MOST)]


class TrackerBatch(BaseModel):
    """New trackers with their secrets: shown this once."""

    data: Annotated[list[NewTrackerItem], Field(min_length=1, max_length=MOST)]


class ZoneBatch(BaseModel):
    """New zones."""

    data: Annotated[list[ZoneItem], Field(min_length=1, max_length=MOST)]


@router.post(
    "/assets/batch",
    operation_id="createAssets",
    tags=["assets"],
    status_code=201,
    response_model=AssetBatch,
)
async def create_assets(
    access: Dispatcher,
    body: Annotated[list[NewAsset], Body(title="NewAssets", min_length=1, max_length=MOST)],
) -> Response:
    """Create assets, all or none."""
    async with access.transaction() as conn:
        _refuse([each.fault for each in await missing_references(conn, references_in(body))])
        at = await check_room(conn, "assets", more=len(body))
        made = _each(body, lambda one: new_asset(one, at))
        await _check_external_ids(conn, "assets", [one.external_id for one in body])
        await batches.insert_assets(conn, made)
    return created_batch([asset_item(asset) for asset in made], "/v1/assets")


@router.post(
    "/trackers/batch",
    operation_id="createTrackers",
    tags=["trackers"],
    status_code=201,
    response_model=TrackerBatch,
)
async def create_trackers(
    access: Dispatcher,
    body: Annotated[list[NewTracker], Body(title="NewTrackers", min_length=1, max_length=MOST)],
) -> Response:
    """Create trackers, all or none; the answer has their secrets."""
    _each(body, wanted_assignment)
    await check_imeis(access, {f"/{place}/imei": one.imei for place, one in enumerate(body)})
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        await check_room(conn, "trackers", more=len(body))
        free = await trackers.assets_free_since(
            conn, [one.asset_id for one in body if one.asset_id is not None]
        )
        _refuse([each.fault for each in await missing_references(conn, references_in(body))])
        made = _each(body, lambda one: _tracker(one, at, free))
        await _check_external_ids(conn, "trackers", [one.external_id for one in body])
        await _check_carriers(conn, made)
        with_secrets = [(tracker, secrets.token_urlsafe(SECRET_BYTES)) for tracker in made]
        await batches.insert_trackers(conn, with_secrets, revision)
        imeis = {tracker.id: tracker.imei for tracker in made if tracker.imei is not None}
        await imei_claims.claim(conn, imeis, at)
    items = [tracker_item(tracker) | {"secret": secret} for tracker, secret in with_secrets]
    return created_batch(items, "/v1/trackers")


@_imports.post(
    "/zones/batch",
    operation_id="createZones",
    tags=["zones"],
    status_code=201,
    response_model=ZoneBatch,
)
async def create_zones(
    access: Dispatcher,
    body: Annotated[list[NewZone], Body(title="NewZones", min_length=1, max_length=MOST)],
) -> Response:
    """Create zones, all or none. They judge what arrives from now on."""
    _each(body, lambda one: check_schedule(one.schedule))
    with _refusing_imports():
        async with access.state.shapes.imports.turn(access.caller.org_id):
            made = await _imported(access, body)
    return created_batch([zone_item(zone) for zone in made], "/v1/zones")


router.include_router(_imports)


@contextmanager
def _refusing_imports() -> Iterator[None]:
    """Raise Problem (429, 503) where too many imports wait."""
    try:
        yield
    except TooManyOfOne:
        detail = (
            f"An import of zones is under way, and {WAITING_IMPORTS} wait. Send one at a time:"
            " up to 1,000 zones are one import."
        )
        headers = {"Retry-After": str(_IMPORT_S)}
        raise Problem(429, "too_many_imports", detail, headers=headers) from None
    except TooManyOfAll:
        raise unavailable("Too many imports of zones at once: try again in a second.") from None


async def _imported(access: Access, body: Sequence[NewZone]) -> list[Zone]:
    asked = [shape_of(one) for one in body]
    faults: list[Fault] = []
    shapes: list[NewShape] = []
    for place, checked in enumerate(await check_shapes(access, asked)):
        try:
            shapes.append(new_shape(body[place], shape_in(checked), f"/{place}"))
        except Problem as problem:
            faults += _placed(problem, place)
    _refuse(faults)
    seen = await check_crowds(access, shapes)
    wkb = [shape.stored.wkb for shape in shapes]
    async with access.transaction() as conn:
        await _check_chosen(conn, body)
        await keep_shapes(conn, {of.geometry: kept for of, kept in zip(asked, wkb, strict=True)})
        revision, at = await bump(conn)
        await check_room(conn, "zones", more=len(body))
        await seen.check(conn)
        _each(body, lambda one: _check_beginning(one, at))
        await _check_external_ids(conn, "zones", [one.external_id for one in body])
        made = [
            new_zone(one, of.geometry, at, shape.box)
            for one, of, shape in zip(body, asked, shapes, strict=True)
        ]
        await batches.insert_zones(conn, list(zip(made, map(len, wkb), strict=True)), revision)
    return made


def _each(body: Sequence[_BODY], make: Callable[[_BODY], _MADE]) -> list[_MADE]:
    """Apply `make` to each of the body. Raises Problem (422) with the faults of all."""
    made: list[_MADE] = []
    faults: list[Fault] = []
    for place, one in enumerate(body):
        try:
            made.append(make(one))
        except Problem as problem:
            faults += _placed(problem, place)
    _refuse(faults)
    return made


def _placed(problem: Problem, place: int) -> list[Fault]:
    """Return the faults of one, as those of the whole; trouble that is none of the
    body's goes on.
    """
    if problem.status != 422:
        raise problem
    return [Fault(fault.message, f"/{place}{fault.pointer or ''}") for fault in problem.faults]


def _refuse(faults: Sequence[Fault], status: int = 422, code: str = "invalid_body") -> None:
    if faults:
        detail = (
            "The body is not valid." if status == 422 else "The body conflicts with what is stored."
        )
        raise Problem(status, code, detail, faults=tuple(faults))


async def _check_external_ids(
    conn: Connection, table: LiteralString, external_ids: Sequence[str | None]
) -> None:
    """Raise Problem (409) with the places of those that another has, stored or in the batch."""
    taken = await batches.taken(conn, table, external_ids)
    faults: list[Fault] = []
    for place, external_id in enumerate(external_ids):
        if external_id is None:
            continue
        if external_id in taken:
            noun = kind_of_table(table).noun
            message = f"Another {noun} has this external_id."
            faults.append(Fault(message, f"/{place}/external_id"))
        taken.add(external_id)
    _refuse(faults, 409, "external_id_taken")


def _tracker(body: NewTracker, at: datetime, free: Mapping[UUID, datetime]) -> Tracker:
    """Return the tracker with the asset that it will be on, or the employee whose it will be. free:
    since when assets carry no tracker.
    """
    tracker = new_tracker(body, body.external_id, at)
    wanted = wanted_assignment(body)
    if wanted is None:
        return tracker
    first = EVER if wanted.asset_id is None else free.get(wanted.asset_id, EVER)
    since = wanted.since or first
    if since > at:
        raise bad_field("/assigned_from", "assigned_from must not lie in the future.")
    return tracker._replace(
        asset_id=wanted.asset_id, employee_id=wanted.employee_id, assigned_from=since
    )


async def _check_carriers(conn: Connection, made: Sequence[Tracker]) -> None:
    """Raise Problem (409) for assets that have another tracker, stored or in the batch."""
    wanted = [(one.asset_id, one.assigned_from or one.created_at) for one in made if one.asset_id]
    carrying = await batches.carrying(conn, wanted)
    faults: list[Fault] = []
    for place, one in enumerate(made):
        if one.asset_id is None:
            continue
        if one.asset_id in carrying:
            faults.append(
                Fault("The asset has another tracker in that time.", f"/{place}/asset_id")
            )
        carrying.add(one.asset_id)
    _refuse(faults, 409, "assignment_overlaps")


def _check_beginning(body: NewZone, at: datetime) -> None:
    if body.valid_from is not None and body.valid_from > at:
        raise bad_field("/valid_from", "valid_from must not lie in the future.")


async def _check_chosen(conn: Connection, body: Sequence[NewZone]) -> None:
    """Raise Problem (422) with the place of each asset that is not there."""
    chosen = [
        (f"/{place}/assets/ids/{position}", asset_id)
        for place, one in enumerate(body)
        if one.assets is not None
        for position, asset_id in enumerate(one.assets.ids)
    ]
    missing = await assets.missing(conn, [asset_id for _, asset_id in chosen]) if chosen else ()
    _refuse(
        [
            Fault("There is no such asset.", pointer)
            for pointer, asset_id in chosen
            if asset_id in missing
        ]
    )
