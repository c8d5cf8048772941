"""Reads of history by a standby, as long as it has what they have to show.

A position is a place in PostgreSQL's log, as a number of bytes. A standby that has replayed the log
up to there shows all that was committed before. A read has to show what its client has changed, and
whatever is older than MOST_LAG_S: so it needs the client's position, and the one that the primary
had MOST_LAG_S ago, for which this process asks it once a second.

Whatever is wrong with the standby, the primary is asked
(docs/decisions/0058-history-by-standbys.md).
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TypeVar
from uuid import UUID

from db.core.connect import Connection, Limits, Pool, answer_s, of_standbys, pool
from db.core.errors import DatabaseError, NoConnection, OperationalError
from db.core.fetch import value_of
from db.core.tenant import read_for, reading

MOST_LAG_S = 5.0
_POLL_S = 1.0  # between two questions for the primary's position
_AGAIN_S = 5.0  # from a failure of the standby to the next try, which one read makes
_WAIT_S = 1.0  # for a connection
_ANSWER_S = 2.0  # for the first answers in a transaction, which take no time

_POSITION = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
_REPLAYED = """
SELECT CASE WHEN pg_is_in_recovery()
       THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint END
"""
_Result = TypeVar("_Result")


class StandbyFailed(OperationalError):
    """The standby failed in the middle of a read. Whoever reads again is served by the primary."""

    def __init__(self) -> None:
        super().__init__("the standby failed in the middle of a read")


class _NotNow(Exception):
    """The standby is not asked. why: in a word."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Standby:
    """Connections to one standby or several, beside those to the primary. reads: transactions by
    who served them, and of those of the primary by why. lag_s: as the last read found it.
    """

    def __init__(
        self,
        primary: Pool,
        url: str,
        addresses: str,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.primary = primary
        self.connections = pool(
            of_standbys(url, addresses),
            "opsc-api-history",
            max_size=primary.max_size,
            limits=limits,
            wait_s=_WAIT_S,
        )
        self.reads = Counter[str]()
        self.lag_s = 0.0
        self._answer_s = answer_s(limits)
        self._clock = clock
        self._asked = deque[tuple[float, int]]()  # the primary: when, and its position then
        self._is_doubtful, self._again_s = False, 0.0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have connections, and know the primary's position, while the block runs."""
        await self.connections.open()
        asking = asyncio.create_task(self._keep_asking())
        try:
            yield
        finally:
            asking.cancel()
            await self.connections.close()

    async def _keep_asking(self) -> None:
        while True:
            asked_s = self._clock()
            with suppress(OperationalError):
                self._asked.append((asked_s, await self.position()))
            await asyncio.sleep(_POLL_S)

    async def position(self, org_id: UUID | None = None) -> int:
        """Return the primary's position, behind all that it has committed. Raises OperationalError.

        org_id: whose turn at a connection it is.
        """
        async with self.primary.connection(org_id=org_id) as conn:
            return await value_of(conn, _POSITION)

    def numbers(self) -> Mapping[str, float]:
        """Return what metrics show."""
        return {"lag_s": self.lag_s}

    @asynccontextmanager
    async def reading(self, org_id: UUID, position: int) -> AsyncIterator[tuple[Connection, int]]:
        """Provide what `db.core.tenant.reading` does, by a standby that has replayed `position`;
        and its own position. Raises _NotNow, DatabaseError.
        """
        needed = max(position, self._needed())
        async with self.connections.connection(org_id=org_id) as conn:
            conn.answer_s = _ANSWER_S
            async with conn.transaction():
                await read_for(conn, org_id)
                replayed = await value_of(conn, _REPLAYED)
                conn.answer_s = self._answer_s
                if replayed is None:  # it has become the primary
                    await conn.close()
                    raise _NotNow("away")
                self._is_doubtful = False
                self._note_lag(replayed)
                if replayed < needed:
                    raise _NotNow("behind")
                yield conn, replayed

    def _needed(self) -> int:
        """Return the position of MOST_LAG_S ago. Raises _NotNow."""
        now_s = self._clock()
        if self._is_doubtful:
            if now_s < self._again_s:
                raise _NotNow("away")
            self.doubt()  # this one tries
        while self._asked and self._asked[0][0] < now_s - MOST_LAG_S:
            self._asked.popleft()
        if not self._asked:  # the primary has not answered
            raise _NotNow("behind")
        return self._asked[0][1]

    def _note_lag(self, replayed: int) -> None:
        shown_s = [asked_s for asked_s, position in self._asked if position <= replayed]
        self.lag_s = self._clock() - shown_s[-1] if shown_s else MOST_LAG_S

    def doubt(self) -> None:
        """Leave the standby alone for a while."""
        self._is_doubtful, self._again_s = True, self._clock() + _AGAIN_S


class HistoryReads:
    """The reads of one request. Each shows what those before it have shown: behind one that the
    primary has served, all are its.
    """

    def __init__(self, standby: Standby, org_id: UUID, position: int) -> None:
        self._standby, self._org_id, self._position = standby, org_id, position
        self._why_primary: str | None = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Provide what `db.core.tenant.reading` does. Raises StandbyFailed."""
        standby, served = self._standby, None
        try:
            if self._why_primary is None:
                async with standby.reading(self._org_id, self._position) as (served, position):
                    self._position = position
                    standby.reads["standby"] += 1
                    yield served
                    return
        except _NotNow as error:
            self._why_primary = error.why
        except NoConnection:  # all are in use
            self._why_primary = "busy"
        except DatabaseError as error:
            self._why_primary = "away" if served is None else "failed"
            if served is None or served.closed:
                standby.doubt()
            if served is not None:
                raise StandbyFailed from error
        standby.reads[self._why_primary or "failed"] += 1
        async with reading(standby.primary, self._org_id) as conn:
            yield conn


async def again_by_primary(read: Callable[[], Awaitable[_Result]]) -> _Result:
    """Read, and once more where the standby fails in the middle."""
    try:
        return await read()
    except StandbyFailed:
        return await read()
