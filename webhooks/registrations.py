"""The loop that registers devices which gateways name, where their organizations say so. Any number
of processes may run it.
"""

import asyncio
import random
from functools import partial
from uuid import UUID

import structlog

from db.core.connect import Pool
from db.core.errors import UniqueViolation
from db.core.tenant import as_application
from db.delivery.unknown_devices import wanting
from db.history.failing_work import WorkKind
from service.background.pauses import pause
from service.background.row_guard import RowGuard, WorkRow
from use_cases.registrations import register_wanted
from webhooks.outages import TROUBLE, Outage

LOOK_S = 2.0
_KIND: WorkKind = "registration"  # of which the rows are organizations

_log = structlog.get_logger("webhooks")


class Registrations:
    def __init__(self, connections: Pool, guard: RowGuard) -> None:
        self._connections, self._guard = connections, guard
        self._outage = Outage("registrations", random.Random())

    async def run(self, stop: asyncio.Event) -> None:
        """Register devices until `stop`."""
        while not stop.is_set():
            try:
                await self.register()
                self._outage.end()
                await pause(stop, LOOK_S)
            except TROUBLE as error:
                await pause(stop, self._outage.begin(error))

    async def register(self) -> None:
        """Register what is known now, an organization after the other."""
        async with self._connections.connection() as conn:
            org_ids = await wanting(conn)
        for org_id in org_ids:
            row = WorkRow(_KIND, str(org_id), org_id)
            await self._guard.run(row, partial(self._register, org_id))

    async def _register(self, org_id: UUID) -> None:
        try:
            async with as_application(self._connections, org_id) as conn:
                count = await register_wanted(conn)
        except UniqueViolation as error:  # somebody registered the same just now
            _log.info("registration met others", error=str(error).strip())
            return
        if count:
            _log.info("devices registered", organization=str(org_id), devices=count)
