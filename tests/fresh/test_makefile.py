"""What the Makefile's targets set up first, and what `make` says where it cannot set up .venv."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOBODY = 65534
ALL_OF_THE_LOCK_FILE = "--require-hashes requirements.lock"


def make(folder: Path, target: str, *before: str, mode: int = 0o755, **variables: str) -> list[str]:
    """Make a target in another folder, which fails; return what is said. mode: of the folder."""
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    folder.chmod(mode)
    # `make test` runs this: its `make` is not ours.
    outer = {name: text for name, text in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        [
            *before,
            "make",
            "--no-print-directory",
            "--silent",
            "VENV=.venv",
            f"PYTHON={sys.executable}",
            target,
        ],
        cwd=folder,
        env=outer | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    *said, of_make = done.stderr.splitlines()
    assert of_make.startswith("make: ***")
    return said


def test_a_folder_that_cannot_be_written_is_named(readable_folder: Path) -> None:
    user = ["setpriv", f"--reuid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    (said,) = make(readable_folder, ".venv/bin/pip", *user, mode=0o555)
    assert said.startswith(f"{readable_folder} cannot be written")


def test_without_a_network_it_says_what_is_needed(tmp_path: Path) -> None:
    pip = tmp_path / ".venv" / "bin" / "pip"
    pip.parent.mkdir(parents=True)
    pip.write_text(f'#!/bin/sh\nexec {sys.executable} -m pip "$@"\n')
    pip.chmod(0o755)
    (said,) = make(
        tmp_path,
        ".venv/bin/uv",
        PIP_INDEX_URL="http://127.0.0.1:1/simple",
        PIP_CONFIG_FILE=os.devnull,
        PIP_TARGET=str(tmp_path / "packages"),  # for it has uv already where it runs
    )
    assert "a network is needed, or a mirror that PIP_INDEX_URL names" in said


@pytest.mark.parametrize(
    ("target", "needs_tools"), [("demo", False), ("test", True), ("check", True), ("bench", True)]
)
def test_only_targets_of_developers_install_their_tools(target: str, needs_tools: bool) -> None:
    commands = dry_run(target)
    assert "--constraints requirements.lock --editable ." in commands
    assert (ALL_OF_THE_LOCK_FILE in commands) == needs_tools


@pytest.mark.parametrize(("tests", "needs_checkers"), [("", True), ("every_python", False)])
def test_what_runs_on_each_python_needs_no_external_checkers(
    tests: str, needs_checkers: bool
) -> None:
    commands = dry_run("test-python", f"PYTHON={sys.executable}", f"TESTS={tests}")
    assert ALL_OF_THE_LOCK_FILE in commands
    assert ("requirements-tools.lock" in commands) == needs_checkers


def dry_run(*arguments: str) -> str:
    """Return the commands that would make a target where nothing is there yet."""
    command = ["make", "--dry-run", "--always-make", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout
