"""What a system must have made of a run: an in-memory replay of the simulator's ledger.

The replay takes the acknowledged fixes in the order in which each tracker sent them, which is the
order of arrival, and judges them by the rules that ingest keeps to: a fix that repeats an identity
is not stored; one at or before the newest judged of its asset is stored and not judged; what cannot
be stored (no place on earth, exactly 0,0, an impossible time) is not. Deadlines that no fix decides
are taken up to an instant after the run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geofence.agenda import Agenda
from geofence.evaluator import NO_TIMERS_US, Evaluation, evaluate
from geofence.state import State
from geofence.transitions import Inferred
from geofence.versions import MAX_TIME_US
from stack.comparison import GeofenceEvent, StoredFix, Visit
from stack.judged_zones import agenda_of, index_of
from stack.run_history import RunHistory
from stack.telling import Telling
from telemetry.decode import ANCIENT_BEFORE_US, MAX_AHEAD_US
from telemetry.fix import FIX_DTYPE, FixBatch

_CHUNK_FIXES = 20_000


@dataclass(frozen=True, slots=True)
class Expectation:
    """Fixes that must be stored, visits, and events in the order in which they become known.

    Deadlines up to until_us are in it; the last of them is last_due_us, or now_us.
    """

    fixes: list[StoredFix]
    visits: list[Visit]
    events: list[GeofenceEvent]
    now_us: int
    until_us: int
    last_due_us: int


def expect(sent: NDArray[np.void], history: RunHistory, now_us: int, until_us: int) -> Expectation:
    """What must come of `sent`: acknowledged fixes, FIX_DTYPE, each tracker's in order.

    rows["tracker"] is the position in the fleet.

    now_us: the end of the run, about when the newest fix was received. until_us: no earlier.
    """
    rows = _assigned(sent[_storable(sent, now_us)], history)
    replay = _Replay(rows, history, until_us)
    for start in range(0, len(rows), _CHUNK_FIXES):
        replay.take(rows[start : start + _CHUNK_FIXES], NO_TIMERS_US)
    replay.take(np.empty(0, FIX_DTYPE), until_us)
    return Expectation(
        fixes=_as_stored(rows, history, replay.suspects),
        visits=replay.telling.all_visits(),
        events=replay.telling.events,
        now_us=now_us,
        until_us=until_us,
        last_due_us=max(now_us, replay.last_due_us),
    )


def stored_fixes(sent: NDArray[np.void], history: RunHistory, now_us: int) -> list[StoredFix]:
    """What is stored of fixes that were received until `now_us`: each identity as it came first.

    Whether they are suspect is not looked at.
    """
    return _as_stored(_assigned(sent[_storable(sent, now_us)], history), history, set())


def _storable(rows: NDArray[np.void], now_us: int) -> NDArray[np.bool_]:
    at_zero = (rows["lat"] == 0) & (rows["lon"] == 0)
    in_range = (np.abs(rows["lat"]) <= 90) & (np.abs(rows["lon"]) <= 180)
    in_time = (rows["time_us"] >= ANCIENT_BEFORE_US) & (rows["time_us"] <= now_us + MAX_AHEAD_US)
    return in_range & in_time & ~at_zero


def _assigned(rows: NDArray[np.void], history: RunHistory) -> NDArray[np.void]:
    """With the asset that carried the tracker at the time of each fix, -1 for none."""
    moved = {one.tracker for one in history.assignments if one.to_us != MAX_TIME_US}
    asset = np.full(len(history.tracker_ids), -1)
    for span in history.assignments:
        if span.tracker not in moved:
            asset[span.tracker] = span.asset
    rows["organization"], rows["asset"] = 0, asset[rows["tracker"]]
    for span in history.assignments:
        if span.tracker in moved:
            is_then = (rows["time_us"] >= span.from_us) & (rows["time_us"] < span.to_us)
            rows["asset"][is_then & (rows["tracker"] == span.tracker)] = span.asset
    return rows


Identity = tuple[int, int, int]


def _as_stored(
    rows: NDArray[np.void], history: RunHistory, suspects: set[Identity]
) -> list[StoredFix]:
    _, first = np.unique(rows[["tracker", "time_us", "seq"]], return_index=True)
    names = ("tracker", "time_us", "seq", "asset", "lat", "lon")
    kept = rows[np.sort(first)]
    columns: list[list[Any]] = [kept[name].tolist() for name in names]
    return [
        StoredFix(
            history.tracker_ids[int(tracker)],
            time_us,
            seq,
            history.asset_ids[int(asset)] if asset >= 0 else None,
            lat,
            lon,
            (tracker, time_us, seq) in suspects,
        )
        for tracker, time_us, seq, asset, lat, lon in zip(*columns, strict=True)
    ]


class _Replay:
    """The evaluator with its state, and what it has found.

    suspects: fixes that are held to be impossible. last_due_us: the last deadline that passed.
    """

    def __init__(self, rows: NDArray[np.void], history: RunHistory, until_us: int) -> None:
        self._index = index_of(history)
        self._agenda: Agenda = agenda_of(history, rows, until_us)
        self._state = State()
        self.telling = Telling(history, self._index)
        self.suspects: set[Identity] = set()
        self.last_due_us = NO_TIMERS_US

    def take(self, rows: NDArray[np.void], now_us: int) -> None:
        """Judge the next fixes in order of arrival, then what falls due by now_us."""
        found = evaluate(FixBatch(rows), self._state, self._index, now_us, agenda=self._agenda)
        self._state.apply(found.delta)
        self.telling.take(found.transitions)
        self._note_suspects(rows, found)
        due = found.transitions[found.transitions["inferred"] == Inferred.TIMER]
        self.last_due_us = int(due["time_us"].max(initial=self.last_due_us))

    def _note_suspects(self, rows: NDArray[np.void], found: Evaluation) -> None:
        self.suspects.update(_identities(rows[found.suspect]))
        self.suspects.difference_update(_identities(found.healed))


def _identities(rows: NDArray[np.void]) -> Sequence[Identity]:
    columns = [rows[name].tolist() for name in ("tracker", "time_us", "seq")]
    return list(zip(*columns, strict=True))
