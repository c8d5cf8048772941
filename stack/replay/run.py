"""A replay from file to file: read, put in order, judge, write. Memory is bounded throughout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from geofence.model.rules import Gates
from stack.replay.input.trace_file import TraceFile
from stack.replay.input.trace_order import RUN_ROWS, in_order
from stack.replay.input.trace_rows import OutOfOrder, trace_rows
from stack.replay.judge import Judge
from stack.replay.output.files import TransitionFile
from stack.replay.output.formats import TransitionRows
from stack.replay.output.map_sample import MapSample
from stack.replay.output.order import judge_as_it_comes, judge_by_device
from stack.replay.progress import ReplayView
from stack.replay.tally import Tally
from stack.replay.zones import ZoneSet
from telemetry.formats.decode import ANCIENT_BEFORE_US, MAX_AHEAD_US
from telemetry.traces.trace import YEAR_2000_S, YEAR_2100_S


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """The settings of a replay. raw: judge every fix as it stands. now_us: when the fixes count as
    received.

    by_device: transitions in order of device id. run_rows: how many fixes are sorted in memory.
    map_device: the device that the map has whole.
    """

    trace: TraceFile
    zones: ZoneSet
    gates: Gates
    now_us: int
    raw: bool = False
    by_device: bool = True
    run_rows: int = RUN_ROWS
    map_device: str | None = None


@dataclass(slots=True)
class Replayed:
    """The result of a replay beside its transitions. zones_of_nobody: see Judge."""

    tally: Tally = field(default_factory=Tally)
    zones_of_nobody: list[str] = field(default_factory=list[str])
    sample: MapSample | None = None


def run_replay(
    plan: ReplayPlan,
    target: Callable[[], TransitionFile],
    view: ReplayView,
    *,
    with_sample: bool,
) -> Replayed:
    """Write the transitions of a trace. target: called anew where the replay must begin again."""
    try:
        return _written(plan, target(), view, with_sample=with_sample, streaming=True)
    except OutOfOrder:
        return _written(plan, target(), view, with_sample=with_sample, streaming=False)


def _written(
    plan: ReplayPlan,
    target: TransitionFile,
    view: ReplayView,
    *,
    with_sample: bool,
    streaming: bool,
) -> Replayed:
    done = Replayed(sample=MapSample(chosen=plan.map_device) if with_sample else None)
    with target as file:
        for rows in transitions_of(plan, done, view, streaming=streaming):
            file.write(rows)
    return done


def transitions_of(
    plan: ReplayPlan, done: Replayed, view: ReplayView, *, streaming: bool = False
) -> Iterator[TransitionRows]:
    """Yield the transitions, portion by portion: by device id, time, exits first, zone id.

    Raises OutOfOrder, only where `streaming`, for a trace that is not in the order it began with.
    """
    ids: list[str] = []
    chunks = _fixes(plan, ids, done.tally, view)
    judge = Judge(plan.zones, ids, plan.gates, plan.now_us, done.tally)
    done.tally.zones = len(plan.zones.features)
    portions = in_order(
        chunks, ids, by_device=plan.by_device, streaming=streaming, run_rows=plan.run_rows
    )
    seen = _seen(portions, done.sample, ids)
    judged = judge_by_device(judge, seen, ids) if plan.by_device else judge_as_it_comes(judge, seen)
    for transitions in judged:
        rows = judge.written(transitions)
        if done.sample is not None:
            done.sample.add_transitions(rows)
        yield rows
        view.judged(done.tally.judged + done.tally.repeated)
    done.zones_of_nobody = judge.zones_of_nobody()


def _seen(
    portions: Iterator[NDArray[np.void]], sample: MapSample | None, ids: list[str]
) -> Iterator[NDArray[np.void]]:
    for rows in portions:
        if sample is not None:
            sample.add_fixes(rows, ids)
        yield rows


def _fixes(
    plan: ReplayPlan, ids: list[str], tally: Tally, view: ReplayView
) -> Iterator[NDArray[np.void]]:
    """Yield the fixes that take part (TRACE_DTYPE), in order of the file; fills `ids`
    and counts.
    """
    for chunk in plan.trace.chunks(view.read_to):
        ids.extend(chunk.devices[len(ids) :])
        tally.fixes += len(chunk.batch)
        tally.devices = len(ids)
        rows = trace_rows(chunk.batch)
        tally.as_if_seconds += int(np.count_nonzero(_looks_like_seconds(rows["time_us"])))
        if plan.raw:
            rows["seq"] = 0
            yield rows
        else:
            yield rows[_credible(rows, plan.now_us, tally)]
    view.read_all(tally.fixes - tally.refused.total())


def _looks_like_seconds(time_us: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether each time is of these decades if what was read as milliseconds are seconds."""
    return (time_us >= YEAR_2000_S * 1000) & (time_us < YEAR_2100_S * 1000)


def _credible(rows: NDArray[np.void], now_us: int, tally: Tally) -> NDArray[np.bool_]:
    """Return a mask of the fixes that ingest would store, (n,)."""
    ancient = rows["time_us"] < ANCIENT_BEFORE_US
    future = rows["time_us"] - now_us > MAX_AHEAD_US
    at_zero = (rows["lat"] == 0) & (rows["lon"] == 0) & ~ancient & ~future
    for reason, refused in (("ancient", ancient), ("future", future), ("bad_coordinate", at_zero)):
        if count := int(np.count_nonzero(refused)):
            tally.refused[reason] += count
    return ~(ancient | future | at_zero)
