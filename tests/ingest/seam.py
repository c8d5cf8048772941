"""The seam `Source` with messages of devices that signed in, as they come from no broker."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from db.core import leases
from db.core.connect import connect
from db.ingest import restore
from ingest.metrics import IngestMetrics
from ingest.planning.decoded_batch import decode_batch
from ingest.recovery import recover
from ingest.results import results
from ingest.sources.source import RawMessage
from ingest.transaction import LEASE, LeaderTerm, plan_with_lookups, store
from telemetry.result import Result
from telemetry.times import to_datetime, to_us
from tests.ingest.tenants import soon
from tests.servers import DatabaseUnderTest


class DeviceMessage(NamedTuple):
    """A message of a tracker that signed in."""

    identity: UUID | None
    topic: str
    payload: bytes
    correlation_data: bytes | None = None
    oversize_bytes: int = 0


def now_us() -> int:
    return round(soon(0).timestamp() * 1_000_000)


@dataclass(slots=True)
class ClockAhead:
    """The clock of a server, which may be wrong by some seconds."""

    ahead_s: float = 0

    def __call__(self) -> int:
        return now_us() + round(self.ahead_s * 1_000_000)


@asynccontextmanager
async def term_of(
    database: DatabaseUnderTest, clock: Callable[[], int] = now_us
) -> AsyncIterator[LeaderTerm]:
    """Return a term that nothing runs but the test."""
    async with await connect(database.url("opsc_ingest"), "test") as conn:
        epoch = await leases.acquire(conn, LEASE, "test", 600)
        assert epoch is not None
        memory = await recover(conn)
        memory.newest_feed_us = to_us(await restore.newest_receipt(conn, to_datetime(clock())))
        yield LeaderTerm(conn, epoch, memory, IngestMetrics(), clock)
        await leases.release(conn, LEASE, epoch)


async def settle(term: LeaderTerm, messages: Sequence[RawMessage]) -> list[Result]:
    """Store the messages as one batch; returns what their source is told."""
    arrivals = term.memory.in_order(decode_batch(messages, term.now_us()))
    plan = await plan_with_lookups(term.conn, arrivals, term.memory, term.now_us)
    stored = await store(term, arrivals, plan)
    return [Result(code) for code in results(*stored)]
