"""An API with two organizations that look alike.

The modules of a worker share one API and its database, with organizations of their own. A module
that looks at more than its organizations, or changes it, is marked `own_api`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.mailbox import Mailbox
from tests.api.running import Organization, RunningApi, running_api
from tests.servers import PostgresUnderTest


@pytest.fixture(scope="session")
def shared_api(postgres: PostgresUnderTest) -> Iterator[RunningApi]:
    """The worker's API. Requests of all modules come from one address: it is not limited."""
    database = postgres.migrated_database()
    with running_api(database, api_address_requests_per_minute=1_000_000) as running:
        yield running


@pytest.fixture(scope="module")
def api(request: pytest.FixtureRequest, postgres: PostgresUnderTest) -> Iterator[RunningApi]:
    """The worker's API, or one over the module's `database`. Naming `postgres` marks its tests as
    `servers`.
    """
    if request.node.get_closest_marker("own_api") is None:
        yield request.getfixturevalue("shared_api")
        return
    with running_api(request.getfixturevalue("database")) as running:
        yield running


@pytest.fixture(scope="module")
def north(api: RunningApi) -> Organization:
    """An organization."""
    return api.organization("Acme")


@pytest.fixture(scope="module")
def south(api: RunningApi) -> Organization:
    """Another organization of the same name, with the same users."""
    return api.organization("Acme")


@pytest.fixture
def org(api: RunningApi) -> Organization:
    """An organization of one test's own."""
    return api.organization("Quarries")


@pytest.fixture
async def mailbox(api: RunningApi, tmp_path: Path) -> Mailbox:
    """The letters that the API's deliverer sends, to whomever; none of tests before."""
    made = Mailbox(api, tmp_path / "mail")
    await made.letters()
    return made
