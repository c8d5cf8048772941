"""Whatever the order of arrival, the visits are those of the order of time, and are told once."""

from collections.abc import Iterator

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geofence.judging.evaluator import NO_TIMERS_US, evaluate
from geofence.judging.state import State
from geofence.late.amendments import AnnouncedState, AnnouncementKind, VisitKey
from geofence.late.history import History
from geofence.late.segments import FIXES_PER_SEGMENT, Circumstances
from geofence.late.visit_keys import key_of, make_keys_unique
from geofence.model.rules import Gates, Rules
from geofence.model.transitions import Transition
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import FixBatch
from tests.geofence.late.days import (
    MINUTE_US,
    PLAIN,
    days,
    fixes,
    shuffled,
    square,
    stays,
    took,
    whole,
    zones,
)


@given(index=zones(), day=days(), data=st.data())
def test_any_order_of_arrival_ends_with_the_same_visits(index, day, data):
    order = data.draw(st.permutations(range(len(day))))
    now_us = int(day["time_us"].max()) + data.draw(st.sampled_from([0, 5, 60])) * MINUTE_US
    gates = Gates(np.empty(0), 1_000.0, 20_000.0)
    sorted_history, _ = took(day, index, now_us, gates)
    history, revisions = took(day[list(order)], index, now_us, gates)
    assert whole(history) == whole(sorted_history)
    flags: dict[tuple[int, int, int], bool] = {}
    for revision in revisions:
        flags |= revision.suspect
    in_order: dict[tuple[int, int, int], bool] = {}
    for revision in took(day, index, now_us, gates)[1]:
        in_order |= revision.suspect
    assert {k for k, v in flags.items() if v} == {k for k, v in in_order.items() if v}


AMENDING = frozenset(AnnouncementKind) - {
    AnnouncementKind.ENTER,
    AnnouncementKind.EXIT,
    AnnouncementKind.DWELL,
}


@given(index=zones(), day=days(), data=st.data())
def test_every_visit_that_holds_was_told_once_and_amended_with_every_revision(index, day, data):
    order = data.draw(st.permutations(range(len(day))))
    history, revisions = took(day[list(order)], index, gates=Gates(np.empty(0), 1_000.0, 20_000.0))
    seen: dict[VisitKey, list[AnnouncementKind]] = {}
    for revision in revisions:
        for one in revision.announcements:
            if one.kind in AMENDING or not one.occurred.is_silent:
                seen.setdefault(one.visit.key, []).append(one.kind)
    for key, visit in history.visits.items():
        kinds = seen.get(key, [])
        first_time = (
            AnnouncementKind.ENTER,
            AnnouncementKind.EXIT,
            AnnouncementKind.DWELL,
            AnnouncementKind.OVERSPEED,
        )
        assert all(kinds.count(kind) <= 1 for kind in first_time)
        assert visit.revision == 1 + sum(kind not in first_time for kind in kinds)
        if visit.left is not None and not visit.retracted:
            assert visit.exit_announced or visit.left.is_silent


@given(index=zones(), day=days())
def test_in_order_the_careful_path_tells_what_the_fast_path_finds(index, day):
    gates = Gates(np.empty(0), 1_000.0, 20_000.0)
    _, revisions = took(day, index, gates=gates)
    state, expected = State(), []
    for number in range(len(day)):
        evaluation = evaluate(FixBatch(day[number : number + 1]), state, index, NO_TIMERS_US, gates)
        state.apply(evaluation.delta)
        expected.append(
            [
                (int(one["zone"]), Transition(one["transition"]).name.lower(), int(one["time_us"]))
                for one in evaluation.transitions
            ]
        )
    found = [
        [(one.visit.key.zone, one.kind.value, one.occurred_us) for one in revision.announcements]
        for revision in revisions
    ]
    assert found == expected, (found, expected)
    assert not any(one.late for revision in revisions for one in revision.announcements)


class BothPaths:
    """The fast path where fixes are in order, the careful path for a batch with a late one.

    A second history sees every fix: what the fast path tells must be what it tells, in its order.
    """

    def __init__(self, index: ZoneIndex, gates: Gates) -> None:
        self.index, self.gates = index, gates
        self.state, self.history = State(), History(0, State())
        self.told: list[tuple[VisitKey, str, int]] = []

    def take(self, batch: np.ndarray, now_us: int = NO_TIMERS_US) -> None:
        evaluation = evaluate(FixBatch(batch), self.state, self.index, now_us, self.gates)
        told_before = self.history.announced()
        make_keys_unique(evaluation, {0: self.history.used_names()})
        circumstances = Circumstances(self.index, self.gates)
        revisions = list(self.history.take_all(batch, circumstances))
        revisions.append(self.history.pass_time(now_us, circumstances))
        careful = [
            (one.visit.key, one.kind.value, one.occurred_us)
            for revision in revisions
            for one in revision.announcements
        ]
        if evaluation.late.any():
            self.state.apply(self.history.state())
            self.told += careful
            return
        self.state.apply(evaluation.delta)
        fast = list(kinds(evaluation.transitions, told_before))
        assert fast == careful
        self.told += fast


