"""What the Makefile's targets set up first: a demo has no need of the tools of developers."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALL_OF_THE_LOCK_FILE = "--require-hashes requirements.lock"


@pytest.mark.parametrize(
    ("target", "needs_tools"), [("demo", False), ("test", True), ("check", True), ("bench", True)]
)
def test_only_targets_of_developers_install_their_tools(target: str, needs_tools: bool) -> None:
    command = ["make", "--dry-run", "--always-make", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--constraints requirements.lock --editable ." in done.stdout
    assert (ALL_OF_THE_LOCK_FILE in done.stdout) == needs_tools
