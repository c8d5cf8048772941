"""What one transaction will write for a batch of messages: values only, made from values.

A plan is made from the state of the last commit and changes nothing: where the transaction fails, a
new plan is made for the same messages.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from db.gps_events import Owners
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


@dataclass(frozen=True, slots=True)
class Share:
    """Fixes that go into the database the same way."""

    batch: FixBatch
    owners: Owners


@dataclass(frozen=True, slots=True)
class Plan:
    """batch: all fixes to be stored, in order of arrival; `new` and `careful` share them out."""

    revision: int
    batch: FixBatch
    new: Share
    careful: Share
    evaluation: Evaluation
    outcome: Outcome
    refusals: Sequence[Refusal]


def make_plan(arrivals: Arrivals, memory: Memory, now_us: int, *, all_careful: bool) -> Plan:
    """Judges and shares out the fixes of `arrivals`.

    all_careful: where fixes that we hold to be new turned out to be stored already.
    """
    registry = memory.registry
    batch, refusals = sort_out(arrivals, registry)
    registry.resolve(batch)
    new = memory.watermarks.all_new(batch)
    if all_careful:
        new[:] = False
    evaluation = evaluate(batch, memory.state, registry.index, now_us)
    owners = _owners(batch, registry, arrivals.received_us)
    return Plan(
        revision=registry.revision,
        batch=batch,
        new=_share(batch, owners, new),
        careful=_share(batch, owners, ~new),
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
