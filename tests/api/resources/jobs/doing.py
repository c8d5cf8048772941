"""Jobs that are made through the API and done in this process, as opsc_deliver."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from db.core.connect import pool
from ingest.leader import run
from ingest.metrics import IngestMetrics
from ingest.runtime import IngestRuntime
from ingest.sources.batching import BatchLimits
from ingest.sources.link import LinkOptions
from ingest.sources.link_address import LinkAddress
from mqtt import SessionOptions
from operations.jobs import Piece, add
from service.background.row_guard import GuardLimits
from stack.servers.postgres import free_port
from tests.api.running import Answer, Client, Organization
from tests.servers import ANY_PORT, DatabaseUnderTest
from tests.waiting import until
from tests.webhooks.poison.guards import guard_of
from webhooks.jobs.runner import JobLimits, JobRunner
from webhooks.metrics import WebhookMetrics

QUICK = JobLimits(lease_s=2, idle_s=0.02, full_s=0.02)


@asynccontextmanager
async def doing_jobs(
    database: DatabaseUnderTest,
    limits: JobLimits = QUICK,
    guard_limits: GuardLimits | None = None,
) -> AsyncIterator[None]:
    """Do jobs until the block ends."""
    stop = asyncio.Event()
    async with pool(database.url("opsc_deliver"), "test-jobs", max_size=3) as connections:
        guard = guard_of(connections, guard_limits)
        runner = JobRunner(connections, guard, WebhookMetrics(), limits)
        async with asyncio.TaskGroup() as loops:
            loops.create_task(runner.run(stop))
            try:
                yield
            finally:
                stop.set()
                runner.wake()


@asynccontextmanager
async def ingesting(database: DatabaseUnderTest) -> AsyncIterator[IngestRuntime]:
    """Run ingest, which takes from the inbox: to its link nobody connects."""
    leader = IngestRuntime(
        database_url=database.url("opsc_ingest"),
        broker=None,
        session_options=SessionOptions(client_id="test"),
        limits=BatchLimits(messages=1_000, bytes=4_000_000, latency_ms=2),
        batch_fixes=40_000,
        batch_transitions=10_000,
        lease_s=2,
        metrics=IngestMetrics(),
        link=LinkOptions(LinkAddress.parse(f"tcp://127.0.0.1:{free_port(ANY_PORT)}")),
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run(leader))
        try:
            await until(lambda: leader.trouble() is None)
            yield leader
        finally:
            leader.stopping.set()


async def post_file(
    caller: Client, path: str, content: bytes | str, content_type: str = "text/csv", **headers: str
) -> Answer:
    """Post a body that is a file."""
    data = content if isinstance(content, bytes) else content.encode()
    return await caller.send(
        "POST", path, data=data, headers={"Content-Type": content_type, **headers}
    )


async def made(
    caller: Client, path: str, content: bytes | str, content_type: str = "text/csv"
) -> str:
    """Make a job; return its id."""
    answer = await post_file(caller, path, content, content_type)
    assert answer.status == 202, answer.json
    assert answer.json["result"].keys() == add({}, Piece()).keys()
    return answer.json["id"]


async def ended(org: Organization, job_id: str) -> dict[str, Any]:
    """Return a job once it has ended."""
    job: dict[str, Any] = {}

    async def has_ended() -> bool:
        nonlocal job
        job = (await org.viewer.get(f"/v1/jobs/{job_id}")).json
        return job["ended_at"] is not None

    await until(has_ended)
    return job
