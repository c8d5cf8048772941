"""The order of tests, and the worker that runs them: whole files, the longest first.

Tests of a file share a database, so one worker runs them, one after the other. Files that use the
shared system belong to one worker all together, and those that run systems of their own to another:
no more than two whole systems run at once. The hooks are for `conftest.py`.

pytest-xdist has groups of its own (`--dist loadgroup`), which pytest 9.2 ignores without a word.
"""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[2]
DURATIONS_S: dict[str, float] = json.loads(
    Path(__file__).with_name("durations.json").read_text(encoding="utf-8")
)
"""By file, written by `python -m tests.scheduling.durations`."""

SHARED_SYSTEM, OWN_SYSTEMS = "the shared system", "systems of their own"
MARK = "pytest.mark.acceptance"
SHARED_FIXTURE = "installation: Installation"


def group_of(nodeid: str) -> str:
    """Return the group of a test or file."""
    return _group_of_file(nodeid.partition("::")[0])


@cache
def _group_of_file(file: str) -> str:
    """Return its group, from its text: who hands out the work has not imported it."""
    text = (ROOT / file).read_text(encoding="utf-8")
    if MARK not in text:
        return file
    return SHARED_SYSTEM if SHARED_FIXTURE in text else OWN_SYSTEMS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes longest first."""
    seconds: dict[str, float] = defaultdict(float)
    for file in {item.nodeid.partition("::")[0] for item in items}:
        seconds[group_of(file)] += DURATIONS_S.get(file, 0.0)
    group = {item: group_of(item.nodeid) for item in items}
    items.sort(key=lambda item: (-seconds[group[item]], group[item]))


class FileScheduling(LoadScopeScheduling):
    """A scheduler that gives each worker a group at a time, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling:
    """Hand out the files in their order, and not by their numbers of tests."""
    config.option.loadscopereorder = False
    return FileScheduling(config, log)
