"""The compilation of all compiled functions, or their loading from where they are kept.

A process that is about to judge fixes calls `prepare` first, so that its first batch need not wait
a minute where nothing is kept yet. `python -m geofence.judging.warmup` does it ahead of time and
shows how far it is.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (numba's events and shapely have no types)

import sys
import threading
from collections.abc import Callable
from typing import Any, TextIO

import numpy as np
from numba.core.event import Event, Listener, install_listener
from shapely import Point

from geofence.geometry.containment import covers_pairs
from geofence.geometry.distance import signed_distance_m
from geofence.geometry.latitude_bands import edges_by_band
from geofence.geometry.packing import SLABS_FROM_VERTICES
from geofence.geometry.queries import covers
from geofence.judging.evaluator import NO_TIMERS_US, evaluate, late_assets
from geofence.judging.lookup import signed_distances_m
from geofence.judging.state import State
from geofence.judging.walk import mark_late_assets, walk
from geofence.kernel.compiled import all_called
from geofence.shapes.types import Polygonal
from geofence.zones.index import ZoneIndex
from telemetry.fix import FixBatch

LINES = 8  # of progress, where the output is no terminal
QUIET_S = 10  # at most without one

_CALLED = (mark_late_assets, walk, signed_distance_m, covers_pairs, edges_by_band)

Step = Callable[[int, int], None]


class _Progress(Listener):
    """Calls `step(compiled, all)` after each function of ours that was compiled."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._wanted = all_called(*_CALLED)
        self._compiled: set[Any] = set()

    def on_start(self, event: Event) -> None:
        pass

    def on_end(self, event: Event) -> None:
        about: Any = event.data
        function = about["dispatcher"].py_func
        if function in self._wanted and function not in self._compiled:
            self._compiled.add(function)
            self._step(len(self._compiled), len(self._wanted))


def prepare(step: Step | None = None) -> None:
    """Return when everything is ready to run; `step` is called for each compiled function."""
    if step is None:
        _call_everything()
        return
    with install_listener("numba:compile", _Progress(step)):
        _call_everything()


def _call_everything() -> None:
    index, none = ZoneIndex(), np.empty(0)
    late_assets(FixBatch.empty(), State())
    evaluate(FixBatch.empty(), State(), index, NO_TIMERS_US)
    signed_distances_m(index, none.astype(np.int64), none.astype(np.int64), none, none)
    many_sided = Polygonal(Point(0, 0).buffer(1, quad_segs=SLABS_FROM_VERTICES // 4))
    covers(many_sided, [0.0], [0.0])


class Report:
    """The progress of compiling: a counter on a terminal, else a few lines.

    One function may take most of the time, so the report also shows the seconds that have passed.
    """

    def __init__(self, out: TextIO) -> None:
        self._out, self._done, self._of, self._seconds = out, 0, 0, 0

    def step(self, done: int, of: int) -> None:
        """Show that `done` functions are compiled."""
        if not self._done:
            self._say("compiling the geofence engine for this machine, one to four minutes ...")
        self._done, self._of = done, of
        if self._out.isatty():
            self._show_counter()
        elif done % (of // LINES) == 0:
            self._say(f"  {done} of {of} functions")

    def second(self) -> None:
        """Show that another second has passed, without a terminal each tenth."""
        self._seconds += 1
        if not self._done:
            return
        if self._out.isatty():
            self._show_counter()
        elif self._seconds % QUIET_S == 0:
            self._say(f"  {self._done} of {self._of} functions after {self._seconds} s")

    def end(self) -> None:
        """Say what was done."""
        if self._done and self._out.isatty():
            self._say("")
        what = "compiled" if self._done else "compiled already: nothing to do"
        self._say(f"the geofence engine is {what}")

    def _show_counter(self) -> None:
        self._say(f"\r  {self._done} of {self._of} functions, {self._seconds} s", end="")

    def _say(self, text: str, end: str = "\n") -> None:
        print(text, end=end, file=self._out, flush=True)


def _count_seconds(report: Report, ended: threading.Event) -> None:
    while not ended.wait(1):
        report.second()


if __name__ == "__main__":
    report, ended = Report(sys.stderr), threading.Event()
    clock = threading.Thread(target=_count_seconds, args=(report, ended))
    clock.start()
    try:
        prepare(report.step)
    finally:
        ended.set()
        clock.join()
    report.end()
