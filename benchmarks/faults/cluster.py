"""Three PostgreSQL under Patroni, with three etcd, on loopback: what a fail-over is tried with.

The settings are those of deploy/cluster/patroni.yml. etcd is the system's, else a private copy of
Debian's package; Patroni is of the group `cluster`, in an environment of its own (Makefile).
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from string import Template
from typing import Any

import psycopg
from psycopg import sql

from stack.errors import StackError
from stack.host.os_user import Capability, OsUser, service_identity
from stack.host.process import Command, Process
from stack.host.programs import Programs, provided, provision, servers_dir
from stack.servers.postgres import LOOPBACK, free_port, make_home, write_private

MACHINES = 3
PATRONI = Path(sys.prefix) / "cluster" / "bin" / "patroni"
DATABASE = "opsc"  # one of its own: Patroni needs `postgres`, and ours lets nobody else in
_CONFIGURATION = Path(__file__).parents[2] / "deploy" / "cluster" / "patroni.yml"
_ETCD = "usr/bin/etcd"
_START_S = 90.0


def why_no_cluster() -> str | None:
    """Explain why there is no Patroni; None where there is."""
    return None if PATRONI.exists() else "Patroni is installed by `make faults CLUSTER=1`"


def _found_etcd(roots: Sequence[Path]) -> Path | None:
    return next((root / _ETCD for root in roots if (root / _ETCD).exists()), None)


class Machine:
    """Patroni, and the PostgreSQL that it keeps."""

    def __init__(self, command: Command, data_dir: Path, ports: Mapping[str, int]) -> None:
        self._command, self._data_dir = command, data_dir
        self.rest_port, self.postgres_port = ports["rest"], ports["postgres"]
        self._patroni: Process | None = None

    def start(self) -> None:
        self._patroni = Process(self._command)

    def state(self) -> Mapping[str, Any]:
        """Return what Patroni says of itself; nothing where it does not answer."""
        url = f"http://{LOOPBACK}:{self.rest_port}/patroni"
        try:
            with urllib.request.urlopen(url, timeout=1) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with suppress(ValueError):
                return json.load(error)
        except (urllib.error.URLError, OSError):
            pass
        return {}

    @property
    def leads(self) -> bool:
        state = self.state()
        return state.get("role") == "primary" and state.get("state") == "running"

    def postgres_pid(self) -> int:
        return int((self._data_dir / "postmaster.pid").read_text().split()[0])

    def kill_postgres(self) -> None:
        """kill -9 of PostgreSQL alone; Patroni starts it again."""
        os.kill(self.postgres_pid(), signal.SIGKILL)

    def kill(self) -> None:
        """kill -9 of both."""
        assert self._patroni is not None
        pid = self.postgres_pid()
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
            os.kill(self.postgres_pid(), signal.SIGQUIT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._patroni is not None
        self._patroni.signal(number)
        for pid in _with_children(self.postgres_pid()):
            with suppress(ProcessLookupError):
                os.kill(pid, number)


class Cluster:
    """The machines, and the etcd that they agree by."""

    def __init__(self, machines: Sequence[Machine], etcd: list[Process], password: str) -> None:
        self.machines, self.etcd, self._password = machines, etcd, password

    def url(self, database: str = DATABASE) -> str:
        """Return the superuser's URL, at all addresses."""
        hosts = ",".join(f"{LOOPBACK}:{one.postgres_port}" for one in self.machines)
        login = f"postgres:{self._password}"
        return f"postgresql://{login}@{hosts}/{database}?target_session_attrs=read-write"

    def leader(self) -> Machine | None:
        """Return the machine that can be written to, as it says itself."""
        return next((one for one in self.machines if one.leads), None)

    def is_whole(self) -> bool:
        """Whether one leads, and all others follow it, one of them so that commits wait for it."""
        states = [one.state() for one in self.machines]
        leaders = [state for state in states if state.get("role") == "primary"]
        followers = [
            state
            for state in states
            if state.get("replication_state") == "streaming"
            and [state.get("timeline")] == [leader.get("timeline") for leader in leaders]
        ]
        return (
            [state.get("state") for state in leaders] == ["running"]
            and len(followers) == MACHINES - 1
            and any(state.get("sync_standby") for state in followers)
        )

    async def whole(self) -> None:
        """Wait until it is. Raises StackError."""
        ends_s = time.monotonic() + _START_S
        while not await asyncio.to_thread(self.is_whole):
            if time.monotonic() > ends_s:
                states = [dict(one.state()) for one in self.machines]
                raise StackError(f"the cluster is not whole: {states}")
            await asyncio.sleep(0.2)


