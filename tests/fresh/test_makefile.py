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


def copy_makefile(folder: Path) -> None:
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, folder)


def make(folder: Path, target: str, *before: str, **variables: str) -> list[str]:
    """Make a target in a folder with a Makefile, which fails; return what is said."""
    of_ours = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")  # where `make test` runs us
    own = {name: text for name, text in os.environ.items() if name not in of_ours}
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
        env=own | variables,
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
    copy_makefile(readable_folder)
    readable_folder.chmod(0o555)
    (said,) = make(readable_folder, ".venv/bin/pip", *user)
    assert said.startswith(f"{readable_folder} cannot be written")


def test_without_a_network_it_says_what_is_needed(tmp_path: Path) -> None:
    copy_makefile(tmp_path)
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
    command = ["make", "--dry-run", "--always-make", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--constraints requirements.lock --editable ." in done.stdout
    assert (ALL_OF_THE_LOCK_FILE in done.stdout) == needs_tools
