"""The trackers that may sign in, in memory: a sign-in costs no query, and needs no database.

The database is asked for what has changed twice a second, and for everything on each new
connection to it, since it may have been restored meanwhile. While it is away, sign-ins go on with
what is known, and `age_s` says how old that is. 100,000 trackers take 34 MB.
"""

import asyncio
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import structlog

from db.core.connect import Connection, Limits, connect
from db.core.errors import RECONNECT_S, DatabaseError
from db.listener.tracker_identities import TrackerIdentity, changed_since
from listener.stored.gateways import Gateways
from service.exceptions import message
from telemetry.ids import IdError, parse_id

_LOOK_S = 0.5
_SHORTEST_LOOK_S = 0.05  # however many wait in `look_soon`
_LIMITS = Limits(statement_s=60, transaction_s=60)

_log = structlog.get_logger("listener")


class Identity(NamedTuple):
    """A tracker that has signed in. receipts: it gets a receipt for each stored message."""

    tracker_id: UUID
    org_id: UUID
    receipts: bool


class _Known(NamedTuple):
    secret_hash: bytes
    org_id: UUID  # one object per organization
    receipts: bool
    external_id: str | None
    imei: str | None


# The hash that nobody's secret has: a name that is not known costs the same as one that is.
_NOBODY = _Known(bytes(32), UUID(int=0), False, None, None)


