"""The transaction that carries out a plan.

A small batch that changes hardly anything is one statement (`db.ingest.plain_batches`). In all
others the lease and the revision are checked, then fixes, visits, events, saved states,
checkpoints, punches and quarantine are written one after the other. A revision that moved is no
failure: it is seen before anything is written, and the batch is planned again. First nothing is
held meanwhile: writers of the registry go on, and so do all who wait for them. What they change by
then is read in the transaction, which keeps them from changing more.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from db.core import leases, registry_revision
from db.core.connect import Connection
from db.fixes import fix_hours
from db.history import events, gps_events, quarantine, visits
from db.history.quarantine import DEFAULT_BOUNDS, Bounds
from db.ingest import asset_backlogs, asset_states, checkpoints, plain_batches
from db.ingest.registry import changes_since, unchanging
from db.punches.amendments import NewFixes, note_new_fixes
from db.punches.rows import Fate
from db.resources import alerts
from ingest.late import lookup
from ingest.late.lookup import Lookup, Planning
from ingest.metrics import IngestMetrics
from ingest.planning.acceptance import refuse_punches
from ingest.planning.decoded_batch import DecodedBatch
from ingest.planning.deferral import defer, deferred_of, finished
from ingest.planning.memory import Memory
from ingest.planning.plan import (
    SMALL_FIXES,
    WritePlan,
    advance,
    make_plan,
    owners_of,
    stream_of,
)
from ingest.planning.poison_messages import DATA_ERRORS
from ingest.planning.shares import much_refused
from ingest.positions.hours import HoursEnd, MarkedHour, tracker_hours
from ingest.positions.newest import NewestPositions
from ingest.recovery import look_up_places
from ingest.registry.registry import Registry
from ingest.sources.source import Source, are_in_database
from telemetry.times import to_datetime
from use_cases.punches.record import record

LEASE = leases.INGEST


@dataclass(frozen=True, slots=True)
class LeaderTerm:
    """The time during which this process holds the lease: it alone stores fixes.

    epoch: the number of the term. bounds: of what is kept in quarantine. ended_terms: by digest of
    a message, how many terms ended while it was in the batch, and the organizations that had one of
    those (`ingest.splitting`); the mapping outlives the term. positions: written beside the
    batches. hours_end: of the hours that are added up beside them.
    """

    conn: Connection
    epoch: int
    memory: Memory
    metrics: IngestMetrics
    now_us: Callable[[], int]
    bounds: Bounds = DEFAULT_BOUNDS
    ended_terms: dict[bytes, int] = field(default_factory=dict[bytes, int])
    positions: NewestPositions = field(default_factory=NewestPositions)
    hours_end: HoursEnd = field(default_factory=HoursEnd)


class Stored(NamedTuple):
    """A batch that is committed, and the plan that was carried out.

    counted: the digests of refusals that were only counted.
    """

    arrivals: DecodedBatch
    plan: WritePlan
    counted: Collection[bytes]


def _nothing() -> None: ...


async def store(
    term: LeaderTerm,
    arrivals: DecodedBatch,
    plan: WritePlan,
    sources: Sequence[Source] = (),
    on_applied: Callable[[], None] = _nothing,
) -> Stored:
    """Store a batch in one transaction, in which each source removes its finished messages. After
    the return the caller acknowledges.

    The plan that is carried out is another one where something had changed. on_applied: called
    once memory holds the plan.

    A plan that writes nothing, made because time has passed, costs no transaction: only the
    revision is read.

    Raises LeaseLost where another process holds the lease by now, and DatabaseError or VisitNotOpen
    where the database could not take them.
    """
    started = time.perf_counter()
    has_nothing = not plan.writes and not arrivals.messages
    if has_nothing and await registry_revision.read(term.conn) == plan.revision:
        _apply(term, arrivals, plan)
        on_applied()
        term.memory.committed()
        return Stored(arrivals, plan, ())
    counted: Collection[bytes] = ()
    async with term.hours_end.storing:
        if _is_plain(term, plan, arrivals) and await _store_plain(term, plan, arrivals):
            _apply(term, arrivals, plan, is_committed=True)
            on_applied()
        else:
            async with AsyncExitStack() as whole:
                if await _begin(term, whole) != plan.revision:
                    await whole.aclose()
                    async with unchanging(term.conn):
                        plan = await _plan_again(term, arrivals)
                    if await _begin(term, whole) != plan.revision:
                        plan = await _plan_again(term, arrivals)
                _apply(term, arrivals, plan)
                on_applied()
                hours = term.hours_end.to_mark(plan.new)
                plan, counted = await _write(term, plan, arrivals, hours)
                for source in sources:
                    await source.remove_finished(term.conn, finished(arrivals, plan))
            term.hours_end.marked.update(hours)
    term.memory.committed()
    took_s = time.perf_counter() - started
    term.memory.transition_pace.saw(len(plan.new), plan.transitions, took_s)
    term.positions.add(plan.positions)
    term.metrics.committed(plan, arrivals, took_s)
    return Stored(arrivals, plan, counted)


def _is_plain(term: LeaderTerm, plan: WritePlan, arrivals: DecodedBatch) -> bool:
    """Whether a plan writes nothing but a few new fixes of assets, and states of assets."""
    changes = (plan.outcome, plan.suspect, plan.late.fixes, plan.checkpoints, plan.backlogs)
    return (
        0 < len(plan.new) <= SMALL_FIXES
        and not any(map(bool, (*changes, plan.refusals, plan.punches)))
        and bool((plan.new.rows["asset"] >= 0).all())
        and not term.hours_end.to_mark(plan.new)
        and not are_in_database(arrivals.messages)
    )


async def _store_plain(term: LeaderTerm, plan: WritePlan, arrivals: DecodedBatch) -> bool:
    """Store a plain plan. Returns False, with nothing stored, where it has to be planned again, and
    where the database refuses its data.
    """
    registry, states = term.memory.registry, plan.saved_states
    try:
        return plan.revision == await plain_batches.store(
            term.conn,
            (LEASE, term.epoch, plan.revision),
            plan.new,
            owners_of(plan.new, registry, arrivals.feed_us),
            list(states.written.values()),
            list(states.removed.values()),
        )
    except DATA_ERRORS:  # the long way finds out whose they are
        return False


async def _begin(term: LeaderTerm, whole: AsyncExitStack) -> int:
    """Begin the transaction, and return the revision, held against change from here on."""
    await whole.enter_async_context(term.conn.transaction())
    return await registry_revision.read_as_leader(term.conn, LEASE, term.epoch)


def _apply(
    term: LeaderTerm, arrivals: DecodedBatch, plan: WritePlan, *, is_committed: bool = False
) -> None:
    term.memory.apply(plan, is_committed=is_committed)
    defer(term.memory, deferred_of(arrivals, plan, term.memory.registry))


async def _plan_again(term: LeaderTerm, arrivals: DecodedBatch) -> WritePlan:
    """Return a plan made with the changes of the registry, as the transaction sees it."""
    changes = await changes_since(term.conn, term.memory.registry.revision)
    await asyncio.to_thread(term.memory.registry.apply, changes)
    term.memory.hold(changes.backlogs)
    reassigned = (assignment.asset_id for assignment in changes.assignments)
    term.positions.outdate(map(term.memory.registry.assets.number, reassigned))
    theirs = (row.tracker_id for row in changes.employee_trackers)
    term.positions.outdate_employees(map(term.memory.registry.trackers.number, theirs))
    await look_up_places(term.conn, term.memory)
    return await plan_with_lookups(term.conn, arrivals, term.memory, term.now_us)


async def plan_with_lookups(
    conn: Connection, arrivals: DecodedBatch, memory: Memory, now_us: Callable[[], int]
) -> WritePlan:
    """Plan a batch, and look up what memory does not know; hardly any plan needs that.

    Whatever was planned before has to be committed.
    """
    planning = make_plan(arrivals, memory, now_us())
    first = await asyncio.to_thread(advance, planning)
    return await made_with_lookups(conn, planning, first, memory.registry)


async def made_with_lookups(
    conn: Connection, planning: Planning[WritePlan], step: WritePlan | Lookup, registry: Registry
) -> WritePlan:
    """Bring a plan to its end. step: what it asks for, or the plan, if that is made."""
    while isinstance(step, Lookup):
        answers = await lookup.look_up(conn, step, registry)
        step = await asyncio.to_thread(advance, planning, answers)
    return step


async def _write(
    term: LeaderTerm, plan: WritePlan, arrivals: DecodedBatch, hours: Sequence[MarkedHour]
) -> tuple[WritePlan, set[bytes]]:
    """Write all rows of the plan. hours: to mark. Returns the plan as it was carried out, and the
    digests of refusals that were only counted.
    """
    if len(plan.new):
        registry = term.memory.registry
        stream = plan.new_stream or stream_of(plan.new, registry, arrivals.feed_us)
        await gps_events.copy_new(term.conn, stream)
        await note_new_fixes(term.conn, _fixes_on_no_asset(plan, registry))
        if hours:
            await fix_hours.mark(term.conn, tracker_hours(hours, registry))
    if plan.has_effects:
        await _write_effects(term.conn, plan)
    if plan.punches:
        plan = await _record_punches(term, plan, arrivals)
    received_at = to_datetime(arrivals.received_us)
    return plan, await quarantine.keep(term.conn, plan.refusals, received_at, term.bounds)


def _fixes_on_no_asset(plan: WritePlan, registry: Registry) -> list[NewFixes]:
    """Return the times of new fixes by tracker, of those that may be an employee's."""
    rows = plan.new.rows[plan.new.rows["asset"] < 0]
    trackers, places = np.unique(rows["tracker"], return_inverse=True)
    first_us = np.full(len(trackers), np.iinfo(np.int64).max)
    last_us = np.full(len(trackers), np.iinfo(np.int64).min)
    np.minimum.at(first_us, places, rows["time_us"])
    np.maximum.at(last_us, places, rows["time_us"])
    organizations = np.zeros(len(trackers), rows["organization"].dtype)
    organizations[places] = rows["organization"]
    return [
        NewFixes(
            registry.organizations[organization],
            registry.trackers[tracker],
            to_datetime(first),
            to_datetime(last),
        )
        for organization, tracker, first, last in zip(
            organizations.tolist(),
            trackers.tolist(),
            first_us.tolist(),
            last_us.tolist(),
            strict=True,
        )
    ]


