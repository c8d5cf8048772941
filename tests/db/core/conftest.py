"""An organization, and connections that act for it."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest_asyncio

from db.core.connect import Pool, pool
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest


@pytest_asyncio.fixture
async def org(database: DatabaseUnderTest) -> UUID:
    """An organization of one test's own."""
    return (await Tenant.create(database)).org_id


@pytest_asyncio.fixture
async def connections(database: DatabaseUnderTest) -> AsyncIterator[Pool]:
    """A pool of one connection, so that one use of it gets that of the last."""
    async with pool(database.url("opsc_app"), "test", max_size=1) as opened:
        yield opened
