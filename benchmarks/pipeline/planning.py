"""The cost of planning a batch, part by part: the work of ingest without broker and database.

`PlanningLoad` has messages of workload W1 and hands them to ingest's own functions batch after
batch, as `ingest.pipeline` does. `split` says how much processor time each part takes per fix.
Everything is on: zones, rules, visits, events, notes, checkpoints.
"""

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from inspect import isgeneratorfunction
from typing import Any, NamedTuple
from unittest.mock import patch
from uuid import UUID

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.common import rows as setup_rows
from benchmarks.common import workload
from benchmarks.common.payloads import Clock, Form, fix_offsets, fix_texts, joined, topic
from db.ingest.registry import (
    MAX_TIME_US,
    MIN_TIME_US,
    AssetRow,
    AssignmentRow,
    RegistryChanges,
    TrackerRow,
    ZoneVersionRow,
)
from geofence.judging.state import State
from geofence.shapes.types import Polygonal
from ingest.planning import decoded_batch
from ingest.planning import plan as planning
from ingest.planning.memory import Memory
from ingest.planning.plan import WritePlan
from ingest.registry.registry import Registry
from ingest.registry.watermarks import Watermarks
from ingest.saved_states.checkpoints import Checkpoints
from ingest.saved_states.saved_state import SavedStates

RECEIVED_US = workload.START_US + 3_650 * 86_400_000_000  # no fix is from the future

# What a batch goes through, as (owner, name of the function, name of the part).
_PARTS = (
    (decoded_batch, "decode", "decode"),
    (planning, "accept", "senders, clocks"),
    (Registry, "resolve", "assets"),
    (planning, "_fresh", "new or stored"),
    (planning, "late_assets", "judge"),
    (planning, "evaluate", "judge"),
    (planning, "outcome_of", "visits, events"),
    (SavedStates, "changes", "saved states"),
    (Checkpoints, "due", "checkpoints"),
    (planning, "stream_of", "COPY stream"),
    (Memory, "apply", "memory"),
)


class PlannedMessage(NamedTuple):
    """The parts of a message that ingest asks for."""

    topic: str
    payload: bytes
    correlation_data: bytes | None = None
    identity: UUID | None = None
    oversize_bytes: int = 0


