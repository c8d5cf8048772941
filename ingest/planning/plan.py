"""The plan of one transaction for a batch of messages: values only, made from values.

A plan is made from the memory and changes nothing in it; `Memory.take` does, once the plan's
transaction has begun and found nothing changed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.history.events import Event
from db.history.gps_events import FixKey, Owners, Place, copy_stream
from db.history.quarantine import Refusal
from db.ingest.asset_backlogs import Backlog
from db.ingest.checkpoints import Checkpoint
from geofence.judging.evaluator import Evaluation, evaluate, late_assets
from geofence.judging.state import State, StateDelta
from geofence.late.amendments import Told, VisitKey
from geofence.late.segments import nothing_known
from geofence.late.visit_keys import tell_apart
from geofence.zones.versions import MAX_TIME_US, MIN_TIME_US
from ingest.events.known import in_order
from ingest.events.visits import Outcome, tell
from ingest.late.lookup import MOST_CHECKPOINTS, NO_PAST, AssetPast, Past, PastNeeded, Span
from ingest.late.rejudge import Late, judge, rows_by_asset
from ingest.memory.checkpoints import Checkpoints
from ingest.memory.saved_state import NoteChanges, Notes
from ingest.planning.acceptance import refuse_twins, sort_out
from ingest.planning.backlogs import Backlogs, Progress
from ingest.planning.decoded_batch import Arrivals
from ingest.planning.late_pace import LATE_ALONE_S, LATE_S, LatePace
from ingest.planning.rate_limit import Buckets, Rates
from ingest.planning.suspects import flag
from ingest.planning.twins import sort_known
from ingest.registry.registry import Registry
from ingest.registry.watermarks import Watermarks
from ingest.undo import Undo, undo_of
from telemetry.fix import FixBatch

# Deadlines wait for so long: a fix that was sent before one may still be under way.
UNDER_WAY_US = 500_000
MOST_TRANSITIONS = 10_000  # of a plan: some 50 MB of events, a second of the database
MOST_LEFT = 120_000  # fixes that organizations may have left over, in shares
MOST_LATE = 250  # fixes of an asset that has late ones, in one plan
MOST_LATE_SHARE = 2_000  # fixes of such assets of an organization, in a plan with others' fixes
MOST_REFUSED_SHARE = 64  # refusals of an organization; more take as long as thousands of fixes
MOST_DOUBTFUL_SHARE = 500  # fixes of an organization that may be stored already, in such a plan
_IDENTITY = ["tracker", "time_us", "seq"]


@dataclass(slots=True)
class Memory:
    """The memory of ingest between batches; all of it can be read back from the database.

    told: of open visits, by id, what was told of them that does not hold any more. used_names: by
    asset, see `geofence.late.visit_keys`. bench: a state for `geofence.late.history` to work at.
    backlogs: of their assets nothing is known in `state`. most_transitions: of one plan, see
    `geofence.judging.evaluator.evaluate`. left: what the plan that was taken last left over;
    crowding: the organizations that have too much of it, most_left: fixes that they share
    (`ingest.planning.leftovers`). suspects: organizations whose newest messages the database
    refused (`ingest.splitting`). slow: those that had more late fixes than one plan judges, while
    others had fixes too, or more refusals. taken_back: how many plans were; what was planned from
    one of them does not hold.
    """

    registry: Registry
    watermarks: Watermarks
    state: State
    notes: Notes
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    told: dict[UUID, Told] = field(default_factory=dict[UUID, Told])
    used_names: dict[int, set[VisitKey]] = field(default_factory=dict[int, set[VisitKey]])
    bench: State = field(default_factory=State)
    rates: Rates = field(default_factory=Rates)
    backlogs: Backlogs = field(default_factory=Backlogs)
    late_pace: LatePace = field(default_factory=LatePace)
    most_transitions: int = MOST_TRANSITIONS
    left: Arrivals | None = None
    most_left: int = MOST_LEFT
    crowding: frozenset[UUID] = frozenset()
    suspects: frozenset[int] = frozenset()
    slow: frozenset[int] = frozenset()
    smaller_by: int = 1
    taken_back: int = 0
    _undo: Sequence[Undo] = ()

    def hold(self, backlogs: Iterable[Backlog]) -> None:
        """Forget the assets whose stored fixes are to be judged: their backlogs tell of them."""
        for backlog in backlogs:
            asset = self.registry.assets.number(backlog.asset_id)
            self.backlogs.put(asset, backlog)
            self.state.apply(nothing_known(asset))

    def take(self, plan: "Plan") -> None:
        """Take a plan into memory: what follows is planned as if the plan were committed."""
        self._undo = self._undo_of(plan)
        self.watermarks.advance(plan.batch)
        self.state.apply(plan.delta)
        self.notes.take(plan.notes)
        self.checkpoints.take(plan.delta, plan.new.rows["asset"], plan.checkpointed)
        for departure in plan.outcome.departures:
            self.told.pop(departure.visit_id, None)
        for asset, names in plan.late.used_names.items():
            self.used_names.pop(asset, None)
            if names:
                self.used_names[asset] = names
        for visit, told in plan.late.told.items():
            if told is None:
                self.told.pop(visit, None)
            else:
                self.told[visit] = told
        self.rates.take(plan.buckets)
        self.backlogs.take(plan.backlogs)
        self.late_pace.saw(plan.late.spent)
        self.slow = plan.slow

    def committed(self) -> None:
        """Confirm the plan that was taken last: it is not taken back any more."""
        self._undo = ()

    def take_back(self) -> None:
        """Take back the plan that was taken last: memory is as it was before."""
        for undo in self._undo:
            undo()
        self._undo, self.left = (), None
        self.taken_back += 1

    def _undo_of(self, plan: "Plan") -> Sequence[Undo]:
        departed = (departure.visit_id for departure in plan.outcome.departures)
        assets = np.concatenate((plan.delta.assets["asset"], plan.new.rows["asset"]))
        return (
            self.watermarks.undo(plan.batch),
            self.state.undo(plan.delta),
            self.notes.undo(plan.notes),
            self.checkpoints.undo(assets[assets >= 0], plan.checkpointed),
            undo_of(self.told, (*departed, *plan.late.told)),
            undo_of(self.used_names, plan.late.used_names),
            self.rates.undo(plan.buckets),
            self.backlogs.undo(plan.backlogs),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """batch: all fixes that may be stored, in order of arrival, known ones too, but no twins; new:
    those that are not known; new_stream: their COPY stream; postponed: new ones that are left for
    another plan, in neither. evaluation: of the new ones that are not late, and of all that has
    fallen due; late: the others; unjudged: how many are not judged at all, because what their asset
    sent since is not kept any more. delta: what is done to the state. suspect: stored fixes whose
    flag changes. checkpointed: (asset, time_us) of the last of each that has a new one. backlogs:
    what is judged of them, by `late`, and which begin. slow: see `Memory`.
    """

    revision: int
    batch: FixBatch
    new: FixBatch
    new_stream: bytes
    postponed: FixBatch
    evaluation: Evaluation
    late: Late
    unjudged: int
    delta: StateDelta
    suspect: Mapping[FixKey, bool]
    outcome: Outcome
    events: Sequence[Event]
    notes: NoteChanges
    checkpoints: Sequence[Checkpoint]
    checkpointed: Sequence[tuple[int, int]]
    refusals: Sequence[Refusal]
    buckets: Buckets
    backlogs: Progress
    slow: frozenset[int]

    @property
    def writes(self) -> bool:
        """Whether there is anything for the database."""
        return self.tells or bool(len(self.new) or self.refusals)

    @property
    def tells(self) -> bool:
        """Whether fixes change anything that is kept beside them."""
        found = (self.outcome, self.notes, self.checkpoints, self.backlogs)
        return any(map(bool, (*found, self.suspect, self.late.fixes)))


def make_plan(arrivals: Arrivals, memory: Memory, now_us: int, past: Past = NO_PAST) -> Plan:
    """Judge the fixes of `arrivals` and what has fallen due.

    past: what was looked up for it. Raises PastNeeded where more has to be, HistoryNeeded where the
    database has to be asked of clocks (`ingest.planning.clock_rollover`).
    """
    registry, state = memory.registry, memory.state
    batch, refusals, buckets = sort_out(arrivals, registry, memory.watermarks, memory.rates)
    registry.resolve(batch)
    batch.rows["received_us"] = arrivals.received_us
    unseen = _beyond_most_doubtful(batch, memory.watermarks)
    seen = _without_rows(batch, unseen)
    arrived, twins = _without_known(seen, memory.watermarks, past, registry)
    again = _placed_anew(arrived, registry)
    waiting = [*memory.backlogs.assets, *again]
    piece = {} if arrivals.alone else _piece(arrived, memory, past, now_us)
    piece = {asset: known for asset, known in piece.items() if asset not in again}
    new = _without_assets(arrived, [one for one in waiting if not _is_last(piece.get(one))])
    behind = late_assets(new, state)
    behind = behind[~np.isin(behind, list(piece))]
    rest = _beyond_most_late(new, behind, memory.late_pace)
    new = _without_rows(new, rest)
    behind = behind[np.isin(behind, new.rows["asset"])]
    known = _past_of(behind, new, past) | piece
    deep = [one for one in behind.tolist() if one not in known and past.assets[one].kept]
    behind, new = behind[~np.isin(behind, deep)], _without_assets(new, deep)
    begun = _begun([*again, *deep], again, arrived, state, registry)
    due_us = now_us - UNDER_WAY_US
    if arrivals.alone and state.ticked_us > MIN_TIME_US:
        due_us = min(due_us, state.ticked_us)
    agenda = registry.agenda(state, new, due_us, [*waiting, *deep])
    careful = [*behind.tolist(), *piece]
    others = _without_assets(new, careful)
    evaluation = evaluate(
        others, state, registry.index, due_us, registry.gates, agenda, memory.most_transitions
    )
    late = Late()
    if known:
        _check_nothing_due(evaluation, known)
    if known or begun:
        judged_now = [asset for asset in known if known[asset].end is None]
        evaluation = _leaving_out(evaluation, [*judged_now, *begun])
    tell_apart(evaluation, memory.used_names)
    suspect = dict.fromkeys(flag(new, evaluation, registry), False)
    if known:
        late = judge(new, known, state, memory.bench, registry, (due_us, now_us))
    delta = evaluation.delta.replaced_by([*late.states, *map(nothing_known, begun)])
    checkpoints = memory.checkpoints.due(delta, registry)
    unjudged = int(np.isin(new.rows["asset"], careful).sum()) - late.fixes
    cut = FixBatch.concat([new.take(np.flatnonzero(evaluation.postponed)), rest, unseen])
    postponed = _with_equals(cut, batch)
    outcome = tell(evaluation.transitions, registry, now_us, memory.told)
    batch, new = _without_rows(batch, postponed), _without_rows(new, postponed)
    twins = _without_rows(twins, postponed)
    batch = _without_rows(batch, twins)
    refusals = [*refusals, *refuse_twins(twins, arrivals, registry)]
    return Plan(
        revision=registry.revision,
        batch=batch,
        new=new,
        new_stream=_stream(new, registry, arrivals.received_us),
        postponed=postponed,
        evaluation=evaluation,
        late=late,
        unjudged=unjudged,
        delta=delta,
        suspect=suspect | late.suspect,
        outcome=outcome,
        events=in_order([*outcome.events, *late.events]),
        notes=memory.notes.changes(delta, registry),
        checkpoints=[*late.checkpoints, *checkpoints],
        checkpointed=[*late.checkpointed, *_times(checkpoints, registry)],
        refusals=refusals,
        buckets=buckets,
        backlogs=memory.backlogs.progress(arrived.rows, late.backlogs, begun, now_us),
        slow=_organizations(batch, rest, unseen) | _much_refused(arrivals, refusals, registry),
    )


def _piece(batch: FixBatch, memory: Memory, past: Past, now_us: int) -> dict[int, AssetPast]:
    """Return the asset of which a piece of its backlog is judged now, if any, and the piece.

    Raises PastNeeded where it was not looked up. The last piece takes the fixes of the batch along;
    where one lies before it, it waits.
    """
    if past.piece is None:
        backlog = memory.backlogs.next(now_us)
        if backlog is not None:
            raise PastNeeded(backlog=backlog, length=1 / memory.smaller_by)
        return {}
    asset, known = past.piece
    time_us = batch.rows["time_us"][batch.rows["asset"] == asset]
    if _is_last(known) and int(time_us.min(initial=MAX_TIME_US)) <= known.since_us:
        return {}
    return {asset: known}


def _placed_anew(batch: FixBatch, registry: Registry) -> dict[int, int]:
    """See `Registry.placed_anew`. Raises PastNeeded where a place was not looked up."""
    again, unknown = registry.placed_anew(batch)
    if unknown:
        raise PastNeeded(places=unknown)
    return again


def _begun(
    assets: Sequence[int],
    again: Mapping[int, int],
    batch: FixBatch,
    state: State,
    registry: Registry,
) -> dict[int, Backlog]:
    """Return backlogs of assets: from the first of their fixes in the batch on, or since the
    instant at which they have to be judged again.
    """
    begun: dict[int, Backlog] = {}
    for asset, own in rows_by_asset(batch.rows, assets):
        organization = registry.organizations[registry.organization_of_asset(asset)]
        since_us = int(batch.rows["time_us"][own].min(initial=again.get(asset, MAX_TIME_US)))
        row = state.assets[asset : asset + 1]
        judged_us = int(np.maximum(row["newest_us"], row["clock_us"]).max(initial=MIN_TIME_US))
        known_us = None if judged_us == MIN_TIME_US else judged_us
        begun[asset] = Backlog(organization, registry.assets[asset], since_us, -1, None, known_us)
    return begun


def _is_last(piece: AssetPast | None) -> bool:
    return piece is not None and not piece.more_follow


def _beyond_most_doubtful(batch: FixBatch, watermarks: Watermarks) -> FixBatch:
    """Return the fixes that may be stored already and are too many of their organization to be
    looked up, the last that arrived, where others have fixes too.
    """
    organization = batch.rows["organization"]
    doubtful = np.flatnonzero(~watermarks.all_new(batch))
    if len(doubtful) <= MOST_DOUBTFUL_SHARE or (organization == organization[0]).all():
        return batch.take(np.empty(0, np.intp))
    whose = organization[doubtful]
    rest = [doubtful[whose == one][MOST_DOUBTFUL_SHARE:] for one in np.unique(whose)]
    return batch.take(np.sort(np.concatenate(rest)))


def _without_known(
    batch: FixBatch, watermarks: Watermarks, past: Past, registry: Registry
) -> tuple[FixBatch, FixBatch]:
    """Return the fixes that are not stored, of several with one identity the first;
    and the twins.
    """
    is_new = watermarks.all_new(batch)
    if is_new.all():
        return batch, FixBatch.empty()
    doubtful = np.flatnonzero(~is_new)
    rows = batch.rows[doubtful]
    columns = (rows[name].tolist() for name in ("tracker", "time_us", "seq"))
    keys = [FixKey(registry.trackers[tracker], *of) for tracker, *of in zip(*columns, strict=True)]
    if past.stored is None:
        raise PastNeeded(fixes=keys)
    places = map(Place, rows["lat"].tolist(), rows["lon"].tolist())
    is_new[doubtful], is_twin = sort_known(zip(keys, places, strict=True), past.stored)
    return batch.take(np.flatnonzero(is_new)), batch.take(doubtful[is_twin])


def _past_of(assets: NDArray[np.integer], batch: FixBatch, past: Past) -> dict[int, AssetPast]:
    """Return what was looked up of the assets. Raises PastNeeded where something was not.

    Without those whose past is too long to be judged again.
    """
    missing: dict[int, Span] = {}
    for asset, own in rows_by_asset(batch.rows, assets.tolist()):
        time_us = batch.rows["time_us"][own]
        span = Span(int(time_us.min()), int(time_us.max()))
        known = past.assets.get(asset)
        if known is None or not known.covers(span.earliest_us, span.latest_us):
            missing[asset] = span
    if missing:
        raise PastNeeded(assets=missing)
    chosen = {asset: past.assets[asset] for asset in assets.tolist()}
    return {asset: known for asset, known in chosen.items() if known.rows is not None}


def _check_nothing_due(evaluation: Evaluation, known: Mapping[int, AssetPast]) -> None:
    """Raise PastNeeded where something has fallen due for an asset whose past ends before now.

    Late fixes would write its visit over without it.
    """
    due = set(evaluation.transitions["asset"].tolist())
    ending = {asset: one.span for asset, one in known.items() if one.end is not None}
    if both := due & ending.keys():
        all_of_it = MOST_CHECKPOINTS + 1
        raise PastNeeded(
            assets={asset: replace(ending[asset], checkpoints=all_of_it) for asset in both}
        )


def _without_assets(batch: FixBatch, assets: Sequence[int]) -> FixBatch:
    """Return the same fixes, those of the assets belonging to none."""
    if not assets:
        return batch
    rows = batch.rows.copy()
    rows["asset"][np.isin(rows["asset"], assets)] = -1
    return FixBatch(rows, batch.attributes)


def _without_rows(batch: FixBatch, others: FixBatch) -> FixBatch:
    """Return the batch without the fixes that are among the others, by their places in the
    messages.
    """
    if not len(others):
        return batch
    place, other = (
        one.rows["message"].astype(np.int64) << 32 | (one.rows["position"] + 1)
        for one in (batch, others)
    )
    return batch.take(np.flatnonzero(~np.isin(place, other)))


def _beyond_most_late(batch: FixBatch, behind: NDArray[np.integer], pace: LatePace) -> FixBatch:
    """Return the fixes of assets with late ones that are too many for one plan, the last that
    arrived: of their asset, and of their organization. An organization has whole assets judged, one
    after the other: the past of each has to be looked up.
    """
    own = [rows for _, rows in rows_by_asset(batch.rows, behind.tolist()) if len(rows)]
    rest, taken = [rows[MOST_LATE:] for rows in own], dict[int, list[NDArray[np.intp]]]()
    for rows in sorted(own, key=lambda rows: int(rows[0])):
        organization = int(batch.rows["organization"][rows[0]])
        taken.setdefault(organization, []).append(rows[:MOST_LATE])
    has_others = len(np.unique(batch.rows["organization"])) > 1
    for organization, some in taken.items():
        share_s = (LATE_S if has_others else LATE_ALONE_S) / len(taken)
        most = pace.most(organization, share_s)
        rest.append(np.concatenate(some)[min(most, MOST_LATE_SHARE) if has_others else most :])
    return batch.take(np.sort(np.concatenate([np.empty(0, np.intp), *rest])))


def _organizations(batch: FixBatch, *cut: FixBatch) -> frozenset[int]:
    """Return the organizations that fixes were cut off of, where others have fixes too."""
    found = frozenset(int(one) for some in cut for one in np.unique(some.rows["organization"]))
    return found if found and len(np.unique(batch.rows["organization"])) > 1 else frozenset()


def _much_refused(
    arrivals: Arrivals, refusals: Sequence[Refusal], registry: Registry
) -> frozenset[int]:
    """Return the organizations of which more is refused than may be, where others have messages
    too.
    """
    of_each = Counter(one.org_id for one in refusals if one.org_id is not None)
    much = [org_id for org_id, count in of_each.items() if count > MOST_REFUSED_SHARE]
    if not much or len(np.unique(registry.organizations_of(arrivals.messages))) < 2:
        return frozenset()
    return frozenset(map(registry.organizations.number, much))


def _with_equals(cut: FixBatch, batch: FixBatch) -> FixBatch:
    """Return the fixes that are cut off, and those of the batch with the same identity.

    They may be of a message that came twice. It is not stored before the first one is.
    """
    if not len(cut):
        return cut
    identities = set(map(tuple, cut.rows[_IDENTITY].tolist()))
    same = [identity in identities for identity in map(tuple, batch.rows[_IDENTITY].tolist())]
    return batch.take(np.flatnonzero(same))


def _leaving_out(evaluation: Evaluation, assets: Sequence[int]) -> Evaluation:
    """Return the evaluation without what fell due for the assets."""
    others = ~np.isin(evaluation.transitions["asset"], assets)
    return replace(evaluation, transitions=evaluation.transitions[others])


def _times(checkpoints: Sequence[Checkpoint], registry: Registry) -> Iterator[tuple[int, int]]:
    for one in checkpoints:
        yield registry.assets.number(one.asset_id), one.time_us


def _stream(batch: FixBatch, registry: Registry, received_us: int) -> bytes:
    if not len(batch):
        return b""
    owners = Owners(
        org_id=registry.organizations.as_bytes()[batch.rows["organization"]],
        tracker_id=registry.trackers.as_bytes()[batch.rows["tracker"]],
        received_us=np.full(len(batch), received_us, np.int64),
    )
    return copy_stream(batch, owners)
