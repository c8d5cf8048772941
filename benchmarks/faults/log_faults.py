"""What is done to a log of three nodes, and how long no device was answered."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.faults.failovers import machine_lost, primary_killed
from benchmarks.faults.injections import Extent
from benchmarks.faults.system import FaultSystem
from service.amqp import rabbitmq
from stack.errors import StackError
from stack.servers.cluster.rabbitmq import Rabbit, RabbitNode

_BACK_S = 120.0
_FROZEN_S = 30
_CUT_S = 30
_NODES_LEFT_S = 5  # between two nodes that are killed


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
    took_s = time.monotonic() - began
    before_s = system.measured.get("answered_again_after_s", 0.0)
    system.measured["answered_again_after_s"] = max(took_s, before_s)
