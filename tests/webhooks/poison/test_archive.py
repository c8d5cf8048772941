"""Days that cannot be archived, and erasures that fail as nobody foresaw: the others go on."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from archive.mover import Mover
from archive.store import Store
from db.core.connect import Connection, pool
from tests.archive.conftest import admin, store
from tests.archive.erasures import QUICK as QUICK_ERASURES
from tests.archive.erasures import erasing_asked, phones
from tests.archive.fleet import DAY, OLD, insert, minutes, objects_of, seen, truck
from tests.archive.passes import AFTER_DAYS, QUICK, archive
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest
from tests.waiting import until
from tests.webhooks.poison.guards import (
    AT_ONCE,
    at_work,
    guard_of,
    is_set_aside,
    let_go,
    nothing_fails,
    poisoned,
    was_set_aside,
)
from webhooks.archiving import Archiving
from webhooks.erasing import Erasing
from webhooks.metrics import WebhookMetrics

__all__ = ["admin", "store"]


@pytest.fixture(autouse=True)
async def nothing_has_failed(admin: Connection) -> None:
    await admin.execute("TRUNCATE failing_work")


async def test_a_day_that_cannot_be_archived_waits_alone(
    database: DatabaseUnderTest, admin: Connection, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhooks.archiving.EVERY_S", 0.02)
    bad, vehicle = await truck(admin, database)
    await insert(admin, bad, vehicle, [at + timedelta(days=1) for at in minutes(*range(50))])
    good, _ = await truck(admin, database)
    next_day = (OLD + timedelta(days=1)).date()
    async with pool(database.url("opsc_deliver"), "test", max_size=2, wait_s=2) as connections:
        guard = guard_of(connections, AT_ONCE)
        mover = Mover(store, guard, AFTER_DAYS, limits=QUICK)
        metrics = WebhookMetrics()

        async def archived() -> list[tuple[UUID, date]]:
            return sorted((one.org_id, one.day) for one in await objects_of(admin))

        async with at_work(Archiving(connections, mover, metrics).run):
            condition = f"NEW.org_id = '{bad.org_id}' AND NEW.day = '{DAY.isoformat()}'"
            async with poisoned(admin, "INSERT ON archived_days", condition):
                await was_set_aside(admin, "archive", f"{bad.org_id}/{DAY.isoformat()}")
                others = sorted([(good.org_id, DAY), (bad.org_id, next_day)])
                await until(lambda: is_it(archived, others))
                await until(lambda: b"opsc_archive_failed_days 1.0" in metrics.text())
                await until(lambda: mover.waiting_days == 1)
            await let_go(admin, "archive")
            await until(lambda: is_it(archived, sorted([*others, (bad.org_id, DAY)])))
            await until(partial(nothing_fails, admin))


async def is_it(read: Callable[[], Awaitable[object]], expected: object) -> bool:
    return await read() == expected


async def test_an_erasure_that_fails_lets_the_others_be_done(
    database: DatabaseUnderTest, admin: Connection, store: Store, tmp_path: Path
) -> None:
    tenants = [await Tenant.create(database) for _ in range(2)]
    bad, good = [await phones(admin, tenant) for tenant in tenants]
    poison_id = await erasing_asked(database, bad.tenant, bad.anna)
    behind_id = await erasing_asked(database, bad.tenant, bad.ben)
    other_id = await erasing_asked(database, good.tenant, good.anna)
    async with pool(database.url("opsc_deliver"), "test", max_size=3, wait_s=2) as connections:
        guard = guard_of(connections, AT_ONCE)
        erasing = Erasing(connections, store, guard, WebhookMetrics(), QUICK_ERASURES)
        async with at_work(erasing.run):
            condition = f"NEW.id = '{poison_id}' AND NEW.done > OLD.done"
            async with poisoned(admin, "UPDATE ON jobs", condition):
                await until(partial(is_set_aside, admin, "job"))
                await until(lambda: states(bad.tenant) == {poison_id: "running", behind_id: "done"})
                await until(lambda: states(good.tenant) == {other_id: "done"})
                await was_set_aside(admin, "job", poison_id)
                assert (await archive(database, store)).fixes > 0  # it waits for no erasure
            await let_go(admin, "job")
            await until(lambda: states(bad.tenant) == {poison_id: "done", behind_id: "done"})
            await until(partial(nothing_fails, admin))
    assert await seen(database, bad.tenant, store) == ([], 0)


def states(tenant: Tenant) -> dict[object, str]:
    return dict(tenant.rows("SELECT id, state FROM jobs"))
