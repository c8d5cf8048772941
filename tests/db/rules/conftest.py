"""Rules that the database holds."""

import asyncio
from uuid import UUID

import pytest

from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest


@pytest.fixture(scope="module")
def org_id(database: DatabaseUnderTest) -> UUID:
    """An organization."""
    return asyncio.run(Tenant.create(database)).org_id
