"""The way of a batch, on one screen: plan, one transaction, acknowledge.

    messages -> decoded -> sorted out -> new | late or doubled -> judged      (a Plan, values only)
             -> one transaction: lease, revision, fixes, visits, events, notes, quarantine
             -> after COMMIT: the broker is told

While the database works on one batch, the next is planned, from the memory that the first will
leave behind. Nothing of it is written before the first has committed, and nothing is acknowledged.
Where the database refuses the data of a batch, it is stored in parts (`ingest.splitting`). Any
other failure ends the owner's turn, and with it the memory and what was planned from it: the next
turn reads the memory back and the broker hands the messages over again. (A revision that moved is
no failure: it is seen before anything is written, and the batch is planned again on the spot.)
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from db.core import registry_revision
from db.core.connect import Connection
from db.history import events, gps_events, quarantine, visits
from db.history.quarantine import DEFAULT_BOUNDS, Bounds
from db.ingest import asset_backlogs, asset_states, checkpoints
from db.ingest.registry import changes_since
from ingest.late import lookup as past
from ingest.metrics import Metrics
from ingest.planning.clock_rollover import HistoryNeeded, look_up
from ingest.planning.decoded_batch import Arrivals
from ingest.planning.leftovers import finished, leave, left_over
from ingest.planning.plan import Memory, Plan, make_plan
from ingest.recovery import look_up_places
from ingest.sources.source import Source
from telemetry.times import to_datetime

LEASE = "ingest"


@dataclass(frozen=True, slots=True)
class Turn:
    """The time during which this process is the owner of all trackers.

    bounds: of what is kept in quarantine. memory_is_current: set while `memory` holds every plan
    that was made. planning: held while memory is read or taken back. doubted: digests of
    messages that ended a turn, because memory may have been wrong of them; it outlives the turn.
    """

    conn: Connection
    epoch: int
    memory: Memory
    metrics: Metrics
    now_us: Callable[[], int]
    bounds: Bounds = DEFAULT_BOUNDS
    memory_is_current: asyncio.Event = field(default_factory=asyncio.Event)
    planning: asyncio.Lock = field(default_factory=asyncio.Lock)
    doubted: set[bytes] = field(default_factory=set[bytes])


class Stored(NamedTuple):
    """The committed plan, and the digests of refusals that were only counted."""

    arrivals: Arrivals
    plan: Plan
    counted: Collection[bytes]


async def store(
    turn: Turn, arrivals: Arrivals, plan: Plan, sources: Sequence[Source] = ()
) -> Stored:
    """Bring `arrivals` into the database, where `sources` settle what is finished. Afterwards they
    may be told.

    The plan that is carried out is another one where something had changed.

    A plan that writes nothing, made because time has passed, costs no transaction: only the
    revision is read.

    Raises LeaseLost where another process is the owner by now, and psycopg.Error or VisitNotOpen
    where the database could not take them.
    """
    started = time.perf_counter()
    if not plan.writes and not arrivals.messages and await _is_current(turn, plan):
        _take(turn, arrivals, plan)
        turn.memory.committed()
        return Stored(arrivals, plan, ())
    async with turn.conn.transaction():
        if await registry_revision.read_as_owner(turn.conn, LEASE, turn.epoch) != plan.revision:
            plan = await _plan_again(turn, arrivals)
        _take(turn, arrivals, plan)
        counted = await _write(turn, plan, arrivals.received_us)
        for source in sources:
            await source.settle(turn.conn, finished(arrivals, plan))
    turn.memory.committed()
    turn.metrics.committed(plan, arrivals, time.perf_counter() - started)
    return Stored(arrivals, plan, counted)


def _take(turn: Turn, arrivals: Arrivals, plan: Plan) -> None:
    """Take the plan into memory, and let the next batch be planned; a part of a batch
    lets nobody.
    """
    turn.memory.take(plan)
    leave(turn.memory, left_over(arrivals, plan))
    if not arrivals.alone:
        turn.memory_is_current.set()


async def _is_current(turn: Turn, plan: Plan) -> bool:
    return await registry_revision.read(turn.conn) == plan.revision


async def _plan_again(turn: Turn, arrivals: Arrivals) -> Plan:
    """Plan again with what has changed. The transaction holds the revision: it cannot
    move again.
    """
    changes = await changes_since(turn.conn, turn.memory.registry.revision)

    await asyncio.to_thread(turn.memory.registry.take, changes)
    turn.memory.hold(changes.backlogs)
    await look_up_places(turn.conn, turn.memory)
    return await plan_asking(turn.conn, arrivals, turn.memory, turn.now_us)


async def plan_asking(
    conn: Connection, arrivals: Arrivals, memory: Memory, now_us: Callable[[], int]
) -> Plan:
    """Plan, with look-ups of what memory does not know; hardly any plan needs one.

    Whatever was planned before has to be committed.
    """
    known = past.NO_PAST
    while True:
        try:
            return await asyncio.to_thread(make_plan, arrivals, memory, now_us(), known)
        except HistoryNeeded as need:
            await look_up(conn, need, arrivals, memory.registry)
        except past.PastNeeded as need:
            known = await past.look_up(conn, need, known, memory.registry)


async def _write(turn: Turn, plan: Plan, received_us: int) -> set[bytes]:
    """Write all rows of the plan. Returns the digests of refusals that were only counted."""
    if len(plan.new):
        await gps_events.copy_new(turn.conn, plan.new_stream)
    if plan.tells:
        await _write_told(turn.conn, plan)
    return await quarantine.keep(turn.conn, plan.refusals, to_datetime(received_us), turn.bounds)


async def _write_told(conn: Connection, plan: Plan) -> None:
    """Write what the fixes change.

    Statements whose result is not needed are pipelined: every awaited reply competes with the
    thread that plans the next batch.
    """
    await gps_events.mark_suspect(conn, plan.suspect)
    await visits.mark_dwelled(conn, plan.outcome.dwellings)
    await visits.mark_overspeed(conn, plan.outcome.overspeeds)
    await visits.close(conn, plan.outcome.departures)
    async with conn.pipeline():
        await visits.insert(conn, list(plan.outcome.visits.values()))
        await visits.amend(conn, plan.late.visits)
        write_events = events.insert_missing if plan.late.events else events.insert
        await write_events(conn, plan.events)
        await asset_states.store(conn, list(plan.notes.written.values()))
        await asset_states.forget(conn, list(plan.notes.removed.values()))
        await checkpoints.forget(conn, plan.late.outdated)
        await checkpoints.store(conn, plan.checkpoints)
        await asset_backlogs.move(conn, list(plan.backlogs.moved.values()))
        await asset_backlogs.remove(conn, [one[:2] for one in plan.backlogs.done.values()])
