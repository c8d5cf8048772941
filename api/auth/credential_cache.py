"""The present rights of credentials, asked of the database and remembered for two seconds.

So a key that is revoked, a sign-in that is ended, a user who is deactivated or has another role
has the effect in every process within `FRESH_S` of the commit, and a caller who asks often costs a
query every two seconds, whatever they ask. Requests that come at the same time share one look-up.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NamedTuple

from db.core.connect import Connection, Pool
from db.identity.credentials import Standing

FRESH_S = 2.0
_REMEMBERED = 10_000

LookUp = Callable[[Connection], Awaitable[Standing | None]]


class _Known(NamedTuple):
    until_s: float
    asking: asyncio.Task[Standing | None]

    def is_good(self, now_s: float) -> bool:
        if not self.asking.done():
            return True
        return now_s < self.until_s and not self.asking.cancelled() and not self.asking.exception()


class Standings:
    """The standing of the credentials that were shown to this process recently."""

    def __init__(self, connections: Pool) -> None:
        self._connections = connections
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def find(self, key: bytes, look_up: LookUp) -> Standing | None:
        """Return what `look_up` gives, at most FRESH_S old. `key` is the credential's own.

        Raises what a look-up in the database may raise.
        """
        now_s = time.monotonic()
        known = self._known.get(key)
        if known is None or not known.is_good(now_s):
            # What is committed after this instant may be missed, so freshness counts from here.
            known = _Known(now_s + FRESH_S, asyncio.create_task(self._ask(look_up)))
            self._remember(key, known)
        standing = await asyncio.shield(known.asking)
        if standing is None:
            self._forget(key, known)
            return None
        return None if _is_over(standing) else standing

    async def _ask(self, look_up: LookUp) -> Standing | None:
        async with self._connections.connection() as conn:
            return await look_up(conn)

    def _remember(self, key: bytes, known: _Known) -> None:
        self._known[key] = known
        self._known.move_to_end(key)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _forget(self, key: bytes, known: _Known) -> None:
        """Forget a credential, unless it is good: what is good for nothing takes no place from what
        is.
        """
        if self._known.get(key) is known:
            del self._known[key]


def _is_over(standing: Standing) -> bool:
    return standing.expires_at is not None and standing.expires_at <= datetime.now(UTC)
