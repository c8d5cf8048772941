"""Jobs: who sees and cancels them, whose turn it is, and what a kill leaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from api.resources.jobs import JobItem
from db.core.connect import connect, pool
from db.core.tenant import as_application, is_row_security_bypassed
from db.history.retention import Days
from db.resources.jobs import MOST_KEPT, MOST_OPEN
from telemetry.ids import parse_id
from tests.api.resources.jobs.doing import (
    doing_jobs,
    ended,
    ingesting,
    made,
    post_file,
)
from tests.api.resources.jobs.test_tracks import as_csv, drive
from tests.api.running import Organization, RunningApi
from tests.api.stored import carried
from tests.servers import DatabaseUnderTest
from tests.waiting import until
from tests.webhooks.delivering_process import process
from tests.webhooks.poison.guards import guard_of
from webhooks.jobs.runner import JobLimits
from webhooks.metrics import WebhookMetrics
from webhooks.retention import Retention, RetentionLimits

pytestmark = pytest.mark.own_api
IMPORT = "/v1/imports/assets"
NO_DAYS = Days(None, None, None)
SLOW = JobLimits(lease_s=2, idle_s=0.02, turn_s=0.05, piece_pause_s=0.02)
HOLD = """
CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
CREATE TRIGGER held BEFORE UPDATE OF done ON jobs
    FOR EACH ROW WHEN (NEW.done > {done}) EXECUTE FUNCTION hold();
