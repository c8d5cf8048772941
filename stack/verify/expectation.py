"""The expectation of a run: an in-memory replay of the simulator's ledger.

The replay takes the fixes that are stored (`stack.verify.fix_fates`) in the order in which each
tracker's arrived. A fix that repeats an identity is not stored again. Assets whose fixes arrive in
order are judged together; one with late fixes is judged fix by fix by `geofence.late.history`,
since what is told of it depends on the order of arrival. Its visits do not: `stays` are worked out
without it, from all fixes in order of time. Deadlines that no fix decides are taken up to an
instant after the run.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geofence.judging.evaluator import NO_TIMERS_US, Evaluation, evaluate
from geofence.judging.state import State
from geofence.late.history import History
from geofence.late.segments import Circumstances
from geofence.model.no_fix_events import Agenda
from geofence.model.transitions import Inferred
from geofence.zones.versions import MAX_TIME_US
from stack.verify.expected_events import ExpectedEvents
from stack.verify.fix_fates import Fates, Refused
from stack.verify.judged_zones import agenda_of, index_of
from stack.verify.results import Event, Stay, StoredFix, StoredVisit
from stack.verify.run_history import RunHistory
from telemetry.fix import FIX_DTYPE, FixBatch, Flag

_CHUNK_FIXES = 20_000

Identity = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Expectation:
    """Fixes that must be stored, messages that must be in quarantine, visits, and events, those of
    each asset in the order in which they become known.

    stays: the visits once more, without their ids, as they follow from the order of time.

    Deadlines up to until_us are in it; the last of them is last_due_us, or now_us.
    """

    fixes: list[StoredFix]
    refused: Counter[Refused]
    visits: list[StoredVisit]
    stays: list[Stay]
    events: list[Event]
    now_us: int
    until_us: int
    last_due_us: int


def expect(fates: Fates, history: RunHistory, now_us: int, until_us: int) -> Expectation:
    """Work out what must come of fixes that are in order of arrival, each tracker's by itself.

    rows["tracker"] is the position in the fleet.

    now_us: the end of the run, about when the newest fix was received. until_us: no earlier.
    """
    rows = _assigned(fates.stored, history)
    distinct = rows[_first_of_each(rows)]
    is_late = _has_late_fixes(distinct)
    replay = _Replay(distinct, history, until_us)
    replay.judge_in_time(distinct[~is_late])
    for asset in np.unique(distinct["asset"][is_late]).tolist():
        replay.judge_late(asset, distinct[is_late & (distinct["asset"] == asset)])
    in_time = _Replay(distinct, history, until_us)
    in_time.judge_in_time(distinct[np.lexsort((distinct["seq"], distinct["time_us"]))])
    return Expectation(
        fixes=_as_stored(rows, history, replay.suspects),
        refused=fates.refused,
        visits=replay.expected.all_visits(),
        stays=[visit.as_stay() for visit in in_time.expected.all_visits()],
        events=replay.expected.events,
        now_us=now_us,
        until_us=until_us,
        last_due_us=max(now_us, replay.last_due_us),
    )


def stored_fixes(fates: Fates, history: RunHistory) -> list[StoredFix]:
    """Return the fixes that are stored: the first of each identity. The flag `suspect` is not
    compared.
    """
    return _as_stored(_assigned(fates.stored, history), history, set())


def _first_of_each(rows: NDArray[np.void]) -> NDArray[np.intp]:
    """Return where each identity came first, in order of arrival."""
    _, first = np.unique(rows[["tracker", "time_us", "seq"]], return_index=True)
    return np.sort(first)


def _has_late_fixes(rows: NDArray[np.void]) -> NDArray[np.bool_]:
    """Return for each fix whether its asset has one that is older than another that
    came before it.
    """
    order = np.argsort(rows["asset"], kind="stable")
    asset, time_us, seq = (rows[name][order] for name in ("asset", "time_us", "seq"))
    is_same = (asset[1:] == asset[:-1]) & (asset[1:] >= 0)
    falls = time_us[1:] < time_us[:-1]
    falls |= (time_us[1:] == time_us[:-1]) & (seq[1:] < seq[:-1])
    return np.isin(rows["asset"], asset[1:][is_same & falls])


def _assigned(rows: NDArray[np.void], history: RunHistory) -> NDArray[np.void]:
    """Return the fixes with the asset that carried the tracker at the time of each, -1 for none."""
    rows = rows.copy()
    moved = {
        assignment.tracker for assignment in history.assignments if assignment.to_us != MAX_TIME_US
    }
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


def _as_stored(
    rows: NDArray[np.void], history: RunHistory, suspects: set[Identity]
) -> list[StoredFix]:
    names = ("tracker", "time_us", "seq", "asset", "lat", "lon", "flags")
    kept = rows[_first_of_each(rows)]
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
            bool(flags & Flag.ROLLOVER),
        )
        for tracker, time_us, seq, asset, lat, lon, flags in zip(*columns, strict=True)
    ]


class _Replay:
    """The evaluator with its state and results.

    suspects: fixes that the engine takes for impossible. last_due_us: the last deadline that
    passed.
    """

    def __init__(self, rows: NDArray[np.void], history: RunHistory, until_us: int) -> None:
        self._until_us = until_us
        self._index = index_of(history)
        self._agenda: Agenda = agenda_of(history, rows, until_us)
        self._gates = history.gates
        self._state = State()
        self.expected = ExpectedEvents(history, self._index)
        self.suspects: set[Identity] = set()
        self.last_due_us = NO_TIMERS_US

    def judge_in_time(self, rows: NDArray[np.void]) -> None:
        """Judge fixes of assets that are in order, then what falls due until the end."""
        for start in range(0, len(rows), _CHUNK_FIXES):
            self._judge(rows[start : start + _CHUNK_FIXES], NO_TIMERS_US)
        self._judge(np.empty(0, FIX_DTYPE), self._until_us)

    def judge_late(self, asset: int, rows: NDArray[np.void]) -> None:
        """Judge all fixes of an asset, one by one, each in its place."""
        history = History(asset, State())
        circumstances = Circumstances(self._index, self._gates, self._agenda)
        revisions = list(history.take_all(rows, circumstances))
        revisions.append(history.pass_time(self._until_us, circumstances))
        for revision in revisions:
            self.expected.add_revision(asset, revision)
            for identity, is_suspect in revision.suspect.items():
                (self.suspects.add if is_suspect else self.suspects.discard)(identity)
        self.expected.add_visits(asset, history.visits.values())

    def _judge(self, rows: NDArray[np.void], now_us: int) -> None:
        """Judge the next fixes, then what falls due by now_us."""
        evaluation = evaluate(
            FixBatch(rows), self._state, self._index, now_us, self._gates, self._agenda
        )
        self._state.apply(evaluation.delta)
        self.expected.add(evaluation.transitions)
        self._note_suspects(rows, evaluation)
        due = evaluation.transitions[evaluation.transitions["inferred"] == Inferred.TIMER]
        self.last_due_us = int(due["time_us"].max(initial=self.last_due_us))

    def _note_suspects(self, rows: NDArray[np.void], evaluation: Evaluation) -> None:
        self.suspects.update(_identities(rows[evaluation.suspect]))
        self.suspects.difference_update(_identities(evaluation.healed))


def _identities(rows: NDArray[np.void]) -> Sequence[Identity]:
    columns = [rows[name].tolist() for name in ("tracker", "time_us", "seq")]
    return list(zip(*columns, strict=True))
