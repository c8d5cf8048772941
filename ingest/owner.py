"""One active owner: wait for the lease, read the memory back, work, and hand over in order.

Whatever goes wrong while working ends the turn, and the next turn begins as a new process would:
this is the one way of recovery. After a failure batches are smaller, in case one was more than the
database could take. A standby runs the same code and waits in `_wait_for_lease`.
"""

import asyncio
import gc
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import psycopg
import structlog

from db import leases
from db.connect import Connection, Limits, connect
from db.visits import VisitNotOpen
from ingest.arrivals import Arrivals, read
from ingest.batcher import BatchLimits, FixSize
from ingest.clocks import HistoryNeeded
from ingest.condemned import DATA_ERRORS, Condemned
from ingest.leftovers import finished, joined, left_over
from ingest.metrics import Metrics
from ingest.past import PastNeeded
from ingest.pipeline import LEASE, Turn, plan_asking, store
from ingest.plan import Memory, Plan, make_plan
from ingest.rates import Rates
from ingest.receipts import receipts, send
from ingest.recollection import recollect
from ingest.refusals import Admission
from ingest.sources import Broker, Inbox, Source, Taken, in_turn
from ingest.tidying import tidy
from mqtt import BrokerAddress, MqttError, Session, SessionOptions
from service.exceptions import message
from service.memory import give_back

_LIMITS = Limits(statement_s=20, lock_s=5, transaction_s=20, idle_in_transaction_s=5)
_RESTORE_LIMITS = Limits(statement_s=300, transaction_s=300)
_RETRY_MIN_S, _RETRY_MAX_S = 0.1, 5.0

_log = structlog.get_logger("ingest")
TurnEnded = (psycopg.Error, leases.LeaseLost, VisitNotOpen, MqttError, OSError)


def _now_us() -> int:
    return time.time_ns() // 1000


class Planned(NamedTuple):
    """A batch on its way into the database."""

    arrivals: Arrivals
    plan: Plan


@dataclass(slots=True)
class Ownership:
    """Who we are, and how far we are: the one thing that the health page looks at."""

    database_url: str
    broker: BrokerAddress
    session_options: SessionOptions
    limits: BatchLimits
    batch_fixes: int
    batch_transitions: int
    lease_s: float
    metrics: Metrics
    admission: Admission = field(default_factory=Admission)
    holder: str = field(
        default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    )
    leads: bool = False
    session: Session | None = None
    smaller_by: int = 1  # batches are divided by it, after failures
    fix_size: FixSize = field(default_factory=FixSize)
    condemned: Condemned = field(default_factory=Condemned)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    left: Arrivals | None = None  # what the last batch left over

    def current_limits(self) -> BatchLimits | None:
        """Smaller for some batches after a failure; about `batch_fixes` at most.

        Where fixes are left over, others are not waited for. None where many are, or after a
        failure: then those come alone.
        """
        most_bytes = self.fix_size.bytes_of(self.batch_fixes)
        limits = self.limits.within(most_bytes).divided(self.smaller_by)
        if self.left is None:
            return limits
        if self.smaller_by > 1 or len(self.left.decoded.batch) >= self.batch_fixes:
            return None
        return replace(limits, idle_s=0.0)

    def trouble(self) -> str | None:
        """Why no fix is stored just now; None while this process is the owner and connected."""
        if self.session is None:
            return "not the owner: another process is, or the database cannot be reached"
        if not self.session.connected.is_set():
            return f"the broker cannot be reached: {self.session.last_error}"
        return None


async def run(ownership: Ownership) -> None:
    """Turn after turn, until `stopping` is set."""
    delay_s = _RETRY_MIN_S
    while not ownership.stopping.is_set():
        started, ownership.leads = time.monotonic(), False
        try:
            await _turn(ownership)
        except* TurnEnded as group:
            ownership.smaller_by = min(ownership.smaller_by * 4, ownership.limits.messages)
            lost = "leadership lost" if ownership.leads else "cannot become the leader"
            for error in _leaves(group):
                told = {"error": type(error).__name__, "detail": message(error)}
                _log.warning(f"{lost}, retrying", **told)
                ownership.metrics.failures.labels(type(error).__name__).inc()
        if time.monotonic() - started > _RETRY_MAX_S:
            delay_s = _RETRY_MIN_S
        await _pause(ownership.stopping, delay_s)
        delay_s = min(2 * delay_s, _RETRY_MAX_S)


async def _turn(ownership: Ownership) -> None:
    async with _connection(ownership, Limits(lock_s=ownership.lease_s)) as lease_conn:
        epoch = await _wait_for_lease(ownership, lease_conn)
        if epoch is None:
            return
        ownership.leads = True
        _log.info("became the leader", epoch=epoch)
        ownership.metrics.turns.inc()
        try:
            async with asyncio.TaskGroup() as tasks:
                renewing = tasks.create_task(_renew(ownership, lease_conn, epoch))
                await _work(ownership, epoch)
                renewing.cancel()
        finally:
            ownership.session = None
            ownership.metrics.active.set(0)
        await leases.release(lease_conn, LEASE, epoch)
        _log.info("stopped cleanly", epoch=epoch)


