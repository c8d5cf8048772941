"""The gateways that may send: read from the database now and then, known in memory."""

import hmac
import time
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import msgspec

from db.core.connect import Connection
from db.listener.gateway_identities import GatewayIdentity, changed_within
from telemetry.formats.gateways.forwarded import device_of
from telemetry.formats.gateways.generic import Mapping, device_of_generic, enveloped
from telemetry.ids import IdError, parse_id

_LOOK_S = 1.0
_OVERLAP = timedelta(seconds=120)
"""A change that is committed so long after it began is missed until the next connection."""
_NOBODYS_HASH = bytes(32)


class Gateway(NamedTuple):
    """A gateway that has signed in. kind: in whose form it forwards. mapping: of a generic one."""

    gateway_id: UUID
    org_id: UUID
    kind: str
    mapping: Mapping | None = None

    def device_of(self, topic: str, payload: bytes) -> str | None:
        """Return the id of the device of a message, None where it names none. topic: of MQTT."""
        if self.mapping is not None:
            return device_of_generic(self.mapping, topic, payload)
        return device_of(self.kind, payload)

    def message_of(self, payload: bytes, received_ms: int) -> bytes:
        """Return a message that names its device as ingest reads it."""
        return payload if self.mapping is None else enveloped(self.mapping, payload, received_ms)


class Gateways:
    """The gateways of all organizations, as the database had them at the last look.

    on_change: called with a gateway that was changed or revoked; its connections are to be cut.
    """

    def __init__(self, on_change: Callable[[UUID], None]) -> None:
        self._on_change = on_change
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
        for gateway_id in self._known.keys() - {row.gateway_id for row in rows}:
            del self._known[gateway_id]
            self._on_change(gateway_id)
        for row in rows:
            self._apply(row)

    async def look(self, conn: Connection) -> None:
        """Read what has changed, once a second."""
        if time.monotonic() - self._looked_at_s < _LOOK_S:
            return
        self._looked_at_s = time.monotonic()
        for row in await changed_within(conn, _OVERLAP):
            self._apply(row)

    def _apply(self, row: GatewayIdentity) -> None:
        known = self._known.pop(row.gateway_id, None)
        if row.secret_hash is not None:
            mapping = None if row.mapping is None else msgspec.convert(row.mapping, Mapping)
            gateway = Gateway(row.gateway_id, row.org_id, row.kind, mapping)
            self._known[row.gateway_id] = gateway, row.secret_hash
        if known is not None and known != self._known.get(row.gateway_id):
            self._on_change(row.gateway_id)


def _gateway_id(name: str) -> UUID:
    try:
        return parse_id("gtw", name)
    except IdError:
        return UUID(int=0)
