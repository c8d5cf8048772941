"""The number of requests of each organization's programs: counted in memory, written by a task.

The stored number is right to a few seconds. A killed process loses the counts that it has not
written. Counts that cannot be written are added to the next ones.
"""

import asyncio
from uuid import UUID

import structlog

from db.core.connect import Pool
from db.core.errors import OperationalError
from db.requests import request_usage
from db.requests.request_usage import Count

_log = structlog.get_logger("api")
_WRITE_EVERY_S = 5.0
_WRITTEN_AT_ONCE = 100
_NONE = Count(0, 0)
_MOST = 50_000  # organizations that wait to be written; others are not counted


class RequestCounts:
    """The counts of this process, since it last wrote."""

    def __init__(self, connections: Pool) -> None:
        self._connections = connections
        self._counts: dict[UUID, Count] = {}

    def note(self, org_id: UUID, *, is_admitted: bool) -> None:
        """Count one more request."""
        self._add(org_id, Count(int(is_admitted), int(not is_admitted)))

    async def run(self) -> None:
        """Write what was counted, until it is cancelled."""
        while True:
            await asyncio.sleep(_WRITE_EVERY_S)
            await self.write()

    async def write(self) -> None:
        waiting = list(self._counts.items())
        while some := waiting[:_WRITTEN_AT_ONCE]:
            del waiting[:_WRITTEN_AT_ONCE]
            for org_id, _ in some:
                del self._counts[org_id]
            try:
                async with self._connections.connection() as conn:
                    await request_usage.add(conn, dict(some))
            except OperationalError as error:
                _log.warning("request counts not written, retrying", error=type(error).__name__)
                for org_id, count in some:
                    self._add(org_id, count)
                return

    def _add(self, org_id: UUID, more: Count) -> None:
        known = self._counts.get(org_id)
        if known is None and len(self._counts) >= _MOST:
            return
        requests, refused = known or _NONE
        self._counts[org_id] = Count(requests + more.requests, refused + more.refused)
