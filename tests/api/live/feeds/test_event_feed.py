"""The feed of one process: no organization and no reader holds up the others."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Self
from uuid import UUID

import pytest
from psycopg import AsyncCursor
from psycopg.sql import Composable

from api.live.feeds import event_feed as live_event_feed
from api.live.feeds.event_feed import BeyondNewest, EventFeed, EventSubscription
from db.core.connect import Pool, pool
from stack.cli.organizations.delete import delete
from tests.api.live.feeds.locking import locked
from tests.api.live.reading import emit
from tests.api.running import Organization, RunningApi
from tests.waiting import until

ALL_BYTES = 1_000_000


@pytest.fixture
async def connections(api: RunningApi, reads: "Reading") -> AsyncIterator[Pool]:
    opened = pool(api.database.url("opsc_app"), "test", max_size=4, wait_s=0.5)
    opened.kwargs = {**(opened.kwargs or {}), "cursor_factory": reads.cursor_class()}
    async with opened:
        yield opened


@pytest.fixture
def feed(connections: Pool) -> EventFeed:
    return EventFeed(connections, poll_s=0.02)


@pytest.fixture
async def running(feed: EventFeed) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(feed.run(asyncio.Event()))
    yield task
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class Reading:
    """The reads of pages, as a slow database has them."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.held: UUID | None = None
        """The organization whose reads wait until `go_on` is set."""
        self.poisoned: UUID | None = None
        """The organization whose reads fail."""
        self.count = 0

    def cursor_class(self) -> type[AsyncCursor[Any]]:
        """Return a class of cursors that read pages so."""
        reads = self

        class Slow(AsyncCursor[Any]):
            async def execute(self, query: Any, *args: Any, **options: Any) -> Self:
                if isinstance(query, Composable) and "bytes_before" in query.as_string():
                    reads.count += 1
                    asked = await AsyncCursor(self.connection).execute("SELECT current_org_id()")
                    (org_id,) = await asked.fetchone() or (None,)
                    if org_id is not None and org_id == reads.poisoned:
                        raise TypeError("nobody foresaw this")
                    if org_id == reads.held:
                        await reads.go_on.wait()
                return await super().execute(query, *args, **options)

        return Slow


@pytest.fixture
def reads() -> Reading:
    return Reading()


def ignore() -> None: ...


def taken(subscription: EventSubscription) -> list[int]:
    return [event.seq for event in subscription.pull(ALL_BYTES)]


