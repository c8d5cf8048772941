"""What one transaction will write for a batch of messages: values only, made from values.

A plan is made from the memory and changes nothing in it; `Memory.take` does, once the plan's
transaction has begun and found nothing changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from db.gps_events import Owners, copy_stream
from db.quarantine import Refusal
from geofence.evaluator import Evaluation, evaluate
from geofence.state import State
from ingest.arrivals import Arrivals
from ingest.outcome import Outcome, tell
from ingest.refusals import sort_out
from ingest.registry import Registry
from ingest.watermarks import Watermarks
from telemetry.fix import FixBatch


@dataclass(slots=True)
class Memory:
    """What ingest has in mind between batches; all of it can be read back from the database."""

    registry: Registry
    watermarks: Watermarks
    state: State

    def take(self, plan: "Plan") -> None:
        """From now on, what follows is planned as if `plan` were committed."""
        self.watermarks.advance(plan.batch)
        self.state.apply(plan.evaluation.delta)


@dataclass(frozen=True, slots=True)
class Share:
    """Fixes that go into the database the same way."""

    batch: FixBatch
    owners: Owners


@dataclass(frozen=True, slots=True)
class Plan:
    """batch: all fixes to be stored, in order of arrival; the new and the careful ones together.

    new_stream: the COPY stream of the `new_fixes` that no stored fix of their tracker follows.
    careful: the others: some of them may be stored already.
    """

    revision: int
    batch: FixBatch
    new_fixes: int
    new_stream: bytes
    careful: Share
    evaluation: Evaluation
    outcome: Outcome
    refusals: Sequence[Refusal]


def make_plan(arrivals: Arrivals, memory: Memory, now_us: int) -> Plan:
    """Judges the fixes of `arrivals` and shares them out."""
    registry = memory.registry
    batch, refusals = sort_out(arrivals, registry)
    registry.resolve(batch)
    is_new = memory.watermarks.all_new(batch)
    evaluation = evaluate(batch, memory.state, registry.index, now_us)
    owners = _owners(batch, registry, arrivals.received_us)
    new = _share(batch, owners, is_new)
    return Plan(
        revision=registry.revision,
        batch=batch,
        new_fixes=len(new.batch),
        new_stream=copy_stream(new.batch, new.owners),
        careful=_share(batch, owners, ~is_new),
        evaluation=evaluation,
        outcome=tell(batch, evaluation, registry, now_us),
        refusals=refusals,
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
