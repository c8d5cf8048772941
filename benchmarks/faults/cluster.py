"""Three PostgreSQL under Patroni, with three etcd, on loopback: what a fail-over is tried with.

    python -m benchmarks.faults.cluster

fetches their programs where the system has none, and says so.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql

from stack.host.process import Process
from stack.host.programs import provision
from stack.servers.cluster.etcd import etcd_program
from stack.servers.cluster.machines import DATABASE, PostgresCluster
from stack.servers.cluster.patroni import Machine, find_patroni, patroni


def why_no_cluster() -> str | None:
    """Explain why there is no Patroni; None where there is."""
    return None if find_patroni() else "Patroni is fetched by `make faults CLUSTER=1`"


class FragileMachine:
    """A machine in our own hands: whatever ends is not started again by anybody but Patroni."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._patroni: Process | None = None

    def start(self) -> None:
        self._patroni = Process(self._machine.command)

    @property
    def leads(self) -> bool:
        return self._machine.leads

    def kill_postgres(self) -> None:
        """kill -9 of PostgreSQL alone; Patroni starts it again."""
        os.kill(self._machine.postgres_pid(), signal.SIGKILL)

    def kill(self) -> None:
        """kill -9 of both."""
        assert self._patroni is not None
        pid = self._machine.postgres_pid()
        self._patroni.kill()
        os.kill(pid, signal.SIGKILL)

    def freeze(self) -> None:
        """Let both do nothing; what is sent to them is taken by the kernel, and not answered."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def stop(self) -> None:
        if self._patroni is not None:
            with suppress(OSError, ValueError):
                self.thaw()
            self._patroni.stop()
        with suppress(OSError, ValueError):  # of a Patroni that was killed
            os.kill(self._machine.postgres_pid(), signal.SIGQUIT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._patroni is not None
        self._patroni.signal(number)
        for pid in _with_children(self._machine.postgres_pid()):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


class Cluster:
    """The machines, and the etcd that they agree by."""

    def __init__(self, cluster: PostgresCluster) -> None:
        self._cluster = cluster
        self.machines: Sequence[FragileMachine] = [
            FragileMachine(machine) for machine in cluster.machines
        ]
        self.etcd: list[Process] = []
        self.url = cluster.url

    def leader(self) -> FragileMachine | None:
        """Return the machine that can be written to, as it says itself."""
        return next((one for one in self.machines if one.leads), None)

    async def whole(self) -> None:
        """Wait until one leads, and all others follow it. Raises StackError."""
        await self._cluster.until(self._cluster.is_whole)


@asynccontextmanager
async def running_cluster(folder: Path) -> AsyncIterator[Cluster]:
    """Provide a cluster below a folder, whole; all of it has ended with the block."""
    made = await asyncio.to_thread(
        PostgresCluster, folder, lambda name: folder.parent / "log" / f"{name}.log"
    )
    cluster = Cluster(made)
    try:
        cluster.etcd += [Process(command) for command in made.etcd]
        for machine in cluster.machines:
            machine.start()
        await cluster.whole()
        await asyncio.to_thread(_make_database, cluster.url("postgres"))
        yield cluster
    finally:
        await asyncio.gather(*(asyncio.to_thread(one.stop) for one in cluster.machines))
        for process in cluster.etcd:
            process.signal(signal.SIGCONT)
            process.stop()


def _make_database(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _with_children(pid: int) -> list[int]:
    """Return a process and all below it."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += _with_children(int(child))
    return found


if __name__ == "__main__":
    provision()
    etcd_program()
    patroni()
