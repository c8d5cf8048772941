"""The way of a batch, on one screen: plan, one transaction, remember, acknowledge.

    messages -> decoded -> sorted out -> new | late or doubled -> judged      (a Plan, values only)
             -> one transaction: lease, revision, fixes, visits, events, quarantine
             -> after COMMIT: memory follows, the broker is told

Nothing is acknowledged and nothing is remembered before COMMIT. Any failure but the two below
leaves the memory in doubt (the COMMIT may have happened), so it ends the owner's turn: the next
turn reads the memory back and the broker hands the messages over again.

Decoding the next batch is kept for the time in which the database works: `Turn.database_works`.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from psycopg.errors import UniqueViolation

from db import events, gps_events, leases, quarantine, revision, visits
from db.connect import Connection
from db.registry import changes_since
from ingest.arrivals import Arrivals
from ingest.metrics import Metrics
from ingest.plan import Memory, Plan, make_plan
from telemetry.times import to_datetime

LEASE = "ingest"
CHUNK_SCHEMA = "gps_chunks"


class RevisionMoved(Exception):
    """Something that the plan depends on was changed since."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The time during which this process is the owner of all trackers."""

    conn: Connection
    epoch: int
    memory: Memory
    metrics: Metrics
    now_us: Callable[[], int]
    database_works: asyncio.Event = field(default_factory=asyncio.Event)


async def store(turn: Turn, arrivals: Arrivals) -> None:
    """Brings `arrivals` into the database. Afterwards they may be acknowledged.

    Raises LeaseLost where another process is the owner by now, and psycopg.Error or VisitNotOpen
    where the database could not take them.
    """
    turn.database_works.clear()
    all_careful = False
    while True:
        plan = make_plan(arrivals, turn.memory, turn.now_us(), all_careful=all_careful)
        started = time.perf_counter()
        try:
            stored = await _write(turn, plan, arrivals.received_us)
        except RevisionMoved:
            turn.memory.registry.take(await changes_since(turn.conn, plan.revision))
        except UniqueViolation as error:
            if all_careful or error.diag.schema_name != CHUNK_SCHEMA:
                raise
            all_careful = True
        else:
            break
    turn.memory.watermarks.advance(plan.batch)
    turn.memory.state.apply(plan.evaluation.delta)
    turn.metrics.committed(plan, stored, arrivals, time.perf_counter() - started)


async def _write(turn: Turn, plan: Plan, received_us: int) -> int:
    """The transaction. Returns how many fixes were not stored before."""
    stream = gps_events.copy_stream(plan.new.batch, plan.new.owners)
    async with turn.conn.transaction():
        await leases.check(turn.conn, LEASE, turn.epoch)
        if await revision.read_for_share(turn.conn) != plan.revision:
            raise RevisionMoved
        turn.database_works.set()
        stored = len(plan.new.batch)
        if stored:
            await gps_events.copy_new(turn.conn, stream)
        if len(plan.careful.batch):
            stored += await gps_events.insert_missing(
                turn.conn, plan.careful.batch, plan.careful.owners
            )
        await visits.close(turn.conn, plan.outcome.departures)
        await visits.insert(turn.conn, list(plan.outcome.visits.values()))
        await events.insert(turn.conn, plan.outcome.events)
        await quarantine.keep(turn.conn, plan.refusals, to_datetime(received_us))
    return stored
