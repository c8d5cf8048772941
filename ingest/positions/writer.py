"""The loop that writes the newest positions, beside the batches.

A position is written at most PAUSE_S after the COMMIT of its fix, in bulk; an asset that sends more
often is written once. The loop rests RESTS times as long as it worked, so it takes a bounded share
of the database however many assets move: under such a load positions come less often.

Positions that are derived from the fixes have a transaction of their own, behind the ready ones:
where the fixes must be read from a slow disk, that may run into the limits of the connection. Then
fewer are derived at a time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

import structlog

from db.core import leases
from db.core.connect import Connection
from db.core.errors import DatabaseError, QueryCanceled, TransactionTimeout
from db.history import latest_positions
from ingest.metrics import IngestMetrics
from ingest.positions.newest import NewestPositions, as_columns, organizations_of, owners_of
from ingest.registry.registry import Registry
from service.exceptions import message

PAUSE_S = 0.5
RESTS = 2
MOST_WRITTEN = 10_000  # in one transaction
MOST_DERIVED = 500  # likewise
_RETRY_S = 2.0

_log = structlog.get_logger("ingest")
_Derive: TypeAlias = Callable[[Connection, Mapping[UUID, UUID], datetime], Awaitable[None]]


async def keep_positions(
    connection: Callable[[], AbstractAsyncContextManager[Connection]],
    epoch: int,
    newest: NewestPositions,
    registry: Registry,
    metrics: IngestMetrics,
) -> None:
    """Derive all positions once, and write new ones until cancelled. A failure is no reason to stop
    storing fixes: positions wait for the next try. Raises LeaseLost.
    """
    newest.outdate(range(len(registry.assets)))
    newest.outdate_employees(registry.employee_trackers)
    writer = PositionWriter(epoch, newest, registry, metrics)
    while True:
        try:
            async with connection() as conn:
                await latest_positions.commit_without_wait(conn)  # the next term makes up for it
                while True:
                    started = time.monotonic()
                    await writer.write_some(conn, datetime.now(UTC))
                    spent_s = time.monotonic() - started
                    pause_s = 0 if newest else PAUSE_S - spent_s
                    await asyncio.sleep(max(pause_s, RESTS * spent_s))
        except (DatabaseError, OSError) as error:
            facts = {"error": type(error).__name__, "detail": message(error)}
            _log.warning("positions wait to be written", **facts)
            metrics.failures.labels(type(error).__name__).inc()
        await asyncio.sleep(_RETRY_S)


@dataclass
class PositionWriter:
    """The writes of one term, and how large the next ones may be."""

    epoch: int
    newest: NewestPositions
    registry: Registry
    metrics: IngestMetrics
    most_derived: int = MOST_DERIVED
    """Fewer after a transaction took too long, and some more after each that did not."""

    async def write_some(self, conn: Connection, now: datetime) -> None:
        """Write positions, the ready ones first. What fails waits on. Raises LeaseLost."""
        if not self.newest:
            return
        outdated = self.newest.pop_outdated(self.most_derived)
        of_employees = self.newest.pop_of_employees(self.most_derived)
        try:
            await self._write(conn)
            if outdated:
                assets = owners_of(outdated, self.registry)
                await self._derive(conn, latest_positions.derive, assets, now)
                outdated = []
            if of_employees:
                trackers = organizations_of(of_employees, self.registry)
                await self._derive(conn, latest_positions.derive_employees, trackers, now)
        except (DatabaseError, OSError):
            self.newest.outdate(outdated)
            self.newest.outdate_employees(of_employees)
            raise

    async def _write(self, conn: Connection) -> None:
        waiting = self.newest.pop_waiting(MOST_WRITTEN)
        if not len(waiting):
            return
        try:
            async with conn.transaction():
                await leases.check(conn, leases.INGEST, self.epoch)
                await latest_positions.write(conn, as_columns(waiting, self.registry))
        except (DatabaseError, OSError):
            self.newest.put_back(waiting)
            raise
        self.metrics.positions.inc(len(waiting))

    async def _derive(
        self, conn: Connection, derive: _Derive, of: Mapping[UUID, UUID], now: datetime
    ) -> None:
        try:
            async with conn.transaction():
                await leases.check(conn, leases.INGEST, self.epoch)
                await derive(conn, of, now)
        except (QueryCanceled, TransactionTimeout):
            self.most_derived = max(self.most_derived // 4, 1)
            raise
        self.most_derived = min(self.most_derived + MOST_DERIVED // 50, MOST_DERIVED)
        self.metrics.positions.inc(len(of))
