"""The live map over a real database: no change is missed, and no organization sees another's."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from api.live.feeds.positions import PositionFeed, PositionSubscription, WantedPositions
from db.core.connect import Pool, pool
from db.core.errors import DatabaseError
from db.core.tenant import reading
from db.history.last_positions import HORIZON
from db.history.latest_positions import EMPLOYEES, EVER, changed
from telemetry.ids import format_id
from tests.ingest.punches.punching import Crew
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest
from tests.waiting import until

NOW = datetime.now(UTC).replace(microsecond=0)
MOVE = """
INSERT INTO latest_positions AS known (org_id, asset_id, tracker_id, time, seq, lat, lon, speed_mps)
VALUES (%(org)s, %(asset)s, %(asset)s, %(time)s, 0, %(lat)s, 4, 2.5)
    ON CONFLICT (org_id, asset_id) DO UPDATE
   SET lat = excluded.lat, time = excluded.time, changed_by = pg_current_xact_id()
"""


class Clock:
    """A clock that goes when it is told to."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def connections(database: DatabaseUnderTest) -> AsyncIterator[Pool]:
    async with pool(database.url("opsc_app"), "test", max_size=2, wait_s=0.5) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def feed(connections: Pool, clock: Clock) -> PositionFeed:
    return PositionFeed(connections, look_s=0.01, clock=clock)


@pytest.fixture
async def tenant(database: DatabaseUnderTest) -> Tenant:
    return await Tenant.create(database)


def writer(database: DatabaseUnderTest) -> psycopg.Connection[Any]:
    """Return a connection as ingest has one; it commits when it is told to."""
    return psycopg.connect(database.url("opsc_ingest"))


def move(
    conn: psycopg.Connection[Any],
    tenant: Tenant,
    asset_id: UUID,
    lat: float,
    time: datetime = NOW,
) -> None:
    conn.execute(MOVE, {"org": tenant.org_id, "asset": asset_id, "lat": lat, "time": time})


def ignore() -> None: ...


def taken(subscription: PositionSubscription) -> dict[str, Any]:
    bodies = [json.loads(body) for body in subscription.pull()]
    return {body["id"]: body["position"] and body["position"]["lat"] for body in bodies}


async def subscribe(
    feed: PositionFeed, tenant: Tenant, wanted: WantedPositions | None = None
) -> PositionSubscription:
    return await feed.subscribe(tenant.org_id, wanted or WantedPositions(), ignore)


async def test_a_transaction_that_began_first_and_commits_last_is_not_missed(
    database: DatabaseUnderTest, feed: PositionFeed, tenant: Tenant
) -> None:
    slow, fast = await tenant.asset(), await tenant.asset()
    names = {each: format_id("ast", each) for each in (slow, fast)}
    with writer(database) as one, writer(database) as other:
        subscription = await subscribe(feed, tenant)
        move(one, tenant, slow, 1)
        move(other, tenant, fast, 2)
        other.commit()
        await feed.look()
        assert taken(subscription) == {names[fast]: 2}
        move(other, tenant, fast, 3)
        other.commit()
        await feed.look()
        assert taken(subscription) == {names[fast]: 3}
        one.commit()
        await feed.look()
        assert taken(subscription) == {names[slow]: 1}
        await feed.look()
        assert taken(subscription) == {}


async def test_only_what_may_be_new_is_read_again(
    database: DatabaseUnderTest, connections: Pool, tenant: Tenant
) -> None:
    assets = [await tenant.asset() for _ in range(3)]
    with writer(database) as conn:
        for asset_id in assets:
            move(conn, tenant, asset_id, 1)
        conn.commit()
        async with reading(connections, tenant.org_id) as reader:
            first = await changed(reader, EVER, NOW, limit=2)
            rest = await changed(reader, EVER, NOW, after=first.rows[-1].id, limit=2)
            assert [row.id for row in (*first.rows, *rest.rows)] == sorted(assets)
            move(conn, tenant, assets[1], 2)
            conn.commit()
            news = await changed(reader, rest.as_of, NOW, limit=5)
            assert [row.id for row in news.rows] == [assets[1]]


@pytest.mark.parametrize("shows", [True, False])
async def test_employees_are_read_only_where_they_are_shown(
    connections: Pool, database: DatabaseUnderTest, tenant: Tenant, shows: bool
) -> None:
    crew = Crew(tenant)
    here, left, deleted = [await crew.employee() for _ in range(3)]
    await crew.execute("UPDATE employees SET left_on = '2026-01-31' WHERE id = %s", [left])
    await crew.execute("UPDATE employees SET deleted_at = now() WHERE id = %s", [deleted])
    with writer(database) as conn:
        for employee_id in (here, left, deleted):
            conn.execute(
                "INSERT INTO latest_employee_positions (org_id, employee_id, time, lat, lon)"
                " VALUES (%s, %s, %s, 1, 2)",
                (tenant.org_id, employee_id, NOW),
            )
    await tenant.settings(shows_employees=shows)
    async with reading(connections, tenant.org_id) as reader:
        found = await changed(reader, EVER, NOW, limit=9, of=EMPLOYEES)
    assert [row.id for row in found.rows] == [here] * shows


