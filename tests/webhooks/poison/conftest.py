"""The connections of loops that tests run by themselves."""

from collections.abc import AsyncIterator

import pytest_asyncio

from db.core.connect import Pool, pool
from tests.servers import DatabaseUnderTest
from tests.webhooks.world import World


@pytest_asyncio.fixture
async def connections(world: World, database: DatabaseUnderTest) -> AsyncIterator[Pool]:
    """One connection of the delivering role: whoever held it while the guard needs one would wait
    for it.
    """
    await world.admin.execute("TRUNCATE mail_outbox, user_links")
    async with pool(database.url("opsc_deliver"), "test", max_size=1, wait_s=2) as opened:
        yield opened
