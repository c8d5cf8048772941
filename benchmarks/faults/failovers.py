"""What is done to a cluster of PostgreSQL, and how long nothing was committed."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.faults.cluster import Cluster, FragileMachine
from benchmarks.faults.injections import Extent
from benchmarks.faults.system import FaultSystem
from stack.errors import StackError

_BACK_S = 90.0
_STORED = "opsc_ingest_fixes_stored_total"
_CUT_S = 60


async def primary_killed(system: FaultSystem, extent: Extent) -> None:
    for _ in range(extent.of(3, 1)):
        await _while_away(system, "PostgreSQL killed", lambda machine: machine.kill_postgres())


async def machine_lost(system: FaultSystem, extent: Extent) -> None:
    for _ in range(extent.of(3, 1)):
        lost = await _while_away(system, "machine killed", lambda machine: machine.kill())
        lost.start()
        await cluster_of(system).whole()


async def primary_frozen(system: FaultSystem, extent: Extent) -> None:
    for _ in range(extent.of(2, 1)):
        frozen = await _while_away(system, "machine frozen", lambda machine: machine.freeze())
        frozen.thaw()
        await cluster_of(system).whole()


async def standbys_frozen(system: FaultSystem, extent: Extent) -> None:
    """Nothing is acknowledged meanwhile, and all of it is there once a standby is."""
    seconds = extent.of(_CUT_S, 20)
    cluster = cluster_of(system)
    primary = await primary_of(cluster)
    standbys = [machine for machine in cluster.machines if machine is not primary]
    for machine in standbys:
        machine.freeze()
    await asyncio.sleep(1)  # what was under way
    before = await asyncio.to_thread(system.ingest.metric, _STORED)
    await asyncio.sleep(seconds - 1)
    if await asyncio.to_thread(system.ingest.metric, _STORED) != before:
        raise StackError("fixes were stored that no standby has")
    system.done[f"standbys frozen for {seconds} s"] += 1
    with _measured(system):
        for machine in standbys:
            machine.thaw()
        await _stores_again(system)
    await cluster.whole()


async def etcd_without_quorum(system: FaultSystem, extent: Extent) -> None:
    seconds = extent.of(_CUT_S, 30)
    cluster = cluster_of(system)
    for process in cluster.etcd[:2]:
        process.signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    system.done[f"two of three etcd frozen for {seconds} s"] += 1
    with _measured(system):
        for process in cluster.etcd[:2]:
            process.signal(signal.SIGCONT)
        await _stores_again(system)
    await cluster.whole()


def cluster_of(system: FaultSystem) -> Cluster:
    assert system.cluster is not None
    return system.cluster


async def _while_away(
    system: FaultSystem, what: str, harm: Callable[[FragileMachine], None]
) -> FragileMachine:
    """Do harm to the machine that leads, and return it once fixes are stored again."""
    cluster = cluster_of(system)
    await cluster.whole()
    await asyncio.sleep(2)
    leader = await primary_of(cluster)
    with _measured(system):
        await asyncio.to_thread(harm, leader)
        system.done[what] += 1
        await _stores_again(system)
    await asyncio.sleep(5)
    return leader


async def primary_of(cluster: Cluster) -> FragileMachine:
    """Return the machine that leads. Raises StackError where none does."""
    leader = await asyncio.to_thread(cluster.leader)
    if leader is None:
        raise StackError("no machine of the cluster leads")
    return leader


async def _stores_again(system: FaultSystem) -> None:
    """Wait until ingest stores fixes that it has not stored before."""

    def stored() -> float:
        return system.ingest.metric(_STORED)

    await asyncio.sleep(0.5)  # what was under way
    before = await asyncio.to_thread(stored)
    await system.until(lambda: stored() > before, "fixes are stored again", _BACK_S)


@contextmanager
def _measured(system: FaultSystem) -> Iterator[None]:
    """Note how long it took, if that is the longest."""
    began = time.monotonic()
    yield
    took_s = time.monotonic() - began
    system.measured["stored_again_after_s"] = max(
        took_s, system.measured.get("stored_again_after_s", 0.0)
    )
