"""The guard of background work, for loops that tests run by themselves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import LiteralString

from prometheus_client import CollectorRegistry

from db.core.connect import Connection, Pool, connect
from db.history import failing_work
from db.history.failing_work import FailingWork
from service.background.row_guard import GuardLimits, GuardMetrics, RowGuard
from tests.waiting import until
from webhooks.outages import NOT_OF_A_ROW, SLOW

AT_ONCE = GuardLimits(first_s=0.05, most_s=0.1, most_tries=3, refresh_s=0.05)


def guard_of(connections: Pool, limits: GuardLimits | None = None) -> RowGuard:
    return _guard(connections.connection, limits)


def guard_at(url: str, limits: GuardLimits | None = None) -> RowGuard:
    """Return a guard that connects for each of its statements."""

    @asynccontextmanager
    async def connection() -> AsyncIterator[Connection]:
        async with await connect(url, "test-guard") as conn:
            yield conn

    return _guard(connection, limits)


def _guard(
    connection: Callable[[], AbstractAsyncContextManager[Connection]], limits: GuardLimits | None
) -> RowGuard:
    metrics = GuardMetrics(CollectorRegistry())
    return RowGuard(FailingWork(connection), NOT_OF_A_ROW, SLOW, metrics, limits)


async def failing(admin: Connection) -> list[tuple[str, str, bool]]:
    """Return kind and organization of failing rows, and whether a row is set aside."""
    cursor = await admin.execute(
        "SELECT kind, coalesce(org_id::text, ''), retry_at = 'infinity' FROM failing_work"
        " ORDER BY 1, 2"
    )
    return await cursor.fetchall()


async def is_set_aside(admin: Connection, kind: str) -> bool:
    cursor = await admin.execute(
        "SELECT FROM failing_work WHERE kind = %s AND retry_at = 'infinity'", (kind,)
    )
    return cursor.rowcount > 0


async def was_set_aside(admin: Connection, kind: str, key: object) -> None:
    """Wait until a row was tried as often as it may be, and see that no other row fails."""
    await until(partial(is_set_aside, admin, kind))
    cursor = await admin.execute("SELECT kind, key, tries FROM failing_work")
    assert await cursor.fetchall() == [(kind, str(key), AT_ONCE.most_tries)]


async def nothing_fails(admin: Connection) -> bool:
    return await failing(admin) == []


async def let_go(admin: Connection, kind: str) -> None:
    """Let rows go, as `opsc work release` does."""
    assert await failing_work.release(admin, kind, None) > 0


@asynccontextmanager
async def at_work(
    *loops: Callable[[asyncio.Event], Awaitable[None]], wake: Callable[[], None] | None = None
) -> AsyncIterator[None]:
    """Run loops until the block ends. A loop that ends before is a failure of the test."""
    stop = asyncio.Event()

    async def run(loop: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        await loop(stop)
        assert stop.is_set()

    async with asyncio.TaskGroup() as tasks:
        for loop in loops:
            tasks.create_task(run(loop))
        try:
            yield
        finally:
            stop.set()
            if wake is not None:
                wake()


@asynccontextmanager
async def poisoned(admin: Connection, action: LiteralString, condition: str) -> AsyncIterator[None]:
    """Let PostgreSQL raise what nobody foresaw for some rows. action: like DELETE ON jobs."""
    await admin.execute(
        """
        CREATE OR REPLACE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE 'poison' USING ERRCODE = '22000'; END $$
        """
    )
    await admin.execute(
        f"CREATE TRIGGER poison BEFORE {action} FOR EACH ROW WHEN ({condition})"
        " EXECUTE FUNCTION poison()".encode()
    )
    try:
        yield
    finally:
        await admin.execute(f"DROP TRIGGER poison ON {action.split()[-1]}".encode())
