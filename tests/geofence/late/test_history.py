"""Late fixes: whatever the order of arrival, the visits are those of the order of time."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geofence.judging.evaluator import NO_TIMERS_US, evaluate
from geofence.judging.state import State, StateDelta, blank_assets, is_same_state
from geofence.late.amendments import AnnouncedState, Announcement, AnnouncementKind, Visit, VisitKey
from geofence.late.history import History, Unsettled
from geofence.late.revision import Revision
from geofence.late.segments import FIXES_PER_SEGMENT, Circumstances
from geofence.late.visit_keys import key_of, make_keys_unique
from geofence.model.records import MEMBERSHIP_DTYPE
from geofence.model.rules import Gates, Rules
from geofence.model.transitions import Transition
from geofence.shapes.types import Circle, Polygonal
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import FixBatch, Known, blank_rows

MINUTE_US = 60_000_000
PLAIN = Rules(exit_confirm_fixes=1, max_gap_seconds=0)


def square(west: float, east: float) -> Polygonal:
    return Polygonal(shapely.box(west, -1.0, east, 1.0))


def fixes(*places: tuple[float, float], accuracy_m: float | None = None) -> np.ndarray:
    """Return rows of (minute, longitude) on the equator."""
    rows = blank_rows(len(places))
    rows["asset"] = rows["organization"] = 0
    rows["tracker"] = 7
    rows["time_us"] = [round(minute * MINUTE_US) for minute, _ in places]
    rows["lon"] = [lon for _, lon in places]
    if accuracy_m is not None:
        rows["accuracy_m"], rows["known"] = accuracy_m, Known.ACCURACY
    return rows


def took(
    rows: np.ndarray, index: ZoneIndex, now_us: int = NO_TIMERS_US, gates: Gates | None = None
) -> tuple[History, list[Revision]]:
    history = History(0, State())
    circumstances = Circumstances(index, gates or Gates.open())
    revisions = [history.take(row, circumstances) for row in rows]
    if now_us != NO_TIMERS_US:
        revisions.append(history.pass_time(now_us, circumstances))
    return history, revisions


def stays(history: History) -> list[tuple[int, int, int | None]]:
    """Return (zone, start, end) of the visits that hold, in order."""
    return sorted(
        (v.key.zone, v.entered.time_us, None if v.left is None else v.left.time_us)
        for v in history.visits.values()
        if not v.retracted
    )


def told(revisions: list[Revision]) -> list[list[tuple[str, bool]]]:
    return [
        [(one.kind.value, one.late) for one in revision.announcements] for revision in revisions
    ]


ONE_ZONE = ZoneIndex([ZoneVersion(0, 1, 0, square(0.0, 0.1), rules=PLAIN)])


def test_a_backlog_that_arrives_newest_first_gives_the_visit_in_its_place():
    rows = fixes((0, 1.0), (20, 1.0), (15, 0.05), (10, 0.05), (5, 1.0))
    history, revisions = took(rows, ONE_ZONE)
    assert stays(history) == [(0, 10 * MINUTE_US, 20 * MINUTE_US)]
    assert told(revisions) == [
        [],
        [],
        [("enter", True), ("exit", True)],
        [("start", True)],
        [],
    ]


def test_a_late_fix_outside_splits_a_visit_and_the_earlier_part_keeps_the_id():
    rows = fixes((0, 1.0), (10, 0.05), (20, 0.05), (30, 1.0), (15, 1.0))
    history, revisions = took(rows, ONE_ZONE)
    opened = revisions[1].announcements[0].visit.key
    assert told(revisions)[-1] == [("split", True), ("enter", True), ("exit", True)]
    parts = sorted(history.visits.values(), key=lambda visit: visit.entered.time_us)
    assert [part.key == opened for part in parts] == [True, False]
    assert stays(history) == [
        (0, 10 * MINUTE_US, 15 * MINUTE_US),
        (0, 20 * MINUTE_US, 30 * MINUTE_US),
    ]


def test_a_late_fix_inside_joins_two_visits_and_the_later_one_is_retracted():
    index = ZoneIndex([ZoneVersion(0, 1, 0, square(0.0, 0.1), rules=Rules(max_gap_seconds=0))])
    apart = fixes((0, 0.05), (10, 1.0), (11, 1.0), (20, 0.05), (30, 1.0), (31, 1.0))
    history, revisions = took(np.concatenate((apart, fixes((10.5, 0.05)))), index)
    assert told(revisions)[-1] == [("merged", True), ("retracted", True)]
    assert [v.retracted for v in sorted(history.visits.values(), key=_start)] == [False, True]
    assert stays(history) == [(0, 0, 30 * MINUTE_US)]


def _start(visit: Visit) -> int:
    return visit.entered.time_us


def test_a_late_fix_disproves_a_pass_through_that_never_was():
    rules = Rules(exit_confirm_fixes=1, max_gap_seconds=600)
    index = ZoneIndex([ZoneVersion(0, 1, 0, square(0.0, 0.1), rules=rules)])
    rows = fixes((0, -0.1), (8, 0.2))
    detour = fixes((4, 0.05))
    detour["lat"] = 5.0
    history, revisions = took(np.concatenate((rows, detour)), index)
    assert told(revisions) == [[], [("enter", False), ("exit", False)], [("retracted", True)]]
    assert stays(history) == []
    assert [visit.retracted for visit in history.visits.values()] == [True]


def test_a_visit_that_is_split_after_its_end_was_told_ends_a_second_time_as_its_later_part():
    rows = fixes((0, 1.0), (10, 0.05), (20, 0.05), (30, 1.0), (15, 1.0))
    _, revisions = took(rows, ONE_ZONE)
    [split, enter, leave] = revisions[-1].announcements
    assert (split.visit.revision, split.occurred_us) == (2, 15 * MINUTE_US)
    assert enter.visit.key == leave.visit.key != split.visit.key
    assert (enter.occurred_us, leave.occurred_us) == (20 * MINUTE_US, 30 * MINUTE_US)


TWICE = Rules(exit_confirm_fixes=2, max_gap_seconds=0)


def test_a_visit_that_is_split_while_it_lasts_was_not_told_to_end():
    """The amendment says when the earlier part ended; the exit is that of the later part."""
    index = ZoneIndex([ZoneVersion(0, 1, 0, square(0.0, 0.1), rules=TWICE)])
    rows = fixes((0, 0.05), (20, 0.05), (8, 1.0), (10, 1.0), (30, 1.0), (32, 1.0))
    history, revisions = took(rows, index)
    assert told(revisions) == [
        [("enter", False)],
        [],
        [],
        [("split", True), ("enter", True)],
        [],
        [("exit", False)],
    ]
    assert stays(history) == [
        (0, 0, 8 * MINUTE_US),
        (0, 20 * MINUTE_US, 30 * MINUTE_US),
    ]


def test_an_exit_that_was_told_and_did_not_hold_is_none_of_the_later_part_of_a_split():
    index = ZoneIndex([ZoneVersion(0, 1, 0, square(0.0, 0.1), rules=TWICE)])
    rows = fixes((0, 0.05), (10, 1.0), (12, 1.0), (11, 0.05), (5, 1.0), (13, 1.0))
    history, revisions = took(rows, index)
    assert told(revisions) == [
        [("enter", False)],
        [],
        [("exit", False)],
        [("end", True)],
        [("split", True), ("enter", True)],
        [("exit", False)],
    ]
    assert history.announced() == {}
    assert stays(history) == [
        (0, 0, 5 * MINUTE_US),
        (0, 11 * MINUTE_US, 12 * MINUTE_US),
    ]


def test_fixes_in_order_that_part_a_visit_leave_it_and_enter_again():
    """Three suspect fixes are judged together. None is late: nothing that was told is amended."""
    both = [square(west, west + 0.1).geometry for west in (0.0, 10.0)]
    here_and_there = Polygonal(shapely.union(*both))
    index = ZoneIndex([ZoneVersion(0, 1, 0, here_and_there, rules=PLAIN)])
    rows = fixes((0, 0.05), (10, 9.85), (13, 10.05), (16, 10.05))
    _, revisions = took(rows, index, gates=Gates.default())
    assert told(revisions) == [[("enter", False)], [], [], [("exit", False), ("enter", False)]]


def test_what_was_retracted_and_is_true_again_is_a_visit_of_its_own():
    index = ZoneIndex([ZoneVersion(0, 1, 0, square(0.0, 0.1), rules=Rules(max_gap_seconds=0))])
    apart = fixes((0, 0.05), (10, 1.0), (11, 1.0), (20, 0.05), (30, 1.0), (31, 1.0))
    joining, parting = fixes((10.5, 0.05), (10.7, 1.0))
    history, revisions = took(np.array([*apart, joining, parting]), index)
    assert told(revisions)[-1] == [("split", True), ("enter", True), ("exit", True)]
    visits = {visit.key.again: visit for visit in history.visits.values() if _start(visit)}
    assert [visits[again].retracted for again in (0, 1)] == [True, False]
    assert stays(history)[1] == (0, 20 * MINUTE_US, 30 * MINUTE_US)


def test_a_visit_that_was_retracted_and_is_proved_by_a_fix_in_order_is_told_as_any_other():
    twice = Rules(enter_confirm_fixes=2, max_gap_seconds=0)
    index = ZoneIndex([ZoneVersion(0, 1, 0, square(0.0, 0.1), rules=twice)])
    history, revisions = took(fixes((10, 0.05), (5, 1.0), (11, 0.05)), index)
    assert told(revisions) == [[("enter", False)], [("retracted", True)], [("enter", False)]]
    first, second = sorted(history.visits.values(), key=lambda visit: visit.key.again)
    assert (first.retracted, second.retracted) == (True, False)
    assert second.key == first.key._replace(again=1)


def test_a_known_fix_changes_nothing():
    rows = fixes((0, 1.0), (10, 0.05), (10, 0.05))
    _, revisions = took(rows, ONE_ZONE)
    assert [revision.is_new for revision in revisions] == [True, True, False]
    assert revisions[-1].announcements == []


def test_an_exit_that_a_late_fix_confirms_is_told_and_not_amended():
    index = ZoneIndex([ZoneVersion(0, 1, 0, square(0.0, 0.1), rules=Rules(max_gap_seconds=0))])
    history, revisions = took(fixes((0, 0.05), (20, 1.0), (10, 1.0)), index)
    assert told(revisions) == [[("enter", False)], [], [("exit", True)]]
    assert stays(history) == [(0, 0, 10 * MINUTE_US)]


def test_a_deadline_that_a_later_fix_disproves_is_amended():
    rules = Rules(max_gap_seconds=0, close_after_silence_seconds=600)
    index = ZoneIndex([ZoneVersion(0, 1, 0, square(0.0, 0.1), rules=rules)])
    history = History(0, State())
    first, second = fixes((0, 0.05), (9, 0.05))
    circumstances = Circumstances(index)
    history.take(first, circumstances)
    history.pass_time(11 * MINUTE_US, circumstances)
    assert stays(history) == [(0, 0, 10 * MINUTE_US)]
    revision = history.take(second, circumstances)
    assert [one.kind for one in revision.announcements] == [AnnouncementKind.END]
    assert revision.announcements[0].late
    assert stays(history) == [(0, 0, None)]


SILENCE = Rules(exit_confirm_fixes=1, max_gap_seconds=0, close_after_silence_seconds=600)


def test_an_exit_in_place_of_silence_is_told_for_silence_was_not():
    index = ZoneIndex([ZoneVersion(0, 1, 0, square(0.0, 0.1), rules=SILENCE)])
    history, circumstances = History(0, State()), Circumstances(index)
    first, outside = fixes((0, 0.05), (9, 0.2))
    history.take(first, circumstances)
    history.pass_time(11 * MINUTE_US, circumstances)
    assert told([history.take(outside, circumstances)]) == [[("end", True), ("exit", True)]]


def test_a_visit_that_silence_did_not_end_after_all_is_left_as_any_other():
    index = ZoneIndex([ZoneVersion(0, 1, 0, square(0.0, 0.1), rules=SILENCE)])
    history, circumstances = History(0, State()), Circumstances(index)
    first, inside, outside = fixes((0, 0.05), (9, 0.05), (18, 0.2))
    history.take(first, circumstances)
    history.pass_time(11 * MINUTE_US, circumstances)
    revisions = [history.take(fix, circumstances) for fix in (inside, outside)]
    assert told(revisions) == [[("end", True)], [("exit", False)]]
    assert history.announced() == {}


def test_an_exit_that_was_told_of_a_visit_that_is_absorbed_is_not_told_again():
    index = ZoneIndex([ZoneVersion(0, 1, 0, square(0.0, 0.1), rules=SILENCE)])
    history, circumstances = History(0, State()), Circumstances(index)
    revisions = []
    for fix in fixes((0, 0.05), (15, 0.05), (20, 0.2), (8, 0.05)):
        history.pass_time(int(fix["time_us"]), circumstances)
        revisions.append(history.take(fix, circumstances))
    assert told(revisions)[-1] == [("merged", True), ("retracted", True)]


def test_three_fixes_that_agree_lose_their_suspicion_wherever_they_arrive():
    index = ZoneIndex([ZoneVersion(0, 1, 0, square(9.9, 10.1), rules=PLAIN)])
    rows = fixes((0, 0.0), (1, 10.0), (2, 10.0), (3, 10.0))
    for order in ([0, 1, 2, 3], [0, 3, 2, 1], [3, 0, 2, 1]):
        history, revisions = took(rows[order], index, gates=Gates.default())
        suspect: dict[tuple[int, int, int], bool] = {}
        for revision in revisions:
            suspect |= revision.suspect
        assert not any(suspect.values()), order
        assert stays(history) == [(0, MINUTE_US, None)], order


def test_a_speed_above_the_limit_is_told_once_also_where_a_late_fix_shows_an_earlier_one():
    rules = Rules(exit_confirm_fixes=1, max_gap_seconds=0, speed_limit_mps=20)
    index = ZoneIndex([ZoneVersion(0, 1, 0, square(0.0, 0.1), rules=rules)])
    day = fixes((0, 0.05), (3, 0.05), (1, 0.05), (2, 0.05))
    day["speed_mps"], day["known"] = [10, 25, 22, 30], Known.SPEED
    history, revisions = took(day, index)
    told = [[one.kind for one in revision.announcements] for revision in revisions]
    assert told == [[AnnouncementKind.ENTER], [AnnouncementKind.OVERSPEED], [], []]
    (visit,) = history.visits.values()
    assert visit.overspeed is not None
    assert (visit.overspeed.time_us, visit.overspeed.speed_mps) == (MINUTE_US, 22.0)
    assert visit.revision == 1


PASSING = Rules(exit_confirm_fixes=1, max_gap_seconds=600)
SPEEDS_AND_ACCURACIES = Gates(np.empty(0), 1_000.0, 200.0)


def states_less_exactly(rows: np.ndarray, *accuracies_m: float | None) -> np.ndarray:
    """Return the fixes, with these accuracies."""
    rows["known"] = [0 if one is None else Known.ACCURACY for one in accuracies_m]
    rows["accuracy_m"] = [one or 0.0 for one in accuracies_m]
    return rows


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


# Properties ---------------------------------------------------------------------------------------

rules = st.builds(
    Rules,
    exit_buffer_m=st.sampled_from([0.0, 2_000.0]),
    enter_confirm_fixes=st.integers(1, 3),
    exit_confirm_fixes=st.integers(1, 3),
    enter_confirm_seconds=st.sampled_from([0.0, 90.0]),
    exit_confirm_seconds=st.sampled_from([0.0, 90.0]),
    max_gap_seconds=st.sampled_from([0.0, 120.0, 600.0]),
    dwell_seconds=st.sampled_from([None, 150.0]),
    close_after_silence_seconds=st.sampled_from([None, 400.0]),
    speed_limit_mps=st.sampled_from([None, 20.0]),
)


@st.composite
def zones(draw) -> ZoneIndex:
    versions = []
    for zone in range(3):
        west = draw(st.integers(0, 8)) / 10 + 0.017
        shape = draw(st.sampled_from([square(west, west + 0.23), Circle(west, 0.0, 11_111.0)]))
        cut = draw(st.sampled_from([None, 13 * MINUTE_US + 5]))
        first = ZoneVersion(zone, 1, 0, shape, rules=draw(rules))
        if cut is None:
            versions.append(first)
            continue
        moved = square(west + 0.1, west + 0.3)
        versions += [
            ZoneVersion(zone, 1, 0, shape, valid_to_us=cut, rules=first.rules),
            ZoneVersion(zone, 2, 0, moved, valid_from_us=cut, rules=draw(rules)),
        ]
    return ZoneIndex(versions)


@st.composite
def days(draw, most: int = 30) -> np.ndarray:
    """Return a tracker's day, in order: slow, sometimes with a jump, coarse, or inaccurate."""
    minute, lon = 0, 5
    places = []
    for _ in range(draw(st.integers(1, most))):
        minute += draw(st.sampled_from([1, 1, 1, 2, 9]))
        lon += draw(st.sampled_from([0, 0, 1, -1, 2, 40, -40]))
        places.append((minute, lon / 10))
    rows = fixes(*places)
    for row in rows:
        accuracy_m = draw(st.sampled_from([None, 5.0, 6_000.0, 40_000.0]))
        if accuracy_m is not None:
            row["accuracy_m"], row["known"] = accuracy_m, Known.ACCURACY
        if draw(st.booleans()):
            row["speed_mps"] = draw(st.sampled_from([15.0, 25.0]))
            row["known"] |= Known.SPEED
    return rows