@dataclass(slots=True)
class Identities:
    """The trackers that may sign in, as the database had them at the last look.

    on_change: called with a tracker that was revoked or rotated; its connection is to be cut.
    gateways: read by the same looks.
    """

    on_change: Callable[[UUID], None]
    gateways: Gateways
    _known: dict[bytes, _Known] = field(default_factory=dict)
    _devices: dict[tuple[UUID, str], bytes] = field(default_factory=dict)  # by external id
    _revoked: dict[bytes, UUID] = field(default_factory=dict)  # the organization
    _imeis: dict[str, bytes] = field(default_factory=dict)
    _org_ids: dict[UUID, UUID] = field(default_factory=dict)
    _revision: int = -1
    _looked_at_s: float | None = None
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _look_ended: asyncio.Event = field(default_factory=asyncio.Event)

    def __len__(self) -> int:
        return len(self._known)

    @property
    def age_s(self) -> float | None:
        """Seconds since the database was last read; None before the first time."""
        return None if self._looked_at_s is None else time.monotonic() - self._looked_at_s

    def check(
        self, username: str, password: bytes | None, certificate_name: str | None = None
    ) -> Identity | None:
        """Return the tracker with this name and secret, or None.

        The time does not depend on whether the tracker is known, nor on how much of the secret is
        right. certificate_name: the name in a verified client certificate, where certificates may
        replace secrets. It replaces the secret if the password is missing and the name is the user
        name.
        """
        tracker_id = _tracker_id(username)
        known = self._known.get(tracker_id.bytes, _NOBODY)
        is_right = hmac.compare_digest(sha256(password or b"").digest(), known.secret_hash)
        if password is None:
            is_right = certificate_name == username and known is not _NOBODY
        return Identity(tracker_id, known.org_id, known.receipts) if is_right else None

    def owner_of(self, username: str) -> tuple[UUID, UUID] | None:
        """Return organization and tracker of a name that `check` refused; None where it is no
        tracker's. A revoked tracker is its organization's, too.
        """
        tracker_id = _tracker_id(username)
        known = self._known.get(tracker_id.bytes)
        org_id = self._revoked.get(tracker_id.bytes) if known is None else known.org_id
        return None if org_id is None else (org_id, tracker_id)

    def of_device(self, org_id: UUID, external_id: str) -> Identity | None:
        """Return the tracker that an organization's gateways know by this id, or None."""
        return self._identity(self._devices.get((org_id, external_id)))

    def of_imei(self, imei: str) -> Identity | None:
        """Return the tracker that has claimed an IMEI, or None."""
        return self._identity(self._imeis.get(imei))

    def _identity(self, tracker_id: bytes | None) -> Identity | None:
        known = None if tracker_id is None else self._known.get(tracker_id)
        if tracker_id is None or known is None:
            return None
        return Identity(UUID(bytes=tracker_id), known.org_id, known.receipts)

    async def look_soon(self, timeout_s: float) -> bool:
        """Wait for a look at the database that begins from now on; False where none ended in time.

        For a name or secret that `check` refused: the tracker may have been registered just now.
        """
        look_ended = self._look_ended
        self._wanted.set()
        try:
            async with asyncio.timeout(timeout_s):
                await look_ended.wait()
        except TimeoutError:
            return False
        return True

    async def keep(self, database_url: str) -> None:
        """Keep this current until cancelled; failures are logged, and tried again."""
        trouble = ""
        while True:
            try:
                async with await connect(database_url, "opsc-listen-identities", _LIMITS) as conn:
                    await self._read_anew(conn)
                    trouble = ""
                    while True:
                        await self._pause()
                        await self._look(conn)
            except DatabaseError as error:
                if trouble != (trouble := message(error)):
                    _log.warning("trackers not read, using the last known ones", error=trouble)
                await asyncio.sleep(RECONNECT_S)

    async def _read_anew(self, conn: Connection) -> None:
        """Read all trackers, and forget those that the database no longer has."""
        look_ended = self._begin_look()
        revision, seen = -1, set[bytes]()
        async for row in changed_since(conn, -1):
            self._apply(row)
            seen.add(row.tracker_id.bytes)
            revision = max(revision, row.revision)
        for tracker_id in [known for known in self._known if known not in seen]:
            self._forget(tracker_id)
        for tracker_id in [known for known in self._revoked if known not in seen]:
            del self._revoked[tracker_id]
        await self.gateways.read_anew(conn)
        self._end_look(look_ended, revision)

    async def _look(self, conn: Connection) -> None:
        """Read what has changed. A read that is cut short leaves the revision: it is read again."""
        look_ended, revision = self._begin_look(), self._revision
        async for row in changed_since(conn, self._revision):
            self._apply(row)
            revision = max(revision, row.revision)
        await self.gateways.look(conn)
        self._end_look(look_ended, revision)

    def _apply(self, row: TrackerIdentity) -> None:
        tracker_id = row.tracker_id.bytes
        org_id = self._org_ids.setdefault(row.org_id, row.org_id)
        if row.secret_hash is None:
            self._revoked[tracker_id] = org_id
            self._forget(tracker_id)
            return
        before = self._known.get(tracker_id)
        self._forget_names(tracker_id)
        self._known[tracker_id] = _Known(
            row.secret_hash, org_id, row.receipts, row.external_id, row.imei
        )
        if row.external_id is not None:
            self._devices[org_id, row.external_id] = tracker_id
        if row.imei is not None:
            self._imeis[row.imei] = tracker_id
        if before is not None and before.secret_hash != row.secret_hash:
            self.on_change(row.tracker_id)

    def _forget_names(self, tracker_id: bytes) -> None:
        """Forget by which external id and IMEI a tracker was known, unless another one has them by
        now.
        """
        known = self._known.get(tracker_id)
        if known is None:
            return
        if known.external_id is not None:
            key = known.org_id, known.external_id
            if self._devices.get(key) == tracker_id:
                del self._devices[key]
        if known.imei is not None and self._imeis.get(known.imei) == tracker_id:
            del self._imeis[known.imei]

    def _forget(self, tracker_id: bytes) -> None:
        self._forget_names(tracker_id)
        if self._known.pop(tracker_id, None) is not None:
            self.on_change(UUID(bytes=tracker_id))

    def _begin_look(self) -> asyncio.Event:
        """Let those who ask from now on wait for the look after this one."""
        self._wanted.clear()
        look_ended, self._look_ended = self._look_ended, asyncio.Event()
        return look_ended

    def _end_look(self, look_ended: asyncio.Event, revision: int) -> None:
        self._revision = revision
        self._looked_at_s = time.monotonic()
        look_ended.set()

    async def _pause(self) -> None:
        await asyncio.sleep(_SHORTEST_LOOK_S)
        try:
            async with asyncio.timeout(_LOOK_S - _SHORTEST_LOOK_S):
                await self._wanted.wait()
        except TimeoutError:
            pass


def _tracker_id(username: str) -> UUID:
    """Return the id that a user name is; one that no tracker has for any other text."""
    try:
        return parse_id("trk", username)
    except IdError:
        return UUID(int=0)
