"""What the API is asked, and what is made of the figures."""

import json
from datetime import UTC, datetime

from benchmarks.api import report as api_report
from benchmarks.api.operations import operations
from benchmarks.api.parts import Figure
from benchmarks.api.rows import History

ASKED = operations(History(1, datetime(2026, 1, 31, tzinfo=UTC)), 100, 10)


def _figure(per_s: float) -> Figure:
    return Figure(per_s, 10_000, 500, 100, 90, 40, 1.0, 2.0, 5_000)


def test_goals_speak_of_operations_that_exist() -> None:
    assert api_report.GOALS.keys() == api_report.MOONSHOTS.keys() <= {one.name for one in ASKED}


def test_what_is_compared_with_assets_exists_and_is_compared_in_its_round() -> None:
    names = {one.name for one in ASKED}
    assert names >= set(api_report.AGAINST) | set(api_report.AGAINST.values())
    rounds = [{"list": _figure(600), "x": _figure(500)}, {"list": _figure(900), "x": _figure(300)}]
    assert api_report.against(rounds, "x", "list").values == [1.2, 3.0]


def test_every_operation_has_a_name_and_targets_of_its_own() -> None:
    assert len({one.path for one in ASKED}) == len(ASKED)
    assert all(target.startswith("/v1/") for one in ASKED for target in one.targets)


def test_the_result_file_holds_the_ratio_of_each_round() -> None:
    rounds = [{"list": _figure(500)}, {"list": _figure(700)}, {"list": _figure(800)}]
    result = json.loads(json.dumps(api_report.result({1: rounds}, {"commit": "abc"})))
    assert result["commit"] == "abc"
    assert result["goals"]["list"] == {"goal": 0.06, "moonshot": 0.1}
    ratio = result["figures"]["1 workers"]["list"]["ratio"]
    assert ratio["values"] == [0.05, 0.07, 0.08]
    assert ratio["median"] == 0.07
