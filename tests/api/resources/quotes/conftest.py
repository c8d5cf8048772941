"""The organization of the tests of quotes."""

import pytest

from tests.api.running import Organization, RunningApi


@pytest.fixture
def org(api: RunningApi) -> Organization:
    """An organization of one test's own."""
    return api.organization("Quarries")
