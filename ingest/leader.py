"""The lease: stand by for it, read the memory back, work while we hold it, and hand over in order.

Whatever goes wrong while working, but for messages that are refused, ends the term of the leader,
also what nobody foresaw, and the next term begins as a new process would: this is the one way of
recovery. Only MemoryError ends the process. After a
failure batches are smaller, in case one was more than the database could take. A standby runs the
same code and waits in `_stand_by`, where it keeps the registry current.
"""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from db.core import leases
from db.core.connect import Connection, Limits, connect
from db.core.errors import (
    RECONNECT_S,
    DatabaseError,
    LockNotAvailable,
    QueryCanceled,
    TransactionTimeout,
)
from db.history import quarantine
from db.history.failing_work import FailingWork
from db.history.visits import VisitNotOpen
from db.ingest import restore
from ingest.amending import amend_punches
from ingest.pipeline import Pipeline
from ingest.planning.memory import Memory
from ingest.planning.poison_messages import NOT_ABOUT_MESSAGES
from ingest.planning.rate_limit import Rates
from ingest.positions.hours import hours_end, keep_hours
from ingest.positions.writer import keep_positions
from ingest.receipts import WaysBack
from ingest.recovery import recover
from ingest.registry.registry import Registry
from ingest.runtime import SHARED_DEFERRED_BATCHES, IngestRuntime
from ingest.sources.link import LinkServer
from ingest.sources.source import BrokerSource, InboxSource, ListenerSource, Source
from ingest.standby import Standby
from ingest.transaction import LEASE, LeaderTerm
from mqtt import MqttError, Session
from service.background.pauses import pause
from service.background.row_guard import GuardLimits, RowGuard
from service.exceptions import message
from service.memory import give_back
from telemetry.times import to_datetime, to_us

if TYPE_CHECKING:
    from ingest.sources.log import LogSource

_LIMITS = Limits(statement_s=20, lock_s=5, transaction_s=20, idle_in_transaction_s=5)
_RESTORE_LIMITS = Limits(statement_s=300, transaction_s=300)
# A leader that is frozen in a transaction holds the lease's row.
_LEASE_LIMITS = Limits(statement_s=15, lock_s=10)
_RETRY_MIN_S = 0.1
_RETRY_UNFORESEEN_S = 5.0  # the longest pause after what nobody foresaw
_LASTED_S = 5.0  # a term that failed later is no reason for a longer pause
_LOOK_S = 0.25  # between two tries of a standby to become the leader
_TIDY_ROWS = 200  # few: the connection also reads the inbox, and a row may have 64 KiB
_TIDY_S, _TIDY_MORE_S = 60.0, 0.25  # between two steps; while there is more to remove

_log = structlog.get_logger("ingest")
TERM_ERRORS = (DatabaseError, leases.LeaseLost, VisitNotOpen, MqttError, OSError)


async def run(runtime: IngestRuntime) -> None:
    """Lead term after term, until `stopping` is set."""
    async with runtime.wake_ups.running():
        await _lead_again_and_again(runtime)


async def _lead_again_and_again(runtime: IngestRuntime) -> None:
    delay_s = _RETRY_MIN_S
    while not runtime.stopping.is_set():
        started, runtime.leads, most_s = time.monotonic(), False, RECONNECT_S
        try:
            await _term(runtime)
        except* MemoryError:
            raise
        except* TERM_ERRORS as group:
            _note_the_end(runtime, group)
        except* Exception as group:  # noqa: BLE001
            most_s = _RETRY_UNFORESEEN_S
            _note_the_end(runtime, group, is_foreseen=False)
        if time.monotonic() - started > _LASTED_S:
            delay_s = _RETRY_MIN_S
        await pause(runtime.stopping, delay_s)
        delay_s = min(2 * delay_s, most_s)


