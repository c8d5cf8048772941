"""Settings with a former name are read, warned about, and named nowhere else."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.former_settings import TODAYS_NAMES, rename_former
from stack.servers.settings import known_variables
from tests.service.test_wrong_settings import GOOD, MAINS
from tests.test_documents import rows_under, settings_page

ROOT = Path(__file__).parents[2]
STARTS = """
import os
from ingest.settings import IngestSettings
from service.start import read_settings

for _ in range(2):
    print(read_settings(IngestSettings).link_secret.get_secret_value())
print(*[name for name in os.environ if "C_LINK_" in name])
"""


@pytest.mark.parametrize(
    ("given", "variables", "faults"),
    [
        ({"OPSC_LINK_KEY": "a"}, {"OPSC_LINK_SECRET": "a"}, 0),
        ({"OPSC_LINK_KEY": "a", "OPSC_LINK_SECRET": "a"}, {"OPSC_LINK_SECRET": "a"}, 0),
        ({"OPSC_LINK_KEY": "a", "OPSC_LINK_SECRET": "b"}, {"OPSC_LINK_SECRET": "b"}, 1),
        ({"OPSC_LINK_KEY": "a", "OPSC_LINK_SECRET": ""}, {"OPSC_LINK_SECRET": ""}, 1),
    ],
)
def test_a_former_name_gives_way_to_that_of_today(
    given: dict[str, str], variables: dict[str, str], faults: int
) -> None:
    former = rename_former(given)
    assert given == variables
    assert former.todays == {"OPSC_LINK_KEY": "OPSC_LINK_SECRET"}
    assert len(former.faults) == faults


def test_variables_of_today_and_of_others_stay() -> None:
    given = {"OPSC_LINK_SECRET": "a", "LINK_KEY": "b", "PATH": "c"}
    before = dict(given)
    assert rename_former(given) == ({}, [])
    assert given == before


def test_a_role_reads_a_former_name_and_warns_of_it_once() -> None:
    own = {"OPSC_INGEST_LINK": "tcp://127.0.0.1:9110", "OPSC_LINK_KEY": "shared"}
    said = subprocess.run(
        [sys.executable, "-c", STARTS],
        env={"PATH": os.environ["PATH"], **GOOD, **own},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.splitlines() == ["shared", "shared", "OPSC_LINK_SECRET"]
    [line] = map(json.loads, said.stderr.splitlines())
    assert (line["level"], line["event"]) == ("warning", "setting has a former name")
    assert (line["variable"], line["use"]) == ("OPSC_LINK_KEY", "OPSC_LINK_SECRET")


@pytest.mark.parametrize("role", MAINS)
def test_two_values_for_one_setting_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], role: str
) -> None:
    both = {"OPSC_LINK_KEY": "Sw0rdfish", "OPSC_LINK_SECRET": "another"}
    monkeypatch.setattr(os, "environ", GOOD | both)
    assert MAINS[role]() == 2
    output = capsys.readouterr()
    assert output.err == (
        "OPSC_LINK_SECRET and OPSC_LINK_KEY, its former name: have different values\n"
    )


def test_a_value_that_is_refused_is_told_with_both_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", GOOD | {"OPSC_API_WORKERS": "0"})
    assert MAINS["api"]() == 2
    assert capsys.readouterr().err.splitlines() == [
        "OPSC_API_PROCESSES: must be greater than or equal to 1, not '0'",
        "OPSC_API_WORKERS is called OPSC_API_PROCESSES now",
    ]


def test_names_of_today_exist_and_former_ones_do_not() -> None:
    assert set(TODAYS_NAMES.values()) <= known_variables()
    assert not TODAYS_NAMES.keys() & known_variables()


def test_the_page_has_every_former_name() -> None:
    assert dict(rows_under("## Former names", settings_page)) == {
        f"`{former}`": f"`{name}`" for former, name in TODAYS_NAMES.items()
    }


def texts() -> Iterator[tuple[str, str]]:
    """Yield what users and operators read or copy."""
    for folder in ("deploy", "docs", "examples", "benchmarks"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".md", ".yaml", ".yml", ".conf", ".service", ".py", ".sh"}:
                yield str(path.relative_to(ROOT)), path.read_text()


def test_nothing_else_names_a_former_name() -> None:
    naming = {
        path for path, text in texts() if set(re.findall(r"\bOPSC_\w+", text)) & TODAYS_NAMES.keys()
    }
    # A file of passwords that was made before goes on with its former name.
    assert naming == {"docs/settings.md", "deploy/compose.yaml"}
