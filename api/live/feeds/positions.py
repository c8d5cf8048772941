"""The live map: the newest positions of assets, and of employees, as they change.

One `PositionFeed` of an API process reads for all subscriptions of an organization together: once a
second the rows that have changed (`db.history.latest_positions`), and now and then all rows, which
shows what else became of assets (a name, a client, a deletion). Nothing is read for organizations
without subscriptions.

    feed = PositionFeed(connections)
    tasks.create_task(feed.run(stop))
    subscription = await feed.subscribe(org_id, WantedPositions(bbox=(13, 52, 14, 53)), ready.set)
    for body in subscription.pull(): ...        # all positions; from now on when `ready` is set
    subscription.close()

Memory is bounded by assets: 1.5 KB for each asset of an organization that has subscriptions, of
which it shows `MOST_ASSETS`, and 2 or 3 bytes for each in each subscription, of which it has
`MOST_SUBSCRIPTIONS`. A subscription by ids has 0.2 KB more for each id.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import structlog

from api.live.feeds.position_board import (
    PositionBoard,
    PositionCounts,
    PositionSubscription,
    TooManySubscriptions,
    WantedPositions,
)
from api.request.positions import asset_position, employee_position
from db.core.connect import Pool
from db.core.errors import DatabaseError
from db.core.tenant import reading
from db.history import latest_positions
from db.history.latest_positions import (
    ASSETS,
    EMPLOYEES,
    EVER,
    FIRST,
    ChangedPositions,
    PositionOwners,
)
from service.exceptions import message

__all__ = ["PositionFeed", "PositionSubscription", "TooManySubscriptions", "WantedPositions"]

LOOK_S = 1.0  # between two looks for changes
ALL_S = 15.0  # between two looks at all rows
PAGE_ROWS = 500  # some 8 ms in which the event loop does nothing else
_PAGES_AT_ONCE = 2

_log = structlog.get_logger("api")


class _Organization:
    """The positions of one organization.

    as_of: None before they were read; subscribing: those who wait for their subscription.
    """

    def __init__(self, org_id: UUID, board: PositionBoard) -> None:
        self.org_id = org_id
        self.board = board
        self.reading = asyncio.Lock()
        self.as_of: str | None = None
        self.subscribing = 0
        self.is_failing = False
        self.all_due_s = 0.0


class PositionFeed:
    """The positions of all organizations that have subscriptions in this process: those of assets,
    or of employees, which have a feed of their own.

    snapshot_rows, changed_rows: rows that were read so far, in looks at all and for changes.
    """

    def __init__(
        self,
        connections: Pool,
        *,
        look_s: float = LOOK_S,
        all_s: float = ALL_S,
        clock: Callable[[], float] = time.monotonic,
        of: PositionOwners = ASSETS,
    ) -> None:
        self._connections = connections
        self._of = of
        self._look_s, self._all_s, self._clock = look_s, all_s, clock
        self._organizations: dict[UUID, _Organization] = {}
        self._pages = asyncio.Semaphore(_PAGES_AT_ONCE)
        self.counts = PositionCounts()
        self.snapshot_rows = self.changed_rows = 0

    @property
    def subscriptions(self) -> int:
        return sum(
            len(organization.board.subscriptions) for organization in self._organizations.values()
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Look for changes until `stop`. No organization waits for another one's look."""
        async with asyncio.TaskGroup() as tasks:
            while not stop.is_set():
                for organization in self._watched():
                    if not organization.reading.locked():
                        tasks.create_task(self._look_at(organization))
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._look_s):
                        await stop.wait()

    async def subscribe(
        self, org_id: UUID, wanted: WantedPositions, on_ready: Callable[[], None]
    ) -> PositionSubscription:
        """Subscribe to positions: all that are wanted can be taken at once.

        on_ready: called when something can be taken, now and later. Raises DatabaseError,
        TooManySubscriptions.
        """
        organization = self._organizations.get(org_id)
        if organization is None:
            item = employee_position if self._of is EMPLOYEES else asset_position
            board = PositionBoard(counts=self.counts, item=item)
            organization = self._organizations[org_id] = _Organization(org_id, board)
        organization.subscribing += 1
        try:
            async with organization.reading:
                if organization.as_of is None:
                    await self._read(organization)
                subscription = await organization.board.subscribe(wanted, on_ready)
        finally:
            organization.subscribing -= 1
        try:
            due = subscription.due()
            for first in range(0, len(due), PAGE_ROWS):
                for place in due[first : first + PAGE_ROWS].tolist():
                    organization.board.body(place)
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            subscription.close()
            raise
        subscription.announce()
        return subscription

    async def look(self) -> None:
        """Look once for changes of all organizations with subscriptions."""
        await asyncio.gather(*(self._look_at(organization) for organization in self._watched()))

    def _watched(self) -> list[_Organization]:
        """Return the organizations with subscriptions; forget the others."""
        for org_id, organization in tuple(self._organizations.items()):
            if not (organization.board.subscriptions or organization.subscribing):
                del self._organizations[org_id]
        return list(self._organizations.values())

    async def _look_at(self, organization: _Organization) -> None:
        try:
            async with organization.reading:
                await self._read(organization)
                await organization.board.announce()
        except DatabaseError as error:
            if not any(organization.is_failing for organization in self._organizations.values()):
                _log.warning("positions cannot be read, retrying", error=message(error))
            organization.is_failing = True
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001
            if not organization.is_failing:
                _log.error(
                    "positions failed", organization=str(organization.org_id), exc_info=error
                )
            organization.is_failing = True
        else:
            organization.is_failing = False

    async def _read(self, organization: _Organization) -> None:
        """Read what has changed, or all rows where that is due."""
        board, now_s = organization.board, self._clock()
        since = organization.as_of
        if since is None or now_s >= organization.all_due_s:
            since = EVER
        seen: set[UUID] = set()
        as_of, after = since, FIRST
        while True:
            page = await self._page(organization.org_id, since, after)
            as_of = page.as_of if after == FIRST else as_of
            if since == EVER:
                self.snapshot_rows += len(page.rows)
            else:
                self.changed_rows += len(page.rows)
            await board.apply(page.rows)
            seen |= {row.id for row in page.rows}
            if len(page.rows) < PAGE_ROWS or len(seen) >= board.most_assets:
                break
            after = page.rows[-1].id
        if since == EVER:
            await board.keep_only(seen)
            organization.all_due_s = now_s + self._all_s
        organization.as_of = as_of

    async def _page(self, org_id: UUID, since: str, after: UUID) -> ChangedPositions:
        async with self._pages, reading(self._connections, org_id) as conn:
            now = datetime.now(UTC)
            return await latest_positions.changed(
                conn, since, now, after=after, limit=PAGE_ROWS, of=self._of
            )
