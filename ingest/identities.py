"""Keeps the broker's list of trackers as the database has it, and counts what the broker refused.

Runs beside the work of ingest, in standbys too: PostgreSQL is the truth, so all of them write the
same. The list is made from it whole when a process begins, and then by what has changed; if the
file is deleted or changed by somebody else, it is written again. The broker reads it as soon as it
is there: a new tracker is known to it, and a revoked one cut off, one look later (a quarter of a
second; more where the list is so long that writing and reading it keep us and the broker busy).
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
from service.exceptions import message
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
    """The list at the broker: what it must be, and what was written."""

    files: BrokerFiles
    metrics: BrokerMetrics
    lines: TrackerLines = field(default_factory=TrackerLines)
    written: tuple[int, ...] | None = None  # the stamp of the file that is as it must be

    async def look(self, conn: Connection) -> float:
        """One look at the database and the file; returns seconds until the next."""
        began = time.monotonic()
        changes = await changed_since(conn, self.lines.revision)
        if self.lines.take(changes) or self.written is None or self.files.stamp() != self.written:
            await asyncio.to_thread(self._write)
        self.metrics.identities.set(len(self.lines))
        took_s = time.monotonic() - began
        return min(max(_LOOK_S, _BUSY_PART * took_s), _LONGEST_LOOK_S)

    def _write(self) -> None:
        self.written = None
        text = self.lines.text(self.files.services())
        if text != self.files.passwords():
            self.files.write_passwords(text)
        self.written = self.files.stamp()


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
            if trouble != (trouble := message(error)):
                _log.warning("broker password file not updated, retrying", error=trouble)
        await _pause(ownership, _RETRY_S)


async def _look_on(ownership: Ownership, identities: Identities, log: BrokerLog | None) -> None:
    async with await connect(ownership.database_url, "opsc-identities", _LIMITS) as conn:
        while not ownership.stopping.is_set():
            pause_s = await identities.look(conn)
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
