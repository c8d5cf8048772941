"""An API that looks often, and whose patience is long but where a test says otherwise."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from api.live.limits import LiveLimits
from tests.api.running import RunningApi, running_api
from tests.servers import PostgresUnderTest

QUICK = LiveLimits(authentication_s=60, rights_s=0.1, stuck_s=60, keep_alive_s=0.2)


@pytest.fixture(scope="session")
def live_api(postgres: PostgresUnderTest) -> Iterator[RunningApi]:
    """One for all tests of this folder."""
    database = postgres.migrated_database()
    with running_api(
        database,
        live_limits=QUICK,
        api_address_requests_per_minute=1_000_000,
        api_max_live_connections=300,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def api(live_api: RunningApi) -> RunningApi:
    """The API of this folder, in place of the worker's."""
    return live_api


@pytest.fixture
def impatient(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that end readers soon who say nothing or take too little."""
    limits = replace(api.live.limits, authentication_s=0.2, stuck_s=0.5)
    monkeypatch.setattr(api.live, "limits", limits)
