"""One soak run from an empty folder to what came of it.

A fleet of `benchmarks.soak.load` sends at a steady rate while a smaller one of
`benchmarks.faults.load`, whose devices err as well, is verified to the last webhook. Meanwhile
faults are done one after the other, each once nothing waits any more of the one before, and
everything is looked at from outside.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.common.gauges import Cell, Gauges
from benchmarks.common.payloads import tracker_id
from benchmarks.common.workload import Plan
from benchmarks.faults.load import Load, Loaded, loaded
from benchmarks.faults.proxy import Link
from benchmarks.faults.run import WRONG, leaves
from benchmarks.faults.system import FaultSystem, Setting, fault_system
from benchmarks.soak import faults as soak_faults
from benchmarks.soak import load as soak_load
from benchmarks.soak.faults import Fault, Planned, Scene
from benchmarks.soak.rows import Background, Rows
from benchmarks.soak.verdict import Line, is_suspect
from benchmarks.soak.watch import Logs, Memory
from device_sim.plan import SimTracker
from mqtt import BrokerAddress
from stack.errors import StackError
from stack.host.process import Command, Process, last_lines
from stack.scenario.api_client import ApiClient
from stack.scenario.registration import known_to_broker
from stack.servers.postgres import LOOPBACK
from stack.servers.supervisor import Say

LOOK_S = 1.0
LOOKS_A_SAMPLE = 5
AHEAD_S = 20.0  # messages that may wait
CAUGHT_UP_S = 2.0
_SETTLED_S = 300.0
_LEAST_FREE_BYTES = 3 << 30
_CANARY_TRACKERS, _CANARY_HZ = 60, 1.0
_CANARY_FAULTS = (
    "duplicate=0.02,reorder=0.02,offline=0.002,offline_newest_first=0.001,replay=0.002,"
    "jump=0.005,rollover=0.005,clock_1980=0.005,day_ahead=0.005,null_island=0.005,truncated=0.005"
)
_MOST_SUSPECTS = 10_000
_CALM_LOOKS = 3
LOAD = "load"


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """seconds: how long about it is to last. rate: messages a second of the background."""

    seconds: float
    rate: int
    seed: int

    @property
    def messages(self) -> int:
        """The number of messages at the most: a run takes longer where the system needs longer to
        catch up.
        """
        return round(1.5 * self.seconds * self.rate)

    @property
    def fleet(self) -> Plan:
        return Plan(trackers=soak_load.trackers_for(self.messages))


@dataclass(slots=True)
class Soaked:
    """The record of a run, while it goes on too; all times are seconds since it began.

    backlog: at each look, messages of the background that waited. lines: how many logs had.
    """

    memory: Memory = field(default_factory=Memory)
    suspects: list[Line] = field(default_factory=list[Line])
    faults: list[Fault] = field(default_factory=list[Fault])
    planned: list[Planned] = field(default_factory=list[Planned])
    backlog: list[int] = field(default_factory=list[int])
    lines: int = 0
    load_began_s: float = 0.0
    load_ended_s: float = 0.0
    seconds: float = 0.0
    trouble: str | None = None
    canary: Loaded | None = None
    background: Background | None = None

    def take(self, lines: Iterable[Line]) -> None:
        for line in lines:
            self.lines += 1
            if is_suspect(line.source, line.text) and len(self.suspects) < _MOST_SUSPECTS:
                self.suspects.append(line)


async def soak(plan: SoakPlan, say: Say) -> Soaked:
    """Run to the end; a run that cannot be brought there says why in `trouble`."""
    run = _Run(plan, say)
    try:
        await run.go()
    except* WRONG as group:
        run.came.trouble = "; ".join(f"{type(one).__name__}: {one}" for one in leaves(group))
    return run.came


class _Run:
    """A run that goes on: the system, the two loads, and who looks at them."""

    def __init__(self, plan: SoakPlan, say: Say) -> None:
        self._plan, self._say = plan, say
        self.came = Soaked(planned=soak_faults.planned(plan.seconds, plan.seed))
        self._logs = Logs()
        self._began = time.monotonic()
        self._load: Process | None = None
        self._rows = Rows("")

    async def go(self) -> None:
        async with AsyncExitStack() as ending:
            system = await ending.enter_async_context(fault_system(Setting(), self._tell))
            folder = system.data_dir
            self._logs.folder = folder / "log"
            self._rows = await ending.enter_async_context(Rows(system.stack.database["admin"]))
            newest = await asyncio.to_thread(self._prepare, system, folder)
            system.ingest.start()
            await system.ingest.ready()
            broker = BrokerAddress.parse(system.stack.broker_url)
            await known_to_broker(broker, newest)
            client = await ending.enter_async_context(ApiClient(system.stack.api_url))
            await soak_faults.signed_in(client)
            link = await ending.enter_async_context(Link(broker.port))
            await self._watched(Scene(system, link, client), folder)

    def _tell(self, text: str) -> None:
        """Write what the supervisor says to a log as well."""
        self.came.take([Line("supervisor", self._now(), text)])
        self._say(text)

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _prepare(self, system: FaultSystem, folder: Path) -> SimTracker:
        """Write the fleet into the database and its packets to disk, and return a tracker that must
        get in.
        """
        fleet = self._plan.fleet
        self._say(f"registering {fleet.trackers:,} trackers, {fleet.zones:,} zones")
        with psycopg.connect(system.stack.database["admin"], autocommit=True) as admin:
            own = soak_load.register(admin, fleet)
        soak_load.write(folder / "stream", fleet, own)
        return SimTracker(tracker_id(fleet.trackers - 1), own[-1])

    async def _watched(self, scene: Scene, folder: Path) -> None:
        """Run both loads while the system is looked at; the canary lasts as long as the other."""
        gauges = Gauges(folder / "gauges", create=True)
        gauges[Cell.RATE] = self._plan.rate
        canary = Load(
            trackers=_CANARY_TRACKERS,
            rate_hz=_CANARY_HZ,
            faults=_CANARY_FAULTS,
            at_most_s=2 * self._plan.seconds + 600,
            drain_s=_SETTLED_S,
        )
        stack, address = scene.system.stack, BrokerAddress(LOOPBACK, scene.link.port)

        async def background() -> None:
            await self._background(scene, folder, gauges)

        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch(scene.system, folder, gauges))
            loading = loaded(stack, address, canary, self._plan.seed, background)
            self.came.canary = await loading
            watching.cancel()
        self.came.take(self._logs.look(self._now()))
        self.came.seconds = round(self._now(), 1)

    async def _background(self, scene: Scene, folder: Path, gauges: Gauges) -> None:
        """Run the steady load, and all faults meanwhile."""
        self.came.load_began_s = began_s = self._now()
        port = BrokerAddress.parse(scene.system.stack.broker_url).port
        arguments = [str(folder / "stream"), str(folder / "gauges"), str(port)]
        self._load = load = Process(
            Command(
                name=LOAD,
                argv=[sys.executable, "-m", "benchmarks.soak.load", *arguments],
                log=folder / "load.log",
                stop_signals=[],
                death_signal=signal.SIGKILL,
            )
        )
        try:
            for one in self.came.planned:
                await asyncio.sleep(max(0.0, began_s + one.at_s - self._now()))
                await self._do(one, scene)
            await asyncio.sleep(max(0.0, began_s + self._plan.seconds - self._now()))
            await self._until_caught_up()
            self.came.load_ended_s = self._now()
            gauges[Cell.STOP] = 1
            await scene.system.until(
                lambda: load.exit_code is not None, "the load ends", _SETTLED_S
            )
            self.came.background = await self._rows.counted(_told(load), _SETTLED_S)
        finally:
            load.kill()

    async def _do(self, one: Planned, scene: Scene) -> None:
        await self._until_caught_up()
        began_s = self._now()
        self._say(f"{began_s:6.0f} s  {one.kind}")
        await soak_faults.done(one.kind, scene)
        ended_s = self._now()
        # At once: a line that comes while it is caught up with is explained by it as well.
        fault = Fault(one.kind, round(began_s, 1), round(ended_s, 1))
        self.came.faults.append(fault)
        await self._until_caught_up()
        self.came.faults[-1] = replace(fault, caught_up_s=round(self._now(), 1))

    async def _until_caught_up(self) -> None:
        """Raise StackError where the background waits for too long."""
        deadline, calm = self._now() + _SETTLED_S, 0
        while calm < _CALM_LOOKS:
            await asyncio.sleep(LOOK_S)
            waiting = self.came.backlog[-1] if self.came.backlog else 0
            is_calm = self._rows.stored > 0 and waiting < CAUGHT_UP_S * self._plan.rate
            calm = calm + 1 if is_calm else 0
            if self._now() > deadline:
                raise StackError(f"{waiting:,} messages wait after {_SETTLED_S:g} s")
            if self._load is None or self._load.exit_code is not None:
                raise StackError("the load generator ended early")

    async def _watch(self, system: FaultSystem, folder: Path, gauges: Gauges) -> None:
        """Watch the system until cancelled. Raises StackError where the disk gets full."""
        trackers = self._plan.fleet.trackers
        for number in count():
            stored = await self._rows.look() * trackers
            gauges[Cell.LIMIT] = stored + round(AHEAD_S * self._plan.rate)
            self.came.backlog.append(max(0, gauges[Cell.SENT] - stored))
            self.came.take(await asyncio.to_thread(list, self._logs.look(self._now())))
            if number % LOOKS_A_SAMPLE == 0:
                at_s, parts = self._now(), self._parts(system)
                await asyncio.to_thread(self.came.memory.look, parts, at_s)
                if shutil.disk_usage(folder).free < _LEAST_FREE_BYTES:
                    raise StackError("the disk is nearly full")
            await asyncio.sleep(LOOK_S)

    def _parts(self, system: FaultSystem) -> dict[str, int]:
        """Return the processes of the system by name, and the load generator."""
        ingests = {"ingest": system.ingest.pid, "ingest-2": system.standby.pid}
        supervised = {name: system.pid(name) for name in ("postgres", "listener", "deliver", "api")}
        load = {} if self._load is None else {LOAD: self._load.pid}
        return {**{name: pid for name, pid in ingests.items() if pid}, **supervised, **load}


def _told(load: Process) -> Mapping[str, Any]:
    """Return what the load generator says at its end. Raises StackError where it failed."""
    if load.exit_code != 0:
        raise StackError(f"the load generator failed: {last_lines(load.command.log)}")
    return json.loads(load.command.log.read_text().splitlines()[-1])
