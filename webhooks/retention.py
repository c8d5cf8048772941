"""The loop that removes data which has grown old, once an hour.

One process at a time does it: the others look again an hour later. Each step is a short
transaction, so nothing else waits long, and what was begun goes on after a restart.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

import structlog

from db.core.connect import Connection, Pool
from db.core.errors import ForeignKeyViolation, LockNotAvailable
from db.history import failing_work, retention
from db.history.retention import Chunk, Days, OrganizationDays
from db.listener import imei_claims
from service.background.pauses import pause
from service.background.row_guard import RowGuard, WorkRow
from webhooks.metrics import WebhookMetrics
from webhooks.outages import TROUBLE, Outage

# A delivery that is made anew, a backup that reads the chunk: these go first.
_TESTS = timedelta(days=1)
_COMMANDS = timedelta(days=30)
_UNKNOWN_DEVICES_DAYS = 30
_MOST = 1_000_000
IN_THE_WAY = (ForeignKeyViolation, LockNotAvailable)

_log = structlog.get_logger("webhooks")


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    every_s: float = 3_600
    again_s: float = 300  # after somebody else was in the way
    rows: int = 5_000  # of a transaction
    rest_s: float = 0.05  # between transactions


class _Step(NamedTuple):
    """A kind of data of one owner. `remove` returns how many it removed; fewer than `full`: all.
    org_id: None: of all organizations. since: of a part of the data.
    """

    what: str
    full: int
    remove: Callable[[], Awaitable[int]]
    org_id: UUID | None = None
    since: datetime | None = None

    @property
    def row(self) -> WorkRow:
        owner = [] if self.org_id is None else [str(self.org_id)]
        part = [] if self.since is None else [self.since.astimezone(UTC).date().isoformat()]
        return WorkRow("retention", "/".join([self.what, *owner, *part]), self.org_id)


class Retention:
    """days: of the installation. An organization may have shorter ones, in the database."""

    def __init__(
        self,
        connections: Pool,
        days: Days,
        guard: RowGuard,
        metrics: WebhookMetrics,
        limits: RetentionLimits | None = None,
    ) -> None:
        self._connections = connections
        self._days = days
        self._guard = guard
        self._metrics = metrics
        self._limits = limits or RetentionLimits()
        self._outage = Outage("retention", random.Random())

    async def run(self, stop: asyncio.Event) -> None:
        """Remove old data at once, and then each hour, until `stop`."""
        while not stop.is_set():
            try:
                await self.remove_old(stop, datetime.now(UTC))
                self._outage.end()
                await pause(stop, self._limits.every_s)
            except IN_THE_WAY as error:
                _log.info("retention postponed", error=str(error).strip())
                await pause(stop, self._limits.again_s)
            except TROUBLE as error:
                await pause(stop, self._outage.begin(error))

    async def remove_old(self, stop: asyncio.Event, now: datetime) -> dict[str, int]:
        """Remove all that is too old at `now`, unless another process is at it.

        Returns how many of each kind are gone. What somebody else is in the way of is left, and all
        the rest is removed; then the first such error is raised.
        """
        removed: dict[str, int] = {}
        in_the_way: list[Exception] = []

        async def all_of(step: _Step) -> None:
            try:
                await self._all_of(step, removed, stop)
            except IN_THE_WAY as error:
                in_the_way.append(error)

        async with self._connections.connection() as conn:
            if not await retention.begin(conn):
                return removed
            try:
                chunks = await retention.chunks(conn)
                for step in self._steps(conn, now, await retention.organizations(conn), chunks):
                    await self._guard.run(step.row, partial(all_of, step))
            finally:
                if removed:
                    _log.info("old data removed", **removed)
                await retention.end(conn)
        if in_the_way:
            raise in_the_way[0]
        return removed

    async def _all_of(self, step: _Step, removed: dict[str, int], stop: asyncio.Event) -> None:
        number = step.full
        while number >= step.full and not stop.is_set():
            number = await step.remove()
            if number:
                removed[step.what] = removed.get(step.what, 0) + number
                self._metrics.retention_removed.labels(step.what).inc(number)
                await pause(stop, self._limits.rest_s)

    def _steps(
        self,
        conn: Connection,
        now: datetime,
        organizations: Sequence[OrganizationDays],
        chunks: Sequence[Chunk],
    ) -> Iterator[_Step]:
        days, rows = self._days, self._limits.rows
        if (before := _before(now, days.positions)) is not None:
            drop = partial(retention.drop_oldest_chunk, conn, before)
            yield _Step("position_chunks", 1, drop)
        if (before := _before(now, days.attempts)) is not None:
            # All chunks go at once: a number below `full` says that none is left.
            yield _Step("attempt_chunks", _MOST, partial(retention.drop_old_attempts, conn, before))
            remove = partial(retention.remove_endpoint_hours, conn, before, rows)
            yield _Step("endpoint_hours", rows, remove)
        for org_id, positions, events, audit in organizations:
            for part in _older(chunks, _before(now, positions)):
                remove = partial(retention.remove_positions, conn, org_id, part, rows)
                yield _Step("positions", rows, remove, org_id, part.since)
            removals = (
                ("events", retention.remove_events, _shorter(events, days.events)),
                ("alerts", retention.remove_alerts, _shorter(events, days.events)),
                ("audit_events", retention.remove_audit_events, _shorter(audit, days.audit)),
                ("told_trips", retention.remove_told_trips, _shorter(positions, days.positions)),
                ("unknown_devices", retention.remove_unknown_devices, _UNKNOWN_DEVICES_DAYS),
            )
            for what, remove, kept in removals:
                if (before := _before(now, kept)) is not None:
                    yield _Step(what, rows, partial(remove, conn, org_id, before, rows), org_id)
        yield _Step(
            "test_events", rows, partial(retention.remove_test_events, conn, now - _TESTS, rows)
        )
        yield _Step("jobs", rows, partial(retention.remove_jobs, conn, now, rows))
        remove = partial(retention.remove_commands, conn, now - _COMMANDS, rows)
        yield _Step("commands", rows, remove)
        orphans = partial(retention.remove_orphan_failures, conn, rows)
        yield _Step("orphan_failures", rows, orphans)
        yield _Step("imei_claims", rows, partial(imei_claims.end_unused, conn, rows))
        yield _Step("failing_work", rows, partial(failing_work.remove_old, conn, rows))
        yield _Step("checkpoints", rows, partial(retention.remove_checkpoints, conn, rows))


def _older(chunks: Sequence[Chunk], before: datetime | None) -> Iterator[Chunk]:
    """Yield the parts of chunks from before."""
    for since, until in chunks:
        if before is not None and since < before:
            yield Chunk(since, min(until, before))


def _shorter(first: int | None, second: int | None) -> int | None:
    return min((days for days in (first, second) if days is not None), default=None)


def _before(now: datetime, days: int | None) -> datetime | None:
    return None if days is None else now - timedelta(days=days)
