"""Settings and state of one ingest process: the one thing that the health page looks at."""

import asyncio
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING
from uuid import UUID

from db.core.connect import connect
from db.core.secrets import SecretBox
from db.core.wakeups import Channel, WakeUps
from ingest.metrics import IngestMetrics
from ingest.planning.acceptance import Acceptance
from ingest.planning.memory import Memory
from ingest.sources.batching import BatchLimits, FixSize
from ingest.sources.link import LinkOptions
from ingest.sources.source import InboxSource
from mqtt import BrokerAddress, Session, SessionOptions
from service.clock import Clock
from service.health import STANDS_BY

if TYPE_CHECKING:  # RabbitMQ's client is imported where there is a log
    from ingest.sources.log import LogSource

MOST_DEFERRED_BATCHES = 4  # batches of fixes that may be deferred before no more are taken
SHARED_DEFERRED_BATCHES = 3  # of these organizations have shares, which one more batch may exceed


@dataclass(slots=True)
class IngestRuntime:
    """The settings of one ingest process, and its state over all its terms as the leader.

    encryption_keys: what opens the keys of trackers. open_log: opens the log for the leader of an
    epoch. smaller_by: batches are divided by it, after failures. ended_terms: see
    `ingest.transaction.LeaderTerm`.
    """

    database_url: str
    broker: BrokerAddress | None
    session_options: SessionOptions
    limits: BatchLimits
    batch_fixes: int
    batch_transitions: int
    lease_s: float
    metrics: IngestMetrics
    encryption_keys: SecretBox | None = None
    acceptance: Acceptance = field(default_factory=Acceptance)
    holder: str = field(
        default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    )
    leads: bool = False
    works: bool = False
    renewed_s: float = 0.0  # when the lease was last renewed, or taken; monotonic
    stands_by: bool = False
    session: Session | None = None
    smaller_by: int = 1
    fix_size: FixSize = field(default_factory=FixSize)
    ended_terms: dict[bytes, int] = field(default_factory=dict[bytes, int])
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    link: LinkOptions | None = None
    open_log: Callable[[int], AbstractAsyncContextManager["LogSource"]] | None = None
    log: "LogSource | None" = None  # while this process is the leader
    log_trouble: str | None = None  # why this process cannot lead
    inbox: InboxSource | None = None  # while this process is the leader
    wake_ups: WakeUps = field(init=False)
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(self.metrics.clock_jumped)
        self.wake_ups = WakeUps(partial(connect, self.database_url, "opsc-ingest-wakeups"))
        self.wake_ups.on(Channel.INBOX, self._wake_inbox)
        self.metrics.watch_wake_ups(self.wake_ups)
        if self.open_log is not None:
            self.metrics.watch_log(self._log_numbers)

    def _log_numbers(self) -> Mapping[str, float]:
        log = self.log
        if log is None:
            return {}
        return {"waiting": log.waiting, "oldest_s": log.oldest_s, "unreadable": log.unreadable}

    def _wake_inbox(self, _: UUID | None) -> None:
        if self.inbox is not None:
            self.inbox.wake()

    @property
    def address(self) -> str | None:
        """The address at which listeners find us while we are the leader."""
        return None if self.link is None else str(self.link.advertised or self.link.address)

    def current_limits(self, memory: Memory) -> BatchLimits | None:
        """Return the limits of the next batch: smaller for some batches after a failure; about
        `batch_fixes` at most.

        Where fixes are deferred, others are not waited for. Nothing is taken of organizations of
        which too many are, and where too many are in all, none from sources that cannot tell
        organizations apart. None where MOST_DEFERRED_BATCHES are deferred, or after a failure: then
        those come alone.
        """
        most_bytes = self.fix_size.bytes_of(self.batch_fixes)
        limits = self.limits.within(most_bytes).divided(self.smaller_by)
        if not memory.deferred:
            return limits
        load = memory.deferred_load
        if self.smaller_by > 1 or load >= MOST_DEFERRED_BATCHES * self.batch_fixes:
            return None
        is_full = load >= memory.most_deferred
        return replace(limits, idle_s=0.0, paused=memory.paused, is_full=is_full)

    def trouble(self) -> str | None:
        """Return why no fix is stored just now; None while this process is the leader and
        connected.
        """
        if self.stands_by:
            return STANDS_BY
        if not self.works and self.log_trouble is not None:
            return self.log_trouble
        if not self.works:
            return "not the leader: another process is, or the database cannot be reached"
        silent_s = monotonic() - self.renewed_s
        if silent_s > self.lease_s:
            return (
                f"the database has committed nothing for {silent_s:.0f} s: it is frozen or very"
                " busy, or waits for a synchronous standby"
            )
        if self.session is not None and not self.session.connected.is_set():
            return f"the broker cannot be reached: {self.session.last_error}"
        return None
