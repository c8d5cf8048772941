"""The events of organizations as they happen, for all readers of this process.

One reader per process asks which organizations have new events, and these are read once for all
subscriptions, by a task of each organization: one that is slow does not hold up the others. A
subscription takes what it has not had yet: from the recent events in memory, or,
where it is further behind, page by page from the table. `seq` has no gaps, so both join without a
gap or a repeat. A wake-up only shortens the wait for the next look: the table is the truth.

A subscription is pulled: `on_ready` says that `pull` may return something, and a reader that is
slow takes later. Memory is bounded by MOST_RECENT_BYTES and one page a subscription.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Coroutine, Iterable
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from api.live.feeds.live_event import LiveEvent
from api.request.own_hours import hours_of
from db.core.connect import Connection, Pool
from db.core.errors import RECONNECT_S, InternalError, OperationalError
from db.core.tenant import reading
from db.history import event_feed
from db.history.events import ListedEvent

RECENT_BYTES = 4 * 1024 * 1024  # of an organization, twice as much for a moment
MOST_RECENT_BYTES = 128 * 1024 * 1024  # of the process
PAGE_ROWS = 200
PAGE_BYTES = 128 * 1024  # and one event
SPAN = 20_000  # of seqs that one statement looks through, where few types are wanted
_NEW_READERS, _BACKLOG_READERS, _OPENERS = 2, 2, 2  # database connections of a process
OPENING_S = 5.0  # that a new subscription waits for one of the last
_AT_ONCE = 10  # subscriptions that hear of new events before other work has its turn
_RETRY_MIN_S = 0.25
_TROUBLE = (OperationalError, InternalError)

_log = structlog.get_logger("api")


class EventsGone(Exception):
    """Events behind the wanted seq are not kept any more, up to `gone_seq`."""

    def __init__(self, gone_seq: int) -> None:
        super().__init__(f"Events up to {gone_seq} were removed: continue with after={gone_seq}.")
        self.gone_seq = gone_seq


class BeyondNewest(Exception):
    """The wanted seq was not given yet."""

    def __init__(self, newest_seq: int) -> None:
        super().__init__(f"The newest event is {newest_seq}: leave `after` out to go on from it.")
        self.newest_seq = newest_seq


class EventFeed:
    """The feed of one process. `run` must be running."""

    def __init__(self, connections: Pool, *, poll_s: float) -> None:
        self._connections = connections
        self._poll_s = poll_s
        self._organizations: dict[UUID, _Organization] = {}
        self._woken = asyncio.Event()
        self._readers = asyncio.Semaphore(_NEW_READERS)
        self._backlog_readers = asyncio.Semaphore(_BACKLOG_READERS)
        self._openers = asyncio.Semaphore(_OPENERS)
        self._tasks: set[asyncio.Task[None]] = set()
        self._chances = random.Random()

    @property
    def subscriptions(self) -> int:
        return sum(len(organization.subscriptions) for organization in self._organizations.values())

    @property
    def recent_bytes(self) -> int:
        """The bytes of recent events in memory."""
        return sum(organization.recent_bytes for organization in self._organizations.values())

    def trim(self) -> None:
        """Remove recent events of those with most of them, once the process has too many."""
        excess = self.recent_bytes - MOST_RECENT_BYTES
        if excess <= 0:
            return
        by_size = sorted(
            self._organizations.values(), key=lambda organization: organization.recent_bytes
        )
        while excess > 0:
            largest = by_size.pop()
            excess -= largest.recent_bytes
            largest.trim(0)

    def wake(self, org_id: UUID | None) -> None:
        """Look for new events now. org_id: the organization that has some; None: not known."""
        if org_id is None or org_id in self._organizations:
            self._woken.set()

    async def subscribe(
        self,
        org_id: UUID,
        types: frozenset[str] | None,
        after_seq: int | None,
        on_ready: Callable[[], None],
        *,
        own_hours_of: UUID | None = None,
    ) -> "EventSubscription":
        """Return a subscription to events behind `after_seq`; None: from now on, 0: all that are
        kept. types: the wanted types; None: all. own_hours_of: the user who reads the hours of
        their own employee alone; None: everybody's are read.

        Raises EventsGone, BeyondNewest, and what the database may raise.
        """
        (newest_seq, gone_seq), own = await self._place(org_id, own_hours_of)
        if after_seq is not None and after_seq > newest_seq:
            raise BeyondNewest(newest_seq)
        if after_seq and after_seq < gone_seq:
            raise EventsGone(gone_seq)
        organization = self._organizations.get(org_id)
        if organization is None:
            organization = _Organization(self, org_id, newest_seq)
            self._organizations[org_id] = organization
        seq = newest_seq if after_seq is None else max(after_seq, gone_seq)
        subscription = EventSubscription(organization, types, own, seq, on_ready)
        organization.subscriptions.add(subscription)
        self._woken.set()
        return subscription

    async def _place(
        self, org_id: UUID, user_id: UUID | None
    ) -> tuple[event_feed.EventBounds, str | None]:
        """Ask for the bounds, and whose hours a user reads, a few at once: requests have the other
        connections.
        """
        try:
            async with asyncio.timeout(OPENING_S):
                await self._openers.acquire()
        except TimeoutError:
            raise OperationalError("too many subscriptions begin") from None
        try:
            async with reading(self._connections, org_id) as conn:
                return await event_feed.bounds(conn), await hours_of(conn, user_id)
        finally:
            self._openers.release()

    async def run(self, stop: asyncio.Event) -> None:
        """Read new events until `stop` is set. A read that fails as nobody foresaw ends the
        subscriptions that wait for it. Raises what fails outside of any organization.
        """
        delay_s = 0.0
        ending = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                try:
                    await self._read_new()
                    delay_s = 0.0
                except _TROUBLE as error:
                    delay_s = self._next_delay(delay_s, error)
                await self._pause(ending, delay_s)
        finally:
            ending.cancel()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def forget(self, organization: "_Organization") -> None:
        """Read no more for an organization without subscriptions. While backlogs of it wait to be
        read, it stays: its next subscriptions wait behind these.
        """
        if not (organization.subscriptions or organization.fills):
            self._organizations.pop(organization.org_id, None)

    def fill(self, subscription: "EventSubscription") -> None:
        """Read the next page of a subscription that is behind, and call its `on_ready`."""
        subscription.organization.fills += 1
        self._start(self._fill(subscription), subscription.organization, {subscription})

    def _start(
        self,
        work: Coroutine[Any, Any, None],
        organization: "_Organization",
        waiting: "set[EventSubscription]",
    ) -> None:
        """Begin to read for subscriptions of an organization."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(partial(self._has_ended, organization, waiting))

    def _has_ended(
        self,
        organization: "_Organization",
        waiting: "set[EventSubscription]",
        task: asyncio.Task[None],
    ) -> None:
        """End those who wait for the events where they cannot be read: they would wait for ever."""
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        _log.error("live events failed", organization=str(organization.org_id), exc_info=error)
        for subscription in tuple(waiting):
            subscription.fail()

    async def _pause(self, ending: asyncio.Task[bool], delay_s: float) -> None:
        """Wait for a wake-up, or for the next look if anybody subscribes. Then `delay_s` at least:
        a database that is away is not asked all the time.
        """
        if delay_s:
            await asyncio.wait({ending}, timeout=delay_s)
            return
        waking = asyncio.create_task(self._woken.wait())
        timeout_s = self._poll_s if self._organizations else None
        try:
            await asyncio.wait(
                {ending, waking}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            waking.cancel()

    def _next_delay(self, delay_s: float, error: Exception) -> float:
        if delay_s == 0:
            _log.warning("live events wait for the database", error=type(error).__name__)
        longer_s = min(max(2 * delay_s, _RETRY_MIN_S), RECONNECT_S)
        return longer_s * self._chances.uniform(0.75, 1)

    async def _read_new(self) -> None:
        """Ask which organizations have new events, and begin to read those of each."""
        self._woken.clear()
        if not self._organizations:
            return
        async with self._connections.connection() as conn:
            newest = await event_feed.newest_seqs(conn, self._organizations)
        for org_id, newest_seq in newest.items():
            organization = self._organizations.get(org_id)
            if organization is not None and organization.seq < newest_seq:
                organization.newest_seq = newest_seq
                if not organization.is_reading:
                    organization.is_reading = True
                    self._start(self._read(organization), organization, organization.subscriptions)

    async def _read(self, organization: "_Organization") -> None:
        """Read up to the newest event known: after each page others have their turn."""
        try:
            await self._read_pages(organization)
        finally:
            organization.is_reading = False

    async def _read_pages(self, organization: "_Organization") -> None:
        delay_s = 0.0
        while organization.subscriptions and organization.seq < organization.newest_seq:
            try:
                async with self._readers, reading(self._connections, organization.org_id) as conn:
                    rows, seq = await _page(conn, organization.seq, organization.newest_seq, None)
            except _TROUBLE as error:
                delay_s = self._next_delay(delay_s, error)
                await asyncio.sleep(delay_s)
                continue
            delay_s = 0.0
            await organization.publish(rows, seq)

    async def _fill(self, subscription: "EventSubscription") -> None:
        try:
            await self._fill_in_turn(subscription)
        finally:
            subscription.organization.fills -= 1
            self.forget(subscription.organization)

    async def _fill_in_turn(self, subscription: "EventSubscription") -> None:
        organization = subscription.organization
        delay_s = 0.0
        while subscription.is_open:
            try:
                # One organization does not take all readers.
                async with organization.backlog_turn, self._backlog_readers:
                    if subscription.is_open:  # still, after the wait
                        page = await self._backlog(subscription)
                        if subscription.is_open:
                            subscription.filled(*page)
                return
            except _TROUBLE as error:
                delay_s = self._next_delay(delay_s, error)
                await asyncio.sleep(delay_s)

    async def _backlog(
        self, subscription: "EventSubscription"
    ) -> tuple[list[ListedEvent], int, int]:
        """Return a subscription's next page, its seq, and the seq up to which events are gone."""
        organization, after_seq = subscription.organization, subscription.seq
        up_to_seq = organization.seq
        if subscription.types is not None:
            up_to_seq = min(up_to_seq, after_seq + SPAN)
        async with reading(self._connections, organization.org_id) as conn:
            rows, seq = await _page(conn, after_seq, up_to_seq, subscription.types)
            bounds = await event_feed.bounds(conn)  # after the page was read
        return rows, seq, bounds.gone_seq


class EventSubscription:
    """One reader's place in the events of its organization."""

    def __init__(
        self,
        organization: "_Organization",
        types: frozenset[str] | None,
        hours_of: str | None,
        seq: int,
        on_ready: Callable[[], None],
    ) -> None:
        self.organization = organization
        self.types, self.hours_of = types, hours_of
        self.seq = seq
        """All wanted events up to this one were taken."""
        self.gone_seq: int | None = None
        """Set once events behind `seq` were removed before they were read: the end."""
        self.has_failed = False
        """Set once events could not be read, as nobody foresaw: the end."""
        self.is_open = True
        self._on_ready = on_ready
        self._page: list[LiveEvent] = []
        self._page_seq = seq
        self._is_filling = False

    @property
    def is_behind(self) -> bool:
        """Whether there are events that were not taken."""
        return self.seq < self.organization.seq

    def pull(self, most_bytes: int) -> list[LiveEvent]:
        """Return the next wanted events, of about `most_bytes`; empty: wait for `on_ready`."""
        if self._page:
            taken, self._page = _split(self._page, most_bytes)
            self.seq = taken[-1].seq if self._page else self._page_seq
            return taken
        if self._is_filling or not self.is_behind or not self.is_open:
            return []
        recent = self.organization.since(self.seq)
        if recent is None:
            self._is_filling = True
            self.organization.feed.fill(self)
            return []
        return self._wanted(recent, most_bytes)

    def filled(self, rows: Iterable[ListedEvent], seq: int, gone_seq: int) -> None:
        """Take over a page of events up to `seq`."""
        self._is_filling = False
        if gone_seq > self.seq:
            self.gone_seq = gone_seq
            self.close()
        else:
            org_id = self.organization.org_id
            events = [LiveEvent(org_id, row) for row in rows]
            self._page = [event for event in events if event.is_wanted(self.types, self.hours_of)]
            self._page_seq = seq
            if not self._page:
                self.seq = seq
        self._on_ready()

    def notify(self) -> None:
        """Say that there are new events."""
        self._on_ready()

    def fail(self) -> None:
        """Take no more events, since they cannot be read."""
        self.has_failed = True
        self.close()
        self._on_ready()

    def close(self) -> None:
        """Take no more events."""
        if self.is_open:
            self.is_open = False
            self._page = []
            self.organization.subscriptions.discard(self)
            self.organization.feed.forget(self.organization)

    def _wanted(self, recent: Iterable[LiveEvent], most_bytes: int) -> list[LiveEvent]:
        taken: list[LiveEvent] = []
        taken_bytes = 0
        for event in recent:
            self.seq = event.seq
            if event.is_wanted(self.types, self.hours_of):
                taken.append(event)
                taken_bytes += event.size
                if taken_bytes >= most_bytes:
                    break
        return taken


class _Organization:
    """The recent events of one organization with subscriptions, without gaps up to `seq`."""

    def __init__(self, feed: EventFeed, org_id: UUID, seq: int) -> None:
        self.feed = feed
        self.org_id = org_id
        self.seq = self.newest_seq = seq
        self.is_reading = False
        self.fills = 0
        """The tasks that read a backlog, or wait for their turn."""
        self.subscriptions: set[EventSubscription] = set()
        self.recent_bytes = 0
        self.backlog_turn = asyncio.Lock()
        self._recent: list[LiveEvent] = []

    def since(self, seq: int) -> list[LiveEvent] | None:
        """Return the recent events behind `seq`; None where some of them are not in memory."""
        first_seq = self.seq + 1 - len(self._recent)
        return None if seq + 1 < first_seq else self._recent[seq + 1 - first_seq :]

    async def publish(self, rows: list[ListedEvent], seq: int) -> None:
        """Add the next events, up to `seq`, and tell all subscriptions."""
        events = [LiveEvent(self.org_id, row) for row in rows]
        if len(events) != seq - self.seq:
            self._recent.clear()  # some were removed by retention before they were read
            self.recent_bytes = 0
        else:
            self._recent += events
            self.recent_bytes += sum(event.memory_bytes for event in events)
            if self.recent_bytes > 2 * RECENT_BYTES:
                self.trim(RECENT_BYTES)
            self.feed.trim()
        self.seq = seq
        for number, subscription in enumerate(tuple(self.subscriptions), 1):
            subscription.notify()
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def trim(self, most_bytes: int) -> None:
        """Remove the oldest until the others need at most `most_bytes`."""
        removed = 0
        while self.recent_bytes > most_bytes:
            self.recent_bytes -= self._recent[removed].memory_bytes
            removed += 1
        del self._recent[:removed]


async def _page(
    conn: Connection, after_seq: int, up_to_seq: int, types: Collection[str] | None
) -> tuple[list[ListedEvent], int]:
    """Return the next events, and the seq up to which they are all."""
    rows = await event_feed.page(
        conn, after_seq, up_to_seq, types, most_rows=PAGE_ROWS, most_bytes=PAGE_BYTES
    )
    is_cut = len(rows) == PAGE_ROWS or sum(len(row.data.encode()) for row in rows) >= PAGE_BYTES
    return rows, rows[-1].seq if rows and is_cut else up_to_seq


def _split(page: list[LiveEvent], most_bytes: int) -> tuple[list[LiveEvent], list[LiveEvent]]:
    size = 0
    for number, event in enumerate(page, 1):
        size += event.size
        if size >= most_bytes:
            return page[:number], page[number:]
    return page, []
