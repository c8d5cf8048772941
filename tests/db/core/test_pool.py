"""A pool works again as soon as the server does."""

import asyncio
from contextlib import AsyncExitStack

import psycopg

from db.core.connect import pool
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
