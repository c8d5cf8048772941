"""Machine code that is kept belongs to everything that it calls."""

import subprocess
import sys
from pathlib import Path

OUTER = """
from geofence.compiled import compiled
from called import inner

@compiled
def outer(number: int) -> int:
    return between(number) + 1

@compiled
def between(number: int) -> int:
    return inner(number)
"""
INNER = """
from geofence.compiled import bare

@bare
def inner(number: int) -> int:
    return number * {factor}
"""


def ran(folder: Path) -> str:
    program = "from kept import outer; print(outer(5), 'kept' if outer._cache_hits else 'made')"
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    return shown.stdout


def test_code_is_kept_and_made_anew_when_a_function_that_it_calls_is_another(tmp_path):
    (tmp_path / "kept.py").write_text(OUTER)
    (tmp_path / "called.py").write_text(INNER.format(factor=2))
    assert ran(tmp_path) == "11 made\n"
    assert ran(tmp_path) == "11 kept\n"
    (tmp_path / "called.py").write_text(INNER.format(factor=3))
    assert ran(tmp_path) == "16 made\n"
