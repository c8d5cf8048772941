"""A trial of creating a zone, without creating it: for drawing tools and imports.

The answer is 200 whether the zone is good or not. A body that is no zone at all, with unknown
fields or of wrong types, is the same 422 as there.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import ok
from api.http.problems import Fault, Problem, bad_field
from api.limits.geometry_process import CheckedShape, ShapeAnswer, ShapeRequest
from api.limits.turns import refusing_when_full
from api.request.access import Access, Dispatcher
from api.request.route import LargeBodyRoute
from api.resources.zones.bodies import Geometry, NewZone, shape_of
from api.resources.zones.crowds import check_crowds, new_shape
from api.resources.zones.options import check_assets, check_schedule
from db.core.connect import Connection
from db.core.table import db_now
from db.resources import zones
from geofence.geometry.measures import Measures
from geofence.shapes.geojson import ShapeError

router = APIRouter(
    prefix="/v1/zones/validate", tags=["zone-validation"], route_class=LargeBodyRoute
)
_MAX_FAULTS = 2_000  # each of the assets' ids may be one

_Number = Annotated[int, Field(ge=0, le=1_000_000, examples=[0])]


class ZoneFault(BaseModel):
    """One thing that is wrong."""

    pointer: Annotated[str, fields.text(200, "/geometry/coordinates/0/3")]
    message: Annotated[str, fields.text(500, "the ring crosses itself")]


class ZoneVerdict(BaseModel):
    """Whether a zone could be made, and how large it would be."""

    valid: bool
    errors: Annotated[list[ZoneFault], Field(max_length=_MAX_FAULTS)]
    ring: _Number | None = Field(description="where the geometry is wrong")
    vertex: _Number | None
    position: Annotated[list[float], Field(max_length=3, examples=[[8.3093, 47.0502]])] | None
    repaired: Geometry | None = Field(description="a geometry that could be meant")
    area_m2: float | None = Field(ge=0, description="about", examples=[12500.0])
    bbox: (
        Annotated[
            list[float], Field(min_length=4, max_length=4, examples=[[8.30, 47.04, 8.32, 47.06]])
        ]
        | None
    ) = Field(description="west, south, east, north; over the 180th meridian west is larger")


async def check_shape(access: Access, asked: ShapeRequest) -> CheckedShape:
    """Return the shape of a geometry.

    Raises Problem: 422 with the place of the fault and, where there is one, a repaired shape; 429
    or 503 where too many shapes are checked at once.
    """
    (checked,) = await check_shapes(access, [asked])
    return shape_in(checked)


async def check_shapes(access: Access, asked: Sequence[ShapeRequest]) -> list[ShapeAnswer]:
    """Return what was found of each geometry. Raises Problem (429, 503)."""
    with refusing_when_full("geometries"):
        return await access.state.shapes.check(access.caller.org_id, asked)


def shape_in(checked: ShapeAnswer) -> CheckedShape:
    """Return the shape. Raises Problem (422)."""
    try:
        return checked.result()
    except ShapeError as error:
        raise _shape_problem(error) from None


@router.post("", operation_id="validateZone", response_model=ZoneVerdict)
async def validate_zone(access: Dispatcher, body: Annotated[NewZone, Body()]) -> Response:
    """Check a body as createZone does; nothing is made."""
    faults: list[Fault] = []
    more: dict[str, Any] = {}
    measured: Measures | None = None
    try:
        check_schedule(body.schedule)
    except Problem as problem:
        faults += problem.faults
    try:
        checked = await check_shape(access, shape_of(body))
        measured = checked.measures
        await check_crowds(access, [new_shape(body, checked)])
    except Problem as problem:
        if problem.status not in (403, 422):
            raise
        faults += problem.faults
        more |= problem.more
    faults += await _faults_of_the_stored(access, body)
    return ok(_verdict(faults, more, measured))


async def _faults_of_the_stored(access: Access, body: NewZone) -> list[Fault]:
    """Return where the zone does not fit what the organization has."""
    found: list[Fault] = []
    async with access.transaction() as conn:
        try:
            await check_assets(conn, body.assets)
        except Problem as problem:
            found += problem.faults
        try:
            await _check_zone(conn, body)
        except Problem as problem:
            found += problem.faults
    return found


async def _check_zone(conn: Connection, body: NewZone) -> None:
    if body.valid_from is not None and body.valid_from > await db_now(conn):
        raise bad_field("/valid_from", "valid_from must not lie in the future.")
    if body.external_id is not None and await zones.has_external_id(conn, body.external_id):
        raise bad_field("/external_id", "Another zone has this external_id.")


def _verdict(
    faults: list[Fault], more: dict[str, Any], measured: Measures | None
) -> dict[str, Any]:
    return {
        "valid": not faults,
        "errors": [{"pointer": fault.pointer, "message": fault.message} for fault in faults],
        **{name: more.get(name) for name in ("ring", "vertex", "position", "repaired")},
        "area_m2": None if measured is None else round(measured.area_m2, 1),
        "bbox": None if measured is None else measured.bbox,
    }


def _shape_problem(error: ShapeError) -> Problem:
    """Return the problem. A fault of radius or width points beside the geometry, others into it."""
    beside = error.pointer in ("/radius_m", "/width_m")
    pointer = error.pointer if beside else "/geometry" + error.pointer
    place = {
        "ring": error.ring,
        "vertex": error.vertex,
        "position": error.position,
        "repaired": error.repaired,
    }
    more = {name: value for name, value in place.items() if value is not None}
    return bad_field(pointer, error.problem, more=more)