async def _work(ownership: Ownership, epoch: int) -> None:
    memory = await _recollected(ownership)
    memory.most_transitions, ownership.left = ownership.batch_transitions, None
    async with (
        _connection(ownership, _LIMITS) as conn,
        _connection(ownership, _LIMITS) as side,
        Session(ownership.broker, ownership.session_options) as session,
    ):
        memory.rates = Rates(ownership.admission.max_fixes_per_s)
        turn = Turn(conn, epoch, memory, ownership.metrics, _now_us, ownership.admission.bounds)
        turn.memory_is_current.set()
        ownership.session = session
        ownership.metrics.watch(session)
        ownership.metrics.active.set(1)
        sources = (Inbox(side), Broker(session))
        planned: asyncio.Queue[Planned] = asyncio.Queue(maxsize=1)
        async with asyncio.TaskGroup() as tasks:
            planning = tasks.create_task(_plan(turn, side, sources, ownership, planned))
            storing = tasks.create_task(_store(turn, session, sources, ownership, planned))
            tidying = tasks.create_task(tidy(side, ownership.admission.quarantine_days))
            await ownership.stopping.wait()
            planning.cancel()
            tidying.cancel()
            await planned.join()
            storing.cancel()


async def _recollected(ownership: Ownership) -> Memory:
    """What is read back stays: it is never looked through for garbage while batches wait."""
    gc.unfreeze()
    gc.collect()  # what the turn before left behind
    async with _connection(ownership, _RESTORE_LIMITS) as conn:
        memory = await recollect(conn)
    give_back()
    gc.freeze()
    return memory


async def _plan(
    turn: Turn,
    side: Connection,
    sources: Sequence[Source],
    ownership: Ownership,
    planned: asyncio.Queue[Planned],
) -> None:
    """Plans the next batch while the database works on the one before.

    In a thread: the event loop is free to feed COPY and to hear the broker meanwhile. A batch is
    not taken before it can be planned: messages gather meanwhile, and larger batches cost less.
    """
    async for taken in in_turn(sources, ownership.current_limits):
        turn.memory_is_current.clear()
        arrivals, plan = await asyncio.to_thread(_read_and_plan, taken, turn.memory, ownership)
        if plan is None:
            await planned.join()  # what was planned before has to be committed
            plan = await plan_asking(side, arrivals, turn.memory, _now_us)
        await planned.put(Planned(arrivals, plan))
        await turn.memory_is_current.wait()
        cut = turn.memory.cut  # it may be of another plan, made again where something had changed
        ownership.left = None if cut is None else left_over(arrivals, cut)


def _read_and_plan(
    taken: Taken, memory: Memory, ownership: Ownership
) -> tuple[Arrivals, Plan | None]:
    """No plan: the database has to be asked first."""
    now_us = _now_us()
    condemned = ownership.condemned.among(taken.messages)
    arrivals = read(taken.messages, now_us, ownership.admission.oldest_us(now_us), condemned)
    payload_bytes = sum(len(message.payload) for message in taken.messages)
    ownership.fix_size.saw(len(arrivals.decoded.batch), payload_bytes)
    arrivals = joined(ownership.left, arrivals)
    memory.smaller_by = ownership.smaller_by
    try:
        return arrivals, make_plan(arrivals, memory, _now_us())
    except (HistoryNeeded, PastNeeded):
        return arrivals, None


async def _store(
    turn: Turn,
    session: Session,
    sources: Sequence[Source],
    ownership: Ownership,
    planned: asyncio.Queue[Planned],
) -> None:
    while True:
        arrivals, plan = await planned.get()
        try:
            plan = await store(turn, arrivals, plan, sources)
        except DATA_ERRORS as error:
            ownership.condemned.failed(arrivals.messages, error)
            raise
        done = finished(arrivals, plan)
        for source in sources:
            source.acknowledge(done)
        ownership.condemned.settled(done)
        send(session, receipts(arrivals, plan, turn.memory.registry), turn.metrics)
        ownership.smaller_by = max(1, ownership.smaller_by // 2)
        planned.task_done()


async def _wait_for_lease(ownership: Ownership, conn: Connection) -> int | None:
    while not ownership.stopping.is_set():
        epoch = await leases.acquire(conn, LEASE, ownership.holder, ownership.lease_s)
        if epoch is not None:
            return epoch
        await _pause(ownership.stopping, ownership.lease_s / 6)
    return None


async def _renew(ownership: Ownership, conn: Connection, epoch: int) -> None:
    while True:
        await asyncio.sleep(ownership.lease_s / 4)
        if not await leases.renew(conn, LEASE, epoch, ownership.lease_s):
            raise leases.LeaseLost(LEASE, epoch)


@asynccontextmanager
async def _connection(ownership: Ownership, limits: Limits) -> AsyncIterator[Connection]:
    conn = await connect(ownership.database_url, "opsc-ingest", limits)
    try:
        yield conn
    finally:
        await conn.close()


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        pass


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
