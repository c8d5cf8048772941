"""The state that ingest keeps between batches, and how a plan changes it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np

from db.ingest.asset_backlogs import Backlog
from geofence.judging.state import State
from geofence.late.amendments import AnnouncedState, VisitKey
from geofence.late.segments import nothing_known
from ingest.planning.backlogs import Backlogs
from ingest.planning.decoded_batch import DecodedBatch, Waiting
from ingest.planning.pace import Company, LatePace, TransitionPace
from ingest.planning.rate_limit import Rates
from ingest.registry.registry import Registry
from ingest.registry.watermarks import Watermarks
from ingest.saved_states.checkpoints import Checkpoints
from ingest.saved_states.saved_state import SavedStates
from ingest.undo import Undo, undo_of

if TYPE_CHECKING:
    from ingest.planning.plan import WritePlan

MOST_TRANSITIONS = 10_000  # of a plan: some 50 MB of events, a second of the database
MOST_DEFERRED_FIXES = 120_000  # fixes of all organizations, in shares


@dataclass(slots=True)
class Memory:
    """The state of ingest between batches; all of it can be read back from the database."""

    registry: Registry
    watermarks: Watermarks
    state: State
    saved_states: SavedStates
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    announced: dict[UUID, AnnouncedState] = field(default_factory=dict[UUID, AnnouncedState])
    """By id of an open visit, the published facts that do not hold any more."""
    used_names: dict[int, set[VisitKey]] = field(default_factory=dict[int, set[VisitKey]])
    """By asset, the keys of visits that are taken; see `geofence.late.visit_keys`."""
    working_state: State = field(default_factory=State)
    """The state in which pasts are judged again; see `geofence.late.history`."""
    rates: Rates = field(default_factory=Rates)
    backlogs: Backlogs = field(default_factory=Backlogs)
    """The assets with a backlog; they are unknown in `state`."""
    late_pace: LatePace = field(default_factory=LatePace)
    company: Company = field(default_factory=Company)
    transition_pace: TransitionPace = field(default_factory=TransitionPace)
    most_transitions: int = MOST_TRANSITIONS
    """The transitions of one plan; see `geofence.judging.evaluator.evaluate`."""
    deferred: Sequence[Waiting] = ()
    """What the plan that was applied last left to the next one, of each organization in order; see
    `ingest.planning.deferral`.
    """
    most_deferred: int = MOST_DEFERRED_FIXES
    """The deferred fixes that organizations may have, in shares."""
    paused: frozenset[UUID] = frozenset()
    """The organizations of which nothing is taken: they have too many deferred fixes."""
    poisoned: frozenset[int] = frozenset()
    """Organizations whose newest messages the database refused; see `ingest.splitting`."""
    slow: frozenset[int] = frozenset()
    """Organizations that had more late fixes, transitions or refusals than one plan takes, while
    others sent, too.
    """
    smaller_by: int = 1
    """The divisor of the length of pieces of backlogs; it grows after failures."""
    newest_feed_us: int = 0
    """The place of the newest batch in the feed; see `in_order`."""
    reverted: int = 0
    """How many plans were reverted; what was planned from them does not hold."""
    _undo: Sequence[Undo] = ()

    @property
    def deferred_load(self) -> int:
        """The work that is deferred, in fixes."""
        return sum(one.part.load for one in self.deferred)

    def in_order(self, arrivals: DecodedBatch) -> DecodedBatch:
        """Return what is to be planned, with its place in the feed, whatever clocks say: after all
        that was planned before, also by former leaders, so that a reader misses nothing
        (`db.fixes.feed`), and after each known zone was made, which it may enter.
        """
        after_us = max(self.newest_feed_us + 1, self.registry.newest_made_us)
        self.newest_feed_us = max(arrivals.received_us, after_us)
        return replace(arrivals, feed_us=self.newest_feed_us)

    def hold(self, backlogs: Iterable[Backlog]) -> None:
        """Forget the state of assets that get a backlog."""
        for backlog in backlogs:
            asset = self.registry.assets.number(backlog.asset_id)
            self.backlogs.put(asset, backlog)
            self.state.apply(nothing_known(asset))

    def apply(self, plan: "WritePlan", *, is_committed: bool = False) -> None:
        """Apply a plan to memory: what follows is planned as if the plan were committed."""
        self._undo = () if is_committed else self._undo_of(plan)
        self.watermarks.advance(plan.batch)
        self.state.apply(plan.delta)
        self.saved_states.take(plan.saved_states)
        self.checkpoints.take(plan.delta, plan.new.rows["asset"], plan.checkpointed)
        for departure in plan.outcome.departures:
            self.announced.pop(departure.visit_id, None)
        for asset, names in plan.late.used_names.items():
            self.used_names.pop(asset, None)
            if names:
                self.used_names[asset] = names
        for visit, announced in plan.late.announced.items():
            if announced is None:
                self.announced.pop(visit, None)
            else:
                self.announced[visit] = announced
        self.rates.take(plan.buckets)
        self.backlogs.take(plan.backlogs)
        self.late_pace.saw(plan.late.spent, self.transition_pace.transition_s)
        self.slow = plan.slow

    def committed(self) -> None:
        """Confirm the plan that was applied last: it is not reverted any more."""
        self._undo = ()

    def revert(self) -> None:
        """Revert the plan that was applied last: memory is as it was before."""
        for undo in self._undo:
            undo()
        self._undo, self.deferred = (), ()
        self.reverted += 1

    def _undo_of(self, plan: "WritePlan") -> Sequence[Undo]:
        departed = (departure.visit_id for departure in plan.outcome.departures)
        assets = np.concatenate((plan.delta.assets["asset"], plan.new.rows["asset"]))
        return (
            self.watermarks.undo(plan.batch),
            self.state.undo(plan.delta),
            self.saved_states.undo(plan.saved_states),
            self.checkpoints.undo(assets[assets >= 0], plan.checkpointed),
            undo_of(self.announced, (*departed, *plan.late.announced)),
            undo_of(self.used_names, plan.late.used_names),
            self.rates.undo(plan.buckets),
            self.backlogs.undo(plan.backlogs),
        )
