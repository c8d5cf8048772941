"""Where root starts a part without rights, the part has none, whatever root itself has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stack.identity import Capability, has_capability
from stack.role_user import CODE

SHOW = """
import signal, sys
from pathlib import Path
from stack.identity import service_identity
from stack.process import Command, Process

part = Process(Command(
    name="part", argv=["/bin/sh", "-c", "grep -E '^(Cap|NoNewPrivs)' /proc/self/status"],
    log=Path(sys.argv[1]) / "part.log", stop_signals=[], death_signal=signal.SIGKILL,
    identity=service_identity(), has_no_rights=True,
))
part._popen.wait()
assert part.exit_code == 0
"""


def rights(folder: Path, *setpriv: str) -> dict[str, int]:
    """What a part that root starts under `setpriv` finds in /proc/self/status."""
    argv = ["setpriv", *setpriv, sys.executable, "-c", SHOW, str(folder)]
    done = subprocess.run(argv, cwd=CODE, capture_output=True, text=True, check=False)
    log = (folder / "part.log").read_text()
    assert done.returncode == 0, done.stderr + log
    return {name: int(value, 16) for name, value in (line.split(":") for line in log.splitlines())}


@pytest.mark.skipif(
    os.geteuid() != 0 or not has_capability(Capability.SETPCAP), reason="needs all rights of root"
)
@pytest.mark.parametrize("taken", [(), ("--bounding-set=-setpcap",)])
def test_a_part_has_no_rights(tmp_path: Path, taken: tuple[str, ...]) -> None:
    found = rights(tmp_path, *taken)
    assert (found.pop("NoNewPrivs"), bool(found.pop("CapBnd"))) == (1, bool(taken))
    assert set(found.values()) == {0}
