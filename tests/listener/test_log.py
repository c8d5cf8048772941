"""A listener and an ingest with a log of RabbitMQ between them: an answer means that the log has it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.ingest.tenants import Tenant
from tests.listener.running import System, running
from tests.listener.test_faults import nothing_is_left, sending
from tests.servers import DatabaseUnderTest, LogUnderTest, beside


@contextmanager
def with_log(database: DatabaseUnderTest, url: str, **settings: str) -> Iterator[System]:
    """Provide both roles, whose way to one another is the log."""
    log = {"OPSC_LOG_URL": url, **settings}
    with running(database, log, log) as system:
        yield system


@pytest.fixture
def log_url(log_server: LogUnderTest) -> str:
    return log_server.new_url()


async def test_ingest_that_is_killed_costs_nothing_and_keeps_nobody_waiting(
    tenant: Tenant, log_url: str
) -> None:
    with with_log(tenant.database, log_url) as system:
        async with sending(tenant, system.port, by_log=True) as fleet:
            for _ in range(2):
                await asyncio.to_thread(system.ingest.kill)
                await fleet.progress(200)
                await beside(system.ingest.start)
                await fleet.progress()
            assert {one.connects for one in fleet.devices} == {1}
        await nothing_is_left(system.listener)
