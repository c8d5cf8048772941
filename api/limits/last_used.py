"""The last use of keys and sign-ins: noted in memory by requests, and written by a task.

Each is written at most once a minute, so the stored time is right to about a minute. A killed
process loses the notes that it has not written.
"""

import asyncio
import time
from collections import defaultdict
from uuid import UUID

import structlog

from api.auth.caller import Caller
from db.core.connect import Pool
from db.core.errors import NoConnection, OperationalError
from db.core.tenant import tenant
from db.identity import api_keys, sign_ins
from service.ttl_cache import TtlCache

_log = structlog.get_logger("api")
_EVERY_S = 60.0
_WRITE_EVERY_S = 5.0
_REMEMBERED = 10_000


class Usage:
    """The last use of the credentials that were shown to this process."""

    def __init__(self, connections: Pool) -> None:
        self._connections = connections
        self._noted = TtlCache[UUID, bool](_REMEMBERED)
        self._waiting: dict[UUID, Caller] = {}

    def note(self, caller: Caller) -> None:
        """Note that the caller's credential was used just now."""
        if self._noted.get(caller.credential_id):
            return
        self._noted.put(caller.credential_id, True, time.monotonic() + _EVERY_S)
        if len(self._waiting) < _REMEMBERED:
            self._waiting[caller.credential_id] = caller

    async def run(self) -> None:
        """Write what was noted, until it is cancelled."""
        while True:
            await asyncio.sleep(_WRITE_EVERY_S)
            await self.write()

    async def write(self) -> None:
        """Write the notes. Notes that cannot be written are discarded."""
        waiting, self._waiting = self._waiting, {}
        by_organization: defaultdict[UUID, list[Caller]] = defaultdict(list)
        for caller in waiting.values():
            by_organization[caller.org_id].append(caller)
        for org_id, callers in by_organization.items():
            try:
                await self._write(org_id, callers)
            except NoConnection:
                continue  # an organization that keeps its share busy harms itself alone
            except OperationalError as error:
                _log.warning("last use of credentials not written", error=type(error).__name__)
                return

    async def _write(self, org_id: UUID, callers: list[Caller]) -> None:
        keys = [caller.credential_id for caller in callers if caller.via == "api_key"]
        others = [caller.credential_id for caller in callers if caller.via != "api_key"]
        async with tenant(self._connections, org_id) as conn:
            if keys:
                await api_keys.note_use(conn, keys)
            if others:
                await sign_ins.note_use(conn, others)
