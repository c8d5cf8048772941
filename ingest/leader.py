"""One active owner: stand by for the lease, read the memory back, work, and hand over in order.

Whatever goes wrong while working, but for messages that the database refuses, ends the turn, and
the next turn begins as a new process would: this is the one way of recovery. After a failure
batches are smaller, in case one was more than the database could take. A standby runs the same code
and waits in `_stand_by`, where it keeps the registry current.
"""

import asyncio
import gc
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import psycopg
import structlog

from db.core import leases
from db.core.connect import Connection, Limits, connect
from db.history.visits import VisitNotOpen
from ingest.late.lookup import PastNeeded
from ingest.metrics import Metrics
from ingest.pipeline import LEASE, Stored, Turn, plan_asking, store
from ingest.planning.acceptance import Admission
from ingest.planning.clock_rollover import HistoryNeeded
from ingest.planning.decoded_batch import Arrivals, read
from ingest.planning.leftovers import finished, joined, shared
from ingest.planning.plan import Memory, Plan, make_plan
from ingest.planning.poison_messages import DATA_ERRORS
from ingest.planning.rate_limit import Rates
from ingest.receipts import WaysBack, receipts, send
from ingest.recovery import recollect
from ingest.registry.registry import Registry
from ingest.results import results
from ingest.sources.link import LinkOptions, LinkServer
from ingest.sources.mqtt import BatchLimits, FixSize
from ingest.sources.source import Broker, Inbox, Source, Taken, in_turn
from ingest.splitting import acquit, store_in_parts
from ingest.standby import Standby
from ingest.tidying import tidy
from mqtt import BrokerAddress, MqttError, Session, SessionOptions
from service.exceptions import message
from service.memory import give_back

_LIMITS = Limits(statement_s=20, lock_s=5, transaction_s=20, idle_in_transaction_s=5)
_RESTORE_LIMITS = Limits(statement_s=300, transaction_s=300)
_LEASE_LIMITS = Limits(lock_s=10)  # an owner that is frozen in a transaction holds the lease's row
_RETRY_MIN_S, _RETRY_MAX_S = 0.1, 5.0
_LOOK_S = 0.25  # between two tries of a standby to become the owner

STANDS_BY = "standing by: another process is the owner"  # and we may follow it at once
MOST_LEFT = 4  # batches of fixes that may be left over before no more are taken
SHARED_LEFT = 3  # of these organizations have shares: the batch that exceeds them still has room

_log = structlog.get_logger("ingest")
TurnEnded = (psycopg.Error, leases.LeaseLost, VisitNotOpen, MqttError, OSError)


def _now_us() -> int:
    return time.time_ns() // 1000


class Planned(NamedTuple):
    """A batch on its way into the database.

    arrived: what was taken from its source; arrivals: with what was left over before it. plan: None
    where the database has to be asked first. taken_back: `Memory.taken_back` when it was planned.
    """

    arrived: Arrivals
    arrivals: Arrivals
    plan: Plan | None
    taken_back: int


