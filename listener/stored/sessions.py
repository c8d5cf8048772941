"""Sessions of devices: whether a client finds one again, and what of it.

A session is looked up when its client signs in. Those that wait are looked up together, so that
10,000 sign-ins cost some queries and not 10,000. While the database is away, or slow, the answer is
what this listener remembers: nobody is kept from signing in.
"""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

import structlog

from db.core.connect import Connection, Limits, connect
from db.core.errors import RECONNECT_S, DatabaseError
from db.listener import device_sessions
from db.listener.device_sessions import MOST_CLIENT_ID_BYTES, DeviceSession, SessionKey
from listener.stored.writes import Notes
from service.exceptions import message

LONGEST_S = 7 * 24 * 3600

_LOOK_UP_S = 2.0  # how long a client waits for it
_LOOK_UP_KEYS = 1_000
_MOST_REMEMBERED = 100_000
_RENEW_S = 24 * 3600.0
_TIDY_S = 60.0
_TIDY_ROWS = 1_000
_LIMITS = Limits(statement_s=5, transaction_s=5)

_log = structlog.get_logger("listener")


class _Open(NamedTuple):
    connection: int
    wants_receipts: bool
    command_topic: str | None


@dataclass(slots=True)
class Sessions:
    """The sessions of clients that sign in here.

    `opened`, `closed` and `removed` only note the change; `write` writes it
    (`listener.stored.writes`). The caller numbers connections, so that the end of one that was
    taken over changes nothing.
    """

    _notes: Notes[SessionKey, tuple[DeviceSession | None]] = field(default_factory=Notes)
    _remembered: dict[SessionKey, DeviceSession] = field(default_factory=dict)
    _open: dict[SessionKey, _Open] = field(default_factory=dict)
    _asked: dict[SessionKey, asyncio.Future[DeviceSession | None]] = field(default_factory=dict)
    _has_asked: asyncio.Event = field(default_factory=asyncio.Event)
    _is_connected: bool = False
    _renewed_at_s: float = field(default_factory=time.monotonic)
    _tidied_at_s: float = float("-inf")

    async def find(self, key: SessionKey) -> DeviceSession | None:
        """Return the session of a client that signs in, or None where it has none."""
        if not _can_be_kept(key):
            return None
        noted = self._notes.get(key)
        if noted is not None:
            return _unexpired(noted[0])
        if not self._is_connected:
            return _unexpired(self._remembered.get(key))
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = asyncio.get_running_loop().create_future()
            self._has_asked.set()
        try:
            async with asyncio.timeout(_LOOK_UP_S):
                return await asyncio.shield(asked)
        except TimeoutError:
            return _unexpired(self._remembered.get(key))

    def opened(
        self,
        key: SessionKey,
        connection: int,
        *,
        wants_receipts: bool,
        command_topic: str | None = None,
    ) -> None:
        """Note that a client is connected, with the session that it wants to keep.

        The session does not expire while the connection is open.
        """
        if _can_be_kept(key):
            self._open[key] = _Open(connection, wants_receipts, command_topic)
            self._note(key, DeviceSession(wants_receipts, _in(LONGEST_S), command_topic))

    def closed(self, key: SessionKey, connection: int, *, expiry_s: float) -> None:
        """Note that the client is gone; its session expires after `expiry_s`, or `LONGEST_S`."""
        opened = self._open.get(key)
        if opened is None or opened.connection != connection:
            return
        del self._open[key]
        until = _in(min(expiry_s, LONGEST_S))
        session = DeviceSession(opened.wants_receipts, until, opened.command_topic)
        self._note(key, session if expiry_s > 0 else None)

    def removed(self, key: SessionKey) -> None:
        """Note that a client began anew, and keeps no session."""
        if _can_be_kept(key):
            self._open.pop(key, None)
            self._note(key, None)

    async def look_up(self, database_url: str) -> None:
        """Answer the calls that wait in `find`, until cancelled."""
        trouble = ""
        while True:
            try:
                async with await connect(database_url, "opsc-listen-sessions", _LIMITS) as conn:
                    self._is_connected, trouble = True, ""
                    while True:
                        await self._has_asked.wait()
                        await self._look_up(conn)
            except DatabaseError as error:
                if trouble != (trouble := message(error)):
                    _log.warning("sessions not read, using the last known ones", error=trouble)
            finally:
                self._is_connected = False
                self._answer_from_memory()
            await asyncio.sleep(RECONNECT_S)

    async def write(self, conn: Connection) -> None:
        """Write a batch of what was noted. In time, renew what is open, remove what has expired."""
        now_s = time.monotonic()
        if now_s - self._renewed_at_s >= _RENEW_S:
            self._renewed_at_s = now_s
            for key, opened in self._open.items():
                self._note(
                    key, DeviceSession(opened.wants_receipts, _in(LONGEST_S), opened.command_topic)
                )
        await self._notes.write(partial(_write, conn))
        if now_s - self._tidied_at_s >= _TIDY_S:
            removed = await device_sessions.remove_expired(conn, _TIDY_ROWS)
            self._tidied_at_s = now_s if removed < _TIDY_ROWS else float("-inf")

    async def _look_up(self, conn: Connection) -> None:
        keys = [key for key, _ in zip(self._asked, range(_LOOK_UP_KEYS), strict=False)]
        sessions = await device_sessions.find(conn, keys)
        for key in keys:
            self._remember(key, sessions.get(key))
            self._asked.pop(key).set_result(sessions.get(key))
        if not self._asked:
            self._has_asked.clear()

    def _answer_from_memory(self) -> None:
        for key, asked in self._asked.items():
            asked.set_result(_unexpired(self._remembered.get(key)))
        self._asked.clear()
        self._has_asked.clear()

    def _note(self, key: SessionKey, session: DeviceSession | None) -> None:
        self._remember(key, session)
        self._notes.note(key, (session,))

    def _remember(self, key: SessionKey, session: DeviceSession | None) -> None:
        self._remembered.pop(key, None)
        if session is not None:
            self._remembered[key] = session
        if len(self._remembered) > _MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]


async def _write(conn: Connection, batch: dict[SessionKey, tuple[DeviceSession | None]]) -> None:
    kept = {key: session for key, (session,) in batch.items() if session is not None}
    removed = [key for key, (session,) in batch.items() if session is None]
    async with conn.transaction():
        if kept:
            await device_sessions.keep(conn, kept)
        if removed:
            await device_sessions.remove(conn, removed)


def _can_be_kept(key: SessionKey) -> bool:
    """Return whether the database can hold the client id. One that is too long has no session."""
    return 0 < len(key.client_id.encode()) <= MOST_CLIENT_ID_BYTES and "\0" not in key.client_id


def _in(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def _unexpired(session: DeviceSession | None) -> DeviceSession | None:
    return session if session is not None and session.expires_at > datetime.now(UTC) else None
