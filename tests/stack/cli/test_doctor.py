"""`opsc doctor`: what is in the way is found, and named with what to do."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

import stack.servers.checks
from service.former_settings import TODAYS_NAMES
from stack.cli.main import build
from stack.servers.checks import Finding, examine
from stack.servers.settings import known_variables
from tests.stack.command import opsc

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's own settings alone."""
    for name in (*known_variables(), *TODAYS_NAMES):
        monkeypatch.delenv(name, raising=False)


def found(data_dir: Path, subject: str) -> list[Finding]:
    return [finding for finding in examine(data_dir) if finding.subject == subject]


def test_the_known_variables_are_the_documented_ones() -> None:
    page = PAGE.read_text().partition("## Former names")[0]
    assert known_variables() == set(re.findall(r"\bOPSC_[A-Z0-9_]*[A-Z0-9]\b", page))


def test_everything_is_looked_at(tmp_path: Path) -> None:
    subjects = {finding.subject for finding in examine(tmp_path)}
    assert subjects == {
        "versions", "servers", "data folder", "disk", "memory", "open files", "clock", "ports",
        "settings",
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_variable_that_nothing_reads_has_its_near_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    misspelt = "OPSC_API_PORT".replace("PORT", "PRT")
    monkeypatch.setenv(misspelt, "8000")
    (finding,) = found(tmp_path, "settings")
    assert finding.level == "warning"
    assert misspelt in finding.text
    assert finding.advice == "did you mean OPSC_API_PORT?"


def test_a_former_name_is_a_warning_and_its_value_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "environ", {"OPSC_API_WORKERS": "zero", "OPSC_LOG_LEVEL": "info"})
    warning, fault = found(tmp_path, "settings")
    assert warning == Finding(
        "warning",
        "settings",
        "OPSC_API_WORKERS is called OPSC_API_PROCESSES now",
        "rename it: the former name is read until 1.0",
    )
    assert fault.level == "fault"
    assert fault.text.startswith("OPSC_API_PROCESSES: must be a valid integer")


def test_up_says_which_name_is_a_former_one(tmp_path: Path) -> None:
    said = opsc("up", "--data", tmp_path, OPSC_API_WORKERS="zero")
    assert said.returncode == 2
    assert "OPSC_API_WORKERS is called OPSC_API_PROCESSES now" in said.stderr
    assert "opsc: OPSC_API_PROCESSES: must be a valid integer" in said.stderr


def test_up_starts_nothing_with_two_values_for_one_setting(tmp_path: Path) -> None:
    said = opsc("up", "--data", tmp_path, OPSC_API_WORKERS="2", OPSC_API_PROCESSES="3")
    assert said.returncode == 2
    assert "opsc: OPSC_API_PROCESSES and OPSC_API_WORKERS, its former name: have" in said.stderr
    assert not (tmp_path / "postgres").exists()


def test_a_setting_that_a_role_refuses_is_a_fault_told_once_and_without_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPSC_API_PROCESSES", "zero")
    monkeypatch.setenv("OPSC_LOG_LEVEL", "loud")  # of all three roles
    monkeypatch.setenv("OPSC_SECRET_KEY", "hidden")
    faults = found(tmp_path, "settings")
    assert {finding.level for finding in faults} == {"fault"}
    assert sorted(finding.text.partition(":")[0] for finding in faults) == [
        "OPSC_API_PROCESSES",
        "OPSC_LOG_LEVEL",
        "OPSC_SECRET_KEY",
    ]
    assert "hidden" not in str(faults)


def test_up_starts_nothing_with_a_setting_that_a_role_refuses(tmp_path: Path) -> None:
    said = opsc("up", "--data", tmp_path, OPSC_API_PROCESSES="zero")
    assert said.returncode == 2
    assert said.stderr.startswith("opsc: OPSC_API_PROCESSES: must be a valid integer")
    assert not (tmp_path / "postgres").exists()


def test_a_port_that_a_setting_names_and_somebody_holds_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        monkeypatch.setenv("OPSC_API_PORT", port)
        result = CliRunner().invoke(build("doctor"), ["doctor", "--data", str(tmp_path), "--json"])
    assert result.exit_code == 1
    faults = [each for each in json.loads(result.stdout) if each["level"] == "fault"]
    assert [fault["subject"] for fault in faults] == ["ports"]
    assert f"OPSC_API_PORT: {port} is taken by" in faults[0]["text"]


def test_a_folder_of_others_and_little_room_are_faults(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "thesis.odt").touch()
    monkeypatch.setattr(stack.servers.checks, "NO_DISK_BYTES", 2**60)
    monkeypatch.setattr(stack.servers.checks, "LITTLE_DISK_BYTES", 2**61)
    for subject in ("data folder", "disk"):
        (finding,) = found(tmp_path, subject)
        assert finding.level == "fault"
        assert finding.advice


def test_a_folder_that_is_not_there_yet_is_good(tmp_path: Path) -> None:
    (finding,) = found(tmp_path / "a" / "b", "data folder")
    assert (finding.level, finding.advice) == ("ok", "")


def test_a_clock_that_is_years_behind_is_a_fault(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(stack.servers.checks.time, "time", lambda: 0.0)
    (finding,) = found(tmp_path, "clock")
    assert finding.level == "fault"
