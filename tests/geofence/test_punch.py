"""What punches are worth, by a table of cases, and by the rules said once more."""

import json
import math
import re
from pathlib import Path
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from geofence.punch import (
    RULES,
    Claim,
    Evidence,
    Position,
    PunchRules,
    Site,
    judge_punch,
)

CASES = json.loads((Path(__file__).parents[1] / "cases" / "punches.json").read_text())
PAGE = (Path(__file__).parents[2] / "docs" / "punches.md").read_text()
GEOD = Geod(ellps="WGS84")
RECEIVED_US = 1_767_600_000_000_000
LON, LAT = 179.999, -36.5
WORST_FIRST = ("failed", "unverified", "verified")


def before(seconds: float) -> int:
    """Return the instant this many seconds before the punch is received."""
    return RECEIVED_US - round(seconds * 1_000_000)


def away(metres: float, time_us: int, accuracy_m: float | None = None) -> Position:
    lon, lat, _ = GEOD.fwd(LON, LAT, 73, metres)
    return Position(time_us, lon, lat, accuracy_m)


def named(site: str) -> UUID:
    return uuid5(UUID(int=0), site)


def judged(case):
    fix_age_s = case.get("fix_age_s", 5)
    fix = Position(before(fix_age_s), LON, LAT, case.get("accuracy_m", 8))
    claim = Claim(
        "in",
        before(case.get("delay_s", 2)),
        fix if case.get("fix", True) else None,
        case.get("mock", False),
    )
    previous = case.get("previous")
    evidence = Evidence(
        RECEIVED_US,
        case.get("channel", "rest"),
        case.get("allowed", True),
        previous=previous
        and away(
            previous["metres"],
            before(fix_age_s + previous["seconds_before"]),
            previous.get("accuracy_m"),
        ),
    )
    sites = [Site(named(site), distance_m) for site, distance_m in case["sites"].items()]
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
    pay_us = {"claimed": claim.time_us, "server": RECEIVED_US}[verdict.pay_time_source]
    assert verdict.pay_time_us == pay_us


def test_the_cases_have_every_rule():
    assert {rule for case in CASES for rule in case["reasons"]} == RULES.keys()


def test_reasons_carry_the_figures_that_they_went_by():
    everything = next(case for case in CASES if case["case"] == "everything at once")
    _, verdict = judged(everything)
    figures = {reason.rule: dict(reason.figures) for reason in verdict.reasons}
    assert figures == {
        "outside": {"distance_m": 700, "accuracy_m": 8, "tolerance_m": 25},
        "mock": {},
        "teleport": {
            "speed_mps": 899.92,
            "limit_mps": 70,
            "distance_m": 89_992,
            "elapsed_s": 100,
        },
        "wrong_device": {},
        "stale": {"fix_age_s": 500, "limit_s": 120},
        "clock": {"claimed_ahead_s": 300, "limit_s": 120},
    }


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


@pytest.mark.parametrize(
    ("metres", "seconds_later", "expected"),
    [(85.0, 0, 85.0), (85.0, 300, 85.0), (85.0, -300, 85.0), (85.0, 300.1, None), (0, 0, 0)],
)
def test_the_machine_is_evidence_where_it_was_seen_at_about_that_time(
    metres, seconds_later, expected
):
    fix = Position(before(5), LON, LAT, 8)
    machine = away(metres, before(5 - seconds_later))
    claim = Claim("out", before(2), fix)
    verdict = judge_punch(claim, [], Evidence(RECEIVED_US, "rest", machine=machine))
    assert verdict.machine_distance_m == (
        None if expected is None else pytest.approx(expected, abs=1e-6)
    )
    blind = Claim("out", before(2), None)
    without_fix = judge_punch(blind, [], Evidence(RECEIVED_US, "rest", machine=machine))
    assert without_fix.machine_distance_m is None


@given(
    distances_m=st.lists(st.floats(-500, 500), max_size=4),
    accuracy_m=st.none() | st.floats(0, 300),
    fix_age_s=st.integers(-400, 400),
    delay_s=st.integers(-400, 400),
    mock=st.booleans(),
    tolerance_m=st.floats(0, 100),
)
def test_the_verdict_is_that_of_the_rules_said_in_one_sentence(
    distances_m, accuracy_m, fix_age_s, delay_s, mock, tolerance_m
):
    claim = Claim("in", before(delay_s), Position(before(fix_age_s), LON, LAT, accuracy_m), mock)
    sites = [Site(UUID(int=i), distance_m) for i, distance_m in enumerate(distances_m)]
    rules = PunchRules(tolerance_m=tolerance_m)
    found = judge_punch(claim, sites, Evidence(RECEIVED_US, "rest"), rules)
    known = accuracy_m is not None
    inside = known and any(d + accuracy_m <= tolerance_m for d in distances_m)
    outside = known and bool(sites) and all(d - accuracy_m > tolerance_m for d in distances_m)
    in_time = abs(fix_age_s) <= 120 and abs(delay_s) <= 120
    expected = "unverified"
    if inside and in_time:
        expected = "verified"
    if outside or mock:
        expected = "failed"
    assert found.verdict == expected
    assert in_time == (not {"stale", "clock", "offline"} & {r.rule for r in found.reasons})


@given(
    distances_m=st.lists(st.floats(-500, 500), min_size=1, max_size=6),
    accuracy_m=st.floats(0, 300),
)
def test_of_several_sites_the_best_verdict_counts(distances_m, accuracy_m):
    claim = Claim("in", before(1), Position(before(1), LON, LAT, accuracy_m))
    evidence = Evidence(RECEIVED_US, "rest")
    sites = [Site(UUID(int=i), distance_m) for i, distance_m in enumerate(distances_m)]
    together = judge_punch(claim, sites, evidence)
    alone = [judge_punch(claim, [site], evidence) for site in sites]
    assert together.verdict == max((v.verdict for v in alone), key=WORST_FIRST.index)
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
        (0, 0, math.nan),
        (0, 0, math.inf),
    ],
)
def test_numbers_that_no_position_has_are_refused(lon, lat, accuracy_m):
    with pytest.raises(ValueError, match="must be"):
        Position(0, lon, lat, accuracy_m)


def test_the_page_has_the_rules_of_the_code():
    lines = PAGE[PAGE.index("| reason |") :].splitlines()[2:]
    table = [line.strip("|").split("|") for line in lines[: lines.index("")]]
    assert {reason.strip(" `"): worth.strip() for reason, worth, _ in table} == RULES


def test_the_example_prints_what_the_page_says(capsys):
    example = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    printed = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    assert printed is not None
    exec(compile(example[1], "docs/punches.md", "exec"), {})
    assert capsys.readouterr().out == printed[1]
