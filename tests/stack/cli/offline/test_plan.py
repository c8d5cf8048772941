"""`opsc plan`: what it prints, and what it refuses."""

import json

import pytest
from typer.testing import CliRunner

from stack.cli.main import build
from stack.sizing.figures import shipped

FLEET = ("--trackers", "1000", "--interval", "10")
NAMES = ["listener", "ingest", "deliver", "api", "postgresql"]


def called(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(build("plan"), ["plan", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result.output


def test_a_fleet_gets_a_line_for_each_process_and_one_for_each_measurement() -> None:
    lines = called(*FLEET).splitlines()
    assert lines[0] == (
        "1,000 trackers with a fix every 10 s, 1,000 zones: 100.0 fixes/s in 100.0 messages/s"
    )
    first_words = [line.split()[0] for line in lines if line]
    assert first_words[2:8] == [*NAMES, "all"]
    assert "machine      2 cores, 4 GiB" in "\n".join(lines)
    assert "not measured" not in "\n".join(lines)
    ages = [line for line in lines if "days ago, at commit" in line]
    assert len(ages) == len(shipped().sources)


def test_json_has_the_same_with_the_files_of_the_figures() -> None:
    found = json.loads(called(*FLEET, "--fixes-per-message", "10", "--json"))
    assert found["fleet"]["fixes_per_message"] == 10
    assert found["messages_per_s"] == 10
    assert list(found["processes"]) == NAMES
    assert found["cores"] == pytest.approx(
        sum(process["cores"] for process in found["processes"].values())
    )
    assert found["machine"] == {"cores": 2, "memory_gib": 4}
    assert found["not_measured"] == []
    assert {source["file"].partition("-20")[0] for source in found["figures"].values()} >= {
        "end-to-end",
        "costs-json",
    }


def test_beyond_what_was_measured_it_says_why_and_gives_no_number() -> None:
    beyond = ("--trackers", "1000000", "--interval", "1")
    text = called(*beyond)
    assert "listener      not measured  not measured   100 processes" in text
    assert "machine      not measured" in text
    assert "not measured 1,000,000 messages/s of this size: up to " in text
    found = json.loads(called(*beyond, "--json"))
    assert found["cores"] is None
    assert found["machine"] is None
    assert len(found["not_measured"]) == 4
    assert found["disk"]["live"] > 1e12


def test_an_archive_has_a_line_of_its_own() -> None:
    text = called(*FLEET, "--retention-days", "400", "--archive-after-days", "31")
    assert "\narchive      " in text
    assert "after 400 days" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--trackers", "0", "--interval", "10"), "Input should be greater than or equal to 1"),
        (("--trackers", "5", "--interval", "0"), "0 is not from 0.001 to 86400 seconds"),
        (("--trackers", "5", "--interval", "nan"), "nan is not from 0.001 to 86400 seconds"),
        (("--trackers", "5", "--interval", "1e9"), "is not from 0.001 to 86400 seconds"),
        (("--trackers", "5"), "Missing option '--interval'"),
        ((*FLEET, "--fixes-per-message", "0"), "Input should be greater than or equal to 1"),
        ((*FLEET, "--zones", "-1"), "Input should be greater than or equal to 0"),
        ((*FLEET, "--archive-after-days", "30"), "Input should be greater than or equal to 31"),
        (
            (*FLEET, "--retention-days", "60", "--archive-after-days", "60"),
            "fixes are kept for 60 days, so nothing would be archived after 60",
        ),
    ],
)
def test_nonsense_is_refused_with_what_would_be_right(
    arguments: tuple[str, ...], said: str
) -> None:
    assert said in called(*arguments, code=2)
