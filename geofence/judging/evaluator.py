"""The evaluator: the zones that a batch of fixes enters, leaves and passes through. Values in,
values out.

    evaluation = evaluate(batch, state, index, now_us, gates)
    state.apply(evaluation.delta)          # `State.undo` gives what takes it back
    ... store evaluation.transitions in the transaction that stores the fixes ...

`evaluate` changes nothing, so it may be repeated. The work is done by compiled code, which releases
the interpreter: `walk` goes from asset to asset, `judge` from fix to fix, and `no_fix` applies
changes without a fix.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geofence.judging.scratch import Output
from geofence.judging.state import State, StateDelta
from geofence.judging.walk import (
    Budget,
    FixLimits,
    FixMarks,
    Memberships,
    Work,
    chain_by_asset,
    mark_late_assets,
    walk,
)
from geofence.model.no_fix_events import Agenda
from geofence.model.records import MEMBERSHIP_DTYPE, PLACE_DTYPE
from geofence.model.rules import Gates
from geofence.model.transitions import TRANSITION_DTYPE, Transition
from geofence.zones.index import ZoneIndex
from geofence.zones.versions import MIN_TIME_US
from telemetry.fix import FixBatch

NO_TIMERS_US = MIN_TIME_US  # a `now` before which nothing falls due

TICK_US = 250_000  # so often assets without a fix are looked at, at most
_LATE_NEWS_US = 600_000_000


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result of one batch.

    transitions: TRANSITION_DTYPE, in order of the fix that made them known; transitions without a
    fix at the end; for one fix in order of time, exits before enters, zone. delta: for
    `State.apply`. late: bool, (n,): which fixes lie at or before their asset's newest and
    were left out.
    suspect: bool, (n,): which fixes could only be reached too fast, and changed nothing.
    healed: PLACE_DTYPE: earlier suspect fixes that have turned out to be good.
    deferred: bool, (n,): which fixes were not judged: the organization has had its transitions.
    """

    transitions: NDArray[np.void]
    delta: StateDelta
    late: NDArray[np.bool_]
    suspect: NDArray[np.bool_]
    healed: NDArray[np.void]
    deferred: NDArray[np.bool_]


def evaluate(
    batch: FixBatch,
    state: State,
    index: ZoneIndex,
    now_us: int,
    gates: Gates | None = None,
    agenda: Agenda | None = None,
    most_transitions: int | None = None,
    most_of_each: int | None = None,
) -> Evaluation:
    """Judge the fixes of `batch` in order of arrival, then what has fallen due by now_us.

    Of batch.rows `asset` (-1: not judged), `organization`, `tracker`, `time_us`, `seq`, `lat`,
    `lon`, and `accuracy_m` and `speed_mps` where known, are read. now_us: NO_TIMERS_US for no
    deadlines but those that lie before a fix. agenda: changes of trackers and starts of
    schedules in the time that is judged. most_transitions: the organizations share them; one that
    has its share keeps the rest of its fixes, and what has fallen due, for a later evaluation. A
    single fix is never cut. most_of_each: no organization's share is larger.

    One state is evaluated by one thread at a time.
    """
    gates, agenda = gates or Gates.default(), agenda or Agenda.empty()
    work, ticked_us = _work(batch.rows, state, index, now_us, agenda)
    room = _Room.for_work(work, state)
    while True:
        budget = _budget(work, state, most_transitions, most_of_each)
        evaluation = _walked(work, state, index, now_us, gates, agenda, room, ticked_us, budget)
        if evaluation is not None:
            return evaluation
        room = room.doubled()


def is_tick(state: State, now_us: int) -> bool:
    """Whether all assets are looked at: a while after the last time, and where the clock fell back
    since, for else nothing would fall due until it has caught up.
    """
    return now_us >= state.ticked_us + TICK_US or NO_TIMERS_US < now_us < state.ticked_us


def late_assets(batch: FixBatch, state: State) -> NDArray[np.int64]:
    """Return the assets of which `evaluate` would find a fix late, each once."""
    work = _work_of_fixes(batch.rows, state)
    late = np.zeros(len(work.asset), np.bool_)
    mark_late_assets(work, state.assets, late)
    return work.asset[late]


def _work(
    rows: NDArray[np.void], state: State, index: ZoneIndex, now_us: int, agenda: Agenda
) -> tuple[Work, int]:
    """Return the assets to look at, and the instant up to which all assets have been looked at
    then.
    """
    state.hold_assets(int(agenda.move["key"].max(initial=-1)) + 1)
    work = _work_of_fixes(rows, state)
    if not is_tick(state, now_us):
        return work, state.ticked_us
    waiting = np.setdiff1d(_waiting(state, index, now_us, agenda), work.asset)
    asset = np.concatenate((work.asset, waiting))
    first = np.concatenate((work.first, np.full(len(waiting), -1)))
    return work._replace(asset=asset, first=first), now_us


