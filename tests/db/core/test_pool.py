"""A pool works again as soon as the server does."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress

import psycopg
import pytest

from db.core.connect import Limits, pool
from db.core.errors import NoAnswer
from tests.servers import DatabaseUnderTest

CONNECTIONS = 4


async def test_connections_that_the_server_has_ended_are_replaced_without_a_pause(
    database: DatabaseUnderTest,
) -> None:
    url = database.url("opsc_app")
    async with pool(url, "restarted", max_size=CONNECTIONS, wait_s=2) as connections:
        async with AsyncExitStack() as held:
            for _ in range(CONNECTIONS):
                await held.enter_async_context(connections.connection())
        with psycopg.connect(database.url("admin"), autocommit=True) as admin:
            ended = admin.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE application_name = 'restarted'"
            )
            assert ended.rowcount == CONNECTIONS
        async with connections.connection() as conn:
            await conn.execute("SELECT 1")


async def test_a_request_that_is_given_up_while_its_connection_is_checked_keeps_none(
    database: DatabaseUnderTest,
) -> None:
    with psycopg.connect(database.url("admin"), autocommit=True) as admin:
        async with pool(database.url("opsc_app"), "test", max_size=1, wait_s=2) as connections:
            for turns in range(10):  # of the event loop until it is given up
                async with connections.connection() as conn:
                    await conn.execute("LISTEN news")
                admin.execute("NOTIFY news")
                asking = asyncio.create_task(connections.getconn())
                for _ in range(turns):
                    await asyncio.sleep(0)
                if asking.done():
                    await connections.putconn(await asking)
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            async with connections.connection() as conn:
                await conn.execute("SELECT 1")


@pytest.fixture
def stopped() -> Iterator[Callable[[int], None]]:
    """Stop a process of the server; it goes on at the end of the test."""
    pids: list[int] = []

    def stop(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        pids.append(pid)

    yield stop
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def test_a_server_that_answers_nothing_is_given_up_and_its_other_connections_with_it(
    database: DatabaseUnderTest, stopped: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.core.connect._ANSWER_S", 0.2)
    limits = Limits(statement_s=0.3)
    async with pool(
        database.url("opsc_app"), "test", min_size=3, max_size=3, limits=limits
    ) as connections:
        async with AsyncExitStack() as all_of_them:
            for _ in range(3):
                conn = await all_of_them.enter_async_context(connections.connection())
                stopped(conn.info.backend_pid)
        with pytest.raises(NoAnswer):
            async with connections.connection() as conn:
                await conn.execute("SELECT 1")
        for _ in range(3):
            async with connections.connection() as conn:
                await conn.execute("SELECT 1")
