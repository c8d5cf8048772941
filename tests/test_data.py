"""Tests that go without their data say so where nobody overlooks it."""

import os
import subprocess
import sys
from pathlib import Path

NEEDS_DATA = "tests/geofence/test_truth.py::test_every_truth_in_the_folder_is_compared"


def test_the_last_line_says_which_data_was_not_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--numprocesses", "1", NEEDS_DATA],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"OPSC_TEST_DATA": str(tmp_path / "nowhere")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == (
        "NOT TESTED (1 skipped): without real traces and zones (OPSC_TEST_DATA names their folder)"
    )
