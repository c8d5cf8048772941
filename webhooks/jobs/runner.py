"""The loop that does jobs, in turns of organizations; any number of processes may run it.

A turn is a second of pieces of the oldest job of an organization. Each piece commits what it writes
and the progress in one transaction, as opsc_app for the organization, on behalf of the user who
asked for the job. What was prepared is kept for a few jobs, so that a large file is not read anew
in each turn.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from time import monotonic
from uuid import UUID

import structlog

from db.core.connect import Pool
from db.core.errors import IntegrityError
from db.core.tenant import as_application
from db.delivery import job_claims
from db.delivery.job_claims import FIRST, ClaimedJob
from db.history.failing_work import JOB
from db.resources import jobs
from db.resources.jobs import JobState
from operations.jobs import add
from service.background.pauses import pause
from service.background.row_guard import RowGuard, WorkRow
from service.worker_thread import OneThread
from webhooks.jobs.imports import prepare_assets, prepare_trackers
from webhooks.jobs.tracks import prepare_upload
from webhooks.jobs.work import JobError, Prepare, Work
from webhooks.metrics import WebhookMetrics
from webhooks.outages import TROUBLE, Outage

_log = structlog.get_logger("webhooks")
_PREPARE: Mapping[str, Prepare] = {
    "import_assets": prepare_assets,
    "import_trackers": prepare_trackers,
    "upload_track": prepare_upload,
}
_MOST_TRIES = 5  # without a piece
_GAVE_UP = "It could not be done, because it was cut off or in conflict with others too often."


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Every bound of the loop. piece_pause_s: only tests pause."""

    lease_s: float = 30  # a killed process is followed after it; longer than a file takes to read
    turn_s: float = 1
    idle_s: float = 1
    full_s: float = 0.1  # between looks at an inbox that is full
    prepared: int = 4  # jobs
    piece_pause_s: float = 0


class JobRunner:
    """Call `wake` when there may be a job."""

    def __init__(
        self,
        connections: Pool,
        guard: RowGuard,
        metrics: WebhookMetrics,
        limits: JobLimits | None = None,
    ) -> None:
        self._connections = connections
        self._guard = guard
        self._metrics = metrics
        self._limits = limits or JobLimits()
        self._thread = OneThread("jobs", waiting=1)
        self._prepared: dict[UUID, Work] = {}
        self._after = FIRST
        # Organizations whose inbox was full, and until when they are passed over.
        self._full: dict[UUID, float] = {}
        self._work = asyncio.Event()
        self._outage = Outage("jobs", random.Random())

    def wake(self, _: UUID | None = None) -> None:
        self._work.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Do jobs until `stop`, and end behind a piece."""
        while not stop.is_set():
            self._work.clear()
            try:
                job = await self._claimed()
                if job is not None:
                    await self._guarded(job, stop)
                self._outage.end()
            except TROUBLE as error:
                await pause(stop, self._outage.begin(error))
                continue
            if job is None:
                await pause(self._work, self._limits.full_s if self._full else self._limits.idle_s)
        self._thread.close()

    async def _claimed(self) -> ClaimedJob | None:
        """Claim a job of the organization whose turn is next."""
        now_s = monotonic()
        self._full = {org_id: until_s for org_id, until_s in self._full.items() if until_s > now_s}
        for after in dict.fromkeys((self._after, FIRST)):
            async with self._connections.connection() as conn:
                job = await job_claims.claim(
                    conn, _PREPARE, after=after, but=list(self._full), lease_s=self._limits.lease_s
                )
            if job is not None:
                self._after = job.org_id
                return job
        return None

    async def _guarded(self, job: ClaimedJob, stop: asyncio.Event) -> None:
        """Do pieces of a job, which is prepared anew where nobody foresaw how it fails."""
        row = WorkRow(JOB, str(job.id), job.org_id)
        if not await self._guard.run(row, partial(self._do, job, stop), is_due=True):
            self._prepared.pop(job.id, None)
            await self._release(job, tries=0)

    async def _do(self, job: ClaimedJob, stop: asyncio.Event) -> None:
        """Do pieces of a job for a turn."""
        if job.tries > _MOST_TRIES:
            await self._end(job, "failed", _GAVE_UP)
            return
        try:
            work = self._prepared.get(job.id) or await self._prepare(job)
            until_s = monotonic() + self._limits.turn_s
            while work is not None and not stop.is_set() and monotonic() < until_s:
                if not await self._piece(job, work):
                    break
                await asyncio.sleep(self._limits.piece_pause_s)
        except JobError as error:
            await self._end(job, "failed", str(error)[:500])
            return
        except IntegrityError as error:  # others wrote the same just now; tried again, not for ever
            _log.info("a piece of a job met others", job=str(job.id), error=str(error).strip())
            await self._release(job, tries=job.tries)
            return
        await self._release(job, tries=0)

    async def _release(self, job: ClaimedJob, *, tries: int) -> None:
        async with self._connections.connection() as conn:
            await job_claims.release(conn, job, tries=tries)

    async def _prepare(self, job: ClaimedJob) -> Work | None:
        """Read what a job is to do; None where it has ended meanwhile. Raises JobError."""
        async with as_application(self._connections, job.org_id) as conn:
            content = await jobs.content_of(conn, job.id)
        if content is None:
            return None
        work = await self._thread.run(_PREPARE[job.kind], job.org_id, content)
        while len(self._prepared) >= self._limits.prepared:
            del self._prepared[next(iter(self._prepared))]
        self._prepared[job.id] = work
        return work

    async def _piece(self, job: ClaimedJob, work: Work) -> bool:
        """Do one piece; whether there is more to do just now. Raises JobError."""
        async with as_application(self._connections, job.org_id, job.actor) as conn:
            held = await jobs.hold(conn, job.id, job.claim)
            if held is None:  # cancelled, or another process has it
                self._prepared.pop(job.id, None)
                return False
            piece = await work.piece(conn, held)
            if piece is None:
                self._full[job.org_id] = monotonic() + self._limits.full_s
                return False
            done, result = held.done + piece.done, add(held.result, piece)
            held = held._replace(done=done, total=work.total, result=result)
            await jobs.advance(conn, job.id, held, self._limits.lease_s)
            is_done = done >= work.total
            if is_done:
                await jobs.end(conn, job.id, "done")
        if is_done:
            self._ended(job, "done")
        return not is_done

    async def _end(self, job: ClaimedJob, state: JobState, error: str) -> None:
        async with as_application(self._connections, job.org_id, job.actor) as conn:
            if await jobs.hold(conn, job.id, job.claim) is not None:
                await jobs.end(conn, job.id, state, error)
        self._ended(job, state)

    def _ended(self, job: ClaimedJob, state: JobState) -> None:
        self._prepared.pop(job.id, None)
        self._metrics.jobs_ended.labels(job.kind, state).inc()
        _log.info("job ended", job=str(job.id), kind=job.kind, state=state)
