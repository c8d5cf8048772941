"""The newest positions of one organization, and who has yet to be sent which.

Without I/O and without a clock: rows go in, JSON comes out. Subscriptions are served a few at a
time, and the event loop does other work between them. Each asset has a place in arrays. A
subscription keeps two bits for each place: whether the asset is among those wanted, and whether its
newest position was taken. So a reader that is slow takes fewer positions, and no queue grows. A
position is encoded once, however many subscriptions take it.

An asset that leaves the box of a subscription is sent once more, with the position outside. One
that leaves the client of a subscription, has no position any more, or is deleted, is sent once with
a null position.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from api.request.positions import asset_position
from db.history.last_positions import LastPosition
from db.history.latest_positions import KeptPosition

MOST_ASSETS = 100_000
"""The assets of an organization that are shown; of more, those that were made first."""

MOST_SUBSCRIPTIONS = 500
"""The subscriptions of an organization: each needs 2 or 3 bytes for each asset, and some 25 us for
each page of changes.
"""
_GONE_ROWS = 500
_AT_ONCE = 100  # subscriptions that are served without a pause
_PLACES_AT_ONCE = 5_000  # that a new subscription looks at without a pause, about a millisecond

_encoder = msgspec.json.Encoder()


class WantedPositions(NamedTuple):
    """The assets, or employees, that a subscription wants: those that meet all that is not None.

    bbox: west, south, east, north in degrees, edges included; where west is greater than east, the
    box crosses the 180th meridian.
    """

    ids: frozenset[UUID] | None = None
    bbox: tuple[float, float, float, float] | None = None
    client_id: UUID | None = None


@dataclass(slots=True)
class PositionCounts:
    """The work of all boards of a process so far.

    sent: positions that readers took. coalesced: those that a reader never took, because a newer
    one of the asset came first.
    """

    sent: int = 0
    coalesced: int = 0


class TooManySubscriptions(Exception):
    """The organization has MOST_SUBSCRIPTIONS in this process."""


class PositionSubscription:
    """The positions that one reader wants. `PositionBoard.subscribe` makes it."""

    def __init__(
        self, board: "PositionBoard", wanted: WantedPositions, on_ready: Callable[[], None]
    ) -> None:
        self._board, self._wanted, self._on_ready = board, wanted, on_ready
        self._is_among = np.zeros(0, bool)  # by place, as the next two
        self._is_due = np.zeros(0, bool)
        self._is_chosen = np.zeros(0, bool)  # by its id
        self._next_place = 0
        self._is_ready = False

    def pull(self, most_bytes: float = math.inf) -> list[bytes]:
        """Return the newest position of each asset that has changed since it was last taken, as
        JSON objects like the items of `GET /v1/assets/positions`; at first of all assets.

        Ends with the position that reaches most_bytes. The next call goes on behind that asset, so
        assets that change all the time do not keep the others waiting.
        """
        bodies = self._pull(most_bytes)
        self._board.counts.sent += len(bodies)
        return bodies

    def _pull(self, most_bytes: float) -> list[bytes]:
        bodies: list[bytes] = []
        size, begin = 0, self._next_place
        for first, last in ((begin, len(self._is_due)), (0, begin)):
            for place in np.flatnonzero(self._is_due[first:last]) + first:
                if size >= most_bytes:
                    return bodies
                self._is_due[place] = False
                self._next_place = int(place) + 1
                bodies.append(self._body(int(place)))
                size += len(bodies[-1])
        self._next_place = 0
        return bodies

    def close(self) -> None:
        """Take nothing any more."""
        self._board.subscriptions.discard(self)
        self._is_due[:] = False

    def due(self) -> NDArray[np.intp]:
        """Return the places that `pull` would return."""
        return np.flatnonzero(self._is_due)

    async def see_first(self) -> None:
        """Look at all places, or at those of the wanted ids alone, with pauses."""
        if (ids := self._wanted.ids) is not None:
            chosen = self._board.places_of(ids)
            self.see(np.array(chosen, np.intp), chosen)
            return
        for first in range(0, len(self._board), _PLACES_AT_ONCE):
            self.see(np.arange(first, min(first + _PLACES_AT_ONCE, len(self._board))), ())
            await asyncio.sleep(0)

    def see(self, places: NDArray[np.integer], new: Sequence[int]) -> NDArray[np.bool_]:
        """Look at places that have changed, and return which of them are due.

        new: those of them that have become another asset's.
        """
        self._reach(len(self._board))
        if (chosen := self._wanted.ids) is not None:
            self._is_chosen[new] = [self._board.ids[place] in chosen for place in new]
        is_among = self._is_wanted(places)
        is_due = is_among | self._is_among[places]
        self._is_among[places] = is_among
        due = places[is_due]
        self._board.counts.coalesced += int(np.count_nonzero(self._is_due[due]))
        self._is_due[due] = True
        self._is_ready |= bool(is_due.any())
        return is_due

    def _body(self, place: int) -> bytes:
        """Return what is sent of an asset: another client's has no position."""
        client_id = self._wanted.client_id
        if client_id is None or self._board.is_of_client(place, client_id):
            return self._board.body(place)
        return self._board.gone_body(place)

    def announce(self) -> None:
        """Call `on_ready` if something is due that was not announced yet."""
        if self._is_ready:
            self._is_ready = False
            self._on_ready()

    def _is_wanted(self, places: NDArray[np.integer]) -> NDArray[np.bool_]:
        board, (ids, bbox, client_id) = self._board, self._wanted
        lat, lon = board.lat[places], board.lon[places]
        is_wanted = ~np.isnan(lat)
        if ids is not None:
            is_wanted &= self._is_chosen[places]
        if bbox is not None:
            west, south, east, north = bbox
            is_wanted &= (south <= lat) & (lat <= north)
            after_west, before_east = west <= lon, lon <= east
            is_wanted &= after_west & before_east if west <= east else after_west | before_east
        if client_id is not None:
            is_wanted &= board.client[places] == board.number_of_client(client_id)
        return is_wanted

    def _reach(self, places: int) -> None:
        missing = places - len(self._is_among)
        if missing <= 0:
            return
        none = np.zeros(missing, bool)
        self._is_among = np.concatenate((self._is_among, none))
        self._is_due = np.concatenate((self._is_due, none))
        if self._wanted.ids is not None:
            self._is_chosen = np.concatenate((self._is_chosen, none))


