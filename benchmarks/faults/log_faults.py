"""What is done to a log of three nodes, and how long no device was answered."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle

from benchmarks.faults.failovers import cluster_of, machine_lost, primary_killed, primary_of
from benchmarks.faults.injections import Extent, leader_and_standby, measure_most
from benchmarks.faults.system import FaultSystem
from service.amqp import rabbitmq
from stack.errors import StackError
from stack.servers.cluster.rabbitmq import Rabbit, RabbitNode

_BACK_S = 120.0
_FROZEN_S = 30
_CUT_S = 30
_NODES_LEFT_S = 5  # between two nodes that are killed
_TURN_S = 20.0
_POLL_S = 0.1


async def leader_killed(system: FaultSystem, extent: Extent) -> None:
    """Kill the node that leads the queue of all messages."""
    for _ in range(extent.of(3, 1)):
        leader, _ = await _leader_and_followers(system)
        await _killed(system, leader, "leader killed")


async def followers_killed(system: FaultSystem, extent: Extent) -> None:
    """Kill each of the other two; the listener or ingest may be connected to it."""
    for _ in range(extent.of(2, 1)):
        _, followers = await _leader_and_followers(system)
        for one in followers:
            await _killed(system, one, "follower killed")


async def majority_lost(system: FaultSystem, extent: Extent) -> None:
    """Kill two of three: nothing is answered until one of them is back."""
    for _ in range(extent.of(2, 1)):
        leader, followers = await _leader_and_followers(system)
        for one in (leader, followers[0]):
            await asyncio.to_thread(one.kill)
        await asyncio.sleep(1)  # what was under way
        before = _answered(system)
        await asyncio.sleep(_CUT_S)
        if _answered(system) != before:
            raise StackError("devices were answered by a minority of the log")
        system.done["two of three killed"] += 1
        with _measured(system):
            leader.begin()
            await _answers_again(system)
        followers[0].begin()
        for one in (leader, followers[0]):
            await asyncio.to_thread(one.wait)
        await asyncio.sleep(5)


async def node_frozen(system: FaultSystem, extent: Extent) -> None:
    """Freeze the leader of the queue, and then each other node."""
    for number in range(extent.of(3, 1)):
        leader, followers = await _leader_and_followers(system)
        frozen = [leader, *followers][number]
        with _measured(system):
            frozen.process.signal(signal.SIGSTOP)
            system.done[f"node frozen for {_FROZEN_S} s"] += 1
            await _answers_again(system)
        await asyncio.sleep(_FROZEN_S)
        frozen.process.signal(signal.SIGCONT)
        await asyncio.sleep(10)


async def database_fails_over(system: FaultSystem, extent: Extent) -> None:
    """Kill PostgreSQL, and then its whole machine: devices are answered meanwhile."""
    await primary_killed(system, extent)
    await machine_lost(system, extent)


async def killed_in_turn(system: FaultSystem, extent: Extent) -> None:
    """Kill one after the other, for ten minutes: the node that leads the queue of all messages, the
    leader of ingest, PostgreSQL. Each is started again at once, as systemd and Patroni would.
    """
    ends_s = time.monotonic() + extent.of(600, 180)
    writes = _Writes(system)
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(writes.watch())
        for name, kill in cycle(_KILLS.items()):
            if time.monotonic() >= ends_s:
                break
            writes.killed = name
            await kill(system)
            system.done[f"{name} killed"] += 1
            await asyncio.sleep(_TURN_S)
        await cluster_of(system).whole()
        watching.cancel()


async def _kill_node(system: FaultSystem) -> None:
    for node in _log_of(system).nodes:  # the one of the last time is up again
        await asyncio.to_thread(node.wait)
    leader, _ = await _leader_and_followers(system)
    await asyncio.to_thread(leader.kill)
    leader.begin()


async def _kill_ingest(system: FaultSystem) -> None:
    await system.until(lambda: any(one.is_ready() for one in system.ingests), "an ingest leads")
    leader, _ = leader_and_standby(system)
    await leader.kill()
    leader.start()


async def _kill_primary(system: FaultSystem) -> None:
    cluster = cluster_of(system)
    await cluster.whole()
    primary = await primary_of(cluster)
    await asyncio.to_thread(primary.kill_postgres)


_KILLS = {"rabbitmq": _kill_node, "ingest": _kill_ingest, "postgresql": _kill_primary}


class _Writes:
    """Notes how long nothing is stored at most. killed: what was killed last."""

    def __init__(self, system: FaultSystem) -> None:
        self._system = system
        self.killed = "nothing"

    async def watch(self) -> None:
        """Look until cancelled."""
        known, last_s = await asyncio.to_thread(self._stored), time.monotonic()
        while True:
            await asyncio.sleep(_POLL_S)
            stored = await asyncio.to_thread(self._stored)
            # 0: a process that does not run, or says nothing just now.
            if any(new and new != old for new, old in zip(stored, known, strict=True)):
                now_s = time.monotonic()
                measure_most(self._system, f"no_writes_{self.killed}_s", now_s - last_s)
                last_s = now_s
            known = [new or old for new, old in zip(stored, known, strict=True)]

    def _stored(self) -> list[float]:
        name = "opsc_ingest_fixes_stored_total"
        return [one.metric(name) for one in self._system.ingests]


def _log_of(system: FaultSystem) -> Rabbit:
    assert system.log is not None
    return system.log


async def _killed(system: FaultSystem, node: RabbitNode, what: str) -> None:
    with _measured(system):
        await asyncio.to_thread(node.kill)
        system.done[what] += 1
        await _answers_again(system)
    await asyncio.sleep(_NODES_LEFT_S)
    node.begin()
    await asyncio.to_thread(node.wait)
    await asyncio.sleep(_NODES_LEFT_S)  # it catches up


async def _leader_and_followers(system: FaultSystem) -> tuple[RabbitNode, Sequence[RabbitNode]]:
    """Return the node that leads the queue of the newest organization, and the others."""
    async with system.admin() as conn:
        newest = "SELECT org_id FROM organizations ORDER BY created_at DESC LIMIT 1"
        row = await (await conn.execute(newest)).fetchone()
    assert row is not None
    queue = rabbitmq.queue_name(rabbitmq.queue_of(row[0]))
    nodes = _log_of(system).nodes
    name = await asyncio.to_thread(nodes[0].leader_of, queue)
    leader = next(node for node in nodes if node.erlang_name == name)
    return leader, [node for node in nodes if node is not leader]


def _answered(system: FaultSystem) -> float:
    return system.listener_metric("opsc_listener_messages_total")


async def _answers_again(system: FaultSystem) -> None:
    """Wait until devices are answered beyond what was under way."""
    await asyncio.sleep(0.2)
    before = _answered(system)
    await system.until(lambda: _answered(system) > before, "devices are answered again", _BACK_S)


@contextmanager
def _measured(system: FaultSystem) -> Iterator[None]:
    """Note how long it took, if that is the longest."""
    began = time.monotonic()
    yield
    measure_most(system, "answered_again_after_s", time.monotonic() - began)
