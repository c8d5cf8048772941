"""Several PostgreSQL that fail over by Patroni, and the etcd by which they agree."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from stack.errors import StackError
from stack.host.os_user import service_identity
from stack.host.programs import Say, provision, servers_dir
from stack.servers.cluster import etcd, patroni
from stack.servers.cluster.kept import kept
from stack.servers.postgres import LOOPBACK

MACHINES = 3
DATABASE = "opsc"  # one of its own: Patroni needs `postgres`, and ours lets nobody else in
START_S = 120.0
_POLL_S = 0.2


class PostgresCluster:
    """The machines and the etcd below `home`: what runs them, and what they say.

    Fetches programs that are missing, which takes a while the first time.
    """

    def __init__(
        self,
        home: Path,
        log: Callable[[str], Path],
        servers: Path | None = None,
        say: Say = print,
    ) -> None:
        servers = servers or servers_dir()
        programs = provision(servers, say)
        etcd_program = etcd.etcd_program(servers, say)
        python = patroni.patroni(servers, say)
        user = service_identity(owner_of=home)
        parts = [*etcd.port_names(MACHINES), *patroni.port_names(MACHINES)]
        self.kept = kept(home, patroni.PASSWORDS, parts, user)
        ports = self.kept.ports
        self.members = etcd.members(ports, MACHINES)
        self.etcd = etcd.commands(etcd_program, home, self.members, log, user)
        self.machines = [
            patroni.machine(
                name, python, programs, home, self.members, self.kept.passwords, ports, log, user
            )
            for name in patroni.names(MACHINES)
        ]

    def url(self, database: str = DATABASE) -> str:
        """Return the superuser's URL, at all addresses."""
        hosts = ",".join(f"{LOOPBACK}:{one.postgres_port}" for one in self.machines)
        login = f"postgres:{self.kept.passwords['SUPERUSER']}"
        return f"postgresql://{login}@{hosts}/{database}?target_session_attrs=read-write"

    def commits(self) -> bool:
        """Whether one leads, and one follows it for which commits wait."""
        states = [one.state() for one in self.machines]
        return any(
            state.get("role") == "primary" and state.get("state") == "running" for state in states
        ) and any(
            state.get("sync_standby") and state.get("replication_state") == "streaming"
            for state in states
        )

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

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until `commits` or `is_whole`. Raises StackError."""
        ends_s = time.monotonic() + START_S
        while not await asyncio.to_thread(is_so):
            if time.monotonic() > ends_s:
                states = [dict(one.state()) for one in self.machines]
                raise StackError(f"the cluster of PostgreSQL does not start: {states}")
            await asyncio.sleep(_POLL_S)
