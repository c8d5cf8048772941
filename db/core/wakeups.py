"""Wake-ups: a writer notifies the loops that wait for its rows, after COMMIT.

A wake-up is a hint, and the tables are the truth: each loop also looks once a second (`POLL_S`), so
one that is lost costs a second and nothing else. While no session listens, all loops are woken up
four times a second. Whoever writes notes the wake-up on its connection
(`Connection.note`); whoever commits hands what was noted to `WakeUps.send`, as a `Pool` does.

A NOTIFY takes a lock that all committing NOTIFYs of the cluster share, so none is ever part of a
transaction that writes. One session of a process sends them, at most one statement in `interval_s`,
and does not wait for the disk. Another session listens, in a process that has something to wake up.
Both are opened again when they end. Behind a pooler that lends a session for one transaction,
LISTEN hears nothing: then polling is all there is.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from uuid import UUID

import psycopg
import structlog
from psycopg import sql

from db.core.errors import RECONNECT_S

if TYPE_CHECKING:
    from db.core.connect import Connection

_log = structlog.get_logger("wakeups")

POLL_S = 1.0
"""Between two looks of a loop that wake-ups reach."""


class Channel(StrEnum):
    EVENTS = "opsc_events"
    """Events were written: they wait for their seq."""
    SEQUENCED = "opsc_sequenced"
    """Events have their seq: readers may go on."""
    DELIVERIES = "opsc_deliveries"
    """Deliveries are due."""
    LETTERS = "opsc_letters"
    """Mail is due."""
    INBOX = "opsc_inbox"
    """Messages wait in the inbox of ingest."""
    COMMANDS = "opsc_commands"
    """Commands to devices are queued. The listener hears it on the session on which it writes."""
    JOBS = "opsc_jobs"
    """Jobs wait."""
    RIGHTS = "opsc_rights"
    """Credentials have ended, or users have other rights: open connections are looked at."""


class WakeUp(NamedTuple):
    """A hint that there is work. org_id: the organization of it; None: of any."""

    channel: Channel
    org_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class WakeUpLimits:
    """Every bound of the two sessions."""

    interval_s: float = 0.01  # between two statements that send
    organizations: int = 100  # named in one wake-up; more are "any". A payload has 8,000 bytes
    retry_min_s: float = 0.25
    retry_max_s: float = RECONNECT_S
    unheard_s: float = 0.25  # between two wake-ups of all loops, while no session listens


OnWakeUp: TypeAlias = Callable[[UUID | None], None]
_Session: TypeAlias = "Connection"
_NOTIFY = "SELECT pg_notify(%s, %s)"


class WakeUps:
    """The wake-ups of one process. connect: makes a session in autocommit."""

    def __init__(
        self, connect: Callable[[], Awaitable[_Session]], limits: WakeUpLimits | None = None
    ) -> None:
        self._connect = connect
        self._limits = limits or WakeUpLimits()
        self._callbacks: defaultdict[Channel, list[OnWakeUp]] = defaultdict(list)
        self._unsent: defaultdict[Channel, set[UUID | None]] = defaultdict(set)
        self._has_unsent = asyncio.Event()
        self._own_pid = 0  # of the session that sends
        self.is_listening = False
        self.sent = 0
        self.received = 0

    def on(self, channel: Channel, callback: OnWakeUp) -> None:
        """Call `callback` with the organization of each wake-up, or with None. It must return at
        once. Call this before `running`.
        """
        self._callbacks[channel].append(callback)

    def send(self, wake_ups: Iterable[WakeUp]) -> None:
        """Wake up those who wait, in this process at once. Call it after COMMIT."""
        for channel, org_id in wake_ups:
            self._call(channel, org_id)
            unsent = self._unsent[channel]
            unsent.add(org_id)
            if len(unsent) > self._limits.organizations:
                self._unsent[channel] = {None}
            self._has_unsent.set()

    def numbers(self) -> Mapping[str, float]:
        """Return the counts since the process began, and whether a session listens."""
        listening = float(self.is_listening)
        return {"sent": self.sent, "received": self.received, "listening": listening}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send, and listen if something was given to `on`, while the block runs."""
        works = [self._send_some, *([self._listen] if self._callbacks else ())]
        tasks = [asyncio.create_task(self._keep(work)) for work in works]
        tasks.append(asyncio.create_task(self._wake_while_unheard()))
        for task in tasks:
            task.add_done_callback(_ended)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, work: Callable[[_Session], AsyncGenerator[None]]) -> None:
        """Do `work` in a session, and in another one when that has ended. `work` yields when it has
        succeeded: a session that can be had and does not do is an outage, too.
        """
        delay_s, limits = 0.0, self._limits
        while True:
            try:
                async with await self._connect() as session, aclosing(work(session)) as successes:
                    async for _ in successes:
                        if delay_s > 0:
                            _log.info("wake-ups work again")
                        delay_s = 0.0
            except psycopg.Error as error:
                if delay_s == 0:
                    _log.warning("no wake-ups, polling meanwhile", error=str(error).strip())
            delay_s = min(max(2 * delay_s, limits.retry_min_s), limits.retry_max_s)
            await asyncio.sleep(delay_s)

    async def _send_some(self, session: _Session) -> AsyncGenerator[None]:
        self._own_pid = session.info.backend_pid
        await session.execute("SET synchronous_commit = off")
        while True:
            await self._has_unsent.wait()
            unsent = self._pop_unsent()
            for channel, org_ids in unsent.items():
                await session.execute(_NOTIFY, (channel, _payload(org_ids)))
            self.sent += len(unsent)
            yield
            await asyncio.sleep(self._limits.interval_s)

    def _pop_unsent(self) -> dict[Channel, set[UUID | None]]:
        unsent = dict(self._unsent)
        self._unsent.clear()
        self._has_unsent.clear()
        return unsent

    async def _listen(self, session: _Session) -> AsyncGenerator[None]:
        for channel in self._callbacks:
            await session.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        for channel in self._callbacks:  # what was sent while nobody listened
            self._call(channel, None)
        self.is_listening = True
        try:
            yield
            async for notify in session.notifies():
                if notify.pid != self._own_pid:  # `send` has called already
                    self._hear(notify)
        finally:
            self.is_listening = False

    async def _wake_while_unheard(self) -> None:
        while True:
            await asyncio.sleep(POLL_S if self.is_listening else self._limits.unheard_s)
            for channel in () if self.is_listening else self._callbacks:
                self._call(channel, None)

    def _hear(self, notify: psycopg.Notify) -> None:
        self.received += 1
        for org_id in _organizations(notify.payload):
            self._call(Channel(notify.channel), org_id)

    def _call(self, channel: Channel, org_id: UUID | None) -> None:
        for callback in self._callbacks.get(channel, ()):
            callback(org_id)


def _ended(task: asyncio.Task[None]) -> None:
    """Show a failure that another session would not mend: from then on all poll."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.critical("wake-ups failed, polling from now on", exc_info=error)


def _payload(org_ids: set[UUID | None]) -> str:
    return "" if None in org_ids else ",".join(str(org_id) for org_id in org_ids)


def _organizations(payload: str) -> list[UUID | None]:
    """Read a payload. Anybody with a login can send one: what cannot be read means any."""
    try:
        return [UUID(text) for text in payload.split(",")]
    except ValueError:
        return [None]
