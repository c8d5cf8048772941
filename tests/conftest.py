"""Fixtures that every test may use: real servers, fresh databases.

- ``broker``: a mosquitto for the session; give topics and client ids of your own.
- ``log_server``: a RabbitMQ for the session; ``.new_url()`` is an empty log.
- ``database``: a freshly migrated database for each test module; ``.url(role)``.
- ``installation``: a whole system for the session; ``.up()`` starts it where a test has ended it.
- ``private_broker(...)``, ``private_postgres()``: servers of one test's own, to kill and restart.

Files run side by side, in the order of ``scheduling/files.py``. `make test-all` runs the long
forms: tests marked ``long``, and properties with more examples.
"""

from __future__ import annotations

import gc
import logging
import tempfile
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path

import pytest
import structlog
from hypothesis import settings
from structlog.testing import LogCapture
from structlog.typing import EventDict

from stack.host.programs import Programs, provision
from tests.data import LACKING
from tests.fork_server import STARTS
from tests.scheduling import files, subjects
from tests.scheduling.files import SHARED_SYSTEM, group_of
from tests.servers import (
    BrokerUnderTest,
    DatabaseUnderTest,
    LogUnderTest,
    PostgresUnderTest,
    Servers,
    data_folder,
    running_servers,
)
from tests.stack.command import Installation

INSTALLATION = pytest.StashKey[Installation]()
_freeze = gc.freeze

settings.register_profile("short", max_examples=20, deadline=None)
settings.register_profile("long", max_examples=600, deadline=None)
settings.load_profile("short")  # unless --hypothesis-profile names another

pytest_addoption = subjects.add_option


def pytest_configure(config: pytest.Config) -> None:
    """Let roles and `opsc` be forked from here on; order the tests."""
    STARTS.install()
    config.pluginmanager.register(files)
    config.pluginmanager.register(subjects)


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say what happens before the first dot, where workers run the tests: they print nothing."""
    workers = config.getoption("numprocesses", None)
    if not workers:
        return None
    return (
        f"workers: {workers}; first each imports the tests, which are compiled the first time,"
        "\nthen makes a database and runs the longest files: minutes may pass without a dot"
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep garbage collection away from thousands of tests, which stay.

    Each look through all of them takes half a second, and every leader of ingest begins with one.
    It would thaw them, too: freezing is for a process of its own.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        _freeze()
        gc.freeze = gc.unfreeze = lambda: None


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object],
) -> Generator[None, object, object]:
    """Keep it away from what a fixture of the session makes, such as an API, too."""
    made = yield
    if fixturedef.scope == "session":
        gc.collect()
        _freeze()
    return made


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need the servers' programs, before `-m` chooses."""
    for item in items:
        if "programs" in getattr(item, "fixturenames", ()):
            item.add_marker("servers")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start programs as a user starts them, where the test says so."""
    STARTS.is_on = item.get_closest_marker("fresh_start") is None


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the shared system after the last of its tests: it is busy where it has nothing to do."""
    shared = item.config.stash.get(INSTALLATION, None)
    next_group = None if nextitem is None else group_of(nextitem.nodeid)
    if shared is not None and next_group != SHARED_SYSTEM:
        shared.end()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say in the last line of all which data the tests went without."""
    STARTS.remove()
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None:  # a worker
        return
    skipped = terminal.stats.get("skipped", ())
    reasons = [report.longrepr[2].removeprefix("Skipped: ") for report in skipped]
    lacking = [reason for reason in reasons if reason.startswith(LACKING)]
    if lacking:
        told = f"NOT TESTED ({len(lacking)} skipped): {'; '.join(sorted(set(lacking)))}"
        terminal.write_line(told, red=True)


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    """What this process logs meanwhile, from level info on, whatever level is set."""
    before, capture = structlog.get_config(), LogCapture()
    level = structlog.make_filtering_bound_logger(logging.INFO)
    structlog.configure(processors=[capture], wrapper_class=level)
    yield capture.entries
    structlog.configure(**before)


@pytest.fixture(scope="session")
def programs() -> Programs:
    """The servers' programs, fetched once where the system has none."""
    STARTS.prepare()  # it is ready when the first server is
    return provision()


@pytest.fixture(scope="session")
def servers(programs: Programs) -> Iterator[Servers]:
    """Servers that live as long as the session."""
    with running_servers(programs) as running:
        yield running


@pytest.fixture(scope="session")
def migrated(servers: Servers) -> PostgresUnderTest:
    """A stopped PostgreSQL with our schema: others are copies of it."""
    made = servers.start_postgres()
    made.make_template()
    made.stop()
    return made


@pytest.fixture(scope="session")
def postgres(servers: Servers, migrated: PostgresUnderTest) -> PostgresUnderTest:
    """The session's PostgreSQL."""
    return servers.start_postgres(migrated)


@pytest.fixture(scope="session")
def broker(servers: Servers) -> BrokerUnderTest:
    """The session's mosquitto; not to be stopped."""
    return servers.start_broker()


@pytest.fixture(scope="session")
def log_server(servers: Servers) -> LogUnderTest:
    """The session's RabbitMQ; `start()` after a test that stopped it."""
    return servers.start_log()


@pytest.fixture(scope="session")
def installation(request: pytest.FixtureRequest, programs: Programs) -> Iterator[Installation]:
    """A whole system for tests that do not mind what others have made in it."""
    with data_folder() as folder:
        shared = Installation(folder / "data")
        request.config.stash[INSTALLATION] = shared
        yield shared
        shared.end()


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
def private_postgres(
    private_servers: Servers, migrated: PostgresUnderTest
) -> Callable[[], PostgresUnderTest]:
    """``private_postgres().migrated_database()``; ``.stop()``, ``.kill()``, ``.start()``."""
    return partial(private_servers.start_postgres, migrated)


@pytest.fixture
def pair(
    private_servers: Servers, migrated: PostgresUnderTest
) -> tuple[PostgresUnderTest, PostgresUnderTest]:
    """A PostgreSQL of one test's own, and a standby for which its commits wait."""
    return private_servers.start_pair(migrated)
