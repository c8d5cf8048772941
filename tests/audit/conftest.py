"""The API of the tests of the API, but for one limit: this many requests without a good credential
come from here that most would be refused as too many, where 401 is the answer to be seen."""

from collections.abc import Iterator

import pytest

from tests.api.running import RunningApi, running_api
from tests.servers import DatabaseUnderTest


@pytest.fixture(scope="module")
def api(database: DatabaseUnderTest) -> Iterator[RunningApi]:
    with running_api(database, api_address_requests_per_minute=1_000_000) as running:
        yield running
