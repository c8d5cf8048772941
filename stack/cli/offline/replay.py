"""``opsc replay``: a trace file against a zone file, no server, transitions out.

The evaluator is the one that ingest uses. Fixes are put in order of device and time first, so a
trace may come in any order; memory is bounded, whatever the trace's size
(`stack.replay.input.trace_order`).
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import typer

from geofence.model.policy import DEFAULT_ALERTS, DEFAULT_KIND
from geofence.model.rules import MAX_ACCURACY_M, MAX_SPEED_MPS, Gates, Rules
from stack.errors import StackError
from stack.replay.input.trace_file import TRACE_SUFFIXES, TraceFile
from stack.replay.output.files import SUFFIXES, TransitionFile, transition_file
from stack.replay.output.map_page import map_page
from stack.replay.output.targets import check_target, write_whole
from stack.replay.progress import replay_view
from stack.replay.run import Replayed, ReplayPlan, run_replay
from stack.replay.tally import doubts
from stack.replay.zones import read_zone_file, zone_set_of

_RULES = "Rules of the zones (a zone's property of the same name goes before)"
_DEFAULT = Rules()

Value = TypeVar("Value")


def _rule(text: str, default: object = None) -> typer.models.OptionInfo:
    shown = "Off unless given." if default is None else f"[{default:g}]"
    return typer.Option(help=f"{text} {shown}", rich_help_panel=_RULES, show_default=False)


def replay(
    zones: Annotated[
        Path,
        typer.Option(
            exists=True, dir_okay=False, help="GeoJSON FeatureCollection or Feature (.gz)."
        ),
    ],
    fixes: Annotated[
        Path,
        typer.Option(
            exists=True, dir_okay=False, help=f"Trace: {', '.join(TRACE_SUFFIXES)} (.gz)."
        ),
    ],
    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="Judge every fix by its position alone: all rules are off, those of the "
            "zones too, and of fixes with one time the first counts. Without it, fixes that ingest "
            "would reject (exactly 0,0; before 2000; more than 5 minutes ahead of now) are left "
            "out and counted.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help=f"Where to write: {', '.join(SUFFIXES)} (.gz). \\[stdout, CSV]"),
    ] = None,
    map_out: Annotated[
        Path | None,
        typer.Option("--map", help="Draw tracks, zones and transitions: one page of HTML."),
    ] = None,
    map_device: Annotated[
        str | None,
        typer.Option(help="A device_id whose fixes are all on the map, also in a long trace."),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help=f"Kind of zones that have none: {', '.join(DEFAULT_ALERTS)}. \\[{DEFAULT_KIND}]",
        ),
    ] = None,
    unsorted: Annotated[
        bool,
        typer.Option(
            "--unsorted",
            help="Write transitions as they are found: in order for each device, devices mixed. "
            "Saves sorting where each device's fixes come in order of time.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary on stderr as one JSON object.")
    ] = False,
    exit_buffer_m: Annotated[
        float,
        _rule(
            "A visit ends only at a distance from the zone greater than this.",
            _DEFAULT.exit_buffer_m,
        ),
    ] = _DEFAULT.exit_buffer_m,
    accuracy_clamp_m: Annotated[
        float,
        _rule("The most that a fix's accuracy adds to that.", _DEFAULT.accuracy_clamp_m),
    ] = _DEFAULT.accuracy_clamp_m,
    coarse_accuracy_m: Annotated[
        float,
        _rule(
            "A fix of a worse accuracy must lie deep inside or far outside.",
            _DEFAULT.coarse_accuracy_m,
        ),
    ] = _DEFAULT.coarse_accuracy_m,
    enter_confirm_fixes: Annotated[
        int, _rule("How many fixes inside make an enter.", _DEFAULT.enter_confirm_fixes)
    ] = _DEFAULT.enter_confirm_fixes,
    exit_confirm_fixes: Annotated[
        int, _rule("How many fixes outside make an exit.", _DEFAULT.exit_confirm_fixes)
    ] = _DEFAULT.exit_confirm_fixes,
    enter_confirm_seconds: Annotated[
        float, _rule("How long inside makes an enter.", _DEFAULT.enter_confirm_seconds)
    ] = _DEFAULT.enter_confirm_seconds,
    exit_confirm_seconds: Annotated[
        float, _rule("How long outside makes an exit.", _DEFAULT.exit_confirm_seconds)
    ] = _DEFAULT.exit_confirm_seconds,
    max_gap_seconds: Annotated[
        float,
        _rule(
            "Passing through between fixes this far apart counts; 0: none does.",
            _DEFAULT.max_gap_seconds,
        ),
    ] = _DEFAULT.max_gap_seconds,
    pass_min_m: Annotated[
        float,
        _rule(
            "The least length of the way inside that counts as passing through.",
            _DEFAULT.pass_min_m,
        ),
    ] = _DEFAULT.pass_min_m,
    dwell_seconds: Annotated[
        float | None, _rule("A visit of this length gives one dwell.", _DEFAULT.dwell_seconds)
    ] = _DEFAULT.dwell_seconds,
    close_after_silence_seconds: Annotated[
        float | None,
        _rule("A visit ends this long after the last fix.", _DEFAULT.close_after_silence_seconds),
    ] = _DEFAULT.close_after_silence_seconds,
    speed_limit_mps: Annotated[
        float | None,
        _rule("A visit with a higher speed gives one overspeed.", _DEFAULT.speed_limit_mps),
    ] = _DEFAULT.speed_limit_mps,
    max_speed_mps: Annotated[
        float,
        typer.Option(
            min=0,
            help="A fix is suspect if reaching it from the last good one takes a higher speed.",
        ),
    ] = MAX_SPEED_MPS,
    max_accuracy_m: Annotated[
        float, typer.Option(min=0, help="Ignore fixes whose stated accuracy is worse.")
    ] = MAX_ACCURACY_M,
) -> None:
    """Judge the fixes of a trace file by the zones of a zone file, without a server.

    Writes device_id,time,zone_id,transition, and without --raw lat, lon, cause, inferred, dwell_s
    and event (what would be told) after them, in order of device, time, exits before enters, zone.
    A trace that is too long for memory and not in that order is sorted in a temporary file (in
    TMPDIR).
    """
    if map_device is not None and map_out is None:
        raise typer.BadParameter("needs --map", param_hint="--map-device")
    if kind is not None and kind not in DEFAULT_ALERTS:
        text = f"{kind!r} must be one of {', '.join(DEFAULT_ALERTS)}"
        raise typer.BadParameter(text, param_hint="--kind")
    trace = _usage("--fixes", lambda: TraceFile.of(fixes))
    _usage("--out", lambda: transition_file(out, plain=raw))
    _usage("--out", lambda: check_target(out, (zones, fixes)))
    _usage("--map", lambda: check_target(map_out, (zones, fixes, out)))
    rules = _usage(
        "the rules",
        lambda: Rules(
            exit_buffer_m=exit_buffer_m,
            accuracy_clamp_m=accuracy_clamp_m,
            coarse_accuracy_m=coarse_accuracy_m,
            enter_confirm_fixes=enter_confirm_fixes,
            exit_confirm_fixes=exit_confirm_fixes,
            enter_confirm_seconds=enter_confirm_seconds,
            exit_confirm_seconds=exit_confirm_seconds,
            max_gap_seconds=max_gap_seconds,
            pass_min_m=pass_min_m,
            dwell_seconds=dwell_seconds,
            close_after_silence_seconds=close_after_silence_seconds,
            speed_limit_mps=speed_limit_mps,
        ),
    )
    gates = Gates(np.empty(0), max_speed_mps, max_accuracy_m)
    plan = ReplayPlan(
        trace,
        zone_set_of(read_zone_file(zones, kind), _warn, Rules.raw() if raw else rules, raw=raw),
        Gates.open() if raw else gates,
        now_us=time.time_ns() // 1000,
        raw=raw,
        by_device=not unsorted,
        map_device=map_device,
    )
    rows_are_shown = out is None and sys.stdout.isatty()
    done = _run(plan, lambda: transition_file(out, plain=raw), map_out, rows_are_shown)
    if done is not None:
        for zone_id in done.zones_of_nobody:
            _warn(f"zone {zone_id} bears on no device of the trace: properties.assets names others")
        if done.sample is not None and not done.sample.knows_chosen:
            _warn(f"--map-device {map_device}: the trace has no such device")
        warnings = list(doubts(done.tally, max_speed_mps))
        if not as_json:
            for warning in warnings:
                _warn(warning)
        print(done.tally.as_json(warnings) if as_json else done.tally.as_text(), file=sys.stderr)


def _run(
    plan: ReplayPlan,
    target: Callable[[], TransitionFile],
    map_out: Path | None,
    rows_are_shown: bool,
) -> Replayed | None:
    """Run the replay; None where the reader of stdout has seen enough."""
    began = time.perf_counter()
    try:
        with replay_view(plan.trace.size_bytes, rows_are_shown=rows_are_shown) as view:
            done = run_replay(plan, target, view, with_sample=map_out is not None)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return None
    except OSError as error:
        where = tempfile.gettempdir()
        raise StackError(f"cannot write in {where}: {error.strerror or error}") from None
    done.tally.seconds = time.perf_counter() - began
    if map_out is not None:
        _draw(plan, done, map_out)
    return done


def _draw(plan: ReplayPlan, done: Replayed, map_out: Path) -> None:
    assert done.sample is not None
    page = map_page(plan.trace.path.name, plan.zones.features, done.sample, done.tally.as_text())
    write_whole(map_out, page)


def _usage(option: str, value: Callable[[], Value]) -> Value:
    try:
        return value()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)
