"""The quota of zones over one place: a zone that would lie where as many lie already is refused.

A fix costs what it enters and leaves. Boxes are counted first, which settles nearly all, and then
the zones at a few places (`geofence.geometry.overlap`), where most boxes are first. That has a
bound, beyond which only boxes are counted, far more of which are allowed. It is done before the
transaction that writes: while that holds the revision, it only looks whether others have come
meanwhile.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, ParamSpec, Protocol, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from api.http.problems import Fault, Problem, conflict
from api.limits.geometry_process import CheckedShape
from api.limits.turns import refusing_when_full
from api.request.access import Access
from db.core import registry_revision
from db.core.connect import Connection
from db.core.tenant import reading
from db.resources import zones
from geofence.geometry.overlap import (
    MOST_PLACES,
    Box,
    Crowd,
    Likely,
    cover_counts,
    crowd_at,
    held,
    likely_places,
    unrolled,
)
from geofence.shapes.stored import StoredShape, read_stored

_P = ParamSpec("_P")
_T = TypeVar("_T")

# What a request may cost: shapes that are read, so many at a time, and the time of counting them.
_LEAST_SHAPES, _SHAPES_OF_QUOTA = 2_000, 10
_PAGE = 100
_PIECE = 100  # new zones that are counted at a time
_SECONDS = 2.0
# Places of a new zone that are looked at, times the boxes that meet it, of all zones together.
_MOST_PAIRS, _LEAST_PLACES = 20_000_000, 8
_CLEARLY = 5  # times the quota: boxes of more are held to be a crowd where shapes are too many


class NewShape(NamedTuple):
    """The shape of a new zone. place: of the zone in the body, as a pointer."""

    stored: StoredShape
    box: Box
    place: str = ""


class Seen(NamedTuple):
    """The revision up to which zones were looked at, where, and room for how many more boxes."""

    revision: int
    over: Box
    room: int

    async def check(self, conn: Connection) -> None:
        """Raise Problem (409) where there are more by now. `conn` holds the revision."""
        if await zones.boxes_since(conn, self.over, self.revision) > self.room:
            detail = "Other zones were made in the same place at the same time: try again."
            raise conflict("changed_meanwhile", detail)


class _Measured(Protocol):
    """A zone, or the body of a new one."""

    @property
    def radius_m(self) -> float | None: ...
    @property
    def width_m(self) -> float | None: ...


def new_shape(of: _Measured, checked: CheckedShape, place: str = "") -> NewShape:
    """Return the shape of a zone, or a body, as it was checked."""
    stored = StoredShape(checked.wkb, of.radius_m, of.width_m)
    return NewShape(stored, unrolled(*checked.measures.bbox), place)


async def check_crowds(
    access: Access, new: Sequence[NewShape], *, instead_of: UUID | None = None
) -> Seen:
    """Raise Problem (403) with a place where more zones would lie than may.

    instead_of: the zone that is changed.
    """
    most = access.state.settings.zones_over_one_place
    boxes = np.array([one.box for one in new])
    over = Box(*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())
    async with reading(access.state.connections, access.caller.org_id) as conn:
        seen = await registry_revision.read(conn)
        stored = await zones.boxes_over(conn, over, instead_of)
    ids = [row[0] for row in stored]
    others = np.concatenate((np.array([row[1:] for row in stored]).reshape(-1, 4), boxes))
    sides = np.ascontiguousarray(others.T)
    room, meeting, crowded = most, 0, list[int]()
    for number, one in enumerate(new):
        if number % _PIECE == _PIECE - 1:
            await asyncio.sleep(0)  # others have a turn
        meets = len(_meeting(sides, one.box, len(ids) + number))
        room = min(room, most - meets)
        if meets >= most:
            crowded.append(number)
            meeting += meets
    if crowded:
        await _Search(access, new, ids, others).refuse_crowds(crowded, meeting)
    return Seen(seen, over, max(0, room - len(new)))


def _meeting(sides: NDArray[np.float64], box: Box, itself: int) -> NDArray[np.intp]:
    """Return the numbers of the other boxes that meet a box. sides: of all, (4, n)."""
    west, south, east, north = sides
    beside = (west <= box.east) & (east >= box.west)
    for turn in (-360.0, 360.0):
        if west.min() + turn <= box.east and east.max() + turn >= box.west:  # hardly ever
            beside |= (west + turn <= box.east) & (east + turn >= box.west)
    beside &= (south <= box.north) & (north >= box.south)
    beside[itself] = False
    return np.flatnonzero(beside)


class _Candidate(NamedTuple):
    """A new zone in whose box many meet. likely: with a place at least."""

    number: int
    likely: Likely

    @property
    def depth(self) -> int:
        return int(self.likely.depth[0])


class _Search:
    """A search for a place that too many zones would cover, with a bound to all of it together."""

    def __init__(
        self,
        access: Access,
        new: Sequence[NewShape],
        ids: Sequence[UUID],
        boxes: NDArray[np.float64],
    ) -> None:
        """Prepare a search. boxes: of the stored zones, `ids`, and then of the new ones."""
        self._access = access
        self._new = new
        self._ids = ids
        self._boxes, self._sides = boxes, np.ascontiguousarray(boxes.T)
        self._most = access.state.settings.zones_over_one_place
        self._shapes_left = max(_LEAST_SHAPES, _SHAPES_OF_QUOTA * self._most)
        self._seconds_left = _SECONDS

    async def refuse_crowds(self, numbers: Sequence[int], meeting: int) -> None:
        """Try new zones, the zone that lies deepest in boxes first. Raises Problem (403).

        meeting: the number of pairs of their boxes with others.
        """
        looked_at = max(_LEAST_PLACES, min(MOST_PLACES, _MOST_PAIRS // meeting))
        candidates: list[_Candidate] = []
        for number in numbers:
            one, boxes = self._new[number], self._boxes[self._meeting(number)]
            likely = await self._beside(_likely, one, boxes, self._most, looked_at)
            if len(likely.places):
                candidates.append(_Candidate(number, likely))
        for candidate in sorted(candidates, key=lambda one: -one.depth):
            is_settled = await self._refuse_crowd(candidate)
            if not is_settled and candidate.depth > _CLEARLY * self._most:
                found = crowd_at(candidate.likely.places[0], candidate.depth + 1)
                raise _problem(self._new[candidate.number], found, self._most, is_exact=False)

    def _meeting(self, number: int) -> NDArray[np.intp]:
        return _meeting(self._sides, self._new[number].box, len(self._ids) + number)

    async def _refuse_crowd(self, candidate: _Candidate) -> bool:
        """Return whether it is certain that no likely place has a crowd. Raises Problem (403)."""
        if self._is_used_up():
            return False
        one, places = self._new[candidate.number], candidate.likely.places
        meets = self._meeting(candidate.number)
        holds = held(self._boxes[meets], one.box, places)
        deepest = np.argsort(-holds.sum(axis=1), kind="stable")
        unread = meets[deepest[holds[deepest].any(axis=1)]]
        counts, left = np.ones(len(places), np.int64), candidate.likely.depth.copy()
        unread = unread.tolist()
        while unread and (counts + left > self._most).any():
            if self._is_used_up():
                return False
            page = unread[: min(_PAGE, self._shapes_left)]
            shapes = await self._read(page)
            read = set(shapes) or set(page)  # none is there any more
            unread = [number for number in unread if number not in read]
            self._shapes_left -= len(read)
            left -= holds[np.searchsorted(meets, list(read))].sum(axis=0)
            found, seconds = await self._beside(_counted, places, list(shapes.values()))
            counts += found
            self._seconds_left -= seconds
            if (counts > self._most).any():
                at = int(np.argmax(counts > self._most))
                raise _problem(one, crowd_at(places[at], int(counts[at])), self._most)
        return True

    def _is_used_up(self) -> bool:
        return self._shapes_left <= 0 or self._seconds_left <= 0

    async def _read(self, page: Sequence[int]) -> dict[int, StoredShape]:
        """Return some shapes of the zones with these numbers; none where no zone is
        there any more.
        """
        first_new = len(self._ids)
        beside = [number for number in page if number >= first_new]
        if beside:
            return {number: self._new[number - first_new].stored for number in beside}
        numbers = {self._ids[number]: number for number in page}
        async with reading(self._access.state.connections, self._access.caller.org_id) as conn:
            shapes = await zones.some_shapes(conn, list(numbers))
        return {numbers[zone_id]: shape for zone_id, shape in shapes.items()}

    async def _beside(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        shapes, org_id = self._access.state.shapes, self._access.caller.org_id
        with refusing_when_full("geometries"):
            return await shapes.beside(org_id, call, *args, **kwargs)


def _likely(one: NewShape, boxes: NDArray[np.float64], most: int, looked_at: int) -> Likely:
    return likely_places(read_stored([one.stored])[0], one.box, boxes, most, looked_at)


def _counted(
    places: NDArray[np.float64], shapes: Sequence[StoredShape]
) -> tuple[NDArray[np.int64], float]:
    """Count the shapes that cover the places, and return how many seconds that took."""
    begun = time.thread_time()
    counts = cover_counts(places, read_stored(shapes)) if shapes else np.zeros(len(places), int)
    return counts, time.thread_time() - begun


def _problem(one: NewShape, found: Crowd, most: int, *, is_exact: bool = True) -> Problem:
    position = [round(found.lon, 7), round(found.lat, 7)]
    message = (
        f"At {position} there would be {found.shapes} zones over one place: {most} are allowed."
        if is_exact
        else f"At {position} the boxes of {found.shapes} zones would overlap, more than"
        f" {_CLEARLY} times the {most} zones over one place that are allowed, and too many to look"
        " at exactly."
    )
    return Problem(
        403,
        "quota_exceeded",
        "There are too many zones over one place.",
        faults=(Fault(message, pointer=f"{one.place}/geometry"),),
        more={
            "quota": "zones_over_one_place",
            "limit": most,
            "used": found.shapes - 1,
            "position": position,
        },
    )
