"""The loop that moves old fixes into the archive, once an hour.

One process at a time does it: the others look again an hour later. What was begun goes on after a
restart (`archive.mover`).
"""

import asyncio
import random
from datetime import UTC, datetime

import structlog

from archive.mover import Mover
from db.core.connect import Pool
from service.background.pauses import pause
from webhooks.metrics import WebhookMetrics
from webhooks.outages import TROUBLE, Outage

EVERY_S = 3_600.0
_PASSES_PER_LOOK = 24  # for orphans

_log = structlog.get_logger("webhooks")


class Archiving:
    def __init__(self, connections: Pool, mover: Mover, metrics: WebhookMetrics) -> None:
        self._connections, self._mover, self._metrics = connections, mover, metrics
        metrics.archive_waiting_days.set_function(lambda: mover.waiting_days)
        self._outage = Outage("archive", random.Random())
        self._passes = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Move old fixes at once, and then each hour, until `stop`."""
        while not stop.is_set():
            try:
                await self._pass_over(stop)
                self._outage.end()
                await pause(stop, EVERY_S)
            except TROUBLE as error:
                await pause(stop, self._outage.begin(error))

    async def _pass_over(self, stop: asyncio.Event) -> None:
        seeks_orphans = self._passes % _PASSES_PER_LOOK == 0
        async with self._connections.connection() as conn:
            now = datetime.now(UTC)
            passed = await self._mover.pass_over(conn, now, stop, seeks_orphans=seeks_orphans)
        self._passes += 1
        if passed is None:
            return
        self._metrics.archive_pass_at.set_to_current_time()
        self._metrics.archived_fixes.inc(passed.fixes)
        self._metrics.archive_failed_days.set(passed.failed_days)
        if passed.orphans is not None:
            self._metrics.archive_orphans.set(passed.orphans)
        if passed.fixes or passed.objects_removed:
            _log.info("archived", fixes=passed.fixes, objects_removed=passed.objects_removed)
