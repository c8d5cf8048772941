"""What punches are worth, by a table of cases, and by the rules said once more."""

import json
import math
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid5

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pyproj import Geod

from geofence.punches.claim import (
    PAY_SOURCES,
    RULES,
    WORTHS,
    ClaimedPunch,
    Evidence,
    PunchRules,
    PunchSite,
    TimedPosition,
    position,
    punch_event_id,
    punch_id,
)
from geofence.punches.verdict import judge_punch
from telemetry.punch import PUNCH_KINDS
from tests.data import examples_in

CASES = json.loads((Path(__file__).parents[1] / "cases" / "punches.json").read_text())
PAGE = (Path(__file__).parents[2] / "docs" / "punches.md").read_text()
GEOD = Geod(ellps="WGS84")
RECEIVED_US = 1_767_600_000_000_000
LON, LAT = 179.999, -36.5


def before(seconds: float | None) -> int | None:
    """Return the instant this many seconds before the punch is received."""
    return None if seconds is None else RECEIVED_US - round(seconds * 1_000_000)


def away(metres: float, time_us: int, accuracy_m: float | None = None) -> TimedPosition:
    lon, lat, _ = GEOD.fwd(LON, LAT, 73, metres)
    return TimedPosition(time_us, lon, lat, accuracy_m)


def named(site: str) -> UUID:
    return uuid5(UUID(int=0), site)


def judged(case):
    fix_age_s = case.get("fix_age_s", 5)
    fix = TimedPosition(before(fix_age_s), LON, LAT, case.get("accuracy_m", 8))
    claim = ClaimedPunch(
        case.get("kind", "in"),
        before(case.get("delay_s", 2)),
        fix if case.get("fix", True) else None,
        case.get("mock", False),
    )
    previous = case.get("previous")
    evidence = Evidence(
        RECEIVED_US,
        case.get("allowed", True),
        by_hand=case.get("by_hand", False),
        previous=previous
        and away(
            previous["metres"],
            before(fix_age_s + previous["seconds_before"]),
            previous.get("accuracy_m"),
        ),
        previous_pay_us=before(case.get("previous_pay_s")),
    )
    tolerances = case.get("tolerances", {})
    sites = [
        PunchSite(named(site), distance_m, tolerances.get(site))
        for site, distance_m in case["sites"].items()
    ]
    return claim, judge_punch(claim, sites, evidence)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_a_punch_is_worth_what_its_reasons_say(case):
    claim, verdict = judged(case)
    assert verdict.verdict == case["verdict"]
    assert [reason.rule for reason in verdict.reasons] == case["reasons"]
    if "site" in case:
        assert verdict.site == (case["site"] and named(case["site"]))
    if "margin_m" in case:
        assert verdict.margin_m == pytest.approx(case["margin_m"])
    if "pay" in case:
        assert verdict.pay_time_source == case["pay"]
    if "pay_s" in case:
        assert verdict.pay_time_us == before(case["pay_s"])
    if verdict.pay_time_source == "claimed":
        assert verdict.pay_time_us == claim.time_us
    is_disputed = verdict.pay_time_source == "disputed"
    assert verdict.server_time_us == (RECEIVED_US if is_disputed else None)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_the_worst_of_the_reasons_is_the_verdict(case):
    _, verdict = judged(case)
    made = [reason.makes for reason in verdict.reasons]
    assert verdict.verdict == min(made, key=WORTHS.index)
    assert all(reason.makes in RULES[reason.rule] for reason in verdict.reasons)


def test_the_cases_have_every_rule():
    assert {rule for case in CASES for rule in case["reasons"]} == RULES.keys()


def figures_of(name):
    _, verdict = judged(next(case for case in CASES if case["case"] == name))
    return {reason.rule: dict(reason.figures) for reason in verdict.reasons}


