"""From rounds to medians, ratios and a result file."""

import json
import platform
import re
from pathlib import Path

import pytest

from benchmarks.common import machine
from benchmarks.pipeline import report
from benchmarks.pipeline.end_to_end import PARTS, parse
from benchmarks.pipeline.parts import Figure


def _round(broker: float, ours: float) -> dict[str, Figure]:
    return {
        "broker-2000x1": Figure(broker, {"broker": 1.0}),
        "listener-1-json-2000x1": Figure(ours, {"ingest": 0.5}, events_per_fix=0.02),
    }


# A machine that halves its speed: the rates spread, the ratios hardly.
ROUNDS = [_round(100_000, 80_000), _round(50_000, 41_000), _round(75_000, 60_000)]


def test_rates_are_medians_with_their_spread() -> None:
    rates = report.rates(ROUNDS)
    assert rates["broker-2000x1"] == report.Spread(
        75_000, 50_000, 100_000, [100_000, 50_000, 75_000]
    )


def test_a_ratio_is_taken_inside_its_round() -> None:
    [(goal, spread)] = report.ratios(ROUNDS)
    assert (goal.part, goal.against) == ("listener-1-json-2000x1", "broker-2000x1")
    assert spread == report.Spread(0.8, 0.8, 0.82, [0.8, 0.82, 0.8])


def test_goals_speak_of_parts_that_exist() -> None:
    assert {goal.part for goal in report.GOALS} | {goal.against for goal in report.GOALS} <= set(
        PARTS
    )


def test_a_result_file_is_named_by_its_day_and_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "RESULTS", tmp_path / "results")
    path = machine.write_result("one", {"commit": "abc"})
    assert re.fullmatch(r"one-\d{4}-\d\d-\d\d-abc\.json", path.name)
    assert json.loads(path.read_text()) == {"commit": "abc"}


def test_each_result_file_says_which_python_was_measured() -> None:
    versions = machine.about({"postgres": "17"})["versions"]
    assert isinstance(versions, dict)
    assert (versions["python"], versions["postgres"]) == (platform.python_version(), "17")


def test_the_result_file_says_what_was_measured_where() -> None:
    about = {"commit": "abc", "configuration": {"zones": 1}}
    result = json.loads(json.dumps(report.result(ROUNDS, about)))
    assert result["commit"] == "abc"
    assert result["parts"]["broker-2000x1"]["unit"] == "messages/s"
    assert result["parts"]["listener-1-json-2000x1"]["values"] == [80_000, 41_000, 60_000]
    assert result["parts"]["listener-1-json-2000x1"]["events_per_fix"] == 0.02
    assert result["ratios"][0]["median"] == 0.8


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--only", "nothing"], ["--zones", "0"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments)
    assert ended.value.code == 2