"""
HELD = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"


@pytest.fixture(autouse=True)
async def no_job_is_left(api: RunningApi) -> AsyncIterator[None]:
    """Jobs of tests before would take turns."""
    yield
    api.sql("DELETE FROM jobs")


def lines(count: int, prefix: str = "A") -> str:
    rows = [f"{prefix}-{number},Truck {number}" for number in range(count)]
    return "\n".join(["external_id,name", *rows])


async def job_of(org: Organization, job_id: str) -> dict[str, Any]:
    return (await org.viewer.get(f"/v1/jobs/{job_id}")).json


async def has_done(org: Organization, job_id: str, done: int) -> bool:
    return (await job_of(org, job_id))["done"] >= done


async def assets_of(org: Organization) -> int:
    return (await org.viewer.get("/v1/assets")).json["total"]


async def test_a_job_waits_until_it_is_done_or_cancelled(org: Organization) -> None:
    answer = await post_file(org.dispatcher, IMPORT, lines(3))
    job = answer.json
    assert JobItem.model_json_schema()["required"] == list(job)
    assert (job["state"], job["done"], job["total"]) == ("waiting", 0, 3)
    path = f"/v1/jobs/{job['id']}"
    assert (await org.viewer.get(path)).json == job
    assert (await org.viewer.get("/v1/jobs", open="true")).json["data"] == [job]
    assert (await org.viewer.get("/v1/jobs", kind="upload_track")).json["data"] == []
    assert (await org.technician.post(f"{path}/cancel", None)).status == 403
    cancelled = (await org.dispatcher.post(f"{path}/cancel", None)).json
    assert (cancelled["state"], cancelled["ended_at"] is None) == ("cancelled", False)
    assert (await org.dispatcher.post(f"{path}/cancel", None)).json == cancelled
    assert (await org.viewer.get("/v1/jobs", open="true")).json["data"] == []


async def test_a_job_of_others_is_not_found(org: Organization, south: Organization) -> None:
    job_id = await made(org.dispatcher, IMPORT, lines(1))
    assert (await south.admin.get(f"/v1/jobs/{job_id}")).status == 404
    assert (await south.admin.post(f"/v1/jobs/{job_id}/cancel", None)).status == 404
    assert (await south.admin.get("/v1/jobs")).json["data"] == []


async def test_an_organization_has_ten_open_jobs_at_most(
    api: RunningApi, org: Organization, south: Organization
) -> None:
    ids = [await made(org.dispatcher, IMPORT, lines(1)) for _ in range(MOST_OPEN)]
    refused = await post_file(org.dispatcher, IMPORT, lines(1))
    assert (refused.status, refused.json["code"]) == (429, "too_many_jobs")
    assert int(refused.headers["Retry-After"]) > 0
    await made(south.dispatcher, IMPORT, lines(1))
    await org.dispatcher.post(f"/v1/jobs/{ids[0]}/cancel", None)
    await made(org.dispatcher, IMPORT, lines(1))


async def test_a_thousand_jobs_are_kept(api: RunningApi, org: Organization) -> None:
    first = await made(org.dispatcher, IMPORT, lines(1))
    api.sql(
        "INSERT INTO jobs (org_id, id, kind, state, created_by, via, credential_id, request_id,"
        " expires_at, ended_at)"
        " SELECT org_id, uuid7_of_now(), kind, 'done', created_by, via, credential_id, request_id,"
        " expires_at, now() FROM jobs, generate_series(1, 1_005) WHERE org_id = %s",
        org.org_id,
    )
    await made(org.dispatcher, IMPORT, lines(1))
    count = "SELECT count(*) FROM jobs WHERE org_id = %s"
    assert api.sql(count, org.org_id) == [(MOST_KEPT + 1,)]  # with the one that waits
    assert (await job_of(org, first))["state"] == "waiting"


async def test_a_cancelled_job_ends_between_two_pieces_and_keeps_what_it_wrote(
    api: RunningApi, org: Organization
) -> None:
    async with doing_jobs(api.database, replace(SLOW, turn_s=60)):
        job_id = await made(org.dispatcher, IMPORT, lines(5_000))
        await until(lambda: has_done(org, job_id, 300))
        cancelled = (await org.dispatcher.post(f"/v1/jobs/{job_id}/cancel", None)).json
        behind = await made(org.dispatcher, IMPORT, "external_id,name\nB,Behind\n")
        assert (await ended(org, behind))["state"] == "done"
    job = await job_of(org, job_id)
    assert (job["state"], job["done"]) == ("cancelled", cancelled["done"])
    assert job["done"] == job["result"]["written"] < 5_000
    assert await assets_of(org) == job["done"] + 1
    assert api.sql("SELECT count(*) FROM job_inputs") == [(0,)]


async def test_organizations_take_turns_and_each_does_one_job_at_a_time(
    api: RunningApi, org: Organization, south: Organization
) -> None:
    long = await made(south.dispatcher, IMPORT, lines(2_000, "L"))
    second = await made(south.dispatcher, IMPORT, lines(1, "S"))
    async with doing_jobs(api.database, SLOW):
        await until(lambda: has_done(south, long, 100))
        short = await ended(org, await made(org.dispatcher, IMPORT, lines(200)))
        assert short["state"] == "done"
        assert (await job_of(south, long))["state"] == "running"
        async with doing_jobs(api.database, SLOW):  # it has nothing to do
            await until(lambda: has_done(south, long, 1_000))
            assert (await job_of(south, second))["state"] == "waiting"
        await ended(south, second)
    job = await job_of(south, long)
    assert (job["state"], job["result"]["written"]) == ("done", 2_000)


async def test_killed_in_the_middle_nothing_is_lost_and_nothing_doubled(
    api: RunningApi, org: Organization
) -> None:
    who, url = await carried(org), api.database.url("opsc_deliver")
    track = f"/v1/assets/{who.asset_id}/tracks"
    async with ingesting(api.database):
        job_id = await made(org.dispatcher, IMPORT, lines(3_000))
        await _kill_twice(api, org, url, job_id, 3_000)
        job_id = await made(org.dispatcher, track, as_csv(drive(6_000)))
        await _kill_twice(api, org, url, job_id, 6_000)
        count = "SELECT count(*) FROM gps_events WHERE org_id = %s"
        await until(lambda: api.sql(count, org.org_id) == [(6_000,)])
    assert await assets_of(org) == 3_000 + 1


async def _kill_twice(
    api: RunningApi, org: Organization, url: str, job_id: str, total: int
) -> None:
    """Do a job, whose process is killed in the step behind a quarter and in that behind a half."""
    for part in (4, 2):
        async with held_behind(api, total // part), process(url) as victim:
            await until(lambda: api.sql(HELD))
            victim.kill()
            await victim.wait()
        assert 0 < (await job_of(org, job_id))["done"] <= total // part
        api.sql("UPDATE jobs SET claimed_until = now()")  # as if the claim had run out
    async with doing_jobs(api.database):
        job = await ended(org, job_id)
    assert (job["state"], job["done"], job["result"]["written"]) == ("done", total, total)


@asynccontextmanager
async def held_behind(api: RunningApi, done: int) -> AsyncIterator[None]:
    """A step that goes past ``done`` stands still before it is written, and ends undone."""
    api.sql(HOLD.format(done=done))
    try:
        yield
    finally:
        api.sql(f"SELECT pg_terminate_backend(pid, 5000) FROM ({HELD})")
        api.sql("DROP FUNCTION hold CASCADE")


async def test_whoever_has_lost_its_claim_writes_nothing_more(
    api: RunningApi, org: Organization
) -> None:
    async with doing_jobs(api.database, SLOW), doing_jobs(api.database, SLOW):
        job_id = await made(org.dispatcher, IMPORT, lines(2_000))
        expiry = "UPDATE jobs SET claimed_until = now() WHERE claim IS NOT NULL"
        while (await job_of(org, job_id))["ended_at"] is None:
            await asyncio.to_thread(api.sql, expiry)
            await asyncio.sleep(0.2)
    job = await job_of(org, job_id)
    assert (job["state"], job["result"]["written"]) == ("done", 2_000)
    assert job["result"]["known"] == 0
    assert await assets_of(org) == 2_000


async def test_a_job_that_ends_its_process_again_and_again_fails(
    api: RunningApi, org: Organization
) -> None:
    job_id = await made(org.dispatcher, IMPORT, lines(1))
    api.sql("UPDATE jobs SET tries = 5")
    async with doing_jobs(api.database):
        job = await ended(org, job_id)
    assert (job["state"], job["result"]["written"]) == ("failed", 0)
    assert "too often" in job["error"]


async def test_a_job_is_removed_a_week_after_it_was_made(
    api: RunningApi, org: Organization
) -> None:
    old, young = [await made(org.dispatcher, IMPORT, lines(1)) for _ in range(2)]
    api.sql("UPDATE jobs SET expires_at = now() WHERE id = %s", parse_id("job", old))
    async with pool(api.database.url("opsc_deliver"), "test", max_size=2) as connections:
        retention = Retention(
            connections, NO_DAYS, guard_of(connections), WebhookMetrics(), RetentionLimits()
        )
        removed = await retention.remove_old(asyncio.Event(), datetime.now(UTC))
    assert removed == {"jobs": 1}
    assert (await org.viewer.get(f"/v1/jobs/{old}")).status == 404
    assert (await org.viewer.get(f"/v1/jobs/{young}")).status == 200
    assert api.sql("SELECT count(*) FROM job_inputs") == [(1,)]


async def test_jobs_are_done_under_row_level_security(
    org: Organization, south: Organization, database: DatabaseUnderTest
) -> None:
    await carried(org)
    await carried(south)
    async with await connect(database.url("opsc_deliver"), "test") as conn:
        assert await is_row_security_bypassed(conn)
    async with pool(database.url("opsc_deliver"), "test", max_size=1) as connections:
        async with as_application(connections, org.org_id) as conn:
            assert not await is_row_security_bypassed(conn)
            cursor = await conn.execute("SELECT DISTINCT org_id FROM assets")
            assert await cursor.fetchall() == [(org.org_id,)]
        async with connections.connection() as conn:  # the role ends with the transaction
            assert await is_row_security_bypassed(conn)
