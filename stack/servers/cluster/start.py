"""The servers of `opsc up --cluster 3` as parts: a PostgreSQL that fails over, a log, nginx."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from service.tcp import is_loopback
from stack.host.os_user import Capability, reachable_home
from stack.host.programs import servers_dir
from stack.servers.cluster import nginx
from stack.servers.cluster.machines import MACHINES, PostgresCluster
from stack.servers.cluster.nginx import Door
from stack.servers.cluster.patroni import Machine
from stack.servers.cluster.rabbitmq import START_S, Rabbit, rabbit_program
from stack.servers.former import until_ended
from stack.servers.listening import BY_IMEI
from stack.servers.postgres import LOOPBACK, make_home
from stack.servers.runtime import PartInfo
from stack.servers.settings import WrongSettings
from stack.servers.stack import Stack
from stack.servers.supervisor import Part

COPIES = 2  # of each role
HOME = "cluster"
# Servers and a proxy of its own; ports that two listeners cannot share; processes that would be
# several twice.
NOT_OF_A_CLUSTER = (
    "OPSC_DATABASE_URL", "OPSC_LOG_URL", "OPSC_LISTEN_PROXY_NETWORKS", "OPSC_LISTEN_TLS12_PORT",
    "OPSC_LISTEN_PROCESSES", "OPSC_API_PROCESSES", "OPSC_LISTEN_HTTP", "OPSC_INGEST_HTTP",
    "OPSC_DELIVER_HTTP", "OPSC_API_HTTP", *BY_IMEI,
)  # fmt: skip


def refuse_settings() -> None:
    """Raise WrongSettings for variables that a cluster on one machine has no use for."""
    if given := [name for name in NOT_OF_A_CLUSTER if os.environ.get(name)]:
        raise WrongSettings(f"--cluster has no use for {', '.join(given)}: unset it")
    host = os.environ.get("OPSC_LISTEN_HOST")
    if host and not is_loopback(host):
        raise WrongSettings(
            f"OPSC_LISTEN_HOST: --cluster is on this machine alone, so leave it out, not {host!r}"
        )


def home_of(data_dir: Path) -> Path:
    """Return the folder of the servers, which they can reach."""
    return reachable_home(data_dir) / HOME


async def start_servers(stack: Stack) -> PostgresCluster:
    """Start PostgreSQL and the log, and return once something can be committed."""
    home, servers = home_of(stack.data_dir), servers_dir(stack.data_dir)
    await until_ended((home,), stack.say)
    make_home(home, None)
    home.chmod(0o755)  # servers of several users walk through
    cluster = await asyncio.to_thread(
        PostgresCluster, home / "postgres", stack.log, servers, stack.say
    )
    program = await asyncio.to_thread(rabbit_program, servers, stack.say)
    await asyncio.to_thread(nginx.nginx_program, servers, stack.say)
    rabbit = Rabbit(home / "rabbitmq", MACHINES, stack.log, program)
    for one in (cluster.kept, rabbit.kept):
        one.require_ports()
    stack.say(f"starting three etcd, PostgreSQL and RabbitMQ; their data is in {home}")
    stack.ends_with_it.callback(_end_left_over, cluster.machines)
    for member in cluster.members:
        stack.parts[member.name] = PartInfo(f"{LOOPBACK}:{member.client_port}")
    stack.parts["epmd"] = PartInfo(f"{LOOPBACK}:{rabbit.epmd_port}")
    for node in rabbit.nodes:
        node.prepare()
        stack.parts[node.name] = PartInfo(f"{LOOPBACK}:{node.port}")
    for machine in cluster.machines:
        stack.parts[machine.name] = PartInfo(f"{LOOPBACK}:{machine.postgres_port}")
    await stack.supervisor.start(
        Part(rabbit.epmd(), listens(rabbit.epmd_port)),
        *(
            Part(command, member.is_healthy)
            for member, command in zip(cluster.members, cluster.etcd, strict=True)
        ),
        end_together=True,
    )
    await stack.supervisor.start(
        *(Part(node.command(), node.is_ready, START_S) for node in rabbit.nodes),
        *(Part(machine.command, machine.answers) for machine in cluster.machines),
        end_together=True,
    )
    await cluster.until(cluster.commits)
    stack.log_url, stack.copies = rabbit.url(), COPIES
    return cluster


def listens(port: int) -> Callable[[], bool]:
    """Return a readiness check, which asks whether somebody takes connections."""

    def check() -> bool:
        try:
            socket.create_connection((LOOPBACK, port), timeout=2).close()
        except OSError:
            return False
        return True

    return check


def nginx_part(stack: Stack, doors: Sequence[Door]) -> Part:
    """Return nginx before the roles, as their user. Its first door is not HTTP."""
    home = home_of(stack.data_dir) / "nginx"
    program = nginx.nginx_program(servers_dir(stack.data_dir), stack.say)
    command = nginx.command(
        program,
        home,
        doors,
        stack.log("nginx"),
        stack.role_user.identity,
        [Capability.DAC_READ_SEARCH, Capability.NET_BIND_SERVICE],
    )
    stack.parts["nginx"] = PartInfo(doors[0].address)
    return Part(command, listens(int(doors[0].address.rpartition(":")[2])))


def _end_left_over(machines: Sequence[Machine]) -> None:
    """End PostgreSQL whose Patroni was killed, or could not end it."""
    for machine in machines:
        with suppress(OSError, ValueError):
            pid = machine.postgres_pid()
            if os.fsencode(machine.data_dir) in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGQUIT)