@dataclass(slots=True)
class Ownership:
    """The identity and the progress of this process, which the health page shows."""

    database_url: str
    broker: BrokerAddress | None
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
    works: bool = False
    stands_by: bool = False
    session: Session | None = None
    smaller_by: int = 1  # batches are divided by it, after failures
    fix_size: FixSize = field(default_factory=FixSize)
    doubted: set[bytes] = field(default_factory=set[bytes])
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    link: LinkOptions | None = None

    @property
    def address(self) -> str | None:
        """The address at which listeners find this process while it is the owner."""
        return None if self.link is None else str(self.link.advertised or self.link.address)

    def current_limits(self, memory: Memory) -> BatchLimits | None:
        """Return the limits of the next batch: smaller for some batches after a failure; about
        `batch_fixes` at most.

        Where fixes are left over, others are not waited for. Nothing is taken of organizations of
        which too many are, and where too many are in all, none from sources that cannot tell
        organizations apart. None where MOST_LEFT batches are left over, or after a failure: then
        those come alone.
        """
        left = memory.left
        most_bytes = self.fix_size.bytes_of(self.batch_fixes)
        limits = self.limits.within(most_bytes).divided(self.smaller_by)
        if left is None:
            return limits
        if self.smaller_by > 1 or len(left.decoded.batch) >= MOST_LEFT * self.batch_fixes:
            return None
        is_crowded = len(left.decoded.batch) >= memory.most_left
        return replace(limits, idle_s=0.0, held=memory.crowding, is_crowded=is_crowded)

    def trouble(self) -> str | None:
        """Return why no fix is stored just now; None while this process is the owner
        and connected.
        """
        if self.stands_by:
            return STANDS_BY
        if not self.works:
            return "not the owner: another process is, or the database cannot be reached"
        if self.session is not None and not self.session.connected.is_set():
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
    gc.unfreeze()
    gc.collect()  # what the turn before left behind
    async with _connection(ownership, _LEASE_LIMITS) as lease_conn:
        taken = await _stand_by(ownership, lease_conn)
        if taken is None:
            return
        epoch, registry = taken
        ownership.leads = True
        _log.info("became the leader", epoch=epoch)
        ownership.metrics.turns.inc()
        try:
            async with asyncio.TaskGroup() as tasks:
                renewing = tasks.create_task(_renew(ownership, lease_conn, epoch))
                await _work(ownership, epoch, registry)
                renewing.cancel()
        finally:
            ownership.works, ownership.session = False, None
            ownership.metrics.active.set(0)
        await leases.release(lease_conn, LEASE, epoch)
        _log.info("stopped cleanly", epoch=epoch)


async def _work(ownership: Ownership, epoch: int, registry: Registry) -> None:
    memory = await _recollected(ownership, registry)
    memory.most_transitions = ownership.batch_transitions
    memory.most_left = SHARED_LEFT * ownership.batch_fixes
    async with (
        _connection(ownership, _LIMITS) as conn,
        _connection(ownership, _LIMITS) as side,
        _arrivals_from(ownership, epoch) as (links, session),
    ):
        memory.rates = Rates(ownership.admission.max_fixes_per_s)
        turn = Turn(
            conn,
            epoch,
            memory,
            ownership.metrics,
            _now_us,
            ownership.admission.bounds,
            doubted=ownership.doubted,
        )
        turn.memory_is_current.set()
        ownership.works, ownership.session = True, session
        ownership.metrics.watch(session)
        ownership.metrics.active.set(1)
        sources: list[Source] = [Inbox(side)]
        if session is not None:
            sources.append(Broker(session))
        if links is not None:
            sources.append(links)
        planned: asyncio.Queue[Planned] = asyncio.Queue(maxsize=1)
        async with asyncio.TaskGroup() as tasks:
            planning = tasks.create_task(_plan(turn, side, sources, ownership, planned))
            storing = tasks.create_task(
                _store(turn, WaysBack(links, session), sources, ownership, planned)
            )
            tidying = tasks.create_task(tidy(side, ownership.admission.quarantine_days))
            await ownership.stopping.wait()
            planning.cancel()
            tidying.cancel()
            await planned.join()
            storing.cancel()


async def _recollected(ownership: Ownership, registry: Registry) -> Memory:
    """Read the memory back. It is never looked through for garbage while batches wait."""
    async with _connection(ownership, _RESTORE_LIMITS) as conn:
        memory = await recollect(conn, registry)
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
    """Plan the next batch while the database works on the one before.

    In a thread: the event loop is free to feed COPY and to hear the broker meanwhile. A batch is
    not taken before it can be planned: messages gather meanwhile, and larger batches cost less.
    """
    memory = turn.memory
    async for taken in in_turn(sources, lambda: ownership.current_limits(memory)):
        async with turn.planning:
            turn.memory_is_current.clear()
            one = await asyncio.to_thread(_read_and_plan, taken, memory, ownership)
        if one.plan is None:
            await planned.join()  # what was planned before has to be committed
            one = await _planned_anew(side, one, memory, ownership)
        await planned.put(one)
        await turn.memory_is_current.wait()