def _work_of_fixes(rows: NDArray[np.void], state: State) -> Work:
    """Return the assets that have fixes."""
    rows = np.require(rows, requirements=("C", "W"))  # else it would be compiled once more
    state.hold_assets(int(rows["asset"].max(initial=-1)) + 1)
    work = Work(rows, *np.empty((3, len(rows)), np.int64))
    count = chain_by_asset(work, state.workspace.head(len(state.assets)))
    return work._replace(asset=work.asset[:count], first=work.first[:count])


def _waiting(state: State, index: ZoneIndex, now_us: int, agenda: Agenda) -> NDArray[np.int64]:
    """Return the assets for which something has happened without a fix since the last tick."""
    assets = [agenda.move["key"].astype(np.int64)]
    if state.next_due_us <= now_us:
        assets.append(np.flatnonzero(state.assets["due_us"] <= now_us))
    since_us = min(state.ticked_us, now_us)
    is_news = index.arrays.mark is not state.mark or now_us < state.ticked_us
    if is_news and since_us > MIN_TIME_US + _LATE_NEWS_US:
        since_us -= _LATE_NEWS_US  # a change may have been heard of after its instant
    marks = index.organizations_with_marks(since_us, now_us)
    opens = agenda.schedule_start["time_us"]
    schedule_start = agenda.schedule_start["key"][(opens > state.ticked_us) & (opens <= now_us)]
    if len(marks) or len(schedule_start):
        concerned = np.concatenate((marks, schedule_start))
        assets.append(np.flatnonzero(np.isin(state.assets["organization"], concerned)))
    return np.concatenate(assets)


def _budget(work: Work, state: State, most: int | None, most_of_each: int | None) -> Budget:
    """Return an equal share for each organization that has a fix or waits."""
    here = np.concatenate((work.row["organization"], state.assets["organization"][work.asset]))
    spent = np.zeros(int(here.max(initial=0)) + 2, np.int64)  # the last: of no organization
    share = np.iinfo(np.int64).max if most_of_each is None else most_of_each
    if most is not None:
        share = min(share, most // max(1, len(np.unique(here[here >= 0]))))
    return Budget(spent, max(1, share))


@dataclass(frozen=True, slots=True)
class _Room:
    """The capacity of the arrays that compiled code writes."""

    place: int  # zones near one place, and memberships of one asset
    transitions: int
    memberships: int

    @staticmethod
    def for_work(work: Work, state: State) -> "_Room":
        fixes, known = len(work.row), int(state.count[work.asset].sum())
        return _Room(64, fixes // 4 + 2 * known + 1_024, 2 * known + fixes // 4 + 256)

    def doubled(self) -> "_Room":
        return _Room(2 * self.place, 2 * self.transitions, 2 * self.memberships)


def _walked(
    work: Work,
    state: State,
    index: ZoneIndex,
    now_us: int,
    gates: Gates,
    agenda: Agenda,
    room: _Room,
    ticked_us: int,
    budget: Budget,
) -> Evaluation | None:
    """Return the evaluation, None where the arrays have too little room."""
    fixes, assets = len(work.row), len(work.asset)
    output = Output(
        asset=state.assets[work.asset],
        member=np.empty(room.memberships, MEMBERSHIP_DTYPE),
        transition=np.empty(room.transitions, TRANSITION_DTYPE),
        healed=np.empty(2 * fixes, PLACE_DTYPE),  # one fix heals no more than two
    )
    scratch = state.workspace.scratch(index.arrays, agenda, room.place, output)
    memberships = Memberships(state.start, state.count, state.rows)
    limits = FixLimits(
        gates.max_speed_mps,
        gates.default_max_speed_mps,
        gates.default_max_accuracy_m,
        gates.max_accuracy_m,
    )
    marks, count = FixMarks(*np.zeros((3, fixes), np.bool_)), np.empty(assets, np.int64)
    has_room, is_all = walk(scratch, work, memberships, limits, now_us, marks, budget, count)
    if not has_room:
        return None
    # If some assets were deferred, the tick does not advance: they are found again next time.
    ticked_us, mark = (ticked_us, index.arrays.mark) if is_all else (state.ticked_us, state.mark)
    cursor = scratch.cursor[0]
    members = output.member[: cursor["base"]]
    return Evaluation(
        _in_order(output.transition[: cursor["transitions"]], fixes),
        StateDelta(output.asset, count, members, ticked_us, mark),
        marks.late,
        marks.suspect,
        output.healed[: cursor["healed"]],
        marks.deferred,
    )


def _in_order(transitions: NDArray[np.void], fixes: int) -> NDArray[np.void]:
    """Sort transitions by fix; those of one fix by time, exits before enters, zone.

    A visit without length keeps its enter before its exit, and one that ends with its dwell keeps
    that before its exit.
    """
    if len(transitions) < 2:
        return transitions  # sorting nothing would take a quarter of the time of a batch of one fix
    row = np.where(transitions["row"] < 0, fixes, transitions["row"])
    rank = np.where(transitions["entered_us"] < transitions["time_us"], 1, 3)
    rank[transitions["transition"] != Transition.EXIT] = 2
    rank[transitions["transition"] == Transition.DWELL] = 0
    return transitions[
        np.lexsort((transitions["zone"], rank, transitions["time_us"], transitions["step"], row))
    ]
