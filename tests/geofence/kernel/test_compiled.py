"""Machine code that is kept belongs to everything that it calls."""

import os
import subprocess
import sys
from pathlib import Path

OUTER = """
from geofence.kernel.compiled import compiled
from called import inner

@compiled
def outer(number: int) -> int:
    return between(number) + 1

@compiled
def between(number: int) -> int:
    return inner(number)
"""
INNER = """
from geofence.kernel.compiled import bare

@bare
def inner(number: int) -> int:
    return number * {factor}
"""


# As root, who may write everywhere, without that right.
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"] if os.getuid() == 0 else []


def ran(folder: Path, *, number: str = "5", powerless: bool = False) -> str:
    program = (
        f"from kept import outer; print(outer({number}), 'kept' if outer._cache_hits else 'made')"
    )
    shown = subprocess.run(
        [*(POWERLESS if powerless else ()), sys.executable, "-c", program],
        cwd=folder,
        env={
            **os.environ,
            "HOME": "/nonexistent",
            "XDG_CACHE_HOME": "/proc/nowhere",
            # A .pyc is taken for a file that was written in the same second and is as long.
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return shown.stdout


def test_who_cannot_write_uses_what_is_kept_and_makes_the_rest_anew(tmp_path):
    (tmp_path / "kept.py").write_text(OUTER)
    (tmp_path / "called.py").write_text(INNER.format(factor=2))
    tmp_path.chmod(0o555)
    assert ran(tmp_path, powerless=True) == "11 made\n"
    tmp_path.chmod(0o755)
    assert ran(tmp_path) == "11 made\n"
    (tmp_path / "__pycache__").chmod(0o555)
    assert ran(tmp_path, powerless=True) == "11 kept\n"
    assert ran(tmp_path, number="5.5", powerless=True) == "12.0 made\n"
    (tmp_path / "called.py").write_text(INNER.format(factor=3))
    assert ran(tmp_path, powerless=True) == "16 made\n"
    (tmp_path / "__pycache__").chmod(0o755)


def test_code_is_kept_and_made_anew_when_a_function_that_it_calls_is_another(tmp_path):
    (tmp_path / "kept.py").write_text(OUTER)
    (tmp_path / "called.py").write_text(INNER.format(factor=2))
    assert ran(tmp_path) == "11 made\n"
    assert ran(tmp_path) == "11 kept\n"
    (tmp_path / "called.py").write_text(INNER.format(factor=3))
    assert ran(tmp_path) == "16 made\n"