class PositionBoard:
    """The newest positions by place. An asset keeps its place until all readers know that it has no
    position any more. The board of employees is the same: wherever an asset is named here, it is an
    employee there.

    item: makes what is sent of one.

    lat, lon: degrees, NaN where there is no position; client: its number, (n,).
    """

    def __init__(
        self,
        most_assets: int = MOST_ASSETS,
        counts: PositionCounts | None = None,
        item: Callable[[UUID, str, LastPosition | None], dict[str, Any]] = asset_position,
    ) -> None:
        self._item = item
        self.counts = counts or PositionCounts()
        self.subscriptions: set[PositionSubscription] = set()
        self.ids: list[UUID] = []
        self.lat = self.lon = np.empty(0)
        self.client = np.empty(0, np.int64)
        self.most_assets = most_assets
        self._place_of: dict[UUID, int] = {}
        self._free: list[int] = []
        self._rows: list[KeptPosition] = []
        self._bodies: list[bytes | None] = []
        self._client_numbers: dict[UUID | None, int] = {}

    def __len__(self) -> int:
        return len(self.ids)

    async def subscribe(
        self, wanted: WantedPositions, on_ready: Callable[[], None]
    ) -> PositionSubscription:
        """Return a subscription to which all wanted positions are due.

        Nothing may be taken in meanwhile. Raises TooManySubscriptions.
        """
        if len(self.subscriptions) >= MOST_SUBSCRIPTIONS:
            raise TooManySubscriptions(
                f"An organization may have {MOST_SUBSCRIPTIONS} subscriptions to positions."
            )
        subscription = PositionSubscription(self, wanted, on_ready)
        self.subscriptions.add(subscription)
        try:
            await subscription.see_first()
        except asyncio.CancelledError:
            subscription.close()
            raise
        return subscription

    async def apply(self, rows: Sequence[KeptPosition]) -> None:
        """Take in rows, and let those that have changed be due. Each asset stands once in them.

        One call at a time; if one is cancelled, some subscriptions miss these changes. A reader
        that takes meanwhile may be sent a position twice.
        """
        changed: list[KeptPosition] = []
        put: list[int] = []
        new: list[int] = []
        for row in rows:
            place = self._place_of.get(row.id)
            if place is None:
                place = self._new_place(row)
                if place is None:
                    continue
                new.append(place)
            elif self._rows[place] == row:
                continue
            self._rows[place], self._bodies[place] = row, None
            changed.append(row)
            put.append(place)
        if not changed:
            return
        places = np.array(put)
        self._reach()
        positions = [row.position for row in changed]
        self.lat[places] = [np.nan if position is None else position.lat for position in positions]
        self.lon[places] = [np.nan if position is None else position.lon for position in positions]
        self.client[places] = [self._number_client(row.client_id) for row in changed]
        is_due = np.zeros(len(places), bool)
        async for subscription in self._subscriptions_in_turn():
            is_due |= subscription.see(places, new)
        for place in places[is_due].tolist():
            self.body(place)

    async def keep_only(self, ids: set[UUID]) -> None:
        """Let all other assets have no position: they are gone. Free the places of those that all
        readers know to be gone.
        """
        gone = [row for row in self._rows if row.position and row.id not in ids]
        for first in range(0, len(gone), _GONE_ROWS):
            some = gone[first : first + _GONE_ROWS]
            await self.apply([row._replace(position=None) for row in some])
        is_free = np.isnan(self.lat)
        is_free[self._free] = False
        async for subscription in self._subscriptions_in_turn():
            is_free[subscription.due()] = False
        for place in np.flatnonzero(is_free).tolist():
            del self._place_of[self.ids[place]]
            self._free.append(place)

    async def announce(self) -> None:
        """Tell subscriptions to which something has become due."""
        async for subscription in self._subscriptions_in_turn():
            subscription.announce()

    def body(self, place: int) -> bytes:
        """Return what is sent of an asset."""
        body = self._bodies[place]
        if body is None:
            row = self._rows[place]
            body = self._bodies[place] = self._encode(row, row.position)
        return body

    def gone_body(self, place: int) -> bytes:
        """Return what is sent of an asset to those who may not, or do not, see it any more."""
        return self._encode(self._rows[place], None)

    def _encode(self, row: KeptPosition, position: LastPosition | None) -> bytes:
        return _encoder.encode(self._item(row.id, row.name, position))

    def places_of(self, ids: Iterable[UUID]) -> list[int]:
        """Return the places of the assets that have one."""
        known = map(self._place_of.get, ids)
        return sorted(place for place in known if place is not None)

    def is_of_client(self, place: int, client_id: UUID) -> bool:
        """Return whether the asset at a place is a client's."""
        return bool(self.client[place] == self.number_of_client(client_id))

    def number_of_client(self, client_id: UUID) -> int:
        """Return the number of a client; -2 where no asset is the client's."""
        return self._client_numbers.get(client_id, -2)

    def _number_client(self, client_id: UUID | None) -> int:
        return self._client_numbers.setdefault(client_id, len(self._client_numbers))

    async def _subscriptions_in_turn(self) -> AsyncIterator[PositionSubscription]:
        """Yield the open subscriptions, and let others work now and then."""
        for number, subscription in enumerate(tuple(self.subscriptions), 1):
            if subscription in self.subscriptions:  # may have been closed meanwhile
                yield subscription
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _new_place(self, row: KeptPosition) -> int | None:
        """Return a place for an asset; None where it has no position, or there is no place."""
        if row.position is None:
            return None
        if self._free:
            place = self._free.pop()
            self.ids[place] = row.id
        elif len(self) < self.most_assets:
            place = len(self)
            self.ids.append(row.id)
            self._rows.append(row)
            self._bodies.append(None)
        else:
            return None
        self._place_of[row.id] = place
        return place

    def _reach(self) -> None:
        missing = len(self) - len(self.lat)
        if missing > 0:
            nothing = np.full(missing, np.nan)
            self.lat = np.concatenate((self.lat, nothing))
            self.lon = np.concatenate((self.lon, nothing))
            self.client = np.concatenate((self.client, np.full(missing, -1)))
