"""Keeps the broker's list of trackers as the database has it, and counts what the broker refused.

Runs beside the work of ingest, in standbys too: PostgreSQL is the truth, so all of them write the
same. The list is made from it whole when a process begins, and then by what has changed; if the
file is deleted or changed by somebody else, it is written again. A new tracker is known to the
broker, and a revoked one cut off, one look later (a quarter of a second; more where the list is so
long that reading it keeps the broker busy).

One rule about the signal that makes mosquitto read the list: it goes out only while our session is
connected, so by the owner. A session that mosquitto has restored from its disk and whose client is
not back yet loses its rights at that signal, and with them every message that comes until it is
back.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
import structlog

from db.broker_identities import TrackerIdentity, changed_since
from db.connect import Connection, Limits, connect
from ingest.broker_files import BrokerFiles, BrokerFilesError, password_lines
from ingest.broker_log import BrokerLog
from ingest.broker_metrics import BrokerMetrics
from ingest.owner import Ownership
from mqtt import Session
from telemetry.ids import format_id

_LOOK_S = 0.25
_LONGEST_LOOK_S = 1.0
_BUSY_PART = 4  # between two writes at least so many times as long as the first one took
_RETRY_S = 1.0
_LIMITS = Limits(statement_s=60, transaction_s=60)

_log = structlog.get_logger("identities")


class TrackerLines:
    """The trackers that may sign in, as lines for the broker."""

    def __init__(self) -> None:
        self.revision = -1
        self._lines: dict[UUID, str] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def take(self, changes: Iterable[TrackerIdentity]) -> bool:
        """Brings this up to the newest of the changes; whether a line is another one now."""
        is_changed = False
        for tracker_id, broker_hash, revision in changes:
            self.revision = max(self.revision, revision)
            before = self._lines.pop(tracker_id, None)
            line = None
            if broker_hash is not None:
                line = f"{format_id('trk', tracker_id)}:{broker_hash}"
                self._lines[tracker_id] = line
            is_changed |= line != before
        return is_changed

    def text(self, services: str) -> str:
        """The whole password file; the same whatever the order of the changes was."""
        return password_lines(services, sorted(self._lines.values()))


@dataclass(slots=True)
class Identities:
    """The list at the broker: what it must be, what was written, and whether it was read."""

    files: BrokerFiles
    metrics: BrokerMetrics
    lines: TrackerLines = field(default_factory=TrackerLines)
    written: tuple[int, ...] | None = None  # the stamp of the file that is as it must be
    reload_is_due: bool = True  # who knows what the broker has read before we began
    seen: tuple[int, int] | None = None  # the broker's process, and which connection we had to it

    async def look(self, conn: Connection, session: Session | None) -> float:
        """One look at the database, the file and the broker; returns seconds until the next.

        session: ours, None where this process is not the owner.
        """
        began = time.monotonic()
        changes = await changed_since(conn, self.lines.revision)
        if self.lines.take(changes) or self.written is None or self.files.stamp() != self.written:
            await asyncio.to_thread(self._write)
        self.metrics.identities.set(len(self.lines))
        self._reload(session)
        took_s = time.monotonic() - began
        return min(max(_LOOK_S, _BUSY_PART * took_s), _LONGEST_LOOK_S)

    def _write(self) -> None:
        self.written = None
        text = self.lines.text(self.files.services())
        if text != self.files.passwords():
            self.files.write_passwords(text)
        self.written = self.files.stamp()
        self.reload_is_due = True  # even if another process has written it

    def _reload(self, session: Session | None) -> None:
        """Only where the same broker was connected at the last look too: see the module."""
        before, self.seen = self.seen, self._connection(session)
        if self.reload_is_due and self.seen is not None and self.seen == before:
            self.files.reload(self.seen[0])
            self.reload_is_due = False
            self.metrics.reloads.inc()

    def _connection(self, session: Session | None) -> tuple[int, int] | None:
        """The broker's process and which connection to it ours is; None where there is none."""
        pid = self.files.broker_pid()
        if pid is None or session is None or not session.connected.is_set():
            return None
        return pid, session.counters.connects


async def keep(ownership: Ownership, files: BrokerFiles | None, log: BrokerLog | None) -> None:
    """Works until `ownership.stopping` is set; whatever goes wrong is told, and tried again."""
    identities = None if files is None else Identities(files, ownership.metrics.broker)
    trouble = ""
    while not ownership.stopping.is_set():
        try:
            if identities is None:
                _count(ownership, log)
            else:
                await _look_on(ownership, identities, log)
        except (psycopg.Error, BrokerFilesError, OSError) as error:
            ownership.metrics.broker.failures.inc()
            if trouble != (trouble := str(error).strip()):
                _log.warning("identities not kept", error=trouble)
        await _pause(ownership, _RETRY_S)


async def _look_on(ownership: Ownership, identities: Identities, log: BrokerLog | None) -> None:
    async with await connect(ownership.database_url, "opsc-identities", _LIMITS) as conn:
        while not ownership.stopping.is_set():
            pause_s = await identities.look(conn, ownership.session)
            _count(ownership, log)
            await _pause(ownership, pause_s)


def _count(ownership: Ownership, log: BrokerLog | None) -> None:
    """A standby reads on, so that it does not count what was refused before its turn."""
    refused = Counter() if log is None else log.refused()
    if ownership.session is not None:
        for kind, count in refused.items():
            ownership.metrics.broker.refused.labels(kind).inc(count)


async def _pause(ownership: Ownership, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await ownership.stopping.wait()
    except TimeoutError:
        pass