async def _record_punches(term: LeaderTerm, plan: WritePlan, arrivals: DecodedBatch) -> WritePlan:
    """Judge and store the punches of the plan, after its fixes: they are evidence too.

    Returns the plan with the punches that are stored, and with the refusals of the others.
    """
    recorded = await record(term.conn, [punch.new for punch in plan.punches])
    ends = list(zip(plan.punches, (outcome.fate for outcome in recorded), strict=True))
    registry = term.memory.registry
    refusals = [*plan.refusals, *refuse_punches(ends, arrivals, registry)]
    if term.memory.company.is_shared:
        term.memory.slow |= much_refused(refusals, registry)
    kept = [punch for punch, fate in ends if fate in (Fate.STORED, Fate.KNOWN)]
    return replace(plan, punches=kept, refusals=refusals)


async def _write_effects(conn: Connection, plan: WritePlan) -> None:
    """Write what the fixes change.

    Statements whose result we do not need are pipelined: every awaited reply competes with the
    planning thread for the interpreter.
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
        await alerts.tell(conn, plan.events)
        await alerts.follow(conn, plan.late.visits, plan.outcome.departures)
        await asset_states.store(conn, list(plan.saved_states.written.values()))
        await asset_states.forget(conn, list(plan.saved_states.removed.values()))
        await checkpoints.forget(conn, plan.late.outdated)
        await checkpoints.store(conn, plan.checkpoints)
        await asset_backlogs.move(conn, list(plan.backlogs.moved.values()))
        await asset_backlogs.remove(conn, [backlog[:2] for backlog in plan.backlogs.done.values()])