def test_reasons_carry_the_figures_that_they_went_by():
    assert figures_of("everything at once") == {
        "mock": {},
        "teleport": {
            "speed_mps": 899.84,
            "limit_mps": 70,
            "distance_m": 89_984,
            "elapsed_s": 100,
        },
        "wrong_device": {},
        "stale": {
            "fix_age_s": 500,
            "limit_s": 120,
            "fix_before_claim_s": 800,
            "distance_m": 700,
            "accuracy_m": 8,
            "tolerance_m": 25,
        },
        "clock": {"claimed_ahead_s": 300, "limit_s": 120},
    }
    offline = figures_of("offline, somewhere else at the claimed time")
    assert offline["outside"] == {"distance_m": 900, "accuracy_m": 8, "tolerance_m": 25}
    assert offline["stale"] == {"fix_age_s": 7205, "limit_s": 120}
    nowhen = figures_of("a position whose time is not known, at the site")
    assert nowhen["stale"] == {"limit_s": 120}


@pytest.mark.parametrize(
    ("case", "figures"),
    [
        ("backdated: a fresh fix and an hour ago", {"claimed_before_fix_s": 3595, "limit_s": 120}),
        ("a fix of the future", {"fix_ahead_s": 3600, "limit_s": 120}),
        ("kept on a phone without a connection", {"delay_s": 7200, "limit_s": 120}),
    ],
)
def test_a_doubt_about_a_time_says_which(case, figures):
    _, verdict = judged(next(each for each in CASES if each["case"] == case))
    assert verdict.reasons[-1].figures == figures


def test_figures_have_as_many_digits_as_explain_the_rule():
    inside = figures_of("inside by a tenth of a millimetre")["inside"]
    uncertain = figures_of("uncertain by a tenth of a millimetre")["uncertain"]
    assert (inside["distance_m"], uncertain["distance_m"]) == (17.0, 17.0001)


def exactly(figure: float) -> Decimal:
    return Decimal(repr(figure))


@given(
    distance_m=st.floats(-500, 500) | st.floats(16.99, 17.01) | st.floats(32.99, 33.01),
    accuracy_m=st.just(8.0) | st.floats(1e-6, 300),
    fix_age_s=st.integers(-400_000_000, 400_000_000) | st.integers(119_990_000, 120_010_000),
    delay_s=st.integers(-400_000_000, 400_000_000) | st.integers(119_990_000, 120_010_000),
    metres=st.floats(0, 2_000_000),
    seconds_before=st.integers(1, 7_200),
)
def test_the_figures_of_a_reason_explain_it(
    distance_m, accuracy_m, fix_age_s, delay_s, metres, seconds_before
):
    fix = TimedPosition(RECEIVED_US - fix_age_s, LON, LAT, accuracy_m)
    previous = away(metres, RECEIVED_US - fix_age_s - seconds_before * 1_000_000, 10.0)
    claim = ClaimedPunch("in", RECEIVED_US - delay_s, fix)
    sites = [PunchSite(UUID(int=1), distance_m)]
    found = judge_punch(claim, sites, Evidence(RECEIVED_US, previous=previous))
    for reason in found.reasons:
        shown = {name: exactly(figure) for name, figure in reason.figures.items()}
        if "distance_m" in shown and "tolerance_m" in shown:
            is_inside = shown["distance_m"] + shown["accuracy_m"] <= shown["tolerance_m"]
            is_outside = shown["distance_m"] - shown["accuracy_m"] > shown["tolerance_m"]
            place = "inside" if is_inside else "outside" if is_outside else "uncertain"
            assert place == ("outside" if reason.rule == "stale" else reason.rule)
        if reason.rule in ("clock", "offline"):
            limit_s = shown.pop("limit_s")
            assert min(shown.values()) > limit_s
        if reason.rule == "stale" and len(shown) == 2:
            assert shown["fix_age_s"] > shown["limit_s"]
        if reason.rule == "teleport":
            is_flight = shown["speed_mps"] < 300 and shown["elapsed_s"] > 1800
            assert shown["speed_mps"] > shown["limit_mps"]
            assert reason.makes == ("unverified" if is_flight else "failed")


