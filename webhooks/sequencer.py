"""The loop that gives committed events their `seq` while this process holds the lease.

Any number of processes run it; one leads and the others stand by. A leader that is killed or stops
in order is followed at once, one that is cut off when its lease has run out. What a leader had not
committed the next one does again. Deliveries are made of what it has numbered (`webhooks.fan_out`).

Where numbering fails for a reason that nobody foresaw, each organization is numbered alone, and the
one that fails waits as a whole: none of its later events gets ahead of what failed.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from uuid import UUID

import structlog

from db.core import leases
from db.core.connect import Connection, Pool
from db.core.errors import QueryCanceled, TransactionTimeout
from db.core.wakeups import POLL_S, WakeUp
from db.delivery import sequencer
from db.history.failing_work import WorkKind
from service.background.pauses import pause
from service.background.row_guard import RowGuard, WorkRow
from webhooks.batch_size import BatchSize
from webhooks.fan_out import FanOut
from webhooks.metrics import WebhookMetrics
from webhooks.outages import TROUBLE, Outage

_KIND: WorkKind = "sequencer"  # of which the rows are organizations

_log = structlog.get_logger("webhooks")


@dataclass(frozen=True, slots=True)
class SequencerLimits:
    """Every bound of the loop."""

    events: int = 2_000  # of one transaction, which all organizations share
    lease_s: float = 10
    standby_s: float = 1  # between tries to take the lease
    idle_s: float = POLL_S  # between looks while there is nothing, and no wake-up
    busy_s: float = 0.02  # after a small transaction, so that the next is larger


class Sequencer:
    """Call `wake` when there may be events. send: sends wake-ups after COMMIT."""

    def __init__(
        self,
        connections: Pool,
        holder: str,
        send: Callable[[Iterable[WakeUp]], None],
        fan_out: FanOut,
        guard: RowGuard,
        metrics: WebhookMetrics,
        limits: SequencerLimits | None = None,
    ) -> None:
        self._connections = connections
        self._holder = holder
        self._send = send
        self._fan_out = fan_out
        self._guard = guard
        self._metrics = metrics
        self._limits = limits or SequencerLimits()
        self._events = BatchSize(self._limits.events)
        self._work = asyncio.Event()
        self._outage = Outage("sequencer", random.Random())

    def wake(self, _: UUID | None = None) -> None:
        self._work.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Lead, or stand by, until `stop`."""
        while not stop.is_set():
            try:
                async with self._connections.connection() as conn:
                    await self._lead(conn, stop)
                await pause(stop, self._limits.standby_s)
            except leases.LeaseLost as error:
                _log.warning("sequencer leadership lost, retrying", epoch=error.epoch)
            except (QueryCanceled, TransactionTimeout):
                self._events.shrink()
                _log.warning(
                    "sequencer transaction timed out, trying fewer events", events=self._events.now
                )
            except TROUBLE as error:
                await pause(stop, self._outage.begin(error))
            finally:
                self._metrics.sequencer_leads.set(0)
                self._fan_out.lead(None)

    async def _lead(self, conn: Connection, stop: asyncio.Event) -> None:
        limits = self._limits
        epoch = await leases.acquire(
            conn, sequencer.LEASE, self._holder, limits.lease_s, of_session=True
        )
        self._outage.end()
        if epoch is None:
            return
        _log.info("sequencer became the leader", epoch=epoch)
        self._metrics.sequencer_leads.set(1)
        self._fan_out.lead(epoch)
        renew_at_s = monotonic() + limits.lease_s / 3
        while not stop.is_set():
            if monotonic() >= renew_at_s:
                if not await leases.renew(conn, sequencer.LEASE, epoch, limits.lease_s):
                    raise leases.LeaseLost(sequencer.LEASE, epoch)
                renew_at_s = monotonic() + limits.lease_s / 3
            self._work.clear()
            done = await self._sequence(conn, epoch)
            if done is None or done.events < self._events.now // max(1, len(done.org_ids)):
                await asyncio.sleep(limits.busy_s)  # nobody has more
            if done is None or not done.events:
                await pause(self._work, limits.idle_s)
        await leases.release(conn, sequencer.LEASE, epoch)

    async def _sequence(self, conn: Connection, epoch: int) -> sequencer.Sequenced | None:
        """Number events; None where there are none, or where they failed at once, and were
        numbered one organization after the other.
        """
        behind = await sequencer.behind(conn)
        rows = [WorkRow(_KIND, str(org_id), org_id) for org_id in behind]
        number = partial(self._number, conn, epoch)
        done = await self._guard.bulk(rows, number, shrinks=self._events.can_shrink)
        return done.answers[0] if len(done.answers) == 1 else None

    async def _number(
        self, conn: Connection, epoch: int, rows: Sequence[WorkRow]
    ) -> sequencer.Sequenced:
        asked = [row.org_id for row in rows if row.org_id is not None]
        done = await sequencer.sequence(conn, epoch, asked, limit=self._events.now)
        self._events.went_well()
        self._metrics.events_sequenced.inc(done.events)
        self._send(conn.pop_wake_ups())
        self._fan_out.add(done.org_ids)
        return done
