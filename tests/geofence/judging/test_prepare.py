"""What is compiled ahead of time is told."""

import io
import re
import subprocess
import sys
from pathlib import Path

from geofence.geometry.distance import signed_distance_m
from geofence.geometry.geodesic import geodesic_m
from geofence.judging.warmup import LINES, QUIET_S, Report
from geofence.kernel.compiled import all_called

ROOT = Path(__file__).parents[3]


def test_what_is_compiled_already_is_said_to_be() -> None:
    for _ in range(2):
        command = [sys.executable, "-m", "geofence.judging.warmup"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == "the geofence engine is compiled already: nothing to do\n"


def test_progress_is_a_few_lines_where_nobody_has_a_terminal() -> None:
    said = io.StringIO()
    report = Report(said)
    for done in range(1, 133):
        report.step(done, 132)
    report.end()
    first, *steps, last = said.getvalue().splitlines()
    assert "one to four minutes" in first
    assert len(steps) == LINES
    assert re.findall(r"\d+", steps[0]) == ["16", "132"]
    assert last == "the geofence engine is compiled"


def test_a_function_that_takes_long_is_not_waited_for_in_silence() -> None:
    said = io.StringIO()
    report = Report(said)
    report.second()  # nothing is compiled: there may be nothing to do
    assert said.getvalue() == ""
    report.step(1, 145)
    for _ in range(2 * QUIET_S):
        report.second()
    assert said.getvalue().splitlines()[1:] == [
        "  1 of 145 functions after 10 s",
        "  1 of 145 functions after 20 s",
    ]


def test_all_functions_that_compiled_code_calls_are_known() -> None:
    called = all_called(signed_distance_m)
    assert {signed_distance_m.py_func, geodesic_m.py_func} <= called
    assert all_called(geodesic_m) < called


EVERYTHING = """
from importlib import import_module
from pkgutil import walk_packages

import geofence
from geofence.judging.warmup import prepare

prepare()
for found in walk_packages(geofence.__path__, "geofence."):
    for name, value in vars(import_module(found.name)).items():
        from_python = hasattr(value, "py_func") and "no_cpython_wrapper" not in value.targetoptions
        if from_python and value.py_func.__module__ == found.name and not value.signatures:
            print(name)
"""
# What only tests and benchmarks call from Python.
OF_TESTS = {
    "_inside",
    "edge_distance_pairs_m",
    "geodesics_m",
    "meets_pairs",
    "signed_distance_pairs_m",
    "within_pairs_m",
}


def test_nothing_that_the_programs_call_is_left_to_be_compiled() -> None:
    command = [sys.executable, "-c", EVERYTHING]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == OF_TESTS
