"""Both roles."""

from collections.abc import Iterator

import pytest

from tests.listener.running import System, running
from tests.servers import DatabaseUnderTest


@pytest.fixture(scope="module")
def system(database: DatabaseUnderTest) -> Iterator[System]:
    with running(database) as made:
        yield made
