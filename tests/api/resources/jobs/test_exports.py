"""Exports that a job writes, through HTTP: who gets what, and what is left of kills."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.resources import export_jobs
from archive.mover import Mover
from db.core.connect import connect, pool
from service.background.row_guard import GuardLimits
from stack.cli.organizations import delete
from tests.api.punching import employee
from tests.api.resources.jobs.doing import ended
from tests.api.resources.test_export_command import a_crowd
from tests.api.running import Answer, Organization, RunningApi, running_api
from tests.api.stored import minute, text
from tests.archive.passes import files, folder_store
from tests.servers import DatabaseUnderTest
from tests.waiting import until
from tests.webhooks.poison.guards import guard_at, guard_of
from webhooks.erasing import Erasing, ErasureLimits
from webhooks.exporting import Exporting, ExportLimits
from webhooks.metrics import WebhookMetrics

QUICK = ExportLimits(lease_s=2, idle_s=0.02, again_s=0.02)


@pytest.fixture
def store_api(database: DatabaseUnderTest, tmp_path: Path) -> Iterator[RunningApi]:
    with running_api(database, archive_url=(tmp_path / "store").as_uri()) as api:
        yield api


@asynccontextmanager
async def exporting(
    api: RunningApi, folder: Path | None, guard_limits: GuardLimits | None = None
) -> AsyncIterator[Exporting]:
    """Do exports until the block ends."""
    url, stop = api.database.url("opsc_deliver"), asyncio.Event()
    async with pool(url, "test-exports", max_size=3) as connections:
        archive_url = None if folder is None else (folder / "store").as_uri()
        guard = guard_of(connections, guard_limits)
        loop = Exporting(connections, url, archive_url, guard, WebhookMetrics(), QUICK)
        task = asyncio.create_task(loop.run(stop))
        try:
            yield loop
        finally:
            stop.set()
            await task


async def asked(org: Organization, form: str = "ndjson", **filters: str) -> dict[str, Any]:
    body = {"list": "gps-events", "form": form, "filters": {"from": text(minute(0)), **filters}}
    answer = await org.dispatcher.post("/v1/exports", body)
    assert answer.status == 202, answer.json
    return answer.json


async def streamed(org: Organization, media_type: str) -> bytes:
    answer = await org.viewer.get("/v1/gps-events", {"Accept": media_type}, from_=text(minute(0)))
    return answer.content


async def file_of(org: Organization, job: dict[str, Any], role: str = "dispatcher") -> Answer:
    return await getattr(org, role).get(f"/v1/exports/{job['id']}/file")


@pytest.mark.parametrize(
    ("form", "media_type"),
    [("ndjson", "application/x-ndjson"), ("csv", "text/csv"), ("kml", None), ("parquet", None)],
)
async def test_the_file_is_that_of_a_stream(
    store_api: RunningApi, tmp_path: Path, form: str, media_type: str | None
) -> None:
    media_type = (
        media_type
        or {
            "kml": "application/vnd.google-earth.kml+xml",
            "parquet": "application/vnd.apache.parquet",
        }[form]
    )
    org = await a_crowd(store_api)
    job = await asked(org, form)
    assert (job["kind"], job["state"], job["total"]) == ("export", "waiting", None)
    assert (await file_of(org, job)).json["code"] == "no_file"
    async with exporting(store_api, tmp_path):
        job = await ended(org, job["id"])
    content = await streamed(org, media_type)
    assert (job["state"], job["done"], job["total"]) == ("done", 3_000, 3_000), job
    assert job["result"]["file"] == {
        "name": f"gps-events.{form}",
        "media_type": (await file_of(org, job)).headers["Content-Type"],
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    answer = await file_of(org, job)
    assert answer.content == content
    assert answer.headers["Content-Length"] == str(len(content))
    assert len(files(tmp_path / "store")) == 1


async def test_nobody_else_gets_it(store_api: RunningApi, tmp_path: Path) -> None:
    org, other = await a_crowd(store_api), store_api.organization("Other")
    job = await asked(org)
    async with exporting(store_api, tmp_path):
        await ended(org, job["id"])
    assert (await file_of(org, job)).status == 200
    for caller, role, status in (
        (org, "viewer", 403),
        (org, "technician", 403),
        (org, "admin", 200),
        (other, "admin", 404),
        (other, "dispatcher", 404),
    ):
        assert (await file_of(caller, job, role)).status == status
    assert (await other.admin.get(f"/v1/jobs/{job['id']}")).status == 404
    body = {"list": "gps-events", "form": "csv"}
    assert (await org.viewer.post("/v1/exports", body)).status == 403


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"list": "visits", "form": "gpx"}, "/form"),
        ({"list": "visits", "form": "csv", "filters": {"limit": "1"}}, "/filters/limit"),
        ({"list": "visits", "form": "csv", "filters": {"from": "yesterday"}}, "/filters/from"),
        ({"list": "visits", "form": "csv", "filters": {"fields": "lat"}}, "/filters/fields"),
        ({"list": "users", "form": "csv"}, "/list"),
    ],
)
async def test_what_cannot_be_asked_for(
    store_api: RunningApi, body: dict[str, Any], pointer: str
) -> None:
    org = store_api.organization("Asks")
    answer = await org.dispatcher.post("/v1/exports", body)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer)


async def test_without_an_archive_there_are_none(api: RunningApi, north: Organization) -> None:
    answer = await north.dispatcher.post("/v1/exports", {"list": "visits", "form": "csv"})
    assert (answer.status, answer.json["code"]) == (409, "no_archive")


async def test_deliver_without_an_archive_says_so(store_api: RunningApi) -> None:
    org = await a_crowd(store_api)
    job = await asked(org)
    async with exporting(store_api, None):
        job = await ended(org, job["id"])
    assert job["state"] == "failed"
    assert "OPSC_ARCHIVE_URL is not set for opsc deliver" in job["error"]


def children() -> set[int]:
    """Return the processes that write exports."""
    found = set[int]()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
                status = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            is_ours = int(status[1]) == os.getpid() and status[0] != "Z"
            if b"api.export_process" in line and is_ours:
                found.add(int(entry.name))
    return found


@asynccontextmanager
async def held_up(api: RunningApi) -> AsyncIterator[None]:
    """Let nobody read fixes: an export that begins has no rows yet."""
    async with (
        await connect(api.database.url("admin"), "test") as conn,
        conn.transaction(),
    ):
        await conn.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await conn.execute("LOCK TABLE gps_events IN ACCESS EXCLUSIVE MODE")
        yield


async def test_a_process_that_is_killed_is_followed_by_one_that_begins_anew(
    store_api: RunningApi, tmp_path: Path
) -> None:
    org = await a_crowd(store_api)
    job = await asked(org, "csv")
    folder = tmp_path / "store"
    async with exporting(store_api, tmp_path):
        await until(children)
        os.kill(children().pop(), signal.SIGKILL)  # at its start
        # While it writes.
        async with held_up(store_api):
            await until(lambda: files(folder))
            assert [path.suffix for path in files(folder)] == [".partial"]
            (child,) = children()
            os.kill(child, signal.SIGKILL)
            await until(lambda: child not in children())
        job = await ended(org, job["id"])
    assert job["state"] == "done", job
    assert (await file_of(org, job)).content == await streamed(org, "text/csv")


async def test_a_cancelled_one_leaves_nothing(store_api: RunningApi, tmp_path: Path) -> None:
    org = await a_crowd(store_api)
    job, folder = await asked(org), tmp_path / "store"
    async with exporting(store_api, tmp_path):
        async with held_up(store_api):
            await until(lambda: files(folder))
            await org.dispatcher.post(f"/v1/jobs/{job['id']}/cancel", None)
        await until(lambda: not children())
    await until(lambda: not files(folder))
    assert (await file_of(org, job)).json["code"] == "no_file"


async def passed(api: RunningApi, folder: Path, days: float = 0) -> None:
    """Remove what is to go by a later day."""
    url = api.database.url("opsc_deliver")
    mover = Mover(folder_store(folder / "store"), guard_at(url), 36_500)
    async with await connect(url, "test") as conn:
        now = datetime.now(UTC) + timedelta(days=days)
        await mover.pass_over(conn, now, asyncio.Event(), seeks_orphans=True)


async def test_a_file_goes_after_a_week(store_api: RunningApi, tmp_path: Path) -> None:
    org = await a_crowd(store_api)
    job = await asked(org)
    async with exporting(store_api, tmp_path):
        await ended(org, job["id"])
    await passed(store_api, tmp_path, 6.9)
    assert len(files(tmp_path / "store")) == 1
    await passed(store_api, tmp_path, 7.1)
    assert files(tmp_path / "store") == []
    answer = await file_of(org, job)
    assert (answer.status, answer.json["code"]) == (503, "unavailable")


async def test_an_organization_takes_its_files_along(store_api: RunningApi, tmp_path: Path) -> None:
    org, other = await a_crowd(store_api), await a_crowd(store_api)
    async with exporting(store_api, tmp_path):
        for each in (org, other):
            await ended(each, (await asked(each))["id"])
    said: list[str] = []
    await delete.delete(store_api.database.url("opsc_owner"), org.org_id, said.append)
    assert "1 objects of the archive go with the next pass" in said[-1]
    await passed(store_api, tmp_path)
    (left,) = files(tmp_path / "store")
    assert f"org={other.org_id}" in str(left)


async def test_the_room_of_an_organization_is_bounded(
    store_api: RunningApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = await a_crowd(store_api)
    async with exporting(store_api, tmp_path):
        await ended(org, (await asked(org))["id"])
    monkeypatch.setattr(export_jobs, "MOST_KEPT_BYTES", 1_000)
    answer = await org.dispatcher.post("/v1/exports", {"list": "visits", "form": "csv"})
    assert (answer.status, answer.json["code"]) == (409, "exports_full")


async def test_an_erasure_of_positions_removes_the_files_that_may_have_them(
    store_api: RunningApi, tmp_path: Path
) -> None:
    org, other = await a_crowd(store_api), await a_crowd(store_api)
    async with exporting(store_api, tmp_path):
        done, kept = await asked(org), await asked(other)
        await ended(org, done["id"])
        await ended(other, kept["id"])
        async with held_up(store_api):
            under_way = await asked(org)
            await until(lambda: len(files(tmp_path / "store")) == 3)
            (before,) = children()
            anna = await employee(org)
            path = f"/v1/employees/{anna}/position-erasures"
            erasure = (await org.admin.post(path, {})).json
        url, stop = store_api.database.url("opsc_deliver"), asyncio.Event()
        async with pool(url, "test-erasing", max_size=3) as connections:
            store, limits = folder_store(tmp_path / "store"), ErasureLimits(idle_s=0.02)
            loop = Erasing(connections, store, guard_of(connections), WebhookMetrics(), limits)
            task = asyncio.create_task(loop.run(stop))
            assert (await ended(org, erasure["id"]))["state"] == "done"
            stop.set()
            await task
        assert (await file_of(org, done)).json["code"] == "no_file"
        assert (await file_of(other, kept)).status == 200
        assert (await ended(org, under_way["id"]))["state"] == "done"
        await until(lambda: before not in children())