def kinds(
    transitions: np.ndarray, told: dict[VisitKey, AnnouncedState]
) -> Iterator[tuple[VisitKey, str, int]]:
    """Yield what the fast path tells."""
    for one in transitions:
        key = key_of(one)
        kind = AnnouncementKind(Transition(one["transition"]).name.lower())
        if key in told:
            kind = told[key].instead_of(kind)
        if kind is not None:
            yield key, kind.value, int(one["time_us"])


@given(index=zones(), day=days(), data=st.data())
def test_however_arrivals_are_cut_the_two_paths_together_tell_the_same(index, day, data):
    arrivals = day[list(data.draw(shuffled(len(day))))]
    gates = Gates(np.empty(0), 1_000.0, 20_000.0)
    one_by_one, in_batches = BothPaths(index, gates), BothPaths(index, gates)
    for number in range(len(arrivals)):
        one_by_one.take(arrivals[number : number + 1])
    cuts = sorted(data.draw(st.sets(st.integers(1, len(arrivals)), max_size=5)))
    for batch in np.split(arrivals, cuts):
        in_batches.take(batch)
    assert in_batches.told == one_by_one.told
    assert whole(in_batches.history) == whole(one_by_one.history)


@given(index=zones(), day=days(), data=st.data())
def test_both_paths_tell_the_same_while_time_passes(index, day, data):
    """Deadlines fall due between the batches; some fixes come before what they disprove."""
    arrivals = day[list(data.draw(shuffled(len(day))))]
    both, now_us = BothPaths(index, Gates(np.empty(0), 1_000.0, 20_000.0)), 0
    for number in range(0, len(arrivals), 2):
        batch = arrivals[number : number + 2]
        now_us = max(now_us, int(batch["time_us"].max()))
        now_us += data.draw(st.sampled_from([0, 1, 7, 20])) * MINUTE_US
        both.take(batch, now_us)
        now_us += data.draw(st.sampled_from([0, 9])) * MINUTE_US
        both.take(arrivals[:0], now_us)


def test_a_dwell_is_told_after_its_enter_where_another_visit_ended_by_silence_meanwhile():
    silent = Rules(max_gap_seconds=0, close_after_silence_seconds=400)
    confirmed = Rules(max_gap_seconds=0, enter_confirm_fixes=2, dwell_seconds=150)
    versions = [
        ZoneVersion(zone, 1, 0, square(0.0, 0.1), rules=rules)
        for zone, rules in enumerate((silent, confirmed))
    ]
    both = BothPaths(ZoneIndex(versions), Gates.open())
    day = fixes((-1, 0.5), (0, 0.05), (10, 0.05), (11, 0.05))
    both.take(day[:2], 9 * MINUTE_US)
    both.take(day[2:], 11 * MINUTE_US)
    assert [(kind, time_us) for key, kind, time_us in both.told if key.zone == 1] == [
        ("enter", 0),
        ("dwell", 150_000_000),
    ]


def test_fixes_that_are_judged_together_are_told_in_their_order():
    """Zone 0 is left for good by the last fix, zone 1 entered by the one before it."""
    twice = Rules(exit_confirm_fixes=2, max_gap_seconds=0)
    versions = [ZoneVersion(0, 1, 0, square(0.0, 0.1), rules=twice)]
    versions.append(ZoneVersion(1, 1, 0, square(0.2, 0.3), rules=PLAIN))
    day = fixes((0, 0.05), (10, 0.25), (20, 0.25))
    revisions = list(History(0, State()).take_all(day, Circumstances(ZoneIndex(versions))))
    assert [revision.fixes for revision in revisions] == [3]
    assert [
        (one.fix, one.kind.value, one.visit.key.zone) for one in revisions[0].announcements
    ] == [
        (0, "enter", 0),
        (1, "enter", 1),
        (2, "exit", 0),
    ]


def test_a_long_day_in_random_order_is_judged_in_segments():
    random = np.random.default_rng(5)
    lon = np.cumsum(random.choice([-1, 0, 1], 6 * FIXES_PER_SEGMENT)) / 20
    day = fixes(*((minute, float(place)) for minute, place in enumerate(lon)))
    versions = [ZoneVersion(k, 1, 0, square(k / 4 - 2, k / 4 - 1.9)) for k in range(16)]
    index = ZoneIndex(versions)
    order = random.permutation(len(day))
    assert whole(took(day[order], index)[0]) == whole(took(day, index)[0])
    assert len(stays(took(day, index)[0])) > 20
