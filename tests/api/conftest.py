"""An API over a database of the module's own, with two organizations that look alike."""

from collections.abc import Iterator

import pytest

from tests.api.running import Organization, RunningApi, running_api
from tests.servers import DatabaseUnderTest


@pytest.fixture(scope="module")
def api(database: DatabaseUnderTest) -> Iterator[RunningApi]:
    """The API over a migrated database."""
    with running_api(database) as running:
        yield running


@pytest.fixture(scope="module")
def north(api: RunningApi) -> Organization:
    """An organization."""
    return api.organization("Acme")


@pytest.fixture(scope="module")
def south(api: RunningApi) -> Organization:
    """Another organization of the same name, with the same users."""
    return api.organization("Acme")
