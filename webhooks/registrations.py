"""The loop that registers devices which gateways name, where their organizations say so. Any number
of processes may run it.
"""

import asyncio
import random

import structlog

from db.core.connect import Pool
from db.core.errors import IntegrityError
from db.core.tenant import as_application
from db.delivery.unknown_devices import wanting
from use_cases.registrations import register_wanted
from webhooks.outages import TROUBLE, Outage, pause

LOOK_S = 2.0

_log = structlog.get_logger("webhooks")


class Registrations:
    def __init__(self, connections: Pool) -> None:
        self._connections = connections
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
            try:
                async with as_application(self._connections, org_id) as conn:
                    count = await register_wanted(conn)
            except IntegrityError as error:  # somebody registered the same just now
                _log.info("registration met others", error=str(error).strip())
                continue
            if count:
                _log.info("devices registered", organization=str(org_id), devices=count)
