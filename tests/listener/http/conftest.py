"""Both roles, and a client."""

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from tests.listener.running import System, running
from tests.servers import DatabaseUnderTest


@pytest.fixture(scope="module")
def system(database: DatabaseUnderTest) -> Iterator[System]:
    with running(database) as made:
        yield made


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made
