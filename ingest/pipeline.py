"""The way of a batch, on one screen: plan, one transaction, acknowledge.

    messages -> decoded -> sorted out -> new | late or doubled -> judged      (a Plan, values only)
             -> one transaction: lease, revision, fixes, visits, events, quarantine
             -> after COMMIT: the broker is told

While the database works on one batch, the next is planned, from the memory that the first will
leave behind. Nothing of it is written before the first has committed, and nothing is acknowledged.
Any failure ends the owner's turn, and with it the memory and what was planned from it: the next
turn reads the memory back and the broker hands the messages over again. (A revision that moved is
no failure: it is seen before anything is written, and the batch is planned again.)
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from db import events, gps_events, leases, quarantine, revision, visits
from db.connect import Connection
from db.registry import changes_since
from ingest.arrivals import Arrivals
from ingest.metrics import Metrics
from ingest.plan import Memory, Plan, make_plan
from telemetry.times import to_datetime

LEASE = "ingest"


class RevisionMoved(Exception):
    """Something that the plan depends on was changed since."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The time during which this process is the owner of all trackers.

    memory_is_current: set while `memory` holds every plan that was made.
    """

    conn: Connection
    epoch: int
    memory: Memory
    metrics: Metrics
    now_us: Callable[[], int]
    memory_is_current: asyncio.Event = field(default_factory=asyncio.Event)


async def store(turn: Turn, arrivals: Arrivals, plan: Plan) -> None:
    """Brings `arrivals` into the database. Afterwards they may be acknowledged.

    Raises LeaseLost where another process is the owner by now, and psycopg.Error or VisitNotOpen
    where the database could not take them.
    """
    started = time.perf_counter()
    while True:
        try:
            stored = await _write(turn, plan, arrivals.received_us)
            break
        except RevisionMoved:
            turn.memory.registry.take(await changes_since(turn.conn, plan.revision))
            plan = make_plan(arrivals, turn.memory, turn.now_us())
    turn.metrics.committed(plan, stored, arrivals, time.perf_counter() - started)


async def _write(turn: Turn, plan: Plan, received_us: int) -> int:
    """The transaction. Returns how many fixes were not stored before."""
    async with turn.conn.transaction():
        await leases.check(turn.conn, LEASE, turn.epoch)
        if await revision.read_for_share(turn.conn) != plan.revision:
            raise RevisionMoved
        turn.memory.take(plan)
        turn.memory_is_current.set()
        stored = plan.new_fixes
        if plan.new_fixes:
            await gps_events.copy_new(turn.conn, plan.new_stream)
        if len(plan.careful.batch):
            stored += await gps_events.insert_missing(
                turn.conn, plan.careful.batch, plan.careful.owners
            )
        await visits.close(turn.conn, plan.outcome.departures)
        await visits.insert(turn.conn, list(plan.outcome.visits.values()))
        await events.insert(turn.conn, plan.outcome.events)
        await quarantine.keep(turn.conn, plan.refusals, to_datetime(received_us))
    return stored
