"""The loop that keeps the hours of fixes (`db.fixes.fix_hours`), behind the batches.

Fixes come into the hours once they are older than BEHIND. The end of the hours is first moved in
memory, while no batch is being stored: from then on a batch that brings an older fix marks its
hour, and what was stored before is seen by the statement that adds up.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import numpy as np
import structlog

from db.core import leases
from db.core.connect import Connection
from db.core.errors import DatabaseError, QueryCanceled, TransactionTimeout
from db.fixes import fix_hours
from db.fixes.fix_hours import TrackerHour
from db.history.latest_positions import commit_without_wait
from geofence.zones.versions import MIN_TIME_US
from ingest.metrics import IngestMetrics
from ingest.registry.registry import Registry
from service.exceptions import message
from telemetry.fix import FixBatch
from telemetry.times import to_datetime, to_us

BEHIND = timedelta(minutes=5)
RESTS = 2  # times as long as it worked
_STEP = timedelta(minutes=1)
_MOST_AT_ONCE = timedelta(days=1)
_QUICK_S = 0.5
_MOST_MARKS = 1_000  # in one transaction
_RETRY_S = 2.0
_HOUR_US = 3_600_000_000
_HOUR_BITS = 32
MarkedHour: TypeAlias = tuple[int, int, int]

_log = structlog.get_logger("ingest")


@dataclass
class HoursEnd:
    """until_us: fixes from before mark their hours. storing: held by a batch while it is stored,
    and to move the end. marked: what batches have marked since marks were last counted, by numbers
    of organization, tracker and hour. They are not marked again.
    """

    until_us: int = MIN_TIME_US
    storing: asyncio.Lock = field(default_factory=asyncio.Lock)
    marked: set[MarkedHour] = field(default_factory=set[MarkedHour])

    def to_mark(self, batch: FixBatch) -> list[MarkedHour]:
        """Return the hours that fixes of the batch have to mark."""
        rows = batch.rows
        if not len(rows) or int(rows["time_us"].min()) >= self.until_us:
            return []
        rows = rows[rows["time_us"] < self.until_us]
        hours = rows["time_us"] // _HOUR_US
        keys = rows["tracker"].astype(np.int64) << _HOUR_BITS | hours
        _, first = np.unique(keys, return_index=True)
        columns = (rows["organization"][first], rows["tracker"][first], hours[first])
        found = zip(*(column.tolist() for column in columns), strict=True)
        return [hour for hour in found if hour not in self.marked]


def tracker_hours(hours: Iterable[MarkedHour], registry: Registry) -> list[TrackerHour]:
    return [
        TrackerHour(
            registry.organizations[organization],
            registry.trackers[tracker],
            to_datetime(hour * _HOUR_US),
        )
        for organization, tracker, hour in hours
    ]


async def hours_end(conn: Connection) -> HoursEnd:
    """Return the end where the leader before left it."""
    until = await fix_hours.end(conn)
    return HoursEnd() if until is None else HoursEnd(to_us(until))


async def keep_hours(
    connection: Callable[[], AbstractAsyncContextManager[Connection]],
    epoch: int,
    end: HoursEnd,
    metrics: IngestMetrics,
) -> None:
    """Add fixes to the hours until cancelled. A failure is no reason to stop storing fixes. Raises
    LeaseLost.
    """
    keeper = HourKeeper(epoch, end, metrics)
    while True:
        try:
            async with connection() as conn:
                await commit_without_wait(conn)  # what a crash loses is added again
                while True:
                    started = time.monotonic()
                    is_behind = await keeper.keep_some(conn, datetime.now(UTC))
                    spent_s = time.monotonic() - started
                    pause_s = 0 if is_behind else _STEP.total_seconds()
                    await asyncio.sleep(max(pause_s, RESTS * spent_s))
        except (DatabaseError, OSError) as error:
            facts = {"error": type(error).__name__, "detail": message(error)}
            _log.warning("hours of fixes wait to be added up", **facts)
            metrics.failures.labels(type(error).__name__).inc()
        await asyncio.sleep(_RETRY_S)


@dataclass
class HourKeeper:
    """What is done in one term. at_once: how much is added in one transaction; less after one that
    took too long, and more after each that was quick.
    """

    epoch: int
    end: HoursEnd
    metrics: IngestMetrics
    at_once: timedelta = _STEP

    async def keep_some(self, conn: Connection, now: datetime) -> bool:
        """Add some fixes, and count some marked hours again; whether more is left. Raises
        LeaseLost.
        """
        newest = now - BEHIND
        since = await fix_hours.end(conn)
        if since is None or newest - since > _MOST_AT_ONCE:
            since = await self._skip(conn, since, newest)
        if newest - since >= _STEP:
            since = await self._add(conn, since, min(newest, since + self.at_once))
        self.metrics.hours_lag.set((now - since).total_seconds())
        marks = await fix_hours.marks(conn, _MOST_MARKS)
        if marks:
            # What is stored from here on marks its hour anew; what was stored before is counted.
            async with self.end.storing:
                self.end.marked.clear()
            async with conn.transaction():
                await leases.check(conn, leases.INGEST, self.epoch)
                await fix_hours.count_again(conn, marks)
        return len(marks) == _MOST_MARKS or newest - since >= _STEP

    async def _skip(self, conn: Connection, since: datetime | None, newest: datetime) -> datetime:
        """Return from when on there may be fixes that are not in the hours."""
        begin = await fix_hours.next_fixes(conn, since)
        begin = newest if begin is None else min(begin, newest)
        return begin if since is None else max(begin, since)

    async def _add(self, conn: Connection, since: datetime, until: datetime) -> datetime:
        started = time.monotonic()
        async with self.end.storing:
            self.end.until_us = max(self.end.until_us, to_us(until))
        try:
            async with conn.transaction():
                await leases.check(conn, leases.INGEST, self.epoch)
                await fix_hours.add(conn, since, until)
        except (QueryCanceled, TransactionTimeout):
            self.at_once = max(self.at_once / 4, timedelta(seconds=1))
            raise
        if time.monotonic() - started < _QUICK_S:
            self.at_once = min(self.at_once * 2, _MOST_AT_ONCE)
        return until
