"""Fixtures that every test may use: real servers, fresh databases.

- ``broker``: a mosquitto for the session; give topics and client ids of your own.
- ``database``: a freshly migrated database for each test module; ``.url(role)``.
- ``private_broker(...)``, ``private_postgres()``: servers of one test's own, to kill and restart.

`make test` runs files side by side, a worker for each processor: the longest first, by
``durations.json``, and those that run whole systems one after the other.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.servers.programs import Programs, provision
from tests.servers import (
    BrokerUnderTest,
    DatabaseUnderTest,
    PostgresUnderTest,
    Servers,
    running_servers,
)

DURATIONS_S: dict[str, float] = json.loads(
    Path(__file__).with_name("durations.json").read_text(encoding="utf-8")
)
"""By file, written by `python -m tests.durations`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Group files for the workers, and put what takes longest first."""
    group_of: dict[Path, str] = {}
    for item in items:
        name = item.path.relative_to(Path(__file__).parent).as_posix()
        group_of[item.path] = name
        if item.get_closest_marker("acceptance"):
            group_of[item.path] = "whole systems"
    seconds: dict[str, float] = defaultdict(float)
    for path, group in group_of.items():
        seconds[group] += DURATIONS_S.get(path.relative_to(Path(__file__).parent).as_posix(), 0.0)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of[item.path]))
    items.sort(key=lambda item: (-seconds[group_of[item.path]], group_of[item.path]))


@pytest.fixture(scope="session")
def programs() -> Programs:
    """The servers' programs, fetched once where the system has none."""
    return provision()


@pytest.fixture(scope="session")
def servers(programs: Programs) -> Iterator[Servers]:
    """Servers that live as long as the session."""
    with running_servers(programs) as running:
        yield running


@pytest.fixture(scope="session")
def postgres(servers: Servers) -> PostgresUnderTest:
    """The session's PostgreSQL."""
    return servers.start_postgres()


@pytest.fixture(scope="session")
def broker(servers: Servers) -> BrokerUnderTest:
    """The session's mosquitto; not to be stopped."""
    return servers.start_broker()


@pytest.fixture(scope="module")
def database(postgres: PostgresUnderTest) -> Iterator[DatabaseUnderTest]:
    """A migrated database, new for each module."""
    fresh = postgres.migrated_database()
    yield fresh
    postgres.drop(fresh)


@pytest.fixture
def empty_database(postgres: PostgresUnderTest) -> Iterator[DatabaseUnderTest]:
    """A database without our schema, new for each test."""
    fresh = postgres.empty_database()
    yield fresh
    postgres.drop(fresh)


@pytest.fixture
def readable_folder() -> Iterator[Path]:
    """A folder that a broker under another user can read; pytest's own are closed to it."""
    with tempfile.TemporaryDirectory(prefix="opsc-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def private_servers(programs: Programs) -> Iterator[Servers]:
    """Servers that end with the test."""
    with running_servers(programs) as running:
        yield running


@pytest.fixture
def private_broker(private_servers: Servers) -> Callable[..., BrokerUnderTest]:
    """Call it with settings of mosquitto.conf; ``.stop()``, ``.kill()``, ``.start()`` at will."""
    return private_servers.start_broker


@pytest.fixture
def private_postgres(private_servers: Servers) -> Callable[[], PostgresUnderTest]:
    """``private_postgres().migrated_database()``; ``.stop()``, ``.kill()``, ``.start()``."""
    return private_servers.start_postgres