@asynccontextmanager
async def running_cluster(folder: Path) -> AsyncIterator[Cluster]:
    """Provide a cluster below a folder, whole; all of it has ended with the block."""
    identity = service_identity()
    make_home(folder, identity)
    programs = await asyncio.to_thread(provision)
    etcd_program = await asyncio.to_thread(
        provided, servers_dir() / "etcd", ("etcd-server",), _found_etcd
    )
    peers, clients = ([free_port(0) for _ in range(MACHINES)] for _ in range(2))
    words = {word: secrets.token_hex(16) for word in ("SUPERUSER", "REPLICATION", "REWIND")}
    machines = [
        _machine(programs, folder, number, clients, words, identity) for number in range(MACHINES)
    ]
    cluster = Cluster(machines, [], words["SUPERUSER"])
    try:
        for number in range(MACHINES):
            command = _etcd_command(etcd_program, folder, number, peers, clients, identity)
            cluster.etcd.append(Process(command))
        for machine in machines:
            machine.start()
        await cluster.whole()
        await asyncio.to_thread(_make_database, cluster.url("postgres"))
        yield cluster
    finally:
        await asyncio.gather(*(asyncio.to_thread(one.stop) for one in machines))
        for process in cluster.etcd:
            process.signal(signal.SIGCONT)
            process.stop()


def _make_database(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _machine(
    programs: Programs,
    folder: Path,
    number: int,
    etcd_ports: Sequence[int],
    words: Mapping[str, str],
    identity: OsUser | None,
) -> Machine:
    name = f"machine-{number + 1}"
    ports = {"rest": free_port(0), "postgres": free_port(0)}
    data_dir = folder / name
    filled = Template(_CONFIGURATION.read_text()).substitute(
        NAME=name,
        ADDRESS=LOOPBACK,
        NETWORK=f"{LOOPBACK}/32",
        ETCD_HOSTS=json.dumps([f"{LOOPBACK}:{port}" for port in etcd_ports]),
        REST_PORT=ports["rest"],
        POSTGRES_PORT=ports["postgres"],
        DATA_DIR=data_dir,
        BIN_DIR=programs.postgres_bin,
        **{f"{word}_PASSWORD": password for word, password in words.items()},
    )
    write_private(folder / f"{name}.yml", filled, identity)
    command = Command(
        name=name,
        argv=[str(PATRONI.with_name("python")), str(PATRONI), str(folder / f"{name}.yml")],
        environment={
            **programs.postgres_environment,
            "PATRONI_POSTGRESQL_PGPASS": f"{folder}/{name}.pass",
        },
        log=folder / f"{name}.log",
        identity=identity,
        has_no_rights=True,
        rights=[Capability.DAC_READ_SEARCH],
        cwd=folder,
        stop_signals=[(signal.SIGTERM, 30.0)],
        death_signal=signal.SIGTERM,
    )
    return Machine(command, data_dir, ports)


def _etcd_command(
    program: Path,
    folder: Path,
    number: int,
    peers: Sequence[int],
    clients: Sequence[int],
    identity: OsUser | None,
) -> Command:
    peer, client = (f"http://{LOOPBACK}:{ports[number]}" for ports in (peers, clients))
    whole = ",".join(f"etcd-{n + 1}=http://{LOOPBACK}:{port}" for n, port in enumerate(peers))
    settings = {
        "name": f"etcd-{number + 1}",
        "data-dir": folder / f"etcd-{number + 1}",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": whole,
        "log-level": "warn",
    }
    return Command(
        name=f"etcd-{number + 1}",
        argv=[str(program), *(f"--{name}={value}" for name, value in settings.items())],
        log=folder / f"etcd-{number + 1}.log",
        identity=identity,
        cwd=folder,
        stop_signals=[(signal.SIGTERM, 10.0)],
        death_signal=signal.SIGKILL,
    )


def _with_children(pid: int) -> list[int]:
    """Return a process and all below it."""
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += _with_children(int(child))
    return found
