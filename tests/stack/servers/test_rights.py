"""Where root starts a part without rights, the part has none, whatever root itself has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stack.host.os_user import CODE, Capability, has_capability

SHOW = """
import signal, sys
from pathlib import Path
from stack.host.os_user import Capability, service_identity
from stack.host.process import Command, Process

part = Process(Command(
    name="part", argv=["/bin/sh", "-c", "grep -E '^(Cap|NoNewPrivs)' /proc/self/status"],
    log=Path(sys.argv[1]) / "part.log", stop_signals=[], death_signal=signal.SIGKILL,
    identity=service_identity(), has_no_rights=True,
    rights=[Capability[name] for name in sys.argv[2:]],
))
part._popen.wait()
assert part.exit_code == 0
"""


ALL_SETS = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}

needs_all_rights = pytest.mark.skipif(
    os.geteuid() != 0 or not has_capability(Capability.SETPCAP), reason="needs all rights of root"
)


def rights(folder: Path, *setpriv: str, wanted: str = "") -> dict[str, int]:
    """Return what a part that root starts under `setpriv` finds in /proc/self/status."""
    argv = ["setpriv", *setpriv, sys.executable, "-c", SHOW, str(folder), *wanted.split()]
    done = subprocess.run(argv, cwd=CODE, capture_output=True, text=True, check=False)
    log = (folder / "part.log").read_text()
    assert done.returncode == 0, done.stderr + log
    return {name: int(value, 16) for name, value in (line.split(":") for line in log.splitlines())}


@needs_all_rights
@pytest.mark.parametrize("taken", [(), ("--bounding-set=-setpcap",)])
def test_a_part_has_no_rights(tmp_path: Path, taken: tuple[str, ...]) -> None:
    found = rights(tmp_path, *taken)
    assert (found.pop("NoNewPrivs"), bool(found.pop("CapBnd"))) == (1, bool(taken))
    assert set(found.values()) == {0}


@needs_all_rights
def test_a_part_keeps_the_rights_that_it_needs_and_root_has(tmp_path: Path) -> None:
    found = rights(tmp_path, wanted="NET_BIND_SERVICE")
    assert found == dict.fromkeys(ALL_SETS, 1 << Capability.NET_BIND_SERVICE) | {"NoNewPrivs": 1}


@needs_all_rights
def test_a_right_that_root_has_not_is_left_out(tmp_path: Path) -> None:
    found = rights(tmp_path, "--bounding-set=-net_bind_service", wanted="NET_BIND_SERVICE")
    assert found == dict.fromkeys(ALL_SETS, 0) | {"NoNewPrivs": 1}
