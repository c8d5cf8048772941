"""``opsc replay``: a trace file against a zone file, no server, transitions out.

The evaluator is the one that ingest uses. Fixes are put in order of device and time first, so a
trace may come in any order; the whole trace is held in memory, about 100 bytes a fix.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from geofence.evaluator import evaluate
from geofence.state import State
from geofence.transitions import TRANSITION_DTYPE, Transition
from stack.errors import StackError
from stack.replay_files import TraceFixes, ZoneSet, read_trace_file, read_zone_file, zone_set_of
from stack.transition_files import SUFFIXES, TransitionFile, transition_file
from telemetry.decode import check_clock
from telemetry.fix import FixBatch
from telemetry.times import format_times

CHUNK_FIXES = 20_000


@dataclass(slots=True)
class Tally:
    """What a replay met."""

    fixes: int = 0
    devices: int = 0
    zones: int = 0
    judged: int = 0
    repeated: int = 0  # of one device and one time as a fix before it
    refused: dict[str, int] = field(default_factory=dict[str, int])  # by reason code
    enter: int = 0
    exit: int = 0
    seconds: float = 0.0

    def as_json(self) -> str:
        names = ("fixes", "devices", "zones", "judged", "repeated", "refused", "enter", "exit")
        plain = {name: getattr(self, name) for name in names}
        rates = {"seconds": round(self.seconds, 3), "fixes_per_s": self.fixes_per_s}
        return json.dumps(plain | rates)

    def as_text(self) -> str:
        refused = "".join(f", {count:,} refused ({why})" for why, count in self.refused.items())
        return (
            f"{self.fixes:,} fixes of {self.devices:,} devices, {self.zones:,} zones: "
            f"{self.enter:,} enter, {self.exit:,} exit\n"
            f"{self.judged:,} judged, {self.repeated:,} repeated{refused}; "
            f"{self.seconds:.2f} s, {self.fixes_per_s:,} fixes/s"
        )

    @property
    def fixes_per_s(self) -> int:
        return round(self.fixes / self.seconds) if self.seconds else 0


def replay(
    zones: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="GeoJSON FeatureCollection (.gz).")
    ],
    fixes: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Trace as CSV (.gz).")],
    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="Judge every fix as it stands. Without it, fixes that ingest would refuse "
            "(exactly 0,0; before 2000; more than 5 minutes ahead of now) are left out and "
            "counted, and `seq` orders fixes of one time. The rule itself is the same.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help=f"Where to write: {', '.join(SUFFIXES)}, each also .gz. [stdout, CSV]"),
    ] = None,
    unsorted: Annotated[
        bool,
        typer.Option("--unsorted", help="Transitions in the order of the trace's lines."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="The summary on stderr as one JSON object.")
    ] = False,
) -> None:
    """Evaluate a trace file against a zone file; no server.

    Writes device_id,time,zone_id,transition in order of device, time, exits before enters, zone.
    The trace is held in memory, about 100 bytes a fix: a machine with 8 GB takes some 50 million.
    """
    target = _target(out)
    zone_set = zone_set_of(read_zone_file(zones), _warn)
    trace = read_trace_file(fixes)
    tally = Tally(zones=len(zone_set.zone_ids))
    began = time.perf_counter()
    found = replay_trace(trace, zone_set, raw=raw, now_us=time.time_ns() // 1000, tally=tally)
    try:
        _write(_in_trace_order(found) if unsorted else found, target, trace, zone_set)
    except BrokenPipeError:  # who reads our stdout has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    except OSError as error:
        raise StackError(f"cannot write the transitions: {error.strerror}") from None
    tally.seconds = time.perf_counter() - began
    print(tally.as_json() if as_json else tally.as_text(), file=sys.stderr)


def _write(
    found: Iterator[NDArray[np.void]], target: TransitionFile, trace: TraceFixes, zones: ZoneSet
) -> None:
    with target as file:
        for transitions in found:
            file.write(
                [trace.devices[device] for device in transitions["opening_tracker"].tolist()],
                format_times(transitions["time_us"]),
                [zones.zone_ids[zone] for zone in transitions["zone"].tolist()],
                (transitions["transition"] == Transition.ENTER).tolist(),
            )


def replay_trace(
    trace: TraceFixes, zones: ZoneSet, *, raw: bool, now_us: int, tally: Tally | None = None
) -> Iterator[NDArray[np.void]]:
    """The transitions of a trace, portion by portion: by device id, time, exits first, zone id.

    TRANSITION_DTYPE: `row` is the fix's place in the trace, `opening_tracker` the device's in
    `trace.devices`. raw: see `replay`. now_us is when the fixes count as received.
    """
    tally = tally or Tally()
    tally.fixes, tally.devices = len(trace.batch), len(trace.devices)
    places = np.arange(len(trace.batch)) if raw else _credible(trace.batch, now_us, tally)
    places, rank = _by_device_and_time(trace, places, raw=raw)
    state = State()
    for start in range(0, len(places), CHUNK_FIXES):
        portion = places[start : start + CHUNK_FIXES]
        rows = trace.batch.rows[portion]
        rows["asset"] = rank[rows["tracker"]]
        rows["organization"] = 0
        if raw:
            rows["seq"] = 0
        evaluation = evaluate(FixBatch(rows), state, zones.index, now_us)
        state.apply(evaluation.delta)
        found = evaluation.transitions
        found["row"] = portion[found["row"]]
        _count(tally, found, evaluation.late)
        yield found


def _count(tally: Tally, found: NDArray[np.void], late: NDArray[np.bool_]) -> None:
    repeated = int(np.count_nonzero(late))
    enter = int(np.count_nonzero(found["transition"] == Transition.ENTER))
    tally.judged += len(late) - repeated
    tally.repeated += repeated
    tally.enter += enter
    tally.exit += len(found) - enter


def _credible(batch: FixBatch, now_us: int, tally: Tally) -> NDArray[np.intp]:
    """Places of the fixes that ingest would store."""
    kept, rejections = check_clock(batch, now_us)
    for rejection in rejections:
        tally.refused[rejection.reason] = tally.refused.get(rejection.reason, 0) + 1
    at_zero = (batch.rows["lat"][kept] == 0) & (batch.rows["lon"][kept] == 0)
    if at_zero.any():
        tally.refused["bad_coordinate"] = int(np.count_nonzero(at_zero))
    return kept[~at_zero]


def _by_device_and_time(
    trace: TraceFixes, places: NDArray[np.intp], *, raw: bool
) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """The places in order of device id and time, stable; and each device's rank by its id."""
    rank = np.empty(len(trace.devices), np.int32)
    rank[np.array(sorted(range(len(rank)), key=trace.devices.__getitem__), np.intp)] = np.arange(
        len(rank)
    )
    rows = trace.batch.rows[["tracker", "time_us", "seq"]][places]
    seq = np.zeros(len(rows), np.int32) if raw else rows["seq"]
    return places[np.lexsort((seq, rows["time_us"], rank[rows["tracker"]]))], rank


def _in_trace_order(found: Iterator[NDArray[np.void]]) -> Iterator[NDArray[np.void]]:
    portions = list(found)
    whole = np.concatenate(portions) if portions else np.zeros(0, TRANSITION_DTYPE)
    yield whole[np.argsort(whole["row"], kind="stable")]


def _target(out: Path | None) -> TransitionFile:
    try:
        return transition_file(out)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--out") from None


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)
