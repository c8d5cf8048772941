"""What one transaction will write for a batch of messages: values only, made from values.

A plan is made from the memory and changes nothing in it; `Memory.take` does, once the plan's
transaction has begun and found nothing changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from db.gps_events import FixKey, Owners, copy_stream
from db.quarantine import Refusal
from geofence.evaluator import Evaluation, evaluate
from geofence.state import State
from ingest.arrivals import Arrivals
from ingest.notes import NoteChanges, Notes
from ingest.outcome import Outcome, tell
from ingest.rates import Buckets, Rates
from ingest.refusals import sort_out
from ingest.registry import Registry
from ingest.suspects import flag
from ingest.watermarks import Watermarks
from telemetry.fix import FixBatch

# Deadlines wait for so long: a fix that was sent before one may still be under way.
UNDER_WAY_US = 500_000


@dataclass(slots=True)
class Memory:
    """What ingest has in mind between batches; all of it can be read back from the database."""

    registry: Registry
    watermarks: Watermarks
    state: State
    notes: Notes
    rates: Rates = field(default_factory=Rates)

    def take(self, plan: "Plan") -> None:
        """From now on, what follows is planned as if `plan` were committed."""
        self.watermarks.advance(plan.batch)
        self.state.apply(plan.evaluation.delta)
        self.notes.take(plan.notes)
        self.rates.take(plan.buckets)


@dataclass(frozen=True, slots=True)
class Share:
    """Fixes that go into the database the same way."""

    batch: FixBatch
    owners: Owners


@dataclass(frozen=True, slots=True)
class Plan:
    """batch: all fixes to be stored, in order of arrival; the new and the careful ones together.

    new_stream: the COPY stream of the `new_fixes` that no stored fix of their tracker follows.
    careful: the others: some of them may be stored already. healed: fixes of earlier batches that
    were stored as suspect and are not any more.
    """

    revision: int
    batch: FixBatch
    new_fixes: int
    new_stream: bytes
    careful: Share
    evaluation: Evaluation
    healed: Sequence[FixKey]
    outcome: Outcome
    notes: NoteChanges
    refusals: Sequence[Refusal]
    buckets: Buckets

    @property
    def writes(self) -> bool:
        """Whether there is anything for the database."""
        return bool(len(self.batch) or self.outcome or self.notes or self.refusals)


def make_plan(arrivals: Arrivals, memory: Memory, now_us: int) -> Plan:
    """Judges the fixes of `arrivals` and what has fallen due, and shares the fixes out.

    Raises HistoryNeeded where the database has to be asked first (`ingest.clocks`).
    """
    registry = memory.registry
    batch, refusals, buckets = sort_out(arrivals, registry, memory.watermarks, memory.rates)
    registry.resolve(batch)
    is_new = memory.watermarks.all_new(batch)
    due_us = now_us - UNDER_WAY_US
    agenda = registry.agenda(memory.state, batch, due_us)
    evaluation = evaluate(batch, memory.state, registry.index, due_us, registry.gates, agenda)
    healed = flag(batch, evaluation, registry)
    owners = _owners(batch, registry, arrivals.received_us)
    new = _share(batch, owners, is_new)
    return Plan(
        revision=registry.revision,
        batch=batch,
        new_fixes=len(new.batch),
        new_stream=copy_stream(new.batch, new.owners) if len(new.batch) else b"",
        careful=_share(batch, owners, ~is_new),
        evaluation=evaluation,
        healed=healed,
        outcome=tell(evaluation.transitions, registry, now_us),
        notes=memory.notes.changes(evaluation.delta, registry),
        refusals=refusals,
        buckets=buckets,
    )


def _owners(batch: FixBatch, registry: Registry, received_us: int) -> Owners:
    return Owners(
        org_id=registry.organizations.as_bytes()[batch.rows["organization"]],
        tracker_id=registry.trackers.as_bytes()[batch.rows["tracker"]],
        received_us=np.full(len(batch), received_us, np.int64),
    )


def _share(batch: FixBatch, owners: Owners, chosen: np.ndarray) -> Share:
    if chosen.all():
        return Share(batch, owners)
    positions = np.flatnonzero(chosen)
    return Share(batch.take(positions), owners.take(positions))
