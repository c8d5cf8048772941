"""Punches that cannot be judged again, as nobody foresaw: all others are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID

import pytest

from db.core.connect import Connection, connect
from ingest.amending import amend_punches
from ingest.metrics import IngestMetrics
from tests.ingest.punches.punching import AWAY, HOME, Crew, Worker, punch
from tests.ingest.punches.test_amendments import FAR, phone_fix
from tests.ingest.seam import settle, term_of
from tests.ingest.tenants import Tenant, soon, square
from tests.servers import DatabaseUnderTest
from tests.waiting import until
from tests.webhooks.poison.guards import (
    AT_ONCE,
    guard_at,
    is_set_aside,
    let_go,
    nothing_fails,
    poisoned,
    was_set_aside,
)


@pytest.fixture
async def crews(database: DatabaseUnderTest) -> list[Crew]:
    """Two organizations with a jobsite at HOME."""
    tenants = [await Tenant.create(database) for _ in range(2)]
    for tenant in tenants:
        await tenant.zone(square(*HOME), kind="jobsite", name="Quarry")
    return [Crew(tenant) for tenant in tenants]


@pytest.fixture
async def admin(database: DatabaseUnderTest) -> AsyncIterator[Connection]:
    async with await connect(database.url("admin"), "test") as conn:
        await conn.execute("TRUNCATE failing_work")
        yield conn


@asynccontextmanager
async def amending(
    database: DatabaseUnderTest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    """Judge punches again until the block ends."""
    monkeypatch.setattr("ingest.amending._LOOK_S", 0.02)
    monkeypatch.setattr("ingest.amending._RETRY_S", 0.02)
    url = database.url("opsc_ingest")

    @asynccontextmanager
    async def connection() -> AsyncIterator[Connection]:
        async with await connect(url, "test") as conn:
            yield conn

    guard = guard_at(url, AT_ONCE)
    async with asyncio.TaskGroup() as tasks:
        loop = amend_punches(connection, lambda _: None, guard, IngestMetrics())
        task = tasks.create_task(loop)
        try:
            yield
        finally:
            task.cancel()


def verdicts(crew: Crew) -> dict[UUID, str]:
    return dict(crew.stored("employee_id, verdict"))


async def test_a_punch_beside_a_late_fix_waits_alone(
    crews: list[Crew],
    database: DatabaseUnderTest,
    admin: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = crews
    bad, other, foreign = await ours.worker(), await ours.worker(), await theirs.worker()
    async with term_of(database) as term:
        for worker in (bad, other, foreign):
            await settle(term, [worker.message(punch(worker.employee_id))])
        ((punch_id,),) = ours.tenant.rows(
            f"SELECT id FROM punches WHERE employee_id = '{bad.employee_id}'"
        )
        condition = f"NEW.punch_id = '{punch_id}'"
        async with poisoned(admin, "INSERT ON punch_verdicts", condition):
            for worker in (bad, other, foreign):
                await settle(term, [phone_fix(worker, soon(-20), FAR)])
            async with amending(database, monkeypatch):
                await was_set_aside(admin, "punch", punch_id)
                failed = {other.employee_id: "failed", bad.employee_id: "verified"}
                await until(lambda: verdicts(ours) == failed)
                await until(lambda: verdicts(theirs) == {foreign.employee_id: "failed"})
    async with amending(database, monkeypatch):
        await let_go(admin, "punch")
        await until(lambda: set(verdicts(ours).values()) == {"failed"})
        await until(partial(nothing_fails, admin))
    assert ours.tenant.rows("SELECT count(*) FROM punch_verdicts") == [(2,)]


async def test_corrected_jobsites_of_an_organization_wait_alone(
    crews: list[Crew],
    database: DatabaseUnderTest,
    admin: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bad, good = crews
    workers: list[Worker] = [await crew.worker() for crew in crews]
    late = await bad.worker()
    condition = f"NEW.org_id = '{bad.tenant.org_id}' AND NEW.cause = 'jobsite_changed'"
    async with term_of(database) as term, amending(database, monkeypatch):
        for worker in workers:
            away = punch(worker.employee_id, ago_s=9, place=AWAY)
            await settle(term, [worker.message(away)])
        await settle(term, [late.message(punch(late.employee_id, ago_s=9))])
        async with poisoned(admin, "INSERT ON punch_verdicts", condition):
            for crew in crews:
                await crew.tenant.zone(
                    square(*AWAY), kind="jobsite", made_now=True, valid_from=soon(-70)
                )
            await until(partial(is_set_aside, admin, "jobsite_correction"))
            await settle(term, [phone_fix(late, soon(-20), FAR)])
            await until(lambda: set(verdicts(good).values()) == {"verified"})
            await until(lambda: verdicts(bad)[late.employee_id] == "failed")
            assert verdicts(bad)[workers[0].employee_id] == "failed"
            await was_set_aside(admin, "jobsite_correction", bad.tenant.org_id)
        await let_go(admin, "jobsite_correction")
        await until(lambda: verdicts(bad)[workers[0].employee_id] == "verified")
        await until(partial(nothing_fails, admin))
