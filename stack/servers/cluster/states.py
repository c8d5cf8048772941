"""What the servers of a cluster say of themselves, for `opsc status`: who leads, who follows."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from stack.servers.cluster import etcd
from stack.servers.cluster.kept import read_kept
from stack.servers.cluster.machines import MACHINES
from stack.servers.cluster.patroni import names, patroni_state, postgres_pid
from stack.servers.cluster.rabbitmq import Rabbit, RabbitNode, rabbit_program
from stack.servers.cluster.start import home_of, listens

State = tuple[bool, str]  # whether all is well; what is said
NOT_REACHED = "does not answer"
_CONTROL_S = 20.0
# `list_queues` would wait for connections of nodes to rabbitmqctl, which takes none.
_LEADERS = "[N || Q <- rabbit_amqqueue:list(), {_, N} <- [amqqueue:get_pid(Q)]]."
_NODE = re.compile(r"[\w-]+@localhost")


def states(data_dir: Path, servers: Path | None = None) -> Mapping[str, Callable[[], State]]:
    """Return what asks each server of the cluster, by the names of parts. Raises StackError."""
    home = home_of(data_dir)
    ports = read_kept(home / "postgres").ports
    asked: dict[str, Callable[[], State]] = {
        member.name: partial(_etcd, member) for member in etcd.members(ports, MACHINES)
    }
    machines = {name: patroni_state(ports[f"patroni of {name}"]) for name in names(MACHINES)}
    asked |= {
        name: partial(machine_state, state, list(machines.values()), home / "postgres" / name)
        for name, state in machines.items()
    }
    rabbit = Rabbit(home / "rabbitmq", MACHINES, program=rabbit_program(servers))
    leaders = _queue_leaders(rabbit.nodes)
    asked |= {node.name: partial(_rabbit, node, leaders) for node in rabbit.nodes}
    return {**asked, "epmd": partial(_listening, rabbit.epmd_port)}


def machine_state(
    state: Mapping[str, Any], of_all: Sequence[Mapping[str, Any]], data_dir: Path
) -> State:
    """Return what is to be said of a machine. state: what its Patroni says; of_all: what each."""
    if not state:
        return False, f"Patroni {NOT_REACHED}"
    postgres = ""
    with suppress(OSError, ValueError):
        postgres = f"; PostgreSQL is process {postgres_pid(data_dir)}"
    if state.get("role") == "primary" and state.get("state") == "running":
        if not any(other.get("sync_standby") for other in of_all):
            return False, f"leads, but nothing is committed without a synchronous standby{postgres}"
        return True, f"leads{postgres}"
    if state.get("replication_state") != "streaming":
        return False, f"{state.get('role')}, {state.get('state')}: does not follow yet{postgres}"
    return True, f"{'synchronous standby' if state.get('sync_standby') else 'standby'}{postgres}"


def _etcd(member: etcd.Member) -> State:
    if not member.is_healthy():
        return False, f"{NOT_REACHED}, or knows no leader"
    with suppress(OSError):
        return True, "leads" if member.leads() else "follows"
    return False, NOT_REACHED


def _queue_leaders(nodes: Sequence[RabbitNode]) -> Counter[str] | None:
    """Return how many queues each node leads; None where nobody says it."""
    node = next((node for node in nodes if node.is_ready()), None)
    if node is None:
        return None
    try:
        return Counter(_NODE.findall(node.control("eval", _LEADERS, within_s=_CONTROL_S)))
    except subprocess.SubprocessError:
        return None


def _rabbit(node: RabbitNode, leaders: Counter[str] | None) -> State:
    if not node.is_ready():
        return False, NOT_REACHED
    if leaders is None:
        return False, "takes connections, but says nothing of its queues"
    return True, f"leads {leaders[node.erlang_name]} of {leaders.total()} queues"


def _listening(port: int) -> State:
    return (True, "ok") if listens(port)() else (False, NOT_REACHED)
