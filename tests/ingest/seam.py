"""The seam `Source` with messages of devices that signed in, as they come from no broker."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import UUID

from db.core import leases
from db.core.connect import connect
from ingest.metrics import IngestMetrics
from ingest.planning.decoded_batch import decode_batch
from ingest.recovery import recover
from ingest.results import results
from ingest.sources.source import RawMessage
from ingest.transaction import LEASE, LeaderTerm, plan_with_lookups, store
from telemetry.result import Result
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


@asynccontextmanager
async def term_of(database: DatabaseUnderTest) -> AsyncIterator[LeaderTerm]:
    """Return a term that nothing runs but the test."""
    async with await connect(database.url("opsc_ingest"), "test") as conn:
        epoch = await leases.acquire(conn, LEASE, "test", 600)
        assert epoch is not None
        yield LeaderTerm(conn, epoch, await recover(conn), IngestMetrics(), now_us)
        await leases.release(conn, LEASE, epoch)


async def settle(term: LeaderTerm, messages: Sequence[RawMessage]) -> list[Result]:
    """Store the messages as one batch; returns what their source is told."""
    arrivals = term.memory.in_order(decode_batch(messages, now_us()))
    plan = await plan_with_lookups(term.conn, arrivals, term.memory, now_us)
    stored = await store(term, arrivals, plan)
    return [Result(code) for code in results(*stored)]