def _read_and_plan(taken: Taken, memory: Memory, ownership: Ownership) -> Planned:
    now_us = _now_us()
    arrived = read(taken.messages, now_us, ownership.admission.oldest_us(now_us))
    payload_bytes = sum(len(message.payload) for message in taken.messages)
    ownership.fix_size.saw(len(arrived.decoded.batch), payload_bytes)
    arrivals = _with_left(arrived, memory, ownership)
    memory.smaller_by = ownership.smaller_by
    try:
        plan = make_plan(arrivals, memory, _now_us())
    except (HistoryNeeded, PastNeeded):
        plan = None
    return Planned(arrived, arrivals, plan, memory.taken_back)


def _with_left(arrived: Arrivals, memory: Memory, ownership: Ownership) -> Arrivals:
    """Join what is left over with what has arrived; no more than a batch is planned at once."""
    if memory.left is None and not memory.suspects and not memory.slow:
        return arrived
    arrivals = joined(memory.left, arrived)
    return shared(arrivals, memory, ownership.batch_fixes // ownership.smaller_by)


async def _planned_anew(
    conn: Connection, one: Planned, memory: Memory, ownership: Ownership
) -> Planned:
    """Plan a batch again, with what is left over by now."""
    arrivals = _with_left(one.arrived, memory, ownership)
    plan = await plan_asking(conn, arrivals, memory, _now_us)
    return Planned(one.arrived, arrivals, plan, memory.taken_back)


async def _store(
    turn: Turn,
    ways_back: WaysBack,
    sources: Sequence[Source],
    ownership: Ownership,
    planned: asyncio.Queue[Planned],
) -> None:
    def settled(stored: Stored) -> None:
        done, codes = finished(stored.arrivals, stored.plan), results(*stored)
        for source in sources:
            source.acknowledge(done, codes)
        made = receipts(stored.arrivals, stored.plan, turn.memory.registry)
        send(ways_back, made, turn.metrics)

    while True:
        one = await planned.get()
        if one.plan is None or one.taken_back != turn.memory.taken_back:
            one = await _planned_anew(turn.conn, one, turn.memory, ownership)
        assert one.plan is not None
        try:
            settled(await store(turn, one.arrivals, one.plan, sources))
            acquit(turn.memory, one.arrivals)
        except DATA_ERRORS as error:
            async with turn.planning:
                await store_in_parts(turn, one.arrivals, sources, error, settled)
        ownership.smaller_by = max(1, ownership.smaller_by // 2)
        planned.task_done()


@asynccontextmanager
async def _arrivals_from(ownership: Ownership, epoch: int) -> AsyncIterator[WaysBack]:
    """Provide the sources of messages and the ways back for receipts."""
    async with AsyncExitStack() as stack:
        links = session = None
        if ownership.link is not None:
            links = await stack.enter_async_context(LinkServer(ownership.link, epoch))
        if ownership.broker is not None:
            session = await stack.enter_async_context(
                Session(ownership.broker, ownership.session_options)
            )
        yield WaysBack(links, session)


async def _stand_by(ownership: Ownership, lease_conn: Connection) -> tuple[int, Registry] | None:
    """Wait for the lease, and return its epoch and the registry; None where the
    process is to stop.
    """
    standby = Standby(LEASE)
    held = (LEASE, ownership.holder, ownership.lease_s, ownership.address)
    try:
        async with _connection(ownership, _RESTORE_LIMITS) as conn:
            while not ownership.stopping.is_set():
                await standby.refresh(conn)
                epoch = await leases.acquire(lease_conn, *held, of_session=True)
                if epoch is not None:
                    return epoch, standby.registry_of(epoch)
                if not ownership.stands_by:
                    _log.info("standing by")
                ownership.stands_by = True
                await _pause(ownership.stopping, _LOOK_S)
    finally:
        ownership.stands_by = False
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
