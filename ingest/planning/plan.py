"""Plans: all that one transaction will write for a batch of messages, as values.

A plan is made from the memory and changes nothing in it; `Memory.apply` does, once the plan's
transaction has begun and found nothing changed. `make_plan` is the list of steps. A step that needs
what only the database knows yields the question and goes on with the answer.

    accept     -> fixes and punches of known trackers; refusals of the others
    _fresh     -> without the fixes that are stored already
    _known     -> the late fixes, and the past of their assets
    _work      -> late fixes apart from those in order
    _judged    -> transitions, and the state afterwards
    outcome_of -> rows of visits and events
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from db.history.events import Event
from db.history.gps_events import FixKey, Owners, Place, copy_stream
from db.history.quarantine import Refusal
from db.ingest.asset_backlogs import Backlog
from db.ingest.checkpoints import Checkpoint
from geofence.judging.evaluator import NO_TIMERS_US, Evaluation, evaluate, late_assets
from geofence.judging.state import StateDelta
from geofence.late.segments import nothing_known
from geofence.late.visit_keys import make_keys_unique
from geofence.zones.versions import MAX_TIME_US, MIN_TIME_US
from ingest.events.detected import flags_in, in_order
from ingest.events.visits import Outcome, outcome_of
from ingest.late.lookup import MOST_CHECKPOINTS, AssetPast, LateSpan, Lookup, Past, Planning
from ingest.late.rejudge import Rejudged, judge, rows_by_asset
from ingest.planning.acceptance import accept, refuse_conflicts
from ingest.planning.backlogs import BacklogProgress
from ingest.planning.conflicts import new_and_conflicting
from ingest.planning.decoded_batch import DecodedBatch
from ingest.planning.memory import Memory
from ingest.planning.positions import PlanPositions, positions_of
from ingest.planning.punches import SentPunch
from ingest.planning.rate_limit import Buckets
from ingest.planning.shares import (
    beyond_most_doubtful,
    beyond_most_late,
    much_refused,
    organizations_in,
    with_equals,
    without_rows,
)
from ingest.registry.registry import Registry
from ingest.saved_states.saved_state import SavedStateChanges
from telemetry.fix import FixBatch, Flag

# Deadlines wait for so long: a fix that was sent before one may still be under way.
UNDER_WAY_US = 500_000
SMALL_FIXES = 200
"""A batch with no more is planned and stored at once; larger ones by turns with the next one."""
_IDENTITY = ["tracker", "time_us", "seq"]


@dataclass(frozen=True, slots=True)
class WritePlan:
    """All that one transaction writes, and the state afterwards."""

    revision: int
    batch: FixBatch
    """All fixes that may be stored, in order of arrival, also stored ones, but no conflicts."""
    new: FixBatch
    """The fixes of `batch` that are not stored yet."""
    new_stream: bytes
    """The COPY stream of `new`; empty where that has no more than SMALL_FIXES."""
    deferred: FixBatch
    """New fixes that are left for another plan; neither `batch` nor `new` has them."""
    evaluation: Evaluation
    """The result for the new fixes in order, and for all that has fallen due."""
    late: Rejudged
    """The result for the late fixes."""
    unjudged: int
    """How many fixes are not judged, because later fixes of their asset were removed."""
    delta: StateDelta
    """The change of the state."""
    suspect: Mapping[FixKey, bool]
    """The stored fixes whose flag `suspect` changes, with the new flag."""
    outcome: Outcome
    events: Sequence[Event]
    saved_states: SavedStateChanges
    checkpoints: Sequence[Checkpoint]
    checkpointed: Sequence[tuple[int, int]]
    """Asset and time_us of the last new checkpoint of each asset."""
    refusals: Sequence[Refusal]
    buckets: Buckets
    backlogs: BacklogProgress
    slow: frozenset[int]
    """Organizations that took too much of this plan; see `Memory.slow`."""
    punches: Sequence[SentPunch]
    """The punches to record; once the plan is carried out, those that are recorded."""
    positions: PlanPositions
    """What the fixes say of the positions of assets; written beside the batches."""

    @property
    def writes(self) -> bool:
        """Whether there is anything for the database."""
        return self.has_effects or bool(len(self.new) or self.refusals or self.punches)

    @property
    def transitions(self) -> float:
        """The work that its transitions are: those in order, and for each two rows that late fixes
        change one.
        """
        late = sum(spent.rows for spent in self.late.spent.values())
        return len(self.evaluation.transitions) + late / 2

    @property
    def has_effects(self) -> bool:
        """Whether the fixes change anything beside their own rows: visits, events, states."""
        found = (self.outcome, self.saved_states, self.checkpoints, self.backlogs)
        return any(map(bool, (*found, self.suspect, self.late.fixes)))


def advance(planning: Planning[WritePlan], answers: Past | None = None) -> WritePlan | Lookup:
    """Go on with a plan: up to its end, or to what it asks for.

    answers: to the question before, None at the beginning.
    """
    try:
        return next(planning) if answers is None else planning.send(answers)
    except StopIteration as end:
        return end.value


def make_plan(arrivals: DecodedBatch, memory: Memory, now_us: int) -> Planning[WritePlan]:
    """Judge the fixes of `arrivals` and what has fallen due."""
    registry = memory.registry
    accepted = yield from accept(arrivals, registry, memory.watermarks, memory.rates)
    registry.resolve(accepted.batch)
    memory.company.saw(accepted.organizations, now_us)
    accepted.batch.rows["received_us"] = arrivals.feed_us  # as a late fix reads it back
    fresh = yield from _fresh(accepted.batch, memory)
    known = yield from _known(fresh.batch, arrivals, memory, now_us)
    work = _work(fresh.batch, known, memory)
    judged = _judged(work, arrivals, memory, now_us)
    while isinstance(judged, Lookup):  # what was known of the past was too short
        known = known.with_more((yield judged))
        work = _work(fresh.batch, known, memory)
        judged = _judged(work, arrivals, memory, now_us)
    evaluation, late = judged.evaluation, judged.late
    cut_off = work.new.take(np.flatnonzero(evaluation.deferred))
    cut = FixBatch.concat([cut_off, known.deferred, fresh.deferred])
    deferred = with_equals(cut, accepted.batch)
    new, conflicts = without_rows(work.new, deferred), without_rows(fresh.conflicts, deferred)
    batch = without_rows(without_rows(accepted.batch, deferred), conflicts)
    outcome = outcome_of(
        evaluation.transitions, registry, now_us, memory.announced, flags_in(work.new.rows)
    )
    checkpoints = memory.checkpoints.due(judged.delta, registry)
    refusals = [*accepted.refusals, *refuse_conflicts(conflicts, arrivals, registry)]
    progress = memory.backlogs.progress(fresh.batch.rows, late.backlogs, work.new_backlogs, now_us)
    slow = organizations_in(known.deferred, fresh.deferred, cut_off)
    slow |= much_refused(refusals, registry)
    is_large = len(new) > SMALL_FIXES
    return WritePlan(
        revision=registry.revision,
        batch=batch,
        new=new,
        new_stream=stream_of(new, registry, arrivals.feed_us) if is_large else b"",
        deferred=deferred,
        evaluation=evaluation,
        late=late,
        unjudged=judged.unjudged,
        delta=judged.delta,
        suspect=judged.suspect,
        outcome=outcome,
        events=in_order([*outcome.events, *late.events]),
        saved_states=memory.saved_states.changes(judged.delta, registry),
        checkpoints=[*late.checkpoints, *checkpoints],
        checkpointed=[*late.checkpointed, *_times(checkpoints, registry)],
        refusals=refusals,
        buckets=accepted.buckets,
        backlogs=progress,
        slow=slow if memory.company.is_shared else frozenset(),
        punches=accepted.punches,
        positions=positions_of(new, judged.suspect, registry),
    )


class _Fresh(NamedTuple):
    """The new fixes of a batch."""

    batch: FixBatch
    """The fixes that are not stored, with their assets."""
    conflicts: FixBatch
    """Fixes that were refused for an earlier one."""
    deferred: FixBatch
    """Doubtful fixes that are too many to be looked up for this plan."""


def _fresh(batch: FixBatch, memory: Memory) -> Planning[_Fresh]:
    """Take out the fixes that are stored already; of several with one identity the first counts."""
    if memory.watermarks.surely_new(batch).all():
        return _Fresh(batch, FixBatch.empty(), FixBatch.empty())
    deferred = beyond_most_doubtful(batch, memory.watermarks, memory.company)
    batch = without_rows(batch, deferred)
    is_new = memory.watermarks.surely_new(batch)
    doubtful = np.flatnonzero(~is_new)
    rows, trackers = batch.rows[doubtful], memory.registry.trackers
    keys = [FixKey(trackers[tracker], *of) for tracker, *of in rows[_IDENTITY].tolist()]
    answers = yield Lookup(fixes=keys)
    places = map(Place, rows["lat"].tolist(), rows["lon"].tolist())
    pairs = zip(keys, places, strict=True)
    is_new[doubtful], is_conflict = new_and_conflicting(pairs, answers.stored)
    conflicts = batch.take(doubtful[is_conflict])
    return _Fresh(batch.take(np.flatnonzero(is_new)), conflicts, deferred)


class _Known(NamedTuple):
    """The fixes of a batch that are not in order, and what of the past they need. Assets are given
    by their ordinals.
    """

    reassigned_us: Mapping[int, int]
    """By asset, since when it has to be judged again, as its tracker was elsewhere."""
    late: NDArray[np.int64]
    """The assets with late fixes."""
    past: Past
    """The pasts of these, and the next piece of a backlog that is due."""
    deferred: FixBatch
    """Late fixes beyond the share of their organization."""

    def with_more(self, past: Past) -> "_Known":
        return self._replace(past=self.past.joined(past))


def _known(
    batch: FixBatch, arrivals: DecodedBatch, memory: Memory, now_us: int
) -> Planning[_Known]:
    registry, past = memory.registry, Past()
    reassigned_us, unplaced = registry.placed_anew(batch)
    while unplaced:
        yield Lookup(places=unplaced)
        reassigned_us, unplaced = registry.placed_anew(batch)
    backlog = None if arrivals.alone else memory.backlogs.next(now_us)
    if backlog is not None:
        past = yield Lookup(backlog=backlog, length=1 / memory.smaller_by)
    in_order = _detached_from(batch, [*memory.backlogs.assets, *reassigned_us])
    late = late_assets(in_order, memory.state)
    if not len(late):
        return _Known(reassigned_us, late, past, FixBatch.empty())
    deferred = beyond_most_late(in_order, late, memory.late_pace, memory.company)
    rows = without_rows(in_order, deferred).rows
    late = late[np.isin(late, rows["asset"])]
    spans = dict[int, LateSpan]()
    for asset, own in rows_by_asset(rows, late.tolist()):
        time_us = rows["time_us"][own]
        spans[asset] = LateSpan(int(time_us.min()), int(time_us.max()))
    if spans:
        past = past.joined((yield Lookup(assets=spans)))
    return _Known(reassigned_us, late, past, deferred)


class _Work(NamedTuple):
    """The fixes and assets to be judged. Assets are given by their ordinals."""

    new: FixBatch
    """The fixes to store now; those of assets with a backlog have no asset."""
    pasts: Mapping[int, AssetPast]
    """The pasts of assets with late fixes, or with a piece of a backlog."""
    judged_apart: Sequence[int]
    """The assets that are not judged with the others."""
    new_backlogs: Mapping[int, Backlog]
    """The backlogs that begin with this plan."""
    in_backlog: Sequence[int]
    """The assets with a backlog; nothing happens to them without a fix."""


def _work(batch: FixBatch, known: _Known, memory: Memory) -> _Work:
    """Separate late fixes from those in order, and assets with a backlog from the others."""
    late, reassigned_us = known.late.tolist(), known.reassigned_us
    in_backlog = [*memory.backlogs.assets, *reassigned_us]
    pieces = _piece(batch, known)
    new = _detached_from(batch, [one for one in in_backlog if not _is_last(pieces.get(one))])
    new = without_rows(new, known.deferred)
    if not (late or pieces or reassigned_us):
        return _Work(new, {}, (), {}, in_backlog)
    of_late = {asset: known.past.assets[asset] for asset in late}
    too_long = [asset for asset, past in of_late.items() if past.rows is None and past.kept]
    pasts = {asset: past for asset, past in of_late.items() if past.rows is not None} | pieces
    judged_apart = [*(asset for asset in late if asset not in too_long), *pieces]
    new_backlogs = _new_backlogs([*reassigned_us, *too_long], reassigned_us, batch, memory)
    new = _detached_from(new, too_long)
    return _Work(new, pasts, judged_apart, new_backlogs, [*in_backlog, *too_long])


def _piece(batch: FixBatch, known: _Known) -> dict[int, AssetPast]:
    """Return the asset whose backlog is due and the next piece, or nothing.

    The last piece takes the fixes of the batch along. If one of them lies before the piece, it
    waits.
    """
    if known.past.piece is None or known.past.piece[0] in known.reassigned_us:
        return {}
    asset, piece = known.past.piece
    time_us = batch.rows["time_us"][batch.rows["asset"] == asset]
    if _is_last(piece) and int(time_us.min(initial=MAX_TIME_US)) <= piece.since_us:
        return {}
    return {asset: piece}


def _is_last(piece: AssetPast | None) -> bool:
    return piece is not None and not piece.more_follow


def _new_backlogs(
    assets: Sequence[int], reassigned_us: Mapping[int, int], batch: FixBatch, memory: Memory
) -> dict[int, Backlog]:
    """Return backlogs of assets: from the first of their fixes in the batch on, or since the
    instant at which they have to be judged again.
    """
    registry, state, backlogs = memory.registry, memory.state, dict[int, Backlog]()
    for asset, own in rows_by_asset(batch.rows, assets):
        organization = registry.organizations[registry.organization_of_asset(asset)]
        since_us = int(
            batch.rows["time_us"][own].min(initial=reassigned_us.get(asset, MAX_TIME_US))
        )
        row = state.assets[asset : asset + 1]
        judged_us = int(np.maximum(row["newest_us"], row["clock_us"]).max(initial=MIN_TIME_US))
        known_us = None if judged_us == MIN_TIME_US else judged_us
        flags = 0
        if asset not in reassigned_us:
            flags = int(np.bitwise_and.reduce(batch.rows["flags"][own]))
        backlogs[asset] = Backlog(
            organization, registry.assets[asset], since_us, -1, None, known_us, flags
        )
    return backlogs


class _Judged(NamedTuple):
    """The results of judging; the other fields are as in `WritePlan`."""

    evaluation: Evaluation
    """The result for the fixes in order, and for what has fallen due."""
    late: Rejudged
    unjudged: int
    delta: StateDelta
    suspect: Mapping[FixKey, bool]


def _judged(work: _Work, arrivals: DecodedBatch, memory: Memory, now_us: int) -> _Judged | Lookup:
    """Judge the fixes in order, then the late ones; sets the flag `suspect` of `work.new`.

    Returns what to look up where the past does not reach far enough.
    """
    registry, state, new = memory.registry, memory.state, work.new
    due_us = now_us - UNDER_WAY_US
    if arrivals.alone and state.ticked_us > MIN_TIME_US:
        due_us = state.ticked_us if state.ticked_us <= due_us else NO_TIMERS_US
    agenda = registry.agenda(state, new, due_us, work.in_backlog)
    others = _detached_from(new, work.judged_apart)
    evaluation = evaluate(
        others,
        state,
        registry.index,
        due_us,
        registry.gates,
        agenda,
        memory.most_transitions,
        memory.transition_pace.most if memory.company.is_shared else None,
    )
    missing = _missing(evaluation, work.pasts)
    if missing:
        return Lookup(assets=missing)
    if work.pasts or work.new_backlogs:
        judged_now = [asset for asset, known in work.pasts.items() if known.end is None]
        evaluation = _leaving_out(evaluation, [*judged_now, *work.new_backlogs])
    make_keys_unique(evaluation, memory.used_names)
    suspect = dict.fromkeys(_flag_suspects(new, evaluation, registry), False)
    late = Rejudged()
    if work.pasts:
        late = judge(new, work.pasts, state, memory.working_state, registry, (due_us, now_us))
    if isinstance(late, Lookup):
        return late
    delta = evaluation.delta.replaced_by([*late.states, *map(nothing_known, work.new_backlogs)])
    unjudged = int(np.isin(new.rows["asset"], work.judged_apart).sum()) - late.fixes
    return _Judged(evaluation, late, unjudged, delta, suspect | late.suspect)


def _missing(evaluation: Evaluation, late: Mapping[int, AssetPast]) -> dict[int, LateSpan]:
    """Return the assets for which something has fallen due and whose past ends before now.

    Without the rest of it late fixes would overwrite the asset's visit.
    """
    due = set(evaluation.transitions["asset"].tolist()) if late else set[int]()
    ending = {asset: one.span for asset, one in late.items() if one.end is not None}
    all_of_it = MOST_CHECKPOINTS + 1
    return {asset: replace(ending[asset], checkpoints=all_of_it) for asset in due & ending.keys()}


def _leaving_out(evaluation: Evaluation, assets: Sequence[int]) -> Evaluation:
    """Return the evaluation without what fell due for the assets."""
    others = ~np.isin(evaluation.transitions["asset"], assets)
    return replace(evaluation, transitions=evaluation.transitions[others])


def _flag_suspects(batch: FixBatch, evaluation: Evaluation, registry: Registry) -> list[FixKey]:
    """Set the flag `suspect` in the rows of `batch`, anew if need be.

    Returns the fixes of earlier batches, stored with the flag, that lose it.
    """
    rows = batch.rows
    rows["flags"] &= ~np.uint8(Flag.SUSPECT)
    rows["flags"][evaluation.suspect] |= np.uint8(Flag.SUSPECT)
    earlier: list[FixKey] = []
    for tracker, time_us, seq in evaluation.healed[_IDENTITY].tolist():
        here = (rows["tracker"] == tracker) & (rows["time_us"] == time_us) & (rows["seq"] == seq)
        here &= evaluation.suspect
        if here.any():
            rows["flags"][here] &= ~np.uint8(Flag.SUSPECT)
        else:
            earlier.append(FixKey(registry.trackers[tracker], time_us, seq))
    return earlier


def _detached_from(batch: FixBatch, assets: Sequence[int]) -> FixBatch:
    """Return the same fixes; those of the given assets belong to no asset."""
    if not assets:
        return batch
    rows = batch.rows.copy()
    rows["asset"][np.isin(rows["asset"], assets)] = -1
    return FixBatch(rows, batch.attributes)


def _times(checkpoints: Sequence[Checkpoint], registry: Registry) -> Iterator[tuple[int, int]]:
    for one in checkpoints:
        yield registry.assets.number(one.asset_id), one.time_us


def stream_of(batch: FixBatch, registry: Registry, feed_us: int) -> bytes:
    """Return the COPY stream of fixes."""
    return copy_stream(batch, owners_of(batch, registry, feed_us))


def owners_of(batch: FixBatch, registry: Registry, feed_us: int) -> Owners:
    """Return the keys that go with fixes of one place in the feed."""
    return Owners(
        org_id=registry.organizations.as_bytes()[batch.rows["organization"]],
        tracker_id=registry.trackers.as_bytes()[batch.rows["tracker"]],
        received_us=np.full(len(batch), feed_us, np.int64),
    )
