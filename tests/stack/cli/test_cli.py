"""The `opsc` command as a shell and its user meet it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from stack.cli.main import COMMANDS, build
from tests.stack.command import OPSC, opsc, plain_environment


def completed(line: str) -> list[str]:
    """Return what bash offers at the end of a line."""
    variables = {
        "_OPSC_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(line.count(" ")),
    }
    environment = plain_environment() | variables
    done = subprocess.run([OPSC], capture_output=True, text=True, env=environment, check=False)
    return done.stdout.split()


@pytest.mark.fresh_start
def test_the_version_is_that_of_the_package() -> None:
    assert opsc("--version").stdout == f"opsc {version('ops-companion')} from {sys.prefix}\n"


@pytest.mark.parametrize("called", [[], *([name] for name in COMMANDS), ["org", "create"]])
def test_help_is_there_by_both_names(called: list[str]) -> None:
    app = build(called[0] if called else None)
    short, long = (
        CliRunner().invoke(app, [*called, name], prog_name="opsc") for name in ("-h", "--help")
    )
    assert short.exit_code == 0
    assert "Usage: opsc" in short.stdout
    assert short.stdout == long.stdout


@pytest.mark.parametrize(
    ("arguments", "near"), [(["statsu"], "status"), (["quarantine", "lits"], "list")]
)
def test_a_wrong_command_names_the_near_one(arguments: list[str], near: str) -> None:
    done = opsc(*arguments)
    assert done.returncode == 2
    assert f"Did you mean '{near}'?" in done.stderr


def test_a_full_disk_is_said_in_one_sentence() -> None:
    variables = plain_environment() | {"PYTHONUNBUFFERED": "1"}
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [OPSC, "doctor"], stdout=full, stderr=subprocess.PIPE, env=variables, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith(b"opsc: the disk is full: make room")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("opsc st", "status"),
        ("opsc quarantine re", "release"),
        ("opsc org create --pl", "--plan"),
        ("opsc sim --tr", "--trackers"),
    ],
)
def test_a_shell_completes_commands_and_their_options(line: str, offered: str) -> None:
    assert completed(line) == [offered]


@pytest.mark.fresh_start
def test_a_shell_gets_its_script() -> None:
    """The command finds out by which shell it was called."""
    called = ["bash", "-c", f"{OPSC} --show-completion; true"]
    environment = plain_environment()
    done = subprocess.run(called, capture_output=True, text=True, env=environment, check=True)
    assert "_OPSC_COMPLETE" in done.stdout
