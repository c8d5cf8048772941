"""docs/replay.md says what `opsc replay` does."""

import dataclasses
import inspect
import re
from pathlib import Path

from geofence.model.policy import DEFAULT_ALERTS, DEFAULT_KIND, Policy
from geofence.model.rules import MAX_ACCURACY_M, MAX_SPEED_MPS, Rules
from geofence.model.transitions import Transition
from stack.cli.offline.replay import replay
from stack.replay.input.trace_file import TRACE_SUFFIXES
from stack.replay.input.trace_rows import TRACE_DTYPE
from stack.replay.output.formats import COLUMNS
from stack.replay.output.map_page import MAX_ZONES
from stack.replay.output.map_sample import MAX_POINTS, MAX_TRANSITIONS
from telemetry.traces.trace import COLUMNS as TRACE_COLUMNS
from tests.data import rows_after
from tests.stack.cli.options import help_of

PAGE = (Path(__file__).parents[3] / "docs" / "replay.md").read_text()
RULES = {field.name: field.default for field in dataclasses.fields(Rules)}


def test_every_option_says_what_it_does_and_the_page_names_no_other():
    options = help_of(replay)
    assert [name for name, said in options.items() if not said] == []
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= options.keys()


def test_every_rule_is_an_option_with_the_same_default():
    parameters = inspect.signature(replay).parameters
    assert {name: parameters[name].default for name in RULES} == RULES
    assert parameters["max_speed_mps"].default == MAX_SPEED_MPS
    assert parameters["max_accuracy_m"].default == MAX_ACCURACY_M


def test_the_formats_and_columns_of_traces_are_on_the_page():
    assert [row[0] for row in rows_after("| suffix | what is in it |", PAGE)] == list(
        TRACE_SUFFIXES
    )
    assert [row[0] for row in rows_after("| column | unit | |", PAGE)] == list(TRACE_COLUMNS)


def test_the_columns_of_transitions_are_on_the_page():
    assert [row[0] for row in rows_after("| column | |", PAGE)] == list(COLUMNS)


def test_the_bounds_on_the_page_are_those_of_the_code():
    assert f"{TRACE_DTYPE.itemsize} bytes a fix" in PAGE
    most = f"{MAX_POINTS:,} fixes, {MAX_TRANSITIONS:,} transitions and {MAX_ZONES:,} zones"
    assert most in PAGE


def test_the_properties_that_decide_what_is_told_are_on_the_page():
    rows = {row[0]: row for row in rows_after("| property | default | |", PAGE)}
    assert set(rows) == {field.name for field in dataclasses.fields(Policy)} | {"assets"}
    assert rows["kind"][1] == DEFAULT_KIND
    for kind in DEFAULT_ALERTS:
        assert kind in rows["kind"][2]
    for transition in Transition:
        assert transition == Transition.NONE or f"`{transition.name.lower()}`" in PAGE