def _note_the_end(
    runtime: IngestRuntime, group: BaseExceptionGroup[BaseException], *, is_foreseen: bool = True
) -> None:
    """Note why a term ended. Several of its tasks may find out the same: it is told and counted
    once.
    """
    runtime.smaller_by = min(runtime.smaller_by * 4, runtime.limits.messages)
    lost = "leadership lost" if runtime.leads else "cannot become the leader"
    for name, error in {type(error).__name__: error for error in _leaves(group)}.items():
        runtime.metrics.failures.labels(name).inc()
        if is_foreseen:
            _log.warning(f"{lost}, retrying", error=name, detail=message(error))
        else:
            _log.error(f"{lost}: nobody foresaw this; retrying", error=name, exc_info=error)


async def _term(runtime: IngestRuntime) -> None:
    gc.unfreeze()
    gc.collect()  # what the term before left behind
    async with _connection(runtime, _LEASE_LIMITS) as lease_conn:
        taken = await _stand_by(runtime, lease_conn)
        if taken is None:
            return
        epoch, registry = taken
        runtime.leads = True
        _log.info("became the leader", epoch=epoch)
        runtime.metrics.terms.inc()
        try:
            async with asyncio.TaskGroup() as tasks:
                renewing = tasks.create_task(_renew(runtime, lease_conn, epoch))
                await _lead(runtime, epoch, registry)
                renewing.cancel()
        finally:
            runtime.works, runtime.session, runtime.inbox, runtime.log = False, None, None, None
            runtime.metrics.leads.set(0)
            runtime.metrics.feed_ahead.set(0)
        await leases.release(lease_conn, LEASE, epoch)
        _log.info("stopped cleanly", epoch=epoch)


async def _lead(runtime: IngestRuntime, epoch: int, registry: Registry) -> None:
    """Put a term together, and work until the runtime is stopping."""
    memory = await _recovered(runtime, registry)
    async with (
        _connection(runtime, _LIMITS) as conn,
        _connection(runtime, _LIMITS) as side,
        _ways_in(runtime, epoch) as ways,
    ):
        bounds = runtime.acceptance.bounds
        term = LeaderTerm(
            conn,
            epoch,
            memory,
            runtime.metrics,
            runtime.clock.now_us,
            bounds,
            runtime.ended_terms,
            hours_end=await hours_end(conn),
        )
        runtime.inbox = InboxSource(side)
        sources: list[Source] = [runtime.inbox]
        if ways.session is not None:
            sources.append(BrokerSource(ways.session))
        sources.extend(ways.listeners)
        runtime.works, runtime.session = True, ways.session
        runtime.metrics.watch(ways.session)
        runtime.metrics.leads.set(1)
        connection, metrics = partial(_connection, runtime, _LIMITS), runtime.metrics
        guard = _guard(runtime, connection)

        def kept(name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
            """Begin work that goes on until it is cancelled, or the lease is lost."""
            loop = guard.keep(name, lambda _: work(), runtime.stopping, ending=TERM_ERRORS)
            return tasks.create_task(loop)

        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(runtime.log.keep())] if runtime.log is not None else []
            newest = (term.positions, memory.registry)
            beside += [
                tasks.create_task(_tidy(side, runtime.acceptance.quarantine_days)),
                kept(
                    "punches",
                    lambda: amend_punches(connection, runtime.wake_ups.send, guard, metrics),
                ),
                kept("positions", lambda: keep_positions(connection, epoch, *newest, metrics)),
                kept("hours", lambda: keep_hours(connection, epoch, term.hours_end, metrics)),
            ]
            await Pipeline(term, runtime, side, sources, ways).run()
            for task in beside:
                task.cancel()


def _guard(
    runtime: IngestRuntime, connection: Callable[[], AbstractAsyncContextManager[Connection]]
) -> RowGuard:
    """Return the guard of the work beside the batches. Each of its looks is a connection: rows that
    wait are left out by the statements of the work.
    """
    return RowGuard(
        FailingWork(connection),
        NOT_ABOUT_MESSAGES,
        (QueryCanceled, TransactionTimeout),
        runtime.metrics.work,
        GuardLimits(refresh_s=60),
    )


async def _recovered(runtime: IngestRuntime, registry: Registry) -> Memory:
    """Read the memory back. It stays: the garbage collector never looks through it again."""
    async with _connection(runtime, _RESTORE_LIMITS) as conn:
        memory = await recover(conn, registry)
        # Former leaders may have had another clock.
        newest = await restore.newest_receipt(conn, to_datetime(runtime.clock.now_us()))
        memory.newest_feed_us = to_us(newest)
    memory.most_transitions = runtime.batch_transitions
    memory.most_deferred = SHARED_DEFERRED_BATCHES * runtime.batch_fixes
    memory.rates = Rates(runtime.acceptance.max_fixes_per_s)
    give_back()
    gc.freeze()
    return memory


@asynccontextmanager
async def _ways_in(runtime: IngestRuntime, epoch: int) -> AsyncIterator[WaysBack]:
    """Provide the sources of messages and the ways back for receipts."""
    async with AsyncExitStack() as stack:
        listeners: list[ListenerSource] = []
        session = None
        if runtime.link is not None:
            listeners.append(await stack.enter_async_context(LinkServer(runtime.link, epoch)))
        if runtime.open_log is not None:
            runtime.log = await _opened_log(runtime, stack, runtime.open_log(epoch))
            listeners.append(runtime.log)
        if runtime.broker is not None:
            session = await stack.enter_async_context(
                Session(runtime.broker, runtime.session_options)
            )
        yield WaysBack(listeners, session)


async def _opened_log(
    runtime: IngestRuntime, stack: AsyncExitStack, log: "AbstractAsyncContextManager[LogSource]"
) -> "LogSource":
    try:
        opened = await stack.enter_async_context(log)
    except OSError as error:
        runtime.log_trouble = f"the log cannot be reached: {error}"
        raise
    runtime.log_trouble = None
    return opened


async def _tidy(conn: Connection, quarantine_days: int) -> None:
    """Remove what grew old in quarantine, in small steps, until cancelled."""
    while True:
        before = datetime.now(UTC) - timedelta(days=quarantine_days)
        removed = await quarantine.remove_older(conn, before, _TIDY_ROWS)
        await asyncio.sleep(_TIDY_MORE_S if removed == _TIDY_ROWS else _TIDY_S)


async def _stand_by(runtime: IngestRuntime, lease_conn: Connection) -> tuple[int, Registry] | None:
    """Wait for the lease, and return its epoch and the registry; None where the
    process is to stop.
    """
    standby = Standby(LEASE)
    held = (LEASE, runtime.holder, runtime.lease_s, runtime.address)
    try:
        async with _connection(runtime, _RESTORE_LIMITS) as conn:
            while not runtime.stopping.is_set():
                await standby.refresh(conn)
                try:
                    epoch = await leases.acquire(lease_conn, *held, of_session=True)
                except LockNotAvailable:
                    if not await leases.end_stuck(lease_conn, _LEASE_LIMITS.lock_s):
                        raise
                    _log.warning("a former leader that is stuck in a transaction was cut off")
                    continue
                if epoch is not None:
                    return epoch, standby.registry_of(epoch)
                if not runtime.stands_by:
                    _log.info("standing by")
                runtime.stands_by = True
                await pause(runtime.stopping, _LOOK_S)
    finally:
        runtime.stands_by = False
    return None


async def _renew(runtime: IngestRuntime, conn: Connection, epoch: int) -> None:
    while True:
        runtime.renewed_s = time.monotonic()
        await asyncio.sleep(runtime.lease_s / 4)
        if not await leases.renew(conn, LEASE, epoch, runtime.lease_s):
            raise leases.LeaseLost(LEASE, epoch)


@asynccontextmanager
async def _connection(runtime: IngestRuntime, limits: Limits) -> AsyncIterator[Connection]:
    conn = await connect(runtime.database_url, "opsc-ingest", limits)
    try:
        yield conn
    finally:
        await conn.close()


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves
