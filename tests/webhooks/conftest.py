"""The common fixtures of the tests of delivery."""

from collections.abc import AsyncIterator

import pytest

from db.core import leases
from db.core.connect import Connection, connect
from db.delivery import sequencer
from tests.servers import DatabaseUnderTest
from tests.webhooks.world import World, world_in


@pytest.fixture
async def world(database: DatabaseUnderTest) -> AsyncIterator[World]:
    """Organizations, endpoints and events in the module's database, none at first."""
    async with world_in(database) as world:
        await world.clear()
        yield world


@pytest.fixture
async def deliver(database: DatabaseUnderTest) -> AsyncIterator[Connection]:
    """A connection of the delivering role."""
    async with await connect(database.url("opsc_deliver"), "test") as conn:
        yield conn


@pytest.fixture
async def epoch(world: World, deliver: Connection) -> int | None:
    """The epoch of a sequencer that leads."""
    return await leases.acquire(deliver, sequencer.LEASE, "test", 60)