class PlanningLoad:
    """Messages of the plan's trackers in order of sending, again and again with later times."""

    def __init__(
        self, plan: workload.Plan, form: Form, fixes_per_message: int, fixes_per_tracker: int
    ) -> None:
        fixes = workload.tracks(plan, fixes_per_tracker)
        in_order = workload.rows_in_order_of_sending(fixes, fixes_per_message)
        self._form, self._span_us = form, workload.span_us(fixes_per_tracker)
        self._topics = [topic(tracker, form) for tracker in in_order["tracker"][:, 0].tolist()]
        self._fill(in_order)
        self._next, self._passes = 0, 0
        self.memory = Memory(registry_of(plan), Watermarks(), State(), SavedStates())

    def _fill(self, in_order: NDArray[np.void]) -> None:
        per_message = in_order.shape[1]
        texts = fix_texts(in_order.reshape(-1), self._form)
        packets, starts, ends = bytearray(), list[int](), list[int]()
        for at in range(0, len(texts), per_message):
            fixes = texts[at : at + per_message]
            starts += [len(packets) + offset for offset in fix_offsets(fixes, self._form)]
            packets += joined(fixes, self._form)
            ends.append(len(packets))
        self._packets = np.frombuffer(packets, np.uint8)
        self._ends = [0, *ends]
        self._clock = Clock(
            self._packets, np.array(starts), in_order["time_us"].reshape(-1), self._form
        )

    def batches_in_pass(self, messages_per_batch: int) -> int:
        return -(-len(self._topics) // messages_per_batch)

    def messages(self, count: int) -> list[PlannedMessage]:
        """Return the next `count` messages, or as many as are left of the pass."""
        if self._next == len(self._topics):
            self._passes, self._next = self._passes + 1, 0
            self._clock.advance(self._passes * self._span_us)
        chosen = range(self._next, min(self._next + count, len(self._topics)))
        self._next = chosen.stop
        return [
            PlannedMessage(
                self._topics[n], self._packets[self._ends[n] : self._ends[n + 1]].tobytes()
            )
            for n in chosen
        ]


def registry_of(plan: workload.Plan) -> Registry:
    """Return what ingest would read from the database of `setup_rows.add_fleet`."""
    org = setup_rows.ORGANIZATION
    trackers = [setup_rows.tracker_uuid(n) for n in range(plan.trackers)]
    assets = [setup_rows.asset_uuid(n) for n in range(plan.trackers)]
    registry = Registry()
    registry.apply(
        RegistryChanges(
            revision=setup_rows.REVISION,
            trackers=[TrackerRow(org, tracker, False, False) for tracker in trackers],
            assets=[
                AssetRow(org, asset, f"Asset {n}", "vehicle") for n, asset in enumerate(assets)
            ],
            asset_tags=[],
            assignments=[
                AssignmentRow(tracker, asset, MIN_TIME_US, MAX_TIME_US)
                for tracker, asset in zip(trackers, assets, strict=True)
            ],
            zone_versions=[
                ZoneVersionRow(
                    org_id=org,
                    zone_id=setup_rows.zone_uuid(n),
                    version=1,
                    name=f"Zone {n}",
                    kind="restricted",
                    alert_on=None,
                    shape=Polygonal(shapely.Polygon(ring)),
                    rules={},
                    schedule=None,
                    assets=None,
                    valid_from_us=MIN_TIME_US,
                    valid_to_us=MAX_TIME_US,
                    created_us=MIN_TIME_US,
                )
                for n, ring in enumerate(workload.zone_rings(plan))
            ],
        )
    )
    return registry


class Split(NamedTuple):
    """ns: processor time per fix by part, nanoseconds; `rest` is all that is no part."""

    ns: dict[str, float]
    events_per_fix: float


def split(load: PlanningLoad, messages_per_batch: int, batches: int) -> Split:
    """Plan this many batches after a whole pass, in which all trackers come to be known."""
    for _ in range(load.batches_in_pass(messages_per_batch)):
        _plan(load.memory, load.messages(messages_per_batch))
    spent_ns: dict[str, int] = {}
    fixes = events = 0
    with ExitStack() as patched:
        for owner, name, part in _PARTS:
            timed = _timed(getattr(owner, name), part, spent_ns)
            patched.enter_context(patch.object(owner, name, timed))
        plan_one = _timed(_plan, "whole", spent_ns)
        for _ in range(batches):
            plan = plan_one(load.memory, load.messages(messages_per_batch))
            fixes, events = fixes + len(plan.new), events + len(plan.outcome.events)
    spent_ns["rest"] = 2 * spent_ns["whole"] - sum(spent_ns.values())
    return Split({part: ns / fixes for part, ns in spent_ns.items()}, events / fixes)


def _plan(memory: Memory, messages: list[PlannedMessage]) -> WritePlan:
    arrivals = decoded_batch.decode_batch(messages, RECEIVED_US)
    plan = planning.advance(planning.make_plan(arrivals, memory, RECEIVED_US))
    assert isinstance(plan, WritePlan)  # all that it needs is in memory
    memory.apply(plan)
    return plan


def _timed(function: Callable[..., Any], part: str, spent_ns: dict[str, int]) -> Callable[..., Any]:
    """Return the same function, which adds to `spent_ns` the processor time that its
    thread spends.
    """

    def run(*arguments: Any, **named: Any) -> Any:
        start = time.thread_time_ns()
        try:
            return function(*arguments, **named)
        finally:
            spent_ns[part] = spent_ns.get(part, 0) + time.thread_time_ns() - start

    def run_generator(*arguments: Any, **named: Any) -> Generator[Any, Any, Any]:
        start = time.thread_time_ns()  # nothing is looked up: it never waits
        made = yield from function(*arguments, **named)
        spent_ns[part] = spent_ns.get(part, 0) + time.thread_time_ns() - start
        return made

    return run_generator if isgeneratorfunction(function) else run
