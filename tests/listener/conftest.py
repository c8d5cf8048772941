"""The organization of a test."""

import pytest

from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest


@pytest.fixture
async def tenant(database: DatabaseUnderTest) -> Tenant:
    """A new organization."""
    return await Tenant.create(database)