@pytest.mark.usefixtures("running")
async def test_recent_events_of_all_organizations_together_are_bounded(
    api: RunningApi,
    north: Organization,
    south: Organization,
    feed: EventFeed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = await feed.subscribe(north.org_id, None, None, ignore)
    other = await feed.subscribe(south.org_id, None, None, ignore)
    of_one = emit(api, north, 5)
    await until(lambda: one.organization.seq == of_one[-1])
    kept_bytes = feed.recent_bytes
    event = one.organization.since(of_one[0] - 1)[0]  # pyright: ignore[reportOptionalSubscript]
    needed = sys.getsizeof(event.content) + sys.getsizeof(event.frame) + sys.getsizeof(event.chunk)
    assert needed + sys.getsizeof(event) <= event.memory_bytes

    monkeypatch.setattr(live_event_feed, "MOST_RECENT_BYTES", kept_bytes)
    of_other = emit(api, south, 1)
    await until(lambda: other.organization.seq == of_other[-1])
    assert feed.recent_bytes < kept_bytes
    assert one.organization.since(of_one[0] - 1) is None
    assert taken(other) == of_other
    assert taken(one) == []  # they are read from the table
    got: list[int] = []
    await until(lambda: got.extend(taken(one)) or len(got) == 5)
    assert got == of_one


@pytest.mark.usefixtures("running")
async def test_an_organization_that_is_read_slowly_holds_up_no_other(
    api: RunningApi, north: Organization, south: Organization, feed: EventFeed, reads: Reading
) -> None:
    slow = await feed.subscribe(north.org_id, None, None, ignore)
    quick = await feed.subscribe(south.org_id, None, None, ignore)
    reads.held = north.org_id
    late = emit(api, north, 2)
    await until(lambda: reads.count == 1)
    seqs = emit(api, south, 2)
    await until(lambda: quick.is_behind)
    assert taken(quick) == seqs
    late += emit(api, north, 1)
    assert not slow.is_behind
    reads.go_on.set()
    await until(lambda: slow.organization.seq == late[-1])
    assert taken(slow) == late


async def test_events_that_cannot_be_read_end_their_readers_alone(
    api: RunningApi,
    north: Organization,
    south: Organization,
    feed: EventFeed,
    running: asyncio.Task[None],
    reads: Reading,
) -> None:
    other = await feed.subscribe(south.org_id, None, None, ignore)
    at_the_end = await feed.subscribe(north.org_id, None, None, ignore)
    emit(api, north)
    await until(lambda: at_the_end.is_behind)
    reads.poisoned = north.org_id
    ready = asyncio.Event()
    behind = await feed.subscribe(north.org_id, None, 0, ready.set)
    assert taken(behind) == []
    await asyncio.wait_for(ready.wait(), 60)
    assert behind.has_failed
    assert not behind.is_open
    emit(api, north)
    await until(lambda: at_the_end.has_failed)
    seqs = emit(api, south, 2)
    await until(lambda: other.is_behind)
    assert taken(other) == seqs
    assert not running.done()

    reads.poisoned = None
    again = await feed.subscribe(north.org_id, None, None, ignore)
    seqs = emit(api, north, 2)
    await until(lambda: again.organization.seq == seqs[-1])
    assert taken(again) == seqs


async def test_an_organization_that_is_deleted_ends_nobody_elses_feed(
    api: RunningApi,
    feed: EventFeed,
    running: asyncio.Task[None],
    reads: Reading,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stack.cli.organizations.delete.SETTLE_S", 0)
    org = api.organization("Gone")
    emit(api, org)
    reads.held = org.org_id
    ready = asyncio.Event()
    behind = await feed.subscribe(org.org_id, None, 0, ready.set)
    assert taken(behind) == []
    await until(lambda: reads.count == 1)
    await delete(api.database.url("admin"), org.org_id, lambda _: None)
    reads.go_on.set()
    await asyncio.wait_for(ready.wait(), 5)
    assert not running.done()
    assert taken(behind) == []


async def test_who_comes_and_goes_holds_up_no_backlog(
    api: RunningApi, north: Organization, south: Organization, feed: EventFeed, reads: Reading
) -> None:
    reads.held = north.org_id
    emit(api, north), emit(api, south)
    for _ in range(20):
        left = await feed.subscribe(north.org_id, None, 0, ignore)
        assert taken(left) == []
        await asyncio.sleep(0)
        left.close()
    await until(lambda: reads.count == 1)
    ready = asyncio.Event()
    other = await feed.subscribe(south.org_id, None, 0, ready.set)
    assert taken(other) == []
    await asyncio.wait_for(ready.wait(), 60)
    assert taken(other) == list(range(1, other.seq + 1))
    ready.clear()
    last = await feed.subscribe(north.org_id, None, 0, ready.set)
    assert taken(last) == []
    reads.go_on.set()
    await asyncio.wait_for(ready.wait(), 60)
    assert taken(last) == list(range(1, last.seq + 1))
    assert reads.count == 3  # of the 20, one was being read when it left


async def test_those_who_begin_leave_connections_for_requests(
    api: RunningApi, feed: EventFeed, connections: Pool
) -> None:
    org = api.organization("Begins")
    with locked(api, "events") as waiting:
        begin = (feed.subscribe(org.org_id, None, 1, ignore) for _ in range(20))
        begun = asyncio.gather(*begin, return_exceptions=True)
        await until(lambda: waiting() == 2)
        async with connections.connection():  # that of a request
            assert waiting() == 2
    assert {type(refusal) for refusal in await begun} == {BeyondNewest}


@pytest.mark.usefixtures("running")
async def test_others_have_their_turn_while_many_readers_are_fed(
    feed: EventFeed, api: RunningApi, org: Organization
) -> None:
    readers, by_pass = 45, [0]

    def hear() -> None:
        by_pass[-1] += 1

    async def work() -> None:
        while True:
            await asyncio.sleep(0)
            by_pass.append(0)

    every = [await feed.subscribe(org.org_id, None, None, hear) for _ in range(readers)]
    other = asyncio.create_task(work())
    (seq,) = emit(api, org)
    await until(lambda: sum(by_pass) == readers)
    other.cancel()
    assert max(by_pass) <= 10
    assert [taken(each) for each in every] == [[seq]] * readers
