"""The evaluator as a replay uses it: rows of a trace in, transitions to be written out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geofence.evaluator import evaluate
from geofence.rules import Gates
from geofence.state import State
from geofence.transitions import TRANSITION_DTYPE, Cause, Transition
from stack.replay_tally import Tally
from stack.replay_zones import ZoneSet
from stack.transition_formats import TransitionRows
from telemetry.fix import FixBatch, Known, blank_rows

PORTION_FIXES = 20_000

_TRANSITION_NAMES = {kind.value: kind.name.lower() for kind in Transition}
_CAUSE_NAMES = {cause.value: cause.name.lower() for cause in Cause}


class Judge:
    """Judges the fixes of a trace, portion by portion. ids: the devices, by tracker; grows."""

    def __init__(
        self, zones: ZoneSet, ids: list[str], gates: Gates, now_us: int, tally: Tally
    ) -> None:
        self._zone_ids = zones.zone_ids
        self._index = zones.index
        self._ids = ids
        self._gates = gates
        self._now_us = now_us
        self._tally = tally
        self._state = State()

    def judge(self, rows: NDArray[np.void]) -> NDArray[np.void]:
        """The transitions (TRANSITION_DTYPE) that `rows` (TRACE_DTYPE) make, as they are found."""
        parts = [np.zeros(0, TRANSITION_DTYPE)]
        for start in range(0, len(rows), PORTION_FIXES):
            found, late = self._evaluated(_batch(rows[start : start + PORTION_FIXES]))
            self._tally.judged += len(late) - int(np.count_nonzero(late))
            self._tally.repeated += int(np.count_nonzero(late))
            parts.append(found)
        return np.concatenate(parts)

    def due(self) -> NDArray[np.void]:
        """What falls due by time alone after the last fixes (TRANSITION_DTYPE)."""
        return np.zeros(0, TRANSITION_DTYPE)

    def _evaluated(self, batch: FixBatch) -> tuple[NDArray[np.void], NDArray[np.bool_]]:
        """Transitions (TRANSITION_DTYPE), and which fixes were not new to their device, (n,)."""
        evaluation = evaluate(batch, self._state, self._index, self._now_us)
        self._state.apply(evaluation.delta)
        return evaluation.transitions, evaluation.late

    def written(self, found: NDArray[np.void]) -> TransitionRows:
        """TRANSITION_DTYPE as they are written out; counts them."""
        names = [_TRANSITION_NAMES[number] for number in found["transition"].tolist()]
        self._tally.transitions.update(names)
        entered = found["transition"] == Transition.ENTER
        dwell_s = (found["time_us"] - found["entered_us"]) / 1e6
        return TransitionRows(
            device_id=[self._ids[tracker] for tracker in found["asset"].tolist()],
            time_us=found["time_us"],
            zone_id=[self._zone_ids[zone] for zone in found["zone"].tolist()],
            transition=names,
            lat=found["lat"],
            lon=found["lon"],
            cause=[_CAUSE_NAMES[number] for number in found["cause"].tolist()],
            inferred=[""] * len(found),
            dwell_s=np.where(entered, np.nan, dwell_s),
        )


def _batch(rows: NDArray[np.void]) -> FixBatch:
    fixes = blank_rows(len(rows))
    for column in ("tracker", "time_us", "seq", "lat", "lon"):
        fixes[column] = rows[column]
    fixes["asset"] = rows["tracker"]
    fixes["organization"] = 0
    known = ~np.isnan(rows["accuracy_m"])
    fixes["accuracy_m"] = np.where(known, rows["accuracy_m"], 0)
    fixes["known"] = np.where(known, np.uint8(Known.ACCURACY), np.uint8(0))
    return FixBatch(fixes)
