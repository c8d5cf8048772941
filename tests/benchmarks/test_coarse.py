"""What the figures for coarse positions are made of, and where they stand."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.engine import coarse
from benchmarks.engine.coarse_rules import BEFORE, JUDGES, by_depth, by_engine
from benchmarks.engine.coarse_world import PARKED, STAY_FIXES, VISITED, parked, visiting
from geofence.model.rules import COARSE_DEPTH, COARSE_MARGIN, Rules

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
CENTRE, OUTSIDE, *_ = PARKED


def test_the_page_has_the_tables_of_the_newest_result() -> None:
    page = PAGE.read_text()
    for table in coarse.tables(coarse.newest_result()):
        assert table in page


def test_the_newest_result_is_quiet_where_it_should_be() -> None:
    for row in coarse.newest_result()["parked"]:
        if row["reading"] == "radius" and row["site"] in (CENTRE.name, OUTSIDE.name):
            assert max(row[noise]["now"] for noise in coarse.NOISES) <= 1, row


@pytest.mark.parametrize("noise", coarse.NOISES)
def test_a_parked_device_is_quiet_now_and_was_not_before(noise: coarse.Noise) -> None:
    fixes = parked(CENTRE, 80.0, noise, "radius", (40, 300), seed=1)
    assert coarse.false_events(by_engine(BEFORE)(fixes, CENTRE), CENTRE) > 3
    assert coarse.false_events(by_engine(Rules())(fixes, CENTRE), CENTRE) < 1


@pytest.mark.parametrize("site", [*PARKED, *VISITED], ids=lambda site: site.name)
def test_the_rule_written_out_tells_what_the_engine_tells(site: coarse.Site) -> None:
    written_out = by_depth(COARSE_DEPTH, COARSE_MARGIN)
    no_passing = by_engine(Rules(max_gap_seconds=0))
    for fixes in (
        parked(site, None, "independent", "axis", (20, 100), seed=2),
        visiting(65.0, "walking", "radius", 50, seed=2),
    ):
        told, expected = no_passing(fixes, site), written_out(fixes, site)
        assert np.array_equal(told.events, expected.events)
        assert np.array_equal(told.inside, expected.inside)


def test_errors_hold_what_the_accuracy_promises() -> None:
    for noise in coarse.NOISES:
        for reading, share in zip(coarse.READINGS, (0.68, 1 - np.exp(-0.5)), strict=True):
            fixes = parked(CENTRE, 100.0, noise, reading, (400, 100), seed=3)
            within = np.hypot(fixes.east_m, fixes.north_m) <= 100
            assert within.mean() == pytest.approx(share, abs=0.02)


def test_every_true_visit_is_seen_with_fixes_that_are_exact() -> None:
    for site in VISITED:
        fixes = visiting(1.0, "independent", "radius", 10, seed=4)
        for name, judge in JUDGES.items():
            told = judge(fixes, site)
            assert coarse.missed(told) == 0, name
            assert told.inside.sum(axis=1).max() <= STAY_FIXES + 1, name
