"""Every module of ours can be imported by the Python that runs the tests. pytest itself imports
those of the tests.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_documents import PACKAGES

pytestmark = pytest.mark.every_python

ROOT = Path(__file__).parents[3]
PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}")
"""


def modules() -> list[str]:
    """Return the names of all modules of the packages in the code map."""
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in PACKAGES - {"tests"}
        for path in (ROOT / package).rglob("*.py")
    )


def test_every_module_can_be_imported() -> None:
    assert len(modules()) > 500
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *modules()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == []
