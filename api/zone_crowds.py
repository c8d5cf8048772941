"""The quota of zones over one place: a zone that would lie where as many lie already is refused.

A fix costs what it enters and leaves. Boxes are counted first, which settles nearly all, and then
the zones at a few places (`geofence.overlap`). That is done before the transaction that writes:
while that holds the revision, it only looks whether others have come meanwhile.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from api.access import Access
from api.problems import Fault, Problem, busy, conflict, unavailable
from api.shapes import TooManyOfAll, TooManyOfOne
from db import revision, zones
from db.connect import Connection
from db.tenant import reading
from geofence.geojson import read_shape
from geofence.measures import Measures
from geofence.overlap import Box, Crowd, crowd, likely_places, unrolled
from geofence.stored import StoredShape, read_stored

_MOST_EXACT = 4  # zones of a request are tried exactly; boxes of more are not held to be crowds


class NewShape(NamedTuple):
    """What a zone would be. place: of the zone in the body, as a pointer."""

    geometry: dict[str, Any]
    radius_m: float | None
    width_m: float | None
    box: Box
    place: str = ""


class Seen(NamedTuple):
    """The revision up to which zones were looked at, where, and room for how many more boxes."""

    revision: int
    over: Box
    room: int

    async def check(self, conn: Connection) -> None:
        """Raises Problem (409) where there are more by now. `conn` holds the revision."""
        if await zones.boxes_since(conn, self.over, self.revision) > self.room:
            detail = "Zones were drawn in the same place meanwhile: try again."
            raise conflict("changed_meanwhile", detail)


def box_of(measured: Measures) -> Box:
    """The box that is stored."""
    return unrolled(*measured.bbox)


async def check_crowds(
    access: Access, new: Sequence[NewShape], *, instead_of: UUID | None = None
) -> Seen:
    """Raises Problem (403) with a place where more zones would lie than may.

    instead_of: the zone that is changed.
    """
    most = access.state.settings.zones_over_one_place
    boxes = np.array([one.box for one in new])
    over = Box(*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())
    async with reading(access.state.connections, access.caller.org_id) as conn:
        seen = await revision.read(conn)
        stored = await zones.boxes_over(conn, over, instead_of)
    ids = [row[0] for row in stored]
    others = np.concatenate((np.array([row[1:] for row in stored]).reshape(-1, 4), boxes))
    room, exact = most, 0
    for number, one in enumerate(new):
        meets = np.flatnonzero(_meet(others, one.box))
        meets = meets[meets != len(ids) + number]
        room = min(room, most - len(meets))
        if len(meets) >= most and exact < _MOST_EXACT:
            exact += 1
            await _refuse_crowd(access, one, others[meets], meets.tolist(), ids, new)
    return Seen(seen, over, max(0, room - len(new)))


def _meet(boxes: NDArray[np.float64], box: Box) -> NDArray[np.bool_]:
    west, south, east, north = boxes.T
    beside = np.zeros(len(boxes), bool)
    for turn in (-360.0, 0.0, 360.0):
        beside |= (west + turn <= box.east) & (east + turn >= box.west)
    return beside & (south <= box.north) & (north >= box.south)


async def _refuse_crowd(
    access: Access,
    one: NewShape,
    boxes: NDArray[np.float64],
    meets: Sequence[int],
    ids: Sequence[UUID],
    new: Sequence[NewShape],
) -> None:
    most = access.state.settings.zones_over_one_place
    async with reading(access.state.connections, access.caller.org_id) as conn:
        shapes = await zones.small_shapes(conn, [ids[n] for n in meets if n < len(ids)])
    beside = [new[n - len(ids)] for n in meets if n >= len(ids)]
    shapes += [StoredShape(_text(each), each.radius_m, each.width_m) for each in beside]
    try:
        found = await access.state.shapes.beside(
            access.caller.org_id, _crowd, one, boxes, shapes, most
        )
    except TooManyOfOne:
        raise busy("Too many geometries of the organization at once.") from None
    except TooManyOfAll:
        raise unavailable("Too many geometries at once.") from None
    if found is not None:
        raise _problem(one, found, most)


def _crowd(
    one: NewShape, boxes: NDArray[np.float64], shapes: Sequence[StoredShape], most: int
) -> Crowd | None:
    shape = read_shape(one.geometry, radius_m=one.radius_m, width_m=one.width_m)
    places = likely_places(shape, one.box, boxes, most)
    return crowd(places, [shape, *read_stored(shapes)], most) if len(places) else None


def _text(shape: NewShape) -> str:
    return msgspec.json.encode(shape.geometry).decode()


def _problem(one: NewShape, found: Crowd, most: int) -> Problem:
    position = [round(found.lon, 7), round(found.lat, 7)]
    message = (
        f"At {position} there would be {found.shapes} zones over one place: {most} are allowed."
    )
    return Problem(
        403,
        "quota_exceeded",
        "Too many zones over one place.",
        faults=(Fault(message, pointer=f"{one.place}/geometry"),),
        more={"quota": most, "used": found.shapes - 1, "position": position},
    )
