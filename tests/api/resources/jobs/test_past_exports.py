"""The past of a zone as a file: what a request tells that reads all fixes, of any time."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.resources.exports import Asker, Place
from api.resources.zones.past_files import PastFileQuery, past_pages
from archive import pasts
from archive.mover import MoverLimits
from archive.reading import Archive
from db.core.connect import pool
from db.core.tenant import as_application
from tests.api.resources.jobs.doing import ended
from tests.api.resources.jobs.test_exports import exporting, file_of
from tests.api.resources.test_past_visits import add_hours, asked, zone_of
from tests.api.resources.test_zone_trials import FAR, INSIDE, OUTSIDE, store
from tests.api.running import Organization, RunningApi, running_api
from tests.api.stored import carried, minute, text
from tests.archive.passes import archive, folder_store
from tests.servers import DatabaseUnderTest

NORTH, SOUTH, FARTHEST = (8.005, 48.0), (8.005, 46.0), (60.0, 20.0)
Row = dict[str, Any]


@pytest.fixture
def api(database: DatabaseUnderTest, tmp_path: Path) -> Iterator[RunningApi]:
    with running_api(database, archive_url=(tmp_path / "store").as_uri()) as api:
        yield api


@pytest.fixture(autouse=True)
async def no_hours(api: RunningApi) -> AsyncIterator[None]:
    yield
    api.sql("TRUNCATE gps_events, fix_hours, fix_hours_changed, archived_days CASCADE")
    api.sql("UPDATE fix_hours_end SET until = '-infinity'")


async def rows_of(
    api: RunningApi, org: Organization, folder: Path, zone_id: str, **filters: str
) -> list[Row]:
    """Return the rows of the file, in the order of a request's answer."""
    async with pool(api.database.url("opsc_app"), "test", max_size=2) as connections:
        archived = Archive(folder_store(folder / "store"))
        asker = Asker(partial(as_application, connections, org.org_id), archived)
        query = PastFileQuery.model_validate({"zone_id": zone_id, **filters})
        pages = await past_pages(asker, query, Place())
        rows = [row async for page in pages for row in page]
    order = [row["asset_id"] for row in rows]
    assert order == sorted(order)
    return sorted(rows, key=lambda row: (row["entered_at"], row["asset_id"]))


@pytest.mark.parametrize("seed", range(6))
async def test_it_has_what_a_request_tells_that_reads_all(
    api: RunningApi, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Machines come and go for days, with pauses. It is read in pages, by hours, and out of the
    archive.
    """
    chances = random.Random(seed)
    monkeypatch.setattr(pasts, "PAGE_ROWS", chances.choice([1, 7, 50]))
    org = api.organization("Quarries")
    for _ in range(3):
        who, at, fixes = await carried(org), 0.0, []
        while at < 7_000:
            at += chances.choice([1, 5, 20, 90, 90, 700])
            usual = (INSIDE, INSIDE, OUTSIDE, FAR, NORTH, SOUTH, FARTHEST)
            fixes.append((at, chances.choice(usual)))
        store(api, org, who, *fixes)
    zone_id = await zone_of(
        org,
        exit_confirm_fixes=chances.choice([1, 2, 4]),
        max_gap_seconds=chances.choice([120, 3_600, 20_000]),
        close_after_silence_seconds=chances.choice([None, 1_800]),
    )
    told = (await asked(org, zone_id)).json
    assert not told["is_cut"]
    assert len(told["data"]) > 2
    assert await rows_of(api, org, tmp_path, zone_id) == told["data"]
    await add_hours(api, chances.uniform(0, 8_000))
    assert await rows_of(api, org, tmp_path, zone_id) == told["data"]
    moved = await archive(
        api.database, folder_store(tmp_path / "store"), limits=MoverLimits(rest_s=0)
    )
    assert moved.fixes > 50
    assert await rows_of(api, org, tmp_path, zone_id) == told["data"]
    path = f"/v1/zones/{zone_id}/past-visits"
    span = {"from_": text(minute(-60)), "to": text(minute(20_000))}
    refused = await org.viewer.get(path, **span)
    assert (refused.status, refused.json["code"]) == (400, "invalid_parameter"), refused.json
    assert "past-visits" in refused.json["errors"][0]["message"]


async def test_the_time_and_the_machines_are_chosen(api: RunningApi, tmp_path: Path) -> None:
    org = api.organization("Quarries")
    first, second = await carried(org), await carried(org)
    for who in (first, second):
        store(api, org, who, (0, OUTSIDE), (5, INSIDE), (9, OUTSIDE), (10, OUTSIDE), (30, INSIDE))
    zone_id = await zone_of(org)
    rows = await rows_of(api, org, tmp_path, zone_id, asset_id=first.asset_id)
    assert [row["asset_id"] for row in rows] == [first.asset_id] * 2
    span = {"from": text(minute(8)), "to": text(minute(40))}
    rows = await rows_of(api, org, tmp_path, zone_id, **span)
    assert [row["entered_at"] for row in rows] == [text(minute(30))] * 2


async def test_a_job_writes_it(api: RunningApi, tmp_path: Path) -> None:
    org = api.organization("Quarries")
    who = await carried(org)
    store(api, org, who, (0, OUTSIDE), (5, INSIDE), (9, OUTSIDE), (10, OUTSIDE))
    zone_id = await zone_of(org)
    body = {"list": "past-visits", "form": "ndjson", "filters": {"zone_id": zone_id}}
    answer = await org.dispatcher.post("/v1/exports", body)
    assert answer.status == 202, answer.json
    async with exporting(api, tmp_path):
        job = await ended(org, answer.json["id"])
    assert (job["state"], job["done"]) == ("done", 1), job
    content = (await file_of(org, job)).content
    assert msgspec.json.decode(content) == (await asked(org, zone_id)).json["data"][0]


@pytest.mark.parametrize(
    ("filters", "status", "pointer"),
    [
        ({}, 422, "/filters/zone_id"),
        ({"zone_id": "zon_00000000000000000000000001"}, 404, "/filters/zone_id"),
        ({"employee_id": "emp_00000000000000000000000001"}, 422, "/filters/employee_id"),
    ],
)
async def test_what_it_cannot_be_of_is_refused(
    api: RunningApi, filters: dict[str, str], status: int, pointer: str
) -> None:
    org = api.organization("Quarries")
    body = {"list": "past-visits", "form": "csv", "filters": filters}
    answer = await org.dispatcher.post("/v1/exports", body)
    assert answer.status == status, answer.json
    assert pointer.rpartition("/")[2] in answer.content.decode()
    assert (await org.viewer.post("/v1/exports", body)).status == 403
