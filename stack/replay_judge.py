"""The evaluator as a replay uses it: rows of a trace in, transitions to be written out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geofence.evaluator import NO_TIMERS_US, Evaluation, evaluate
from geofence.rules import Gates
from geofence.state import State
from geofence.transitions import Cause, Inferred, Transition
from stack.replay_tally import Tally
from stack.replay_zones import ZoneSet
from stack.transition_formats import TransitionRows
from telemetry.fix import FixBatch, Known, blank_rows

_TRANSITION_NAMES = {kind.value: kind.name.lower() for kind in Transition}
_CAUSE_NAMES = {cause.value: cause.name.lower() for cause in Cause}
_INFERRED_NAMES = {Inferred.NONE.value: ""} | {
    inferred.value: inferred.name.lower() for inferred in Inferred if inferred
}


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

    def judge(self, rows: NDArray[np.void], *, ended: bool) -> NDArray[np.void]:
        """The transitions (TRANSITION_DTYPE) that `rows` (TRACE_DTYPE) make, as they are found.

        ended: no fix of their devices comes after them, so what falls due by now is found too.
        """
        now_us = self._now_us if ended else NO_TIMERS_US
        evaluation = evaluate(_batch(rows), self._state, self._index, now_us, self._gates)
        self._state.apply(evaluation.delta)
        self._count(evaluation)
        return evaluation.transitions

    def _count(self, evaluation: Evaluation) -> None:
        repeated = int(np.count_nonzero(evaluation.late))
        self._tally.judged += len(evaluation.late) - repeated
        self._tally.repeated += repeated
        self._tally.suspect += int(np.count_nonzero(evaluation.suspect)) - len(evaluation.healed)

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
            inferred=[_INFERRED_NAMES[number] for number in found["inferred"].tolist()],
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