@given(
    delay_s=st.integers(-10_000, 40_000),
    fix_age_s=st.none() | st.integers(-10_000, 40_000),
    previous_pay_s=st.none() | st.integers(-10_000, 40_000),
    mock=st.booleans(),
)
def test_a_time_that_nothing_confirms_is_bounded(delay_s, fix_age_s, previous_pay_s, mock):
    fix = None if fix_age_s is None else TimedPosition(before(fix_age_s), LON, LAT, 8)
    claim = ClaimedPunch("out", before(delay_s), fix, mock)
    evidence = Evidence(RECEIVED_US, previous_pay_us=before(previous_pay_s))
    found = judge_punch(claim, [], evidence)
    confirmed = fix_age_s is not None and not mock and abs(fix_age_s - delay_s) <= 120
    if abs(delay_s) <= 120 or (confirmed and delay_s >= 0):
        assert (found.pay_time_us, found.pay_time_source) == (claim.time_us, "claimed")
        return
    assert found.pay_time_source == "disputed"
    assert found.pay_time_us <= RECEIVED_US
    if previous_pay_s is not None and previous_pay_s >= 0:
        assert found.pay_time_us >= before(previous_pay_s)
    if delay_s >= 0 and (previous_pay_s is None or previous_pay_s >= delay_s):
        assert found.pay_time_us == claim.time_us


@pytest.mark.parametrize(
    ("metres", "seconds_later", "expected"),
    [(85.0, 0, 85.0), (85.0, 300, 85.0), (85.0, -300, 85.0), (85.0, 300.1, None), (0, 0, 0)],
)
def test_the_machine_is_evidence_where_it_was_seen_at_about_that_time(
    metres, seconds_later, expected
):
    fix = TimedPosition(before(5), LON, LAT, 8)
    machine = away(metres, before(5 - seconds_later))
    claim = ClaimedPunch("out", before(2), fix)
    verdict = judge_punch(claim, [], Evidence(RECEIVED_US, machine=machine))
    assert verdict.machine_distance_m == (
        None if expected is None else pytest.approx(expected, abs=1e-6)
    )
    blind = ClaimedPunch("out", before(2), None)
    without_fix = judge_punch(blind, [], Evidence(RECEIVED_US, machine=machine))
    assert without_fix.machine_distance_m is None


@given(
    distances_m=st.lists(st.floats(-500, 500), max_size=4),
    accuracy_m=st.none() | st.floats(1e-6, 300),
    fix_age_s=st.integers(-400, 400),
    delay_s=st.integers(-400, 400),
    mock=st.booleans(),
    tolerance_m=st.floats(0, 100),
)
def test_the_verdict_is_that_of_the_rules_said_in_one_sentence(
    distances_m, accuracy_m, fix_age_s, delay_s, mock, tolerance_m
):
    claim = ClaimedPunch(
        "in", before(delay_s), TimedPosition(before(fix_age_s), LON, LAT, accuracy_m), mock
    )
    sites = [PunchSite(UUID(int=i), distance_m) for i, distance_m in enumerate(distances_m)]
    rules = PunchRules(tolerance_m=tolerance_m)
    found = judge_punch(claim, sites, Evidence(RECEIVED_US), rules)
    known = accuracy_m is not None
    small = 1e-6  # what is nearer to a limit than this is judged by its rounded measures
    inside = known and any(d + accuracy_m <= tolerance_m for d in distances_m)
    outside = known and bool(sites) and all(d - accuracy_m > tolerance_m for d in distances_m)
    outside = outside and abs(fix_age_s - delay_s) <= 120
    assume(
        not known or all(abs(abs(d - tolerance_m) - accuracy_m) > 2 * small for d in distances_m)
    )
    in_time = abs(fix_age_s) <= 120 and abs(delay_s) <= 120
    expected = "unverified"
    if inside and in_time:
        expected = "verified"
    if outside or mock:
        expected = "failed"
    assert found.verdict == expected
    if in_time and abs(fix_age_s - delay_s) <= 120:
        assert not {"stale", "clock", "offline"} & {r.rule for r in found.reasons}


