"""The organization and the technician of the tests of timesheets."""

import pytest

from tests.api.punching import Worker, worker
from tests.api.resources.timekeeping import quarries
from tests.api.running import Organization, RunningApi


@pytest.fixture
async def org(api: RunningApi) -> Organization:
    """An organization of one test's own, in Zurich."""
    return await quarries(api)


@pytest.fixture
async def anna(api: RunningApi, org: Organization) -> Worker:
    """The technician."""
    return await worker(api, org, external_id="E-204")
