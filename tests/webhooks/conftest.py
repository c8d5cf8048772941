"""The common fixtures of the tests of delivery."""

from collections.abc import AsyncIterator

import pytest

from tests.servers import DatabaseUnderTest
from tests.webhooks.world import World, world_in


@pytest.fixture
async def world(database: DatabaseUnderTest) -> AsyncIterator[World]:
    """Organizations, endpoints and events in the module's database, none at first."""
    async with world_in(database) as world:
        await world.clear()
        yield world
