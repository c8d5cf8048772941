"""The loop that erases positions of employees, as jobs ask for it, in one process at a time.

It keeps the archive to itself meanwhile, as a pass of `archive.mover` does, so that nothing moves
from one place to another behind its back. A round goes over all places: fixes in the database,
messages in quarantine, archived days, and objects that wait for their removal or that nothing
names. A job is done when a whole round has found nothing.

Each step commits what it removed together with the job's counts. Whoever follows a process that was
killed begins a round anew.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import msgspec
import structlog

from archive.erasing import rewritten
from archive.errors import StoreError
from archive.store import Store
from db.archive import archived_days, erasing, moving
from db.archive.archived_days import ArchivedDay, Piece
from db.archive.erasing import Erasure
from db.archive.moving import ChangedMeanwhile
from db.core.connect import Connection, Pool
from db.core.tenant import as_application, become_application
from db.delivery import job_claims
from db.delivery.job_claims import ClaimedJob
from db.fixes.fix_filters import FixFilter
from db.history import retention
from db.history.failing_work import JOB
from db.history.retention import Chunk
from db.resources import jobs
from db.resources.jobs import HeldJob, JobState
from operations.jobs import Erased, ErasedTime
from service.background.pauses import pause
from service.background.row_guard import RowGuard, WorkRow
from webhooks.metrics import WebhookMetrics
from webhooks.outages import TROUBLE, Outage

_log = structlog.get_logger("webhooks")
_MOST_TRIES = 5
_MOST_ROUNDS = 10
_NO_STORE = "Archived days may have such fixes, and OPSC_ARCHIVE_URL is not set for opsc deliver."
_GAVE_UP = "It was cut off too often. What was erased stays erased: ask again for the rest."
_STILL_COMING = "Fixes of the time kept coming: revoke the tracker, and ask again."


@dataclass(frozen=True, slots=True)
class ErasureLimits:
    idle_s: float = 2
    again_s: float = 10  # while another process has the archive, or its store is away
    rows: int = 5_000  # of a transaction
    day_s: float = 3_600  # to write an archived day anew


class _Ended(Exception):
    """The job was cancelled."""


class _Failed(Exception):
    """The job cannot be done: the message is for whoever asked for it."""


class Erasing:
    """store: None where there is no archive."""

    def __init__(
        self,
        connections: Pool,
        store: Store | None,
        guard: RowGuard,
        metrics: WebhookMetrics,
        limits: ErasureLimits | None = None,
    ) -> None:
        self._connections, self._store, self._metrics = connections, store, metrics
        self._guard = guard
        self._limits = limits or ErasureLimits()
        self._outage = Outage("erasures", random.Random())

    async def run(self, stop: asyncio.Event) -> None:
        """Do erasures until `stop`, and end behind a step."""
        while not stop.is_set():
            try:
                wait_s = await self._do_all(stop)
                self._outage.end()
                await pause(stop, wait_s)
            except TROUBLE as error:
                await pause(stop, self._outage.begin(error))

    async def _do_all(self, stop: asyncio.Event) -> float:
        """Do all jobs that wait; return in how many seconds to look again."""
        async with self._connections.connection() as conn:
            if not await moving.is_waited_for(conn):
                return self._limits.idle_s
            if not await moving.begin(conn):
                return self._limits.again_s
            try:
                while not stop.is_set():
                    job = await job_claims.claim_erasure(conn)
                    if job is None:
                        return self._limits.idle_s
                    if not await self._guarded(conn, job, stop):
                        return self._limits.again_s
            finally:
                await moving.end(conn)
        return self._limits.idle_s

    async def _guarded(self, conn: Connection, job: ClaimedJob, stop: asyncio.Event) -> bool:
        """Do a job; False where it is to be tried again a little later."""
        row = WorkRow(JOB, str(job.id), job.org_id)
        done = await self._guard.run(row, partial(self._do, job, stop), is_due=True)
        if done is None:
            await job_claims.release(conn, job, tries=0)
            return True
        return done.answer

    async def _do(self, job: ClaimedJob, stop: asyncio.Event) -> bool:
        """Do a job; False where it is to be tried again a little later."""
        try:
            if job.tries > _MOST_TRIES:
                raise _Failed(_GAVE_UP)
            await self._rounds(job, stop)
        except _Ended:
            pass
        except _Failed as error:
            await self._end(job, "failed", str(error))
        except (StoreError, ChangedMeanwhile) as error:
            _log.warning("an erasure was postponed", job=str(job.id), error=str(error))
            return False
        return True

    async def _rounds(self, job: ClaimedJob, stop: asyncio.Event) -> None:
        async with as_application(self._connections, job.org_id) as conn:
            content = await jobs.content_of(conn, job.id)
        if content is None:
            raise _Ended
        wanted = Erasure(job.org_id, *msgspec.json.decode(content, type=ErasedTime))
        for _ in range(_MOST_ROUNDS):
            found = await self._round(job, wanted, stop)
            if stop.is_set():
                return
            if not any(found):
                await self._end(job, "done")
                return
        raise _Failed(_STILL_COMING)

    async def _round(self, job: ClaimedJob, wanted: Erasure, stop: asyncio.Event) -> Erased:
        """Erase what is found in each place; return how much it was."""
        found = Erased()
        async with self._connections.connection() as conn:
            chunks = await retention.chunks(conn)
        of_time = (one for one in chunks if one.until > wanted.since and one.since < wanted.until)
        rows = self._limits.rows
        steps: list[Callable[[Connection], Awaitable[Erased]]] = [
            lambda conn, chunk=chunk: _fixes(conn, wanted, chunk, rows) for chunk in of_time
        ]
        steps.append(lambda conn: _messages(conn, wanted, rows))
        for step in steps:
            while any(erased := await self._step(job, step)) and not stop.is_set():
                found = found.and_also(erased)
        await self._step(job, lambda conn: _position(conn, wanted))
        for day, pieces in await self._archived(wanted):
            if stop.is_set():
                return found
            found = found.and_also(await self._rewrite(job, day, pieces))
        found = found.and_also(await self._remove_objects(job, wanted))
        await self._remove_exports(job)
        return found

    async def _step(
        self, job: ClaimedJob, work: Callable[[Connection], Awaitable[Erased]]
    ) -> Erased:
        """Do something in a transaction with the job's counts. Raises _Ended."""
        async with self._connections.connection(org_id=job.org_id) as conn, conn.transaction():
            erased = await work(conn)
            await become_application(conn, job.org_id, job.actor)
            held = await jobs.hold(conn, job.id, job.claim)
            if held is None:
                raise _Ended
            if any(erased):
                await jobs.advance(conn, job.id, _added(held, erased), lease_s=0)
        return erased

    async def _archived(self, wanted: Erasure) -> list[tuple[ArchivedDay, list[Piece]]]:
        """Return the archived days that may have fixes of the time."""
        fixes = FixFilter(
            employee_ids=(wanted.employee_id,), since=wanted.since, until=wanted.until
        )
        async with as_application(self._connections, wanted.org_id) as conn:
            extent = await archived_days.extent(conn, fixes)
            if extent is None:
                return []
            return await archived_days.pieces(conn, fixes, extent.first, extent.last)

    async def _rewrite(self, job: ClaimedJob, day: ArchivedDay, pieces: list[Piece]) -> Erased:
        if self._store is None:
            raise _Failed(_NO_STORE)
        made = await self._store.run(
            rewritten, self._store, day, pieces, timeout_s=self._limits.day_s
        )
        if made is None:
            return Erased()
        written, trackers = made.written or (None, [])

        async def name(conn: Connection) -> Erased:
            await moving.replace(conn, day, written, trackers)
            return Erased(archived_fixes=made.erased)

        try:
            return await self._step(job, name)
        except (ChangedMeanwhile, _Ended):
            if written is not None:
                async with self._connections.connection() as conn:
                    await moving.remove_later(conn, [written.path], datetime.now(UTC))
            raise

    async def _remove_objects(self, job: ClaimedJob, wanted: Erasure) -> Erased:
        """Remove the objects of the days that readers are not told of any more."""
        if self._store is None:
            return Erased()
        stored = await self._store.run(
            self._store.objects, f"org={wanted.org_id}", timeout_s=self._limits.day_s
        )
        async with self._connections.connection() as conn:
            paths = set(await erasing.removals(conn, wanted))
            known = await erasing.known_paths(conn, wanted.org_id)
        paths |= {one.path for one in stored if erasing.is_of_days(one.path, wanted)} - known
        removed = Erased()
        for path in sorted(paths):
            await self._store.run(self._store.remove, path)

            async def note(conn: Connection, path: str = path) -> Erased:
                await moving.removed(conn, path)
                return Erased(objects=1)

            removed = removed.and_also(await self._step(job, note))
        return removed

    async def _remove_exports(self, job: ClaimedJob) -> None:
        """Remove files that may have such fixes. The last round does it when no other place has
        them, so no later file has them either.
        """
        async with self._connections.connection() as conn, conn.transaction():
            paths = await erasing.forget_exports(conn, job.org_id)
        if self._store is not None:
            for path in paths:
                await self._store.run(self._store.remove, path)

    async def _end(self, job: ClaimedJob, state: JobState, error: str | None = None) -> None:
        async with as_application(self._connections, job.org_id, job.actor) as conn:
            held = await jobs.hold(conn, job.id, job.claim)
            if held is None:
                return
            if state == "done":
                erased = {**held.result["erased"], "read_back_at": datetime.now(UTC).isoformat()}
                held = held._replace(total=held.done, result={**held.result, "erased": erased})
            await jobs.end(conn, job.id, state, error, held)
        self._metrics.jobs_ended.labels(job.kind, state).inc()
        _log.info("job ended", job=str(job.id), kind=job.kind, state=state)


async def _fixes(conn: Connection, wanted: Erasure, chunk: Chunk, rows: int) -> Erased:
    return Erased(fixes=await erasing.remove_fixes(conn, wanted, chunk, rows))


async def _messages(conn: Connection, wanted: Erasure, rows: int) -> Erased:
    return Erased(messages=await erasing.remove_messages(conn, wanted, rows))


async def _position(conn: Connection, wanted: Erasure) -> Erased:
    await erasing.renew_position(conn, wanted, datetime.now(UTC))
    return Erased()


def _added(held: HeldJob, erased: Erased) -> HeldJob:
    before = held.result["erased"]
    counts = {name: before[name] + count for name, count in erased._asdict().items()}
    result = {**held.result, "erased": {**before, **counts}}
    return held._replace(done=held.done + erased.positions, result=result)