@st.composite
def roads(draw, most: int = 30) -> tuple[ZoneIndex, np.ndarray]:
    """Return narrow zones along a road, and a day of passing through them, also by coarse fixes."""
    west = draw(st.sets(st.integers(0, 60), min_size=3, max_size=20))
    versions = [
        ZoneVersion(zone, 1, 0, square(one / 20 + 0.01, one / 20 + 0.02), rules=PASSING)
        for zone, one in enumerate(sorted(west))
    ]
    steps = draw(st.lists(st.integers(-1, 3), min_size=3, max_size=most))
    rows = fixes(*((minute, lon / 10) for minute, lon in enumerate(np.cumsum(steps).tolist())))
    accuracies_m = [draw(st.sampled_from([5.0, 60.0, 40_000.0])) for _ in rows]
    return ZoneIndex(versions), states_less_exactly(rows, *accuracies_m)


def whole(history: History) -> list[tuple]:
    """Return all that is the same whatever the order of arrival."""
    return whole_of(history.visits)


def whole_of(visits: dict[VisitKey, Visit]) -> list[tuple]:
    return sorted(
        (
            visit.key.zone,
            *map(str, (visit.entered, visit.left, visit.dwelled, visit.overspeed)),
            visit.version,
        )
        for visit in visits.values()
        if not visit.retracted
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
            assert visit.announced_exit or visit.left.is_silent


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


@st.composite
def shuffled(draw, n: int) -> list[int]:
    """Return an order of arrival: any, or that of time but for some that come late."""
    order = list(range(n))
    if draw(st.booleans()):
        return draw(st.permutations(order))
    for _ in range(draw(st.integers(0, 3))):
        order.insert(draw(st.integers(0, n - 1)), order.pop(draw(st.integers(0, n - 1))))
    return order


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
    made = ZoneVersion(
        *(9, 1, 0, square(west, west + 0.3), valid_from_us),
        rules=data.draw(rules),
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
