"""The organizations and the technician of the tests of work orders."""

import pytest

from tests.api.punching import Worker, worker
from tests.api.running import Organization, RunningApi


@pytest.fixture(scope="module")
def org(api: RunningApi) -> Organization:
    """The organization of this module."""
    return api.organization("Jobs")


@pytest.fixture
async def anna(api: RunningApi) -> tuple[Organization, Worker]:
    """The technician of an organization of one test's own, who punches by phone."""
    made = api.organization("Sites")
    return made, await worker(api, made)
