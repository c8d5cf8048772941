"""The loop that does exports, in turns of organizations; any number of processes may run it.

Each export is written by a process of its own, a program of the API, which reads lists as requests
do (docs/decisions/0056-exports-as-jobs.md). A process that is killed is followed by another one,
which begins anew.
"""

import asyncio
import os
import random
import sys
from asyncio.subprocess import PIPE
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import msgspec
import structlog

from db.core.connect import Pool
from db.core.tenant import as_application
from db.delivery import job_claims
from db.delivery.job_claims import FIRST, ClaimedJob
from db.history.failing_work import JOB
from db.resources import jobs
from service.background.pauses import pause
from service.background.row_guard import RowGuard, WorkRow
from service.exports import ExportTask
from webhooks.metrics import WebhookMetrics
from webhooks.outages import TROUBLE, Outage

_log = structlog.get_logger("webhooks")
_KINDS = ("export",)
_PROGRAM = "api.export_process"
_MOST_TRIES = 5
_NO_STORE = "Exports are kept in the archive, and OPSC_ARCHIVE_URL is not set for opsc deliver."
_GAVE_UP = "It could not be written: it was cut off, or the archive was away, too often."


@dataclass(frozen=True, slots=True)
class ExportLimits:
    """Every bound of the loop."""

    lease_s: float = 30  # a killed process is followed after it
    idle_s: float = 1
    again_s: float = 10  # behind a failure
    job_s: float = 3_600


class Exporting:
    """archive_url: None where there is no archive."""

    def __init__(
        self,
        connections: Pool,
        database_url: str,
        archive_url: str | None,
        guard: RowGuard,
        metrics: WebhookMetrics,
        limits: ExportLimits | None = None,
    ) -> None:
        self._connections, self._guard, self._metrics = connections, guard, metrics
        self._database_url, self._archive_url = database_url, archive_url
        self._limits = limits or ExportLimits()
        self._after = FIRST
        self._outage = Outage("exports", random.Random())

    async def run(self, stop: asyncio.Event) -> None:
        """Do exports until `stop`; one that is under way then is begun anew by whoever follows."""
        while not stop.is_set():
            try:
                job = await self._claimed()
                if job is None:
                    await pause(stop, self._limits.idle_s)
                else:
                    await self._guarded(job, stop)
                self._outage.end()
            except TROUBLE as error:
                await pause(stop, self._outage.begin(error))

    async def _claimed(self) -> ClaimedJob | None:
        """Claim an export of the organization whose turn is next."""
        for after in dict.fromkeys((self._after, FIRST)):
            async with self._connections.connection() as conn:
                job = await job_claims.claim(
                    conn, _KINDS, after=after, but=(), lease_s=self._limits.lease_s
                )
            if job is not None:
                self._after = job.org_id
                return job
        return None

    async def _guarded(self, job: ClaimedJob, stop: asyncio.Event) -> None:
        row = WorkRow(JOB, str(job.id), job.org_id)
        if not await self._guard.run(row, partial(self._do, job, stop), is_due=True):
            async with self._connections.connection() as conn:
                await job_claims.release(conn, job, tries=0)

    async def _do(self, job: ClaimedJob, stop: asyncio.Event) -> None:
        if self._archive_url is None or job.tries > _MOST_TRIES:
            await self._fail(job, _NO_STORE if self._archive_url is None else _GAVE_UP)
            return
        code = await self._written(job, self._archive_url, stop)
        if code == 0:
            async with self._connections.connection() as conn:
                state = await job_claims.state_of(conn, job)
            if state in ("done", "failed"):
                _log.info("job ended", job=str(job.id), kind=job.kind, state=state)
                self._metrics.jobs_ended.labels(job.kind, state).inc()
            return
        tries = job.tries
        if stop.is_set():
            tries -= 1
        else:
            _log.warning("an export was cut off", job=str(job.id), code=code)
            await pause(stop, self._limits.again_s)
        async with self._connections.connection() as conn:
            await job_claims.release(conn, job, tries=tries)

    async def _written(self, job: ClaimedJob, archive_url: str, stop: asyncio.Event) -> int | None:
        """Return the exit code of the process; None: it was ended."""
        task = ExportTask(
            database_url=self._database_url,
            archive_url=archive_url,
            org_id=job.org_id,
            job_id=job.id,
            claim=job.claim,
            lease_s=self._limits.lease_s,
        )
        kept = {name: text for name, text in os.environ.items() if not name.startswith("OPSC_")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", _PROGRAM), stdin=PIPE, env=kept
        )
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(task) + b"\n")
        waiting = {asyncio.ensure_future(process.wait()), asyncio.ensure_future(stop.wait())}
        try:
            await asyncio.wait(
                waiting, timeout=self._limits.job_s, return_when=asyncio.FIRST_COMPLETED
            )
            return process.returncode
        finally:
            for each in waiting:
                each.cancel()
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _fail(self, job: ClaimedJob, error: str) -> None:
        async with as_application(self._connections, job.org_id, job.actor) as conn:
            if await jobs.hold(conn, job.id, job.claim) is not None:
                await jobs.end(conn, job.id, "failed", error)
        self._metrics.jobs_ended.labels(job.kind, "failed").inc()
