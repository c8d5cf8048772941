"""Jobs that fail as nobody foresaw: later ones of their organization, and all others, are done."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from db.core.connect import Connection, connect
from db.delivery.job_claims import ClaimedJob
from telemetry.ids import parse_id
from tests.api.resources.jobs.doing import doing_jobs, ended, made
from tests.api.resources.jobs.test_exports import a_crowd, asked, exporting
from tests.api.resources.jobs.test_jobs import IMPORT, job_of, lines
from tests.api.resources.jobs.test_tracks import as_csv, drive
from tests.api.running import Organization, RunningApi, running_api
from tests.api.stored import carried
from tests.servers import DatabaseUnderTest
from tests.waiting import until
from tests.webhooks.poison.guards import (
    AT_ONCE,
    let_go,
    nothing_fails,
    poisoned,
    was_set_aside,
)
from webhooks.exporting import Exporting

pytestmark = pytest.mark.own_api
UNDER_WAY = ("waiting", "running")


@pytest.fixture
async def admin(database: DatabaseUnderTest) -> AsyncIterator[Connection]:
    """An administrator of a database without jobs."""
    async with await connect(database.url("admin"), "test") as conn:
        await conn.execute("DELETE FROM jobs")
        await conn.execute("TRUNCATE failing_work")
        yield conn


async def an_import(org: Organization) -> str:
    return await made(org.dispatcher, IMPORT, lines(3))


async def an_upload(org: Organization) -> str:
    path = f"/v1/assets/{(await carried(org)).asset_id}/tracks"
    return await made(org.dispatcher, path, as_csv(drive(10)))


@pytest.mark.parametrize("make", [an_import, an_upload])
async def test_a_job_that_fails_waits_alone(
    api: RunningApi,
    org: Organization,
    south: Organization,
    admin: Connection,
    make: Callable[[Organization], Awaitable[str]],
) -> None:
    poison_id, behind, other = await make(org), await make(org), await make(south)
    key = parse_id("job", poison_id)
    async with doing_jobs(api.database, guard_limits=AT_ONCE):
        condition = f"NEW.id = '{key}' AND NEW.done > OLD.done"
        async with poisoned(admin, "UPDATE ON jobs", condition):
            await was_set_aside(admin, "job", key)
            assert (await ended(org, behind))["state"] == "done"
            assert (await ended(south, other))["state"] == "done"
            waiting = await job_of(org, poison_id)
            assert (waiting["state"] in UNDER_WAY, waiting["done"]) == (True, 0)
        await let_go(admin, "job")
        job = await ended(org, poison_id)
        assert (job["state"], job["done"], job["error"]) == ("done", job["total"], None)
        await until(partial(nothing_fails, admin))


async def test_a_job_that_is_set_aside_can_be_cancelled(
    api: RunningApi, org: Organization, admin: Connection
) -> None:
    poison_id = await an_import(org)
    key = parse_id("job", poison_id)
    async with doing_jobs(api.database, guard_limits=AT_ONCE):
        condition = f"NEW.id = '{key}' AND NEW.done > OLD.done"
        async with poisoned(admin, "UPDATE ON jobs", condition):
            await was_set_aside(admin, "job", key)
            cancelled = await org.dispatcher.post(f"/v1/jobs/{poison_id}/cancel", None)
    assert (cancelled.status, cancelled.json["state"]) == (200, "cancelled")


@pytest.fixture
def store_api(database: DatabaseUnderTest, tmp_path: Path) -> Iterator[RunningApi]:
    with running_api(database, archive_url=(tmp_path / "store").as_uri()) as api:
        yield api


async def test_an_export_whose_process_cannot_be_started_waits_alone(
    store_api: RunningApi, admin: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    org, other_org = await a_crowd(store_api), await a_crowd(store_api)
    poison_id, behind, other = [
        (await asked(whose, form))["id"]
        for whose, form in ((org, "csv"), (org, "ndjson"), (other_org, "csv"))
    ]
    key, written = parse_id("job", poison_id), Exporting._written

    async def started(loop: Exporting, job: ClaimedJob, *more: Any) -> int | None:
        if job.id == key:
            raise PermissionError("nobody foresaw this")
        return await written(loop, job, *more)

    async with exporting(store_api, tmp_path, AT_ONCE):
        with monkeypatch.context() as patch:
            patch.setattr(Exporting, "_written", started)
            await was_set_aside(admin, "job", key)
            assert (await ended(org, behind))["state"] == "done"
            assert (await ended(other_org, other))["state"] == "done"
            assert (await job_of(org, poison_id))["state"] in UNDER_WAY
        await let_go(admin, "job")
        assert (await ended(org, poison_id))["state"] == "done"
        await until(partial(nothing_fails, admin))
