"""What is expected of a run: fixes, visits and events, by every rule and with edits on the way."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.model.rules import Gates
from stack.scenario.zones import SimZone
from stack.verify.expectation import Expectation, expect
from stack.verify.fix_fates import fates
from stack.verify.results import AmendedEvent, GeofenceEvent, OverspeedEvent, StoredVisit
from stack.verify.run_history import RunHistory
from telemetry.fix import Known
from telemetry.ids import parse_id
from telemetry.times import parse_time_us
from tests.stack.small_runs import (
    INSIDE,
    OUTSIDE,
    RUN_S,
    SECOND_US,
    SQUARE,
    START_US,
    ZONES,
    an_id,
    arrived,
    at_us,
    history_of,
    replayed,
    sent,
)


def transitions(expected: Expectation) -> list[tuple[int, str]]:
    return [
        ((event.occurred_us - START_US) // SECOND_US, event.transition)
        for event in breaches(expected)
    ]


def breaches(expected: Expectation) -> list[GeofenceEvent]:
    return [event for event in expected.events if isinstance(event, GeofenceEvent)]


def stay(visit: StoredVisit) -> tuple[int, str, int | None, str | None]:
    """Return beginning and end in seconds after the start, each with its cause."""
    left_s = None if visit.left_us is None else (visit.left_us - START_US) // SECOND_US
    entered_s = (visit.entered_us - START_US) // SECOND_US
    return entered_s, visit.entry_cause, left_s, visit.exit_cause


def square(**rules: float) -> SimZone:
    return SimZone("square", "Square", SQUARE, rules=rules)


def only_square(kind: str | None = None, alert_on: Iterable[str] | None = None) -> list[SimZone]:
    chosen = None if alert_on is None else list(alert_on)
    return [SimZone("square", "Square", SQUARE, kind=kind, alert_on=chosen)]


AWAY = [(0, 0, INSIDE), (0, 10, OUTSIDE), (0, 20, OUTSIDE), (0, 30, INSIDE)]


# Which fixes ---------------------------------------------------------------------------------


def test_a_repeated_fix_is_stored_once_as_it_came_first() -> None:
    expected = replayed((0, 0, INSIDE), (0, 10, OUTSIDE), (0, 0, OUTSIDE), zones=only_square())
    assert [fix.lat for fix in expected.fixes] == [INSIDE, OUTSIDE]
    assert transitions(expected) == [(0, "enter")]


def test_a_late_fix_is_stored_and_judged_in_its_place() -> None:
    expected = replayed((0, 10, OUTSIDE), (0, 5, INSIDE), (0, 20, OUTSIDE), zones=only_square())
    assert len(expected.fixes) == 3
    assert [stay(visit) for visit in expected.visits] == [(5, "initial", 10, "moved")]
    assert transitions(expected) == [(5, "enter"), (10, "exit")]
    assert [event.late for event in expected.events] == [True, False]  # 20 s confirms the exit


def test_a_late_fix_that_moves_a_beginning_amends_the_visit() -> None:
    expected = replayed(
        (0, 0, OUTSIDE), (0, 30, INSIDE), (0, 10, INSIDE), (0, 40, INSIDE), zones=only_square()
    )
    [enter, amended] = expected.events
    assert isinstance(enter, GeofenceEvent)
    assert isinstance(amended, AmendedEvent)
    assert (amended.change, amended.revision, amended.late) == ("start", 2, True)
    assert (amended.visit_id, amended.entered_us) == (enter.visit_id, at_us(10))
    assert [visit.visit_id for visit in expected.visits] == [enter.visit_id]
    assert expected.stays == [visit.as_stay() for visit in expected.visits]


def test_what_a_late_fix_disproves_is_no_visit() -> None:
    rules = {"enter_confirm_fixes": 2, "max_gap_seconds": 0}
    expected = replayed((0, 10, INSIDE), (0, 5, OUTSIDE), (0, 60, OUTSIDE), zones=[square(**rules)])
    assert expected.visits == []
    assert expected.events[-1].type == "asset.visit_amended"


places = st.lists(
    st.tuples(
        st.just(0), st.integers(0, 30).map(lambda n: 10 * n), st.sampled_from([0.0005, 0.006])
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda fix: fix[1],
)


@given(places.flatmap(lambda fixes: st.tuples(st.just(fixes), st.permutations(fixes))))
def test_whatever_the_order_of_arrival_the_stays_are_those_of_the_order_of_time(
    pair: tuple[list[tuple[int, int, float]], list[tuple[int, int, float]]],
) -> None:
    fixes, order = pair
    zones = [square(exit_confirm_fixes=2, max_gap_seconds=600)]
    in_time = replayed(*sorted(fixes), zones=zones)
    shuffled = replayed(*order, zones=zones)
    assert shuffled.stays == in_time.stays
    assert Counter(visit.as_stay() for visit in shuffled.visits) == Counter(in_time.stays)


def test_what_cannot_be_stored_is_not_expected() -> None:
    never = -(START_US // SECOND_US)
    expected = replayed(
        (0, never, INSIDE), (0, 0, 0.0), (0, 7200, INSIDE), (0, 10, INSIDE), zones=only_square()
    )
    assert [fix.lat for fix in expected.fixes] == [INSIDE]
    assert transitions(expected) == [(10, "enter")]


def test_a_jump_is_suspect_and_changes_nothing() -> None:
    jump = (0, 40, 3.0)
    expected = replayed(*AWAY, jump, (0, 50, INSIDE), zones=only_square())
    assert [fix.suspect for fix in expected.fixes] == [False, False, False, False, True, False]
    assert transitions(expected) == [(0, "enter"), (10, "exit"), (30, "enter")]


def test_three_fixes_that_agree_are_believed() -> None:
    far = [(0, 40 + 10 * k, 3.0) for k in range(3)]
    expected = replayed(*AWAY, *far, zones=only_square())
    assert not any(fix.suspect for fix in expected.fixes)
    assert transitions(expected)[-1] == (40, "exit")


# Rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "alert_on", "expected"),
    [
        (None, None, [(0, "enter"), (10, "exit"), (30, "enter")]),
        ("restricted", None, [(0, "enter"), (10, "exit"), (30, "enter")]),
        ("allowed", None, [(10, "exit"), (30, "enter")]),
        ("yard", None, []),
        ("yard", ["exit"], [(10, "exit")]),
    ],
)
def test_the_kind_of_a_zone_says_what_alerts(
    kind: str | None, alert_on: list[str] | None, expected: list[tuple[int, str]]
) -> None:
    found = replayed(*AWAY, zones=only_square(kind, alert_on))
    assert transitions(found) == expected
    assert len(found.visits) == 2


def test_rules_of_a_zone_are_kept() -> None:
    found = replayed(*AWAY, zones=[square(exit_confirm_fixes=3)])
    assert [stay(visit) for visit in found.visits] == [(0, "initial", None, None)]


def test_a_dwell_is_told_at_its_deadline_and_noted_in_the_visit() -> None:
    found = replayed(*AWAY, zones=[square(dwell_seconds=60)])
    assert transitions(found)[-1] == (90, "dwell")
    dwell = breaches(found)[-1]
    assert (dwell.type, dwell.inferred) == ("asset.geofence_dwell", "timer")
    assert dwell.dwell_s == 60
    assert found.visits[-1].dwelled_us == at_us(90)


def test_settings_of_the_organization_hold_in_zones_that_do_not_give_the_rule() -> None:
    history = history_of(square(), square(exit_confirm_fixes=2))
    history.rules = {"exit_confirm_fixes": 3}
    found = replayed(*AWAY, history=history)
    of_zone = [
        [stay(visit)[2] for visit in found.visits if visit.zone_id == zone_id]
        for zone_id in history.zone_ids
    ]
    assert of_zone == [[None], [10, None]]
    history.gates = Gates(np.empty(0), 1.0)
    assert [fix.suspect for fix in replayed(*AWAY, history=history).fixes] == [
        False, True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ([0, 1, 2], [(10, 9.0, False)]),
        ([0, 2, 1], [(20, 12.0, False)]),
        ([2, 0, 1], [(20, 12.0, False)]),
    ],
)
def test_a_speed_above_the_limit_is_told_once_and_noted_in_the_visit(
    order: list[int], told: list[tuple[int, float, bool]]
) -> None:
    rows = sent((0, 0, INSIDE), (0, 10, INSIDE), (0, 20, INSIDE))
    rows["speed_mps"], rows["known"] = [5, 9, 12], Known.SPEED
    zone = square(speed_limit_mps=8)
    now_us = at_us(RUN_S)
    found = expect(fates(arrived(rows[order])), history_of(zone), now_us, now_us)
    events = [event for event in found.events if isinstance(event, OverspeedEvent)]
    assert [(one.occurred_us, one.speed_mps, one.late) for one in events] == [
        (at_us(at_s), speed_mps, late) for at_s, speed_mps, late in told
    ]
    assert {event.speed_limit_mps for event in events} == {8}
    assert [visit.overspeed_us for visit in found.visits] == [at_us(10)]
    assert [one.overspeed_us for one in found.stays] == [at_us(10)]


def test_deadlines_are_taken_up_to_the_instant_that_is_asked_for() -> None:
    zone = square(dwell_seconds=RUN_S, close_after_silence_seconds=RUN_S + 60)
    in_time = replayed(*AWAY, zones=[zone], until_s=RUN_S + 30)
    assert transitions(in_time)[-1] == (RUN_S + 30, "dwell")
    assert in_time.visits[-1].left_us is None
    assert in_time.last_due_us == at_us(RUN_S + 30)
    later = replayed(*AWAY, zones=[zone], until_s=RUN_S + 90)
    assert stay(later.visits[-1]) == (30, "moved", RUN_S + 90, "silence")
    sooner = replayed(*AWAY, zones=[zone], until_s=RUN_S + 29)
    assert sooner.last_due_us == sooner.now_us


def test_hours_that_begin_tell_of_those_in_the_wrong_place() -> None:
    opens_us = parse_time_us("2027-01-15T08:01:00Z")
    assert opens_us == at_us(60)
    hours = {"timezone": "UTC", "windows": [{"days": ["fri"], "from": "08:01", "to": "09:00"}]}
    zones = [replace(square(), schedule=hours), replace(ZONES[1], kind="allowed", schedule=hours)]
    found = replayed((0, 0, INSIDE), (1, 0, OUTSIDE), zones=zones)
    assert [(e.asset_id, e.transition, e.cause) for e in breaches(found)] == [
        (found.fixes[0].asset_id, "enter", "schedule_started"),
        (found.fixes[1].asset_id, "exit", "schedule_started"),
    ]
    assert breaches(found)[0].visit_id == found.visits[0].visit_id
    assert breaches(found)[1].visit_id is None


def test_hours_that_begin_together_are_told_in_order_of_the_zones_ids() -> None:
    hours = {"timezone": "UTC", "windows": [{"days": ["fri"], "from": "08:01", "to": "09:00"}]}
    zones = [replace(square(), schedule=hours) for _ in range(6)]
    told = [event.zone_id for event in breaches(replayed((0, 0, INSIDE), zones=zones))]
    assert told == sorted(told, key=lambda zone_id: parse_id("zon", zone_id))
    assert told != [an_id("zon", number) for number in range(6)]


def test_a_zone_with_tags_bears_on_assets_that_have_one() -> None:
    history = history_of(replace(square(), tags=["night"]), tags=[["day"], ["night", "day"]])
    found = replayed((0, 0, INSIDE), (1, 0, INSIDE), history=history)
    assert [visit.asset_id for visit in found.visits] == [history.asset_ids[1]]


# Edits ---------------------------------------------------------------------------------------

PARKED = [(0, 0, INSIDE), (0, 100, INSIDE)]


def new_zone(history: RunHistory, at_s: float) -> int:
    return history.zone_begins(history.asset_ids[0].replace("ast", "zon"), square(), at_us(at_s))


def test_a_zone_drawn_round_a_parked_asset_opens_a_visit_and_alerts_nobody() -> None:
    history = history_of()
    new_zone(history, 50)
    found = replayed(*PARKED, history=history)
    assert [stay(visit) for visit in found.visits] == [(50, "zone_changed", None, None)]
    assert found.events == []


@pytest.mark.parametrize("is_moved", [True, False])
def test_a_zone_that_is_moved_away_or_ends_closes_the_visit(is_moved: bool) -> None:
    history = history_of(square())
    if is_moved:
        elsewhere = {"type": "Point", "coordinates": [9.0, 9.0]}
        history.zone_becomes(0, SimZone("z", "Z", elsewhere, radius_m=5), at_us(50))
    else:
        history.zone_ends(0, at_us(50))
    found = replayed(*PARKED, history=history)
    assert [stay(visit) for visit in found.visits] == [(0, "initial", 50, "zone_changed")]
    assert transitions(found) == [(0, "enter")]


def test_a_tracker_that_is_taken_off_and_put_on_again_closes_and_opens_visits() -> None:
    history = history_of(square())
    asset = history.tracker_leaves(0, at_us(50)).asset
    history.tracker_joins(0, asset, at_us(80))
    found = replayed(*PARKED, (0, 60, INSIDE), (0, 70, OUTSIDE), (0, 75, INSIDE), history=history)
    assert [stay(visit) for visit in found.visits] == [
        (0, "initial", 50, "reassigned"),
        (80, "reassigned", None, None),
    ]
    on_it = history.asset_ids[0]
    assert [fix.asset_id for fix in found.fixes] == [on_it, on_it, None, None, None]


def test_a_tracker_that_comes_back_elsewhere_is_where_its_last_fix_was() -> None:
    history = history_of(square())
    history.tracker_leaves(0, at_us(50))
    history.tracker_joins(0, 0, at_us(80))
    found = replayed((0, 0, INSIDE), (0, 60, INSIDE), (0, 70, OUTSIDE), history=history)
    assert [stay(visit) for visit in found.visits] == [(0, "initial", 50, "reassigned")]


def test_the_same_run_gives_the_same_ids() -> None:
    assert replayed(*AWAY) == replayed(*AWAY)
