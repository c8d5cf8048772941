"""Late fixes, case by case: what is told, amended and retracted."""

import numpy as np
import shapely

from geofence.judging.state import State
from geofence.late.amendments import AnnouncementKind, Visit
from geofence.late.history import History
from geofence.late.segments import Circumstances
from geofence.model.rules import Gates, Rules
from geofence.shapes.types import Polygonal
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import Known
from tests.geofence.late.days import MINUTE_US, PLAIN, SILENCE, fixes, square, stays, told, took

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
