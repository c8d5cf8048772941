"""The loop that makes the deliveries of numbered events, in turns by organization.

It runs where the sequencer leads, in a session of its own, so that numbers wait for no deliveries.
What a leader had not committed the next one does again.

Where deliveries fail for a reason that nobody foresaw, those of each organization are made alone.
The one that fails waits as a whole: none of its later events gets ahead of what failed.
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
from db.delivery import endpoint_health
from db.delivery.fan_out import behind, fan_out
from db.history.failing_work import WorkKind
from service.background.pauses import pause
from service.background.row_guard import RowGuard, WorkRow
from webhooks.batch_size import BatchSize
from webhooks.metrics import WebhookMetrics
from webhooks.outages import TROUBLE, Outage

_KIND: WorkKind = "fan_out"  # of both, the rows are organizations
_BOUND_KIND: WorkKind = "endpoint_bounds"

_log = structlog.get_logger("webhooks")


@dataclass(frozen=True, slots=True)
class FanOutLimits:
    """Every bound of the loops."""

    rows: int = 1_000  # of one transaction, which all organizations in it share
    organizations: int = 100  # of one transaction
    idle_s: float = POLL_S
    failing_s: float = 5  # between looks at organizations that wait after failures
    locked_s: float = 0.02  # between looks at organizations whose cursors are locked
    waiting_of_endpoint: int = 100_000  # deliveries; an endpoint that has more is disabled
    waiting_of_organization: int = 1_000_000
    count_s: float = 5  # between counts of these; a count takes at most a twentieth of the time


class FanOut:
    """The loops of the process that leads. send: sends wake-ups after COMMIT."""

    def __init__(
        self,
        connections: Pool,
        send: Callable[[Iterable[WakeUp]], None],
        guard: RowGuard,
        metrics: WebhookMetrics,
        limits: FanOutLimits | None = None,
    ) -> None:
        self._connections = connections
        self._send = send
        self._guard = guard
        self._metrics = metrics
        self._limits = limits or FanOutLimits()
        self._rows = BatchSize(self._limits.rows)
        self._epoch: int | None = None
        self._queue: dict[UUID, None] = {}  # organizations that have more to make, in their turns
        self._failing: dict[UUID, None] = {}  # that wait after failures, or did lately
        self._failing_at_s = 0.0
        self._grown: dict[UUID, None] = {}  # that have had deliveries made since they were counted
        self._work = asyncio.Event()
        self._outage = Outage("deliveries", random.Random())
        self._counting_outage = Outage("counts of deliveries", random.Random())

    def lead(self, epoch: int | None) -> None:
        """Begin at this epoch of the sequencer's lease, or end."""
        self._epoch = epoch
        self._work.set()

    def add(self, org_ids: Iterable[UUID]) -> None:
        """Note organizations whose events have been numbered."""
        for org_id in org_ids:
            self._queue.setdefault(org_id)
            self._work.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Make deliveries while this process leads, until `stop`."""
        while not stop.is_set():
            if self._epoch is None:
                self._work.clear()
                await pause(self._work, self._limits.idle_s)
                continue
            try:
                async with self._connections.connection() as conn:
                    await self._lead(conn, self._epoch, stop)
            except leases.LeaseLost as error:
                if self._epoch == error.epoch:
                    self._epoch = None  # the sequencer finds out, too
            except (QueryCanceled, TransactionTimeout):
                self._rows.shrink()
                _log.warning("deliveries timed out, making fewer at once", rows=self._rows.now)
            except TROUBLE as error:
                await pause(stop, self._outage.begin(error))

    async def _lead(self, conn: Connection, epoch: int, stop: asyncio.Event) -> None:
        self.add(await behind(conn))
        self._outage.end()
        while self._epoch == epoch and not stop.is_set():
            self._work.clear()
            if self._failing and monotonic() >= self._failing_at_s:
                self._failing_at_s = monotonic() + self._limits.failing_s
                self.add(self._failing)
            if not self._queue:
                await pause(self._work, self._limits.idle_s)
            elif not await self._turn(conn, epoch):
                await asyncio.sleep(self._limits.locked_s)

    async def _turn(self, conn: Connection, epoch: int) -> bool:
        """Make deliveries of the first in the queue; whether any organization had its share."""
        asked = list(self._queue)[: self._limits.organizations]
        for org_id in asked:  # who has more numbered meanwhile comes in again
            del self._queue[org_id]
        rows = [WorkRow(_KIND, str(org_id), org_id) for org_id in asked]
        make = partial(self._make, conn, epoch)
        done = await self._guard.bulk(rows, make, shrinks=self._rows.can_shrink)
        well = {row.org_id for row in done.rows if row.org_id is not None}
        self._failing |= dict.fromkeys(org_id for org_id in asked if org_id not in well)
        for org_id in well & self._failing.keys():
            del self._failing[org_id]
        return any(done.answers) or not done.answers

    async def _make(self, conn: Connection, epoch: int, rows: Sequence[WorkRow]) -> bool:
        """Make deliveries of some organizations; whether any organization had its share."""
        asked = [row.org_id for row in rows if row.org_id is not None]
        done = await fan_out(conn, epoch, asked, rows=self._rows.now)
        self._rows.went_well()
        self._metrics.deliveries_made.inc(done.deliveries)
        self._send(conn.pop_wake_ups())
        served = set(asked) - set(done.waiting)
        # What waits comes first again, but for those that are locked: they are asked last.
        first = done.waiting if served else ()
        last = done.behind if served else (*done.behind, *done.waiting)
        self._queue = dict.fromkeys(first) | self._queue | dict.fromkeys(last)
        if done.deliveries:
            self._grown |= dict.fromkeys(org_id for org_id in asked if org_id in served)
        return bool(served)

    async def bound(self, stop: asyncio.Event) -> None:
        """Disable endpoints for which too much waits, until `stop`."""
        limits, took_s = self._limits, 0.0
        while not await pause(stop, max(limits.count_s, 19 * took_s)):
            began_s = monotonic()
            grown, self._grown = self._grown, {}
            try:
                for org_id in grown:
                    row = WorkRow(_BOUND_KIND, str(org_id), org_id)
                    if not await self._guard.run(row, partial(self._bound, org_id)):
                        self._grown.setdefault(org_id)
                self._counting_outage.end()
            except TROUBLE as error:
                self._grown |= grown
                await pause(stop, self._counting_outage.begin(error))
            took_s = monotonic() - began_s

    async def _bound(self, org_id: UUID) -> None:
        async with self._connections.connection() as conn:
            await endpoint_health.disable_overfull(
                conn,
                org_id,
                of_endpoint=self._limits.waiting_of_endpoint,
                of_organization=self._limits.waiting_of_organization,
            )
