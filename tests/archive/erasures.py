"""Employees with phones, and jobs that erase their positions."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
from pyarrow import parquet

from archive.store import Store, StoreUrl
from db.core.connect import Connection, pool
from db.core.ids import new_id
from db.core.tenant import Actor, as_application
from db.resources import jobs
from db.resources.jobs import NewJob
from operations.jobs import Erased, ErasedTime
from tests.archive.fleet import NOW, OLD, insert, minutes
from tests.ingest.tenants import LONG_AGO, Tenant, Vehicle
from tests.servers import DatabaseUnderTest
from tests.webhooks.poison.guards import guard_of
from webhooks.erasing import Erasing, ErasureLimits
from webhooks.metrics import WebhookMetrics

QUICK = ErasureLimits(idle_s=0.02, again_s=0.01, rows=40)
EVER = datetime.fromisoformat("1970-01-01T00:00:00Z")
CHANGED = OLD + timedelta(minutes=60)
"""When Ben got the phone that Anna had had."""


@dataclass(frozen=True, slots=True)
class Phones:
    """shared: Anna's until CHANGED, and Ben's from then on. own: Anna's alone."""

    tenant: Tenant
    anna: UUID
    ben: UUID
    shared: Vehicle
    own: Vehicle


async def phones(admin: Connection, tenant: Tenant) -> Phones:
    """Return employees with fixes of an old day, which others have, too, of one that they alone
    have, and of today.
    """
    anna, ben = new_id(), new_id()
    for employee_id in (anna, ben):
        await admin.execute(
            "INSERT INTO employees (org_id, id, name) VALUES (%s, %s, 'Anna')",
            (tenant.org_id, employee_id),
        )
    shared, own = [Vehicle(await tenant.loose_tracker(), new_id()) for _ in range(2)]
    for vehicle, employee_id, since, until in (
        (shared, anna, LONG_AGO, CHANGED),
        (shared, ben, CHANGED, None),
        (own, anna, LONG_AGO, None),
    ):
        await admin.execute(
            "INSERT INTO tracker_assignments (org_id, id, tracker_id, employee_id, assigned_from,"
            " assigned_to, revision) VALUES (%s, %s, %s, %s, %s, %s, 1)",
            (tenant.org_id, new_id(), vehicle.tracker_id, employee_id, since, until),
        )
    await insert(admin, tenant, shared, [*minutes(*range(100)), NOW])
    next_day = [OLD + timedelta(days=1, minutes=number) for number in range(30)]
    await insert(admin, tenant, own, [*next_day, NOW - timedelta(hours=1), NOW])
    return Phones(tenant, anna, ben, shared, own)


async def erasing_asked(
    database: DatabaseUnderTest,
    tenant: Tenant,
    employee_id: UUID,
    since: datetime = EVER,
    until: datetime = NOW + timedelta(seconds=1),
) -> UUID:
    """Make a job, as the API does."""
    ((user_id,),) = tenant.rows("SELECT id FROM users")
    span = {"from": since.isoformat(), "to": until.isoformat()}
    new = NewJob(
        "erase_positions",
        msgspec.json.encode(ErasedTime(employee_id, since, until)),
        result={"erased": {**span, **Erased()._asdict(), "read_back_at": None}},
        employee_id=employee_id,
    )
    actor = Actor(user_id, "token", new_id(), "test")
    async with (
        pool(database.url("opsc_deliver"), "test", max_size=1) as connections,
        as_application(connections, tenant.org_id, actor) as conn,
    ):
        return (await jobs.insert(conn, new, actor)).id


async def erase(database: DatabaseUnderTest, store: Store | None, tenant: Tenant) -> dict[str, Any]:
    """Do the jobs that wait; return what became of the tenant's last one."""
    stop = asyncio.Event()
    async with pool(database.url("opsc_deliver"), "test", max_size=3) as connections:
        run = asyncio.create_task(
            Erasing(connections, store, guard_of(connections), WebhookMetrics(), QUICK).run(stop)
        )
        while tenant.rows("SELECT id FROM jobs WHERE ended_at IS NULL"):
            assert not run.done(), run
            await asyncio.sleep(0.02)
        stop.set()
        await run
    return last_job(tenant)


def last_job(tenant: Tenant) -> dict[str, Any]:
    names = ("state", "done", "total", "error", "result")
    query = f"SELECT {', '.join(names)} FROM jobs ORDER BY id DESC LIMIT 1"
    return dict(zip(names, tenant.rows(query)[0], strict=True))


def stored_keys(folder: Path) -> set[tuple[str, datetime]]:
    """Return tracker and time of all fixes in all files of an archive, named or not."""
    return {
        (row["tracker_id"], row["time"])
        for path in folder.rglob("*")
        if path.is_file()
        for row in parquet.ParquetFile(path).read(["tracker_id", "time"]).to_pylist()
    }


def erasing_that_dies(url: str, folder: str, steps: int) -> None:
    """Do the jobs that wait, in a process that ends as by kill -9 before this step, from 0 on."""
    left_steps = steps

    def step() -> None:
        nonlocal left_steps
        if left_steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left_steps -= 1

    class DyingStore(Store):
        def write(self, path: str, content: Any) -> None:
            step()
            super().write(path, content)
            step()

        def open(self, path: str) -> Any:
            step()
            return super().open(path)

        def remove(self, path: str) -> None:
            step()
            super().remove(path)
            step()

    as_it_is = Erasing._step

    async def dying_step(self: Erasing, job: Any, work: Any) -> Any:
        async def dying_work(conn: Connection) -> Any:
            erased = await work(conn)
            if any(erased):
                step()  # before COMMIT
            return erased

        erased = await as_it_is(self, job, dying_work)
        if any(erased):
            step()  # behind it
        return erased

    Erasing._step = dying_step  # in a process of its own

    async def run() -> None:
        async with pool(url, "test", max_size=3) as connections:
            erasing = Erasing(
                connections,
                DyingStore(StoreUrl.read(folder)),
                guard_of(connections),
                WebhookMetrics(),
                QUICK,
            )
            while await erasing._do_all(asyncio.Event()) == QUICK.again_s:
                pass  # the server still takes the one before to be alive
        os._exit(0)

    asyncio.run(run())
