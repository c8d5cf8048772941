"""`opsc up --cluster 3` as a user tries it: whatever is killed, a verified run comes out well, and
nothing is left behind.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stack.servers.runtime import StackInfo, read_stack
from tests.stack.command import OPSC, Up, opsc, plain_environment, running

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.long,
    pytest.mark.timeout(400),
    pytest.mark.usefixtures("programs"),
]

START_S = 150.0  # Patroni is fetched at the first time
SOON_S = 60.0
SIM_S = 150.0
END_S = 60.0  # PostgreSQL has its time to end in order
_POLL_S = 0.2


class Cluster:
    """A running one."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.up = Up(data_dir, plain_environment(), "--cluster", "3")
        self.up.until_said("\nready;", START_S)

    @property
    def info(self) -> StackInfo:
        return read_stack(self.data_dir)

    def states(self) -> dict[str, dict[str, Any]]:
        """Return what `opsc status` says of each part."""
        said = opsc("status", "--data", self.data_dir, "--json")
        return json.loads(said.stdout)["parts"]

    def whole(self) -> dict[str, dict[str, Any]]:
        """Return the states once all parts are well."""
        return until(lambda: _all_well(self.states()), SOON_S)

    def kill(self, part: str) -> None:
        """kill -9, and wait until it is started again."""
        pid = self.info.parts[part].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self.up.until_said(f"{part} ended (by SIGKILL)")
        self.up.until_said(f"{part} is running again")


def until(what: Callable[[], Any], within_s: float) -> Any:
    """Return what is true, as soon as it is."""
    deadline = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(_POLL_S)
    return found


def _all_well(states: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]] | None:
    return states if all(part["healthy"] for part in states.values()) else None


def who(states: dict[str, dict[str, Any]], kind: str, says: str) -> str:
    """Return the part of a kind that says this of itself."""
    (found,) = [
        name
        for name, part in states.items()
        if name.startswith(f"{kind}-") and part["state"].startswith(says)
    ]
    return found


def processes_of(folder: Path, info: StackInfo) -> set[int]:
    """Return what runs on the folder, and what its parts have started; sessions are their own."""
    sessions = {part.pid for part in info.parts.values()}
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            session = int(stat.read_text().rpartition(") ")[2].split()[3])
            arguments = (stat.parent / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if session in sessions or os.fsencode(folder) in arguments:
            found.add(int(stat.parent.name))
    postgres = {pid for pid in found if _is_postgres(pid)}
    return found | {child for pid in postgres for child in _children(pid)}


def _is_postgres(pid: int) -> bool:
    return Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"


def _children(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def test_whatever_is_killed_goes_on_and_nothing_is_left(data_dir: Path) -> None:
    cluster = Cluster(data_dir)
    states = cluster.whole()
    assert sum(part["state"].startswith("synchronous") for part in states.values()) == 1
    said = data_dir.with_suffix(".sim")
    with said.open("w") as output:
        sim = subprocess.Popen(
            [
                *(OPSC, "sim", "--data", data_dir, "--trackers", "10", "--seconds", "45"),
                *("--rules", "untimed", "--verify", "--keep"),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=plain_environment(),
        )
    until(lambda: "stage sending  connected 10" in said.read_text(), SOON_S)
    leader = who(states, "postgres", "leads")
    (postgres,) = re.findall(r"process (\d+)", states[leader]["state"])
    os.kill(int(postgres), signal.SIGKILL)
    for part in ("rabbit-2", who(states, "ingest", "ok"), "listener-1", "nginx", leader):
        cluster.kill(part)
    assert sim.wait(SIM_S) == 0, said.read_text()
    states = cluster.whole()

    processes = processes_of(data_dir, cluster.info)
    names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in processes}
    assert {"beam.smp", "epmd", "etcd", "postgres", "nginx"} <= names
    cluster.up.end(signal.SIGKILL)
    until(lambda: not running(processes), END_S)

    again = Cluster(data_dir)
    assert "migrating" not in again.up.output
    organizations = opsc("org", "list", "--data", data_dir)
    assert "Simulated run" in organizations.stdout
    processes = processes_of(data_dir, again.info)
    again.up.process.send_signal(signal.SIGINT)
    assert again.up.process.wait(END_S) == 0
    assert not running(processes)
