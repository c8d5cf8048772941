"""The present rights of credentials, asked of the database and remembered for two seconds.

So a key that is revoked, a sign-in that is ended, a user who is deactivated or has another role
has the effect in every process within `FRESH_S` of the commit, and at once in the process that
committed it (`Principals.forget`). A caller who asks often costs a query every two seconds,
whatever they ask. Requests that come at the same time share one look-up.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

from db.core.connect import Connection, Pool
from db.identity.credentials import Principal
from service.ttl_cache import LookupCache

FRESH_S = 2.0
_MAX_CREDENTIALS = 10_000

LookUp = Callable[[Connection], Awaitable[Principal | None]]


class Principals:
    """The principals behind the credentials that were shown to this process."""

    def __init__(self, connections: Pool, clock: Callable[[], float] = time.monotonic) -> None:
        self._connections = connections
        self._known = LookupCache[bytes, Principal | None](FRESH_S, _MAX_CREDENTIALS, clock)

    async def find(self, key: bytes, look_up: LookUp) -> Principal | None:
        """Return what `look_up` gives, at most FRESH_S old. `key` is the credential's own.

        Raises what a look-up in the database may raise.
        """

        async def ask() -> Principal | None:
            async with self._connections.connection() as conn:
                return await look_up(conn)

        principal = await self._known.find(key, ask)
        return None if principal is None or _is_over(principal) else principal

    def forget(self, org_id: UUID | None) -> None:
        """Look the credentials of an organization up again: their rights have changed. None, which
        is every organization, is ignored: it comes several times a second while no wake-ups can be
        heard, and would leave nothing remembered.
        """
        if org_id is not None:
            self._known.forget(lambda principal: _is_of(principal, org_id))


def _is_of(principal: Principal | None, org_id: UUID) -> bool:
    return principal is not None and principal.org_id == org_id


def _is_over(principal: Principal) -> bool:
    return principal.expires_at is not None and principal.expires_at <= datetime.now(UTC)
