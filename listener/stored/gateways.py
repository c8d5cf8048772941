"""The gateways that may send: read from the database now and then, known in memory."""

import hmac
import time
from datetime import timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.listener.gateway_identities import changed_within
from telemetry.ids import IdError, parse_id

_LOOK_S = 1.0
_OVERLAP = timedelta(seconds=120)
"""A change that is committed so long after it began is missed until the next connection."""
_NOBODYS_HASH = bytes(32)


class Gateway(NamedTuple):
    """A gateway that has signed in. kind: in whose form it forwards."""

    gateway_id: UUID
    org_id: UUID
    kind: str


class Gateways:
    """The gateways of all organizations, as the database had them at the last look."""

    def __init__(self) -> None:
        self._known: dict[UUID, tuple[Gateway, bytes]] = {}
        self._looked_at_s = 0.0

    def check(self, name: str, secret: bytes) -> Gateway | None:
        """Return the gateway with this id and secret, or None. The time says nothing of either."""
        gateway, secret_hash = self._known.get(_gateway_id(name), (None, _NOBODYS_HASH))
        if hmac.compare_digest(sha256(secret).digest(), secret_hash):
            return gateway
        self._looked_at_s = 0.0  # it may have been registered just now
        return None

    async def read_anew(self, conn: Connection) -> None:
        """Read all gateways, and forget those that the database no longer has."""
        self._looked_at_s = time.monotonic()
        rows = await changed_within(conn, None)
        self._known = {
            row.gateway_id: (Gateway(*row[:3]), row.secret_hash)
            for row in rows
            if row.secret_hash is not None
        }

    async def look(self, conn: Connection) -> None:
        """Read what has changed, once a second."""
        if time.monotonic() - self._looked_at_s < _LOOK_S:
            return
        self._looked_at_s = time.monotonic()
        for row in await changed_within(conn, _OVERLAP):
            if row.secret_hash is None:
                self._known.pop(row.gateway_id, None)
            else:
                self._known[row.gateway_id] = Gateway(*row[:3]), row.secret_hash


def _gateway_id(name: str) -> UUID:
    try:
        return parse_id("gtw", name)
    except IdError:
        return UUID(int=0)
