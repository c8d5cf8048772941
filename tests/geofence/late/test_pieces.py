"""A past that is judged again in pieces, or between landmarks, comes out as one judged at once."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.judging.evaluator import NO_TIMERS_US, evaluate
from geofence.judging.state import State, StateDelta, blank_assets, is_same_state
from geofence.late.amendments import Announcement, AnnouncementKind, Visit, VisitKey
from geofence.late.history import History, Unsettled
from geofence.late.segments import Circumstances
from geofence.model.records import MEMBERSHIP_DTYPE
from geofence.model.rules import Gates
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import FixBatch
from tests.geofence.late.days import (
    MINUTE_US,
    PASSING,
    SILENCE,
    SPEEDS_AND_ACCURACIES,
    days,
    fixes,
    roads,
    rules,
    shuffled,
    square,
    states_less_exactly,
    stays,
    took,
    whole,
    whole_of,
    zones,
)


@pytest.mark.parametrize("accuracy_m", [60.0, 400.0])  # coarse, and inaccurate
def test_a_passing_through_that_a_fix_behind_the_end_shows_is_left_as_it_was(accuracy_m):
    """It was over before the fix at the end, which tells nothing of it."""
    index = ZoneIndex([ZoneVersion(0, 1, 0, square(0.0, 0.1), rules=PASSING)])
    rows = fixes((0, -0.2), (5, -0.1), (7, 0.2), (9, 0.5))
    day = states_less_exactly(rows, 5.0, 5.0, accuracy_m, 5.0)
    gates = SPEEDS_AND_ACCURACIES
    history, _ = took(day, index, gates=gates)
    [(_, _, left_us)] = stays(history)
    assert left_us < 7 * MINUTE_US
    before, end = state_after(day[:1], index, gates), state_after(day[:3], index, gates)
    closed, circumstances = History(0, State(), before, end), Circumstances(index, gates)
    visits = history.visits.values()
    assert closed.recall(day[1:3], visits, NO_TIMERS_US, circumstances).announcements == []
    late = fixes((1, -0.2), accuracy_m=5.0)[0]
    assert closed.take(late, circumstances).announcements == []
    assert stays(closed) == stays(history)


HERE, THERE = square(0.0, 0.1), square(10.0, 10.1)


@pytest.mark.parametrize(
    ("rows", "rules"),
    [
        pytest.param(
            fixes((0, 0.05), (1, 0.05), (2, 0.2), (3, 0.2)),
            replace(PASSING, exit_confirm_fixes=2),
            id="the exit is not confirmed yet",
        ),
        pytest.param(
            fixes((0, -0.3), (1, -0.2), (2, 0.05), (3, 0.05)),
            replace(PASSING, enter_confirm_fixes=2),
            id="the enter is not confirmed yet",
        ),
        pytest.param(
            fixes((0, -0.2), (1, 10.05), (2, 10.2), (3, 10.3)),
            PASSING,
            id="a suspect fix was inside, and one that has left again is suspect, too",
        ),
        pytest.param(
            fixes((0, 0.05), (11, 10.05), (12, 10.2), (13, 10.3)),
            SILENCE,
            id="so it was, and silence has ended the way",
        ),
        pytest.param(
            states_less_exactly(
                fixes((0, -0.2), (1, -0.1), (3, 0.2), (5, 0.5)), 5.0, 5.0, 60.0, 5.0
            ),
            PASSING,
            id="the way leads over a coarse fix",
        ),
        pytest.param(
            states_less_exactly(
                fixes((0, -0.2), (1, -0.1), (3, 0.2), (5, 0.5)), 5.0, 5.0, 400.0, 5.0
            ),
            PASSING,
            id="the way leads over an inaccurate fix",
        ),
    ],
)
def test_no_piece_ends_where_what_follows_tells_of_stays_before(rows, rules):
    """Judged again in pieces, of which one would end there, the same is as it was."""
    versions = [
        ZoneVersion(zone, 1, 0, shape, rules=rules) for zone, shape in ((0, HERE), (1, THERE))
    ]
    circumstances = Circumstances(ZoneIndex(versions), SPEEDS_AND_ACCURACIES)
    history = History(0, State())
    for row in rows:
        history.take(row, circumstances)
    assert stays(history)
    for size in range(1, len(rows) + 1):
        visits, news = in_pieces(
            rows, dict(history.visits), size, int(rows["time_us"][-1]), circumstances
        )
        assert (news, visits) == ([], history.visits), size


@given(index=zones(), day=days(most=60), data=st.data())
def test_a_history_goes_on_from_a_landmark_as_if_it_had_seen_all(index, day, data):
    order = data.draw(shuffled(len(day)))
    cut = data.draw(st.integers(1, len(day)))
    gates = Gates(np.empty(0), 1_000.0, 20_000.0)
    circumstances, known_us = Circumstances(index, gates), NO_TIMERS_US
    history, state = History(0, State()), State()
    for fix in day[order[:cut]]:
        history.take(fix, circumstances)
    if data.draw(st.booleans()):
        known_us = int(day["time_us"].max()) + 7 * MINUTE_US
        history.pass_time(known_us, circumstances)
    begin = data.draw(st.integers(0, cut - 1))
    stored = np.sort(day[order[:cut]], order=["time_us", "seq"])
    evaluation = evaluate(FixBatch(stored[:begin]), state, index, NO_TIMERS_US, gates)
    if evaluation.delta.assets["suspects"].any():
        return
    before = history._state_with_stable_keys(evaluation.delta) if begin else None
    recalled = History(0, State(), before)
    revision = recalled.recall(stored[begin:], history.visits.values(), known_us, circumstances)
    assert revision.announcements == []
    assert is_same_state(recalled.state(), history.state())
    assert recalled.announced() == history.announced()
    for fix in day[order[cut:]]:
        if begin and fix["time_us"] <= stored[begin - 1]["time_us"]:
            continue
        expected, found = history.take(fix, circumstances), recalled.take(fix, circumstances)
        assert [(n.kind, n.occurred_us, n.visit.key) for n in found.announcements] == [
            (n.kind, n.occurred_us, n.visit.key) for n in expected.announcements
        ]
        assert found.suspect == expected.suspect


@given(world=st.one_of(st.tuples(zones(), days(most=60)), roads()), data=st.data())
def test_a_history_between_two_landmarks_tells_what_one_of_all_tells_or_that_it_does_not_settle(
    world, data
):
    index, day = world
    gates = Gates(np.empty(0), 1_000.0, 20_000.0)
    circumstances = Circumstances(index, gates)
    begin, end = sorted(data.draw(st.integers(0, len(day))) for _ in range(2))
    inner = list(range(begin, end - 1))
    if not inner or end == len(day):
        return
    late = sorted(data.draw(st.sets(st.sampled_from(inner), min_size=1, max_size=4)))
    stored, end = np.delete(day, late), end - len(late)
    before, at_end = state_after(stored[:begin], index), state_after(stored[:end], index)
    if begin == end or any(at.assets["suspects"] for at in (before, at_end)):
        return
    history, _ = took(stored, index, gates=gates)
    named = [
        history._state_with_stable_keys(at) if len(at.memberships) else at
        for at in (before, at_end)
    ]
    closed = History(0, State(), named[0] if begin else None, named[1])
    visits = list(history.visits.values())
    told = closed.recall(stored[begin:end], visits, NO_TIMERS_US, circumstances)
    assert told.announcements == []
    for fix in day[late]:
        expected = history.take(fix, circumstances)
        try:
            found = closed.take(fix, circumstances)
        except Unsettled:
            return
        assert [(n.kind, n.visit) for n in found.announcements] == [
            (n.kind, n.visit) for n in expected.announcements
        ]
        assert found.suspect == expected.suspect


@given(
    world=st.one_of(st.tuples(zones(), days(most=60)), roads()),
    size=st.integers(1, 9),
    data=st.data(),
)
def test_a_late_fix_judged_in_pieces_amends_the_same_visits_as_one_judged_at_once(
    world, size, data
):
    index, day = world
    gates = Gates(np.empty(0), 1_000.0, 200.0)
    circumstances = Circumstances(index, gates)
    late = data.draw(st.integers(0, len(day) - 1))
    history, _ = took(np.delete(day, late), index, gates=gates)
    known, judged_us = dict(history.visits), int(day["time_us"].max())
    expected = history.take(day[late], circumstances)
    visits, news = in_pieces(day, known, size, judged_us, circumstances)
    assert whole_of(visits) == whole(history)
    assert {k for k, v in visits.items() if not v.retracted} == {
        k for k, v in history.visits.items() if not v.retracted
    }
    for kind in (AnnouncementKind.ENTER, AnnouncementKind.EXIT, AnnouncementKind.DWELL):
        found = [one.visit.key for one in news if one.kind is kind]
        assert sorted(found) == sorted(
            one.visit.key for one in expected.announcements if one.kind is kind
        )


def in_pieces(
    day: np.ndarray,
    visits: dict[VisitKey, Visit],
    size: int,
    judged_us: int,
    circumstances: Circumstances,
) -> tuple[dict[VisitKey, Visit], list[Announcement]]:
    """Judge as ingest judges a backlog: each piece from the state that the one before has left."""
    before, begin, longer_by, news = None, 0, 1, list[Announcement]()
    while begin < len(day):
        rows = day[begin : begin + longer_by * size]
        more_follow = begin + len(rows) < len(day)
        last_us = int(rows["time_us"][-1])
        known = [
            visit
            for visit in visits.values()
            if visit.left is None
            or min(visit.entered.time_us, visit.key.time_us) <= last_us
            or not more_follow
        ]
        piece = History(0, State(), before)
        how = {"judged_us": judged_us, "more_follow": more_follow, "may_disagree": False}
        try:
            revision = piece.catch_up(rows, known, NO_TIMERS_US, circumstances, **how)
        except Unsettled:
            longer_by *= 2
            continue
        news, visits = [*news, *revision.announcements], visits | piece.visits
        before, begin, longer_by = piece.state(), begin + len(rows), 1
    return visits, news


@given(index=zones(), day=days(), data=st.data())
def test_a_zone_with_a_beginning_in_the_past_judges_what_is_received_once_it_is_made(
    index, day, data
):
    """And so it is when all is judged again."""
    arrivals = day[data.draw(shuffled(len(day)))]
    arrivals["received_us"] = np.maximum.accumulate(arrivals["time_us"]) + np.arange(len(day))
    cut = data.draw(st.integers(1, len(day)))
    made_us = int(arrivals["received_us"][cut - 1]) + 1
    valid_from_us = made_us - data.draw(st.sampled_from([1, 3, 20, 10_000])) * MINUTE_US
    west = data.draw(st.integers(0, 8)) / 10 + 0.017
    drawn = data.draw(rules())
    # How long a way over coarse fixes is remembered follows from the longest gap of all zones.
    gap_s = min(drawn.max_gap_seconds, index.arrays.max_gap_us / 1e6)
    made = ZoneVersion(
        *(9, 1, 0, square(west, west + 0.3), valid_from_us),
        rules=replace(drawn, max_gap_seconds=gap_s),
        made_us=made_us,
    )
    gates = data.draw(st.sampled_from([Gates.open(), Gates(np.empty(0), 1_000.0, 200.0)]))
    before = Circumstances(index, gates)
    afterwards = Circumstances(index.with_changes([made]), gates)
    history, end_us = History(0, State()), made_us + 60 * MINUTE_US
    for fix in arrivals[:cut]:
        history.take(fix, before)
    history.pass_time(made_us, afterwards)
    for fix in arrivals[cut:]:
        history.take(fix, afterwards)
    history.pass_time(end_us, afterwards)
    received_us = {int(fix["time_us"]): int(fix["received_us"]) for fix in arrivals}
    for visit in history.visits.values():
        is_by_fix = visit.key.zone == 9 and not visit.key.change_us
        if is_by_fix and np.isinf(
            gates.default_max_accuracy_m
        ):  # else the third of a chain has two others judged
            assert received_us[visit.key.time_us] >= made_us
    again = History(0, State())
    stored = np.sort(arrivals, order=["time_us", "seq"])
    assert again.recall(stored, history.visits.values(), end_us, afterwards).announcements == []


def state_after(rows: np.ndarray, index: ZoneIndex, gates: Gates | None = None) -> StateDelta:
    gates = gates or Gates(np.empty(0), 1_000.0, 20_000.0)
    delta = evaluate(FixBatch(rows), State(), index, NO_TIMERS_US, gates).delta
    return delta if len(delta.assets) else StateDelta(blank_assets(0, 1), np.zeros(1, int), MEMBERS)


MEMBERS = np.empty(0, MEMBERSHIP_DTYPE)
