"""The loop that tells of trips and stops, where organizations want the events.

One process at a time leads; the lease's epoch fences its transactions. What is due is looked at in
turns of organizations, an asset's day at a time: a long late track keeps nobody else waiting.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from time import monotonic

import structlog

from archive.errors import ArchiveUnavailable
from archive.reading import Archive
from db.core import leases
from db.core.connect import Connection, Pool
from db.core.tenant import as_application, become_application
from db.fixes import trips_due
from db.fixes.fix_filters import FixFilter
from db.fixes.trips_due import LEASE, Stay, TripsDue
from service.background.pauses import pause
from service.background.row_guard import RowGuard, WorkRow
from webhooks.metrics import WebhookMetrics
from webhooks.outages import TROUBLE, Outage

_log = structlog.get_logger("webhooks")
_A_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class TripLimits:
    """Every bound of the loop."""

    look_s: float = 2.0
    gather_s: float = 30.0  # the fixes of an asset, from the receipt of the first one
    lease_s: float = 30.0
    pass_s: float = 10.0
    rows: int = 500  # looked at before the clock and the lease are
    of_each: int = 50  # of these, of an organization
    again_s: float = 600.0  # where the archive was not to be had


class TripEvents:
    def __init__(
        self,
        connections: Pool,
        holder: str,
        archive: Archive,
        guard: RowGuard,
        metrics: WebhookMetrics,
        limits: TripLimits | None = None,
    ) -> None:
        self._connections = connections
        self._holder = holder
        self._archive = archive
        self._guard = guard
        self._metrics = metrics
        self._limits = limits or TripLimits()
        self._outage = Outage("events of trips", random.Random())

    async def run(self, stop: asyncio.Event) -> None:
        """Tell until `stop`."""
        while not stop.is_set():
            try:
                is_more = await self.look(stop)
                self._outage.end()
                if not is_more:
                    await pause(stop, self._limits.look_s)
            except leases.LeaseLost as error:
                _log.warning("trips leadership lost, retrying", epoch=error.epoch)
            except TROUBLE as error:
                await pause(stop, self._outage.begin(error))

    async def look(self, stop: asyncio.Event) -> bool:
        """Tell what is due, unless another process does; whether there is more.

        Raises LeaseLost.
        """
        limits = self._limits
        async with self._connections.connection() as conn:
            if not await trips_due.is_wanted(conn):
                self._metrics.trips_due_s.set(0)
                return False
            epoch = await leases.acquire(conn, LEASE, self._holder, limits.lease_s)
            if epoch is None:
                return False
            is_behind = await trips_due.collect(conn, epoch, limits.gather_s, _stay())
            rows = await trips_due.due(conn, limits.of_each, limits.rows)
            self._metrics.trips_due_s.set(await trips_due.oldest_due_s(conn))
        until_s, looked = monotonic() + limits.pass_s, 0
        for row in rows:
            if stop.is_set() or monotonic() > until_s:
                break
            work_row = WorkRow(trips_due.KIND, row.key, row.org_id)
            await self._guard.run(work_row, partial(self._tell, epoch, row), is_due=True)
            looked += 1
        return is_behind or looked < len(rows) or looked >= limits.of_each

    async def _tell(self, epoch: int, row: TripsDue) -> None:
        """Work out the trips of an asset again, and tell what is new."""
        from archive import trips
        from use_cases import trip_events

        transaction = partial(as_application, self._connections, row.org_id)
        wanted = FixFilter(asset_ids=(row.asset_id,), since=row.since, until=row.until + _A_MOMENT)
        fixes, rules = trips.FixesOf(transaction, self._archive), trip_events.RULES
        asset = {"organization": str(row.org_id), "asset": str(row.asset_id), "day": str(row.day)}
        try:
            async with transaction() as conn:
                stop_since = await trip_events.stop_before(conn, row)
            around = await trips.worked_out_around(fixes, wanted, rules, stop_since)
            seen = trips.seen(around, row.until)
            until = seen[-1].found.last_at if seen and around.has_later else None
        except trips.TooManyFixes as error:
            _log.warning("trips not told: too many fixes", most=error.most, **asset)
            seen, until = [], None
        except ArchiveUnavailable as error:
            _log.warning("trips told later", error=str(error), **asset)
            async with self._leading(epoch, row) as conn:
                await trips_due.postpone(conn, row, self._limits.again_s)
            return
        async with self._leading(epoch, row) as conn:
            events = await trip_events.tell(conn, row, seen, until)
        self._metrics.trip_looks.inc()
        self._metrics.trip_events.inc(events)

    @asynccontextmanager
    async def _leading(self, epoch: int, row: TripsDue) -> AsyncIterator[Connection]:
        """Provide a transaction of the asset's organization, which fails once another leads."""
        async with self._connections.connection(org_id=row.org_id) as conn, conn.transaction():
            await leases.check(conn, LEASE, epoch)
            await become_application(conn, row.org_id)
            yield conn


def _stay() -> Stay:
    from use_cases.trip_events import RULES

    return Stay(RULES.stop_after_s, RULES.stop_radius_m / 2)