@given(
    distances_m=st.lists(st.floats(-500, 500), min_size=1, max_size=6),
    accuracy_m=st.floats(1e-6, 300),
)
def test_of_several_sites_the_best_verdict_counts(distances_m, accuracy_m):
    claim = ClaimedPunch("in", before(1), TimedPosition(before(1), LON, LAT, accuracy_m))
    evidence = Evidence(RECEIVED_US)
    sites = [PunchSite(UUID(int=i), distance_m) for i, distance_m in enumerate(distances_m)]
    together = judge_punch(claim, sites, evidence)
    alone = [judge_punch(claim, [site], evidence) for site in sites]
    assert together.verdict == max((v.verdict for v in alone), key=WORTHS.index)
    assert together in alone
    assert judge_punch(claim, sites[::-1], evidence) == together


@pytest.mark.parametrize(
    ("lon", "lat", "accuracy_m"),
    [
        (180.1, 0, 1),
        (0, -90.1, 1),
        (math.nan, 0, 1),
        (0, math.nan, 1),
        (0, 0, -1),
        (0, 0, 0),
        (0, 0, math.nan),
        (0, 0, math.inf),
    ],
)
def test_numbers_that_no_position_has_are_refused(lon, lat, accuracy_m):
    with pytest.raises(ValueError, match="must be"):
        TimedPosition(0, lon, lat, accuracy_m)


@pytest.mark.parametrize(
    ("stated", "known"),
    [
        ((1.0, 2.0, 5.0), TimedPosition(7, 1.0, 2.0, 5.0)),
        ((1.0, 2.0, None), TimedPosition(7, 1.0, 2.0)),
        ((1.0, 2.0, 0.0), TimedPosition(7, 1.0, 2.0)),
        ((1.0, 2.0, -1.0), TimedPosition(7, 1.0, 2.0)),
        ((0.0, 2.0, 5.0), TimedPosition(7, 0.0, 2.0, 5.0)),
        ((0.0, 0.0, 5.0), None),
        ((-0.0, 0.0, 5.0), None),
        ((None, None, 5.0), None),
    ],
)
def test_a_place_of_zero_and_an_accuracy_of_zero_are_not_known(stated, known):
    assert position(7, *stated) == known


def test_the_id_of_a_punch_is_that_of_what_makes_it_one():
    employees, times, trackers = (UUID(int=1), UUID(int=2)), (1, -1), (None, UUID(int=1))
    ids = [
        punch_id(employee, time_us, kind, tracker)
        for employee in employees
        for time_us in times
        for kind in PUNCH_KINDS
        for tracker in trackers
    ]
    assert len({*ids, *map(punch_event_id, ids)}) == 2 * len(ids)


def test_the_page_has_the_rules_of_the_code():
    lines = PAGE[PAGE.index("| reason | makes") :].splitlines()[2:]
    table = [line.strip("|").split("|") for line in lines[: lines.index("")]]
    found = {reason.strip(" `"): tuple(worth.split()[::2]) for reason, worth, _ in table}
    assert found == RULES


def test_the_page_has_the_sources_of_a_time_for_pay():
    lines = PAGE[PAGE.index("| `pay_time_source` |") :].splitlines()[2:]
    table = [line.strip("|").split("|") for line in lines[: lines.index("")]]
    assert tuple(source.strip(" `") for source, *_ in table) == PAY_SOURCES


def test_the_example_prints_what_the_page_says(capsys):
    ((program, printed),) = examples_in(PAGE)
    exec(compile(program, "docs/punches.md", "exec"), {})
    assert capsys.readouterr().out == printed
