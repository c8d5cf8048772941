"""Every module of ours is compiled and imported by the Python that runs the tests, with nothing in
it that a later one takes away. pytest itself imports those of the tests.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.pythons import ORIGINS
from tests.test_documents import PACKAGES

pytestmark = pytest.mark.every_python

ROOT = Path(__file__).parents[3]
PROGRAM = """
import importlib, sys, warnings
from pathlib import Path
warnings.simplefilter("error", SyntaxWarning)
for name in sys.argv[1:]:
    try:
        module = importlib.import_module(name)
        compile(Path(module.__file__).read_text(), module.__file__, "exec")
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}")
"""
DEPRECATIONS = ("-W", "error::DeprecationWarning", "-W", "error::PendingDeprecationWarning")


def modules() -> list[str]:
    """Return the names of all modules of the packages in the code map."""
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in PACKAGES - {"tests"}
        for path in (ROOT / package).rglob("*.py")
    )


def test_the_oldest_and_the_newest_python_are_tried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    supported = [
        version
        for classifier in project["classifiers"]
        if (version := classifier.rpartition("Python :: ")[2]).startswith("3.")
    ]
    assert list(ORIGINS) == [supported[0], supported[-1]]
    assert project["requires-python"] == f">={supported[0]}"


def test_every_module_can_be_imported() -> None:
    assert len(modules()) > 500
    done = subprocess.run(
        [sys.executable, *DEPRECATIONS, "-c", PROGRAM, *modules()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == []
