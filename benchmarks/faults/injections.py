"""Faults: each function breaks a running system on purpose, and returns when the system has
recovered or its load may end.
"""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import psycopg

from benchmarks.faults.beside.guests import old_days_dropped, revoked, rubbish
from benchmarks.faults.beside.neighbour import flooded_beside
from benchmarks.faults.beside.punching import punched_beside
from benchmarks.faults.disturbance import (
    Broken,
    is_writable,
    slowest_delivery_s,
    terminate_sessions,
)
from benchmarks.faults.system import FaultSystem, Ingest, set_clock
from stack.errors import StackError

_TAKEOVER_S = 10.0
_FROZEN_S = 20.0
_RECOVERED_S = 120.0
_DELIVERED_S = 20.0
_DELIVERED_AFTER_S = 10.0  # behind an outage: claims of ended sessions hold for some seconds
_FILLING_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Extent:
    """The extent of a row. seed: of the moments at which it is."""

    is_short: bool
    seed: int

    def of(self, full: int, short: int) -> int:
        return short if self.is_short else full

    @property
    def random(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)


async def ingest_killed(system: FaultSystem, extent: Extent) -> None:
    """Kill ingest, half of the times at any moment of its start, else while it works."""
    random = extent.random
    for number in range(extent.of(30, 2)):
        if number % 2:
            await asyncio.sleep(random.uniform(0.1, 3.0))
        else:
            await system.ingest.ready()
            await asyncio.sleep(random.uniform(0.0, 1.5))
        await system.ingest.kill()
        system.done["SIGKILL to ingest"] += 1
        system.ingest.start()
    await system.ingest.ready()


async def ingest_killed_at_work(system: FaultSystem, extent: Extent) -> None:
    for _ in range(extent.of(5, 1)):
        await system.ingest.ready()
        await asyncio.sleep(extent.of(5, 3))
        await system.ingest.kill()
        system.done["SIGKILL to ingest"] += 1
        system.ingest.start()
    await system.ingest.ready()
    await asyncio.sleep(5)


async def ingest_killed_beside_punches(system: FaultSystem, extent: Extent) -> None:
    """Kill ingest while employees punch, in turn quickly and slowly."""
    await punched_beside(system, partial(ingest_killed, system, extent))


async def ingest_frozen(system: FaultSystem, extent: Extent) -> None:
    for _ in range(extent.of(2, 1)):
        leader, standby = leader_and_standby(system)
        leader.signal(signal.SIGSTOP)
        began = time.monotonic()
        taken_s = await system.until(standby.is_ready, "the standby takes over")
        measure_most(system, "takeover_s", taken_s)
        await asyncio.sleep(max(0.0, _FROZEN_S - (time.monotonic() - began)))
        leader.signal(signal.SIGCONT)
        system.done["ingest frozen for 20 s"] += 1
        await asyncio.sleep(5)
        if not (leader.is_running and standby.is_ready()):
            raise Broken("the frozen leader disturbs the one that took over")
        if taken_s > _TAKEOVER_S:
            raise Broken(f"the standby took over after {taken_s:.1f} s, not within 10 s")


def leader_and_standby(system: FaultSystem) -> tuple[Ingest, Ingest]:
    """Return the ingest that leads, and the other one."""
    first, second = system.ingests
    return (first, second) if first.is_ready() else (second, first)


async def listener_killed(system: FaultSystem, extent: Extent) -> None:
    random = extent.random
    for _ in range(extent.of(30, 2)):
        await asyncio.sleep(random.uniform(0.2, 2.0))
        await system.hit("listener", signal.SIGKILL)


async def listener_frozen(system: FaultSystem, extent: Extent) -> None:
    """Freeze the listener until devices give up. Their new connections take over from those that it
    still holds.
    """
    for _ in range(extent.of(2, 1)):
        group = os.getpgid(system.pid("listener"))
        os.killpg(group, signal.SIGSTOP)
        await asyncio.sleep(_FROZEN_S)
        os.killpg(group, signal.SIGCONT)
        system.done["listener frozen for 20 s"] += 1
        await asyncio.sleep(5)


async def listener_killed_with_a_queue(system: FaultSystem, extent: Extent) -> None:
    """Kill the listener while ingest is away: what the listener holds is not acknowledged, and
    comes again.
    """
    for _ in range(extent.of(2, 1)):
        await system.ingest.kill()
        await asyncio.sleep(5)
        await system.hit("listener", signal.SIGKILL)
        await asyncio.sleep(3)
        system.ingest.start()
        await system.ingest.ready()
        await asyncio.sleep(2)


async def listener_restarted(system: FaultSystem, extent: Extent) -> None:
    for _ in range(extent.of(3, 1)):
        await asyncio.sleep(extent.random.uniform(1.0, 3.0))
        await system.hit("listener", signal.SIGTERM)


async def deliver_killed(system: FaultSystem, extent: Extent) -> None:
    """Kill deliver with posts in the air and claims that wait. The first attempts of these come
    soon after.
    """
    random, began = extent.random, datetime.now(UTC)
    for _ in range(extent.of(5, 2)):
        await asyncio.sleep(random.uniform(8.0, 14.0))
        await system.hit("deliver", signal.SIGKILL)
    await _check_delivered_soon(system, began)


async def sessions_of_deliver_terminated(system: FaultSystem, extent: Extent) -> None:
    """Terminate the sessions that number events, claim deliveries and mark what was posted.

    Nothing can be delivered meanwhile, so that time is allowed for.
    """
    lasts_s = extent.of(15, 4)
    began, ends = datetime.now(UTC), time.monotonic() + lasts_s
    async with system.admin() as conn:
        while time.monotonic() < ends:
            system.done["sessions of deliver terminated"] += await terminate_sessions(
                conn, "opsc_deliver"
            )
            await asyncio.sleep(0.2)
    await _check_delivered_soon(
        system, began, within_s=max(_DELIVERED_S, lasts_s + _DELIVERED_AFTER_S)
    )


async def api_killed(system: FaultSystem, extent: Extent) -> None:
    """Kill the API while readers of live events are connected, and end it in order in turn."""
    random, readers = extent.random, system.live_readers
    for number in range(extent.of(10, 2)):
        await asyncio.sleep(random.uniform(1.0, 4.0))
        await system.hit("api", (signal.SIGKILL, signal.SIGTERM)[number % 2])
        await system.until(lambda: _answers(system.stack.api_url), "the API answers again")
        await system.until(partial(readers.has_more_than, readers.read), "a reader has gone on")
    if not readers.cuts:
        raise Broken("no reader was cut off")
    system.measured["cuts"] = readers.cuts


def _answers(api_url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{api_url}/healthz", timeout=2):
            return True
    except OSError:
        return False


async def receivers_err(system: FaultSystem, extent: Extent) -> None:
    """Let the endpoints of `bad_receivers` want every event beside the good one for a while."""
    began, receivers = datetime.now(UTC), system.bad_receivers
    await asyncio.sleep(extent.of(60, 15))
    for name, attempts in receivers.attempts.items():
        system.done[f"attempts at {name}"] += attempts
        if not attempts:
            raise Broken(f"the endpoint {name} was never tried")
    if receivers.redirected:
        raise Broken(f"{receivers.redirected} redirects were followed")
    await _check_delivered_soon(system, began, receivers.urls)


async def _check_delivered_soon(
    system: FaultSystem,
    since: datetime,
    besides: Sequence[str] = (),
    within_s: float = _DELIVERED_S,
) -> None:
    """Wait until all webhooks of events until now have been accepted, but for those to the URLs of
    `besides`. Raises Broken where one came later after its event than `within_s`.
    """
    now, ends = datetime.now(UTC), time.monotonic() + _RECOVERED_S
    async with system.admin() as conn:
        while (slowest_s := await slowest_delivery_s(conn, since, now, besides)) is None:
            if time.monotonic() > ends:
                raise StackError(f"not within {_RECOVERED_S:g} s: all webhooks are accepted")
            await asyncio.sleep(0.5)
    system.measured["slowest_delivery_s"] = slowest_s
    if slowest_s > within_s:
        raise Broken(f"a webhook came {slowest_s:.1f} s after its event, not within {within_s:g} s")


async def database_killed(system: FaultSystem, extent: Extent) -> None:
    for number in (signal.SIGKILL, signal.SIGQUIT) * extent.of(2, 1):
        await asyncio.sleep(extent.random.uniform(1.0, 3.0))
        await system.hit("postgres", number)
        await system.until(system.ingest.is_ready, "ingest is the leader again")


async def sessions_terminated(system: FaultSystem, extent: Extent) -> None:
    ends = time.monotonic() + extent.of(15, 3)
    async with system.admin() as conn:
        while time.monotonic() < ends:
            system.done["sessions terminated"] += await terminate_sessions(conn)
            await asyncio.sleep(0.2)
    await system.until(system.ingest.is_ready, "ingest is the leader again")


async def disk_filled(system: FaultSystem, extent: Extent) -> None:
    assert system.disk is not None
    for _ in range(extent.of(3, 1)):
        filling = system.disk / "filling"
        await asyncio.to_thread(_fill, filling)
        await asyncio.sleep(12)
        system.done["disk filled for 12 s"] += 1
        if await _is_writable(system):
            raise StackError("the disk was filled, and yet there is room on it")
        filling.unlink()
        began = time.monotonic()
        await system.until(system.ingest.is_ready, "ingest is the leader again")
        measure_most(system, "back_after_s", time.monotonic() - began)
        await asyncio.sleep(5)


async def data_folder_filled(system: FaultSystem, extent: Extent) -> None:
    """Fill the data folder, which holds logs, sockets, what `opsc up` notes, and the database."""
    assert system.disk is not None
    assert system.up is not None
    seconds = extent.of(30, 10)
    for _ in range(extent.of(2, 1)):
        filling = await _kept_full(system.disk, seconds)
        if await _is_writable(system):
            raise StackError("the data folder was filled, and yet there is room in it")
        filling.unlink()
        system.done[f"data folder full for {seconds} s"] += 1
        began = time.monotonic()
        await system.until(system.up.is_ready, "ingest is the leader again", _RECOVERED_S)
        measure_most(system, "back_after_s", time.monotonic() - began)
        await asyncio.sleep(5)


async def stopped_while_full(system: FaultSystem, extent: Extent) -> None:
    """End `opsc up` in order while its data folder is full, and start it when it is not."""
    assert system.disk is not None
    assert system.up is not None
    for _ in range(extent.of(2, 1)):
        filling = await _kept_full(system.disk, 5)
        measure_most(system, "stopped_after_s", await system.up.stop())
        filling.unlink()
        system.done["stopped while full"] += 1
        system.up.start()
        await system.up.ready()
        await asyncio.sleep(5)


async def _kept_full(disk: Path, seconds: float) -> Path:
    """Fill what becomes free meanwhile, too. Returns the file to be removed."""
    filling, ends = disk / "filling", time.monotonic() + seconds
    while True:
        await asyncio.to_thread(_fill, filling)
        if time.monotonic() >= ends:
            return filling
        await asyncio.sleep(0.5)


async def up_killed(system: FaultSystem, extent: Extent) -> None:
    """Kill the supervisor alone, and start it again at once: what it ran may still be there."""
    assert system.up is not None
    random = extent.random
    for _ in range(extent.of(5, 1)):
        await asyncio.sleep(random.uniform(1.0, 3.0))
        system.up.kill()
        began = time.monotonic()
        system.up.start()
        await system.up.ready()
        system.done["SIGKILL to opsc up"] += 1
        measure_most(system, "back_after_s", time.monotonic() - began)


async def neighbour_floods(system: FaultSystem, extent: Extent) -> None:
    await flooded_beside(system, extent.of(40, 8), extent.seed)


async def _is_writable(system: FaultSystem) -> bool:
    try:
        async with system.admin() as conn:
            return await is_writable(conn)
    except psycopg.Error:
        return False


def _fill(path: Path) -> None:
    """Write until nothing more fits on the disk."""
    piece = b"\0" * _FILLING_BYTES
    with path.open("ab", buffering=0) as file:
        while True:
            try:
                file.write(piece)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                if len(piece) == 1:
                    return
                piece = piece[: len(piece) // 2]


async def ingest_does_not_answer(system: FaultSystem, extent: Extent) -> None:
    """Stop ingest's answers: the listener holds what comes, and devices wait for their
    acknowledgements.
    """
    for _ in range(extent.of(2, 1)):
        system.ingest.signal(signal.SIGSTOP)
        await asyncio.sleep(12)
        system.ingest.signal(signal.SIGCONT)
        system.done["ingest frozen for 12 s"] += 1
        await system.until(system.ingest.is_ready, "ingest is the leader again")
        await asyncio.sleep(2)


async def ingest_away(system: FaultSystem, extent: Extent) -> None:
    for _ in range(extent.of(2, 1)):
        await system.ingest.kill()
        await asyncio.sleep(8)
        system.ingest.start()
        await system.ingest.ready()
        system.done["ingest away for 8 s"] += 1
        await asyncio.sleep(2)


async def database_away(system: FaultSystem, extent: Extent) -> None:
    """Take the database away from ingest, with devices connected: the listener holds what comes,
    within its bounds.
    """
    assert system.links is not None
    seconds = extent.of(60, 8)
    system.links.database.stall()
    system.links.database.reset()
    await asyncio.sleep(seconds)
    system.links.database.go_on()
    system.done["seconds without the database"] += seconds
    await system.until(system.ingest.is_ready, "ingest is the leader again")


async def links_broken(system: FaultSystem, extent: Extent) -> None:
    """Break each link in each way."""
    assert system.links is not None
    for name, link in system.links.named().items():
        for way in (link.cut, link.reset, link.stall, link.dribble) * extent.of(2, 1):
            way()
            await asyncio.sleep(3)
            link.go_on()
            system.done[f"{name}: {way.__name__}"] += 1
            await asyncio.sleep(1)
    await system.until(system.ingest.is_ready, "ingest is connected again")


async def clock_jumps(system: FaultSystem, extent: Extent) -> None:
    """Set the clock of ingest an hour ahead and back, two minutes behind and back."""
    assert system.clock is not None
    for ahead_s in (3600, 0, -120, 0) * extent.of(2, 1):
        set_clock(system.clock, ahead_s)
        system.done["clock set"] += 1
        await asyncio.sleep(4)


async def only_devices_err(system: FaultSystem, extent: Extent) -> None:
    """Run the load alone, which has the faults."""
    seconds = extent.of(20, 8)
    await asyncio.sleep(seconds)
    system.done["seconds of devices that err"] += seconds


async def rubbish_arrives(system: FaultSystem, extent: Extent) -> None:
    await rubbish(system, extent.of(20, 3), extent.seed)


async def ingest_rolled(system: FaultSystem, extent: Extent) -> None:
    """End ingest in order and start it again, one after the other."""
    for _ in range(extent.of(4, 1)):
        leader, standby = leader_and_standby(system)
        await asyncio.sleep(4)
        began = time.monotonic()
        await leader.stop()
        await system.until(standby.is_ready, "the standby takes over")
        measure_most(system, "handover_s", time.monotonic() - began)
        leader.start()
        system.done["ingest restarted in order"] += 1


async def trackers_revoked(system: FaultSystem, extent: Extent) -> None:
    await revoked(system, extent.of(3, 1))


async def all_reconnect(system: FaultSystem, extent: Extent) -> None:
    assert system.links is not None
    for _ in range(extent.of(5, 2)):
        system.links.device.reset()
        system.done["all connections reset"] += 1
        await asyncio.sleep(4)
    system.measured["connections"] = system.links.device.passed


async def days_dropped(system: FaultSystem, extent: Extent) -> None:
    await old_days_dropped(system, extent.of(5, 1))


def measure_most(system: FaultSystem, name: str, value: float) -> None:
    """Note a figure where it is the largest so far."""
    system.measured[name] = max(value, system.measured.get(name, value))