async def test_many_pages_are_read_and_others_wait_for_the_first_reading(
    database: DatabaseUnderTest, feed: PositionFeed, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.live.feeds.positions.PAGE_ROWS", 2)
    with writer(database) as conn:
        for number in range(5):
            move(conn, tenant, await tenant.asset(), number)
    two = await asyncio.gather(subscribe(feed, tenant), subscribe(feed, tenant))
    assert [len(taken(one)) for one in two] == [5, 5]


async def test_no_organization_sees_another_s(
    database: DatabaseUnderTest, feed: PositionFeed, tenant: Tenant
) -> None:
    other = await Tenant.create(database)
    mine, theirs = await tenant.asset(), await other.asset()
    wanted = WantedPositions(ids=frozenset({mine, theirs}))
    with writer(database) as conn:
        move(conn, tenant, mine, 1)
        move(conn, other, theirs, 2)
        conn.commit()
        subscription = await subscribe(feed, tenant, wanted)
        assert taken(subscription) == {format_id("ast", mine): 1}
        assert taken(await subscribe(feed, other)) == {format_id("ast", theirs): 2}
        move(conn, other, theirs, 3)
        conn.commit()
    await feed.look()
    assert taken(subscription) == {}


async def test_what_else_becomes_of_assets_is_seen_now_and_then(
    database: DatabaseUnderTest, feed: PositionFeed, tenant: Tenant, clock: Clock
) -> None:
    renamed, deleted, lost, old = [await tenant.asset() for _ in range(4)]
    with writer(database) as conn:
        for asset_id in (renamed, deleted, lost):
            move(conn, tenant, asset_id, 1)
        move(conn, tenant, old, 1, NOW - HORIZON - timedelta(days=1))
        conn.commit()
        subscription = await subscribe(feed, tenant)
        assert len(subscription.pull()) == 3  # what is too old is not shown
        conn.execute(
            "UPDATE latest_positions SET time = NULL, changed_by = pg_current_xact_id()"
            " WHERE asset_id = %s",
            (lost,),
        )
    with psycopg.connect(database.url("admin")) as admin:
        admin.execute("UPDATE assets SET name = 'Crane' WHERE id = %s", (renamed,))
        admin.execute("UPDATE assets SET deleted_at = now() WHERE id = %s", (deleted,))
    await feed.look()
    assert taken(subscription) == {format_id("ast", lost): None}
    clock.now_s = 20.0
    await feed.look()
    news = {one["id"]: one for one in map(json.loads, subscription.pull())}
    assert news.keys() == {format_id("ast", renamed), format_id("ast", deleted)}
    assert news[format_id("ast", renamed)]["name"] == "Crane"
    assert news[format_id("ast", deleted)]["position"] is None


async def test_it_goes_on_after_the_database_was_away(
    database: DatabaseUnderTest, feed: PositionFeed, tenant: Tenant, connections: Pool
) -> None:
    asset_id, ready, stop = await tenant.asset(), asyncio.Event(), asyncio.Event()
    subscription = await feed.subscribe(tenant.org_id, WantedPositions(), ready.set)
    assert not ready.is_set()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(feed.run(stop))
        held = [await connections.getconn() for _ in range(2)]
        with pytest.raises(DatabaseError):
            await subscribe(feed, await Tenant.create(database))
        with writer(database) as conn:
            move(conn, tenant, asset_id, 7)
        for each in held:
            await connections.putconn(each)
        await until(ready.is_set)
        assert taken(subscription) == {format_id("ast", asset_id): 7}
        subscription.close()
        await until(lambda: not feed._organizations)  # pyright: ignore[reportPrivateUsage]
        stop.set()


async def test_no_organization_waits_for_another_one_s_look(
    database: DatabaseUnderTest, feed: PositionFeed, tenant: Tenant
) -> None:
    other, ready, stop = await Tenant.create(database), asyncio.Event(), asyncio.Event()
    asset_id = await other.asset()
    large = await subscribe(feed, tenant)
    subscription = await feed.subscribe(other.org_id, WantedPositions(), ready.set)
    organization = feed._organizations[tenant.org_id]  # pyright: ignore[reportPrivateUsage]
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        async with organization.reading:  # as a look that takes long
            tasks.create_task(feed.run(stop))
            for lat in (1, 2, 3):
                with writer(database) as conn:
                    move(conn, other, asset_id, lat)
                await ready.wait()
                ready.clear()
                assert taken(subscription) == {format_id("ast", asset_id): lat}
        stop.set()
    large.close()


async def test_who_waits_behind_a_reading_that_fails_is_fed(
    database: DatabaseUnderTest, feed: PositionFeed, tenant: Tenant, connections: Pool
) -> None:
    asset_id, refused = await tenant.asset(), asyncio.Event()
    held = [await connections.getconn() for _ in range(2)]

    async def first() -> None:
        with pytest.raises(DatabaseError):
            await subscribe(feed, tenant)
        refused.set()
        await feed.look()  # before the one who waits goes on

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(first())
        second = tasks.create_task(subscribe(feed, tenant))
        await refused.wait()
        for each in held:
            await connections.putconn(each)
    with writer(database) as conn:
        move(conn, tenant, asset_id, 7)
    await feed.look()
    assert taken(second.result()) == {format_id("ast", asset_id): 7}
