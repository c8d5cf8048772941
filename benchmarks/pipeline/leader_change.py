"""The wait of devices for a PUBACK while the owner changes, with a large fleet to remember.

Some devices send a fix, wait for its PUBACK, and send the next one. Meanwhile the owner ends. What
is measured is the longest time from PUBLISH to PUBACK over all devices.
"""

import asyncio
import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from benchmarks.common.environment import Environment
from benchmarks.common.payloads import tracker_id, tracker_secret
from benchmarks.common.subject import STOP_SIGNALS, SubjectPlan, running
from mqtt import BrokerAddress, Session, SessionOptions
from service.health import STANDS_BY
from stack.host.process import Command, Process, wait_until
from stack.servers.postgres import free_port
from stack.servers.supervisor import FIRST_PAUSE_S, answers_ready

DEVICES = 20
PAUSE_S = 0.02  # of a device, between two messages
CALM_S = 3.0
READY_S = 120.0


class Case(NamedTuple):
    """The way in which the leader ends, and who follows."""

    name: str
    is_killed: bool
    has_standby: bool


CASES = (
    Case("SIGTERM, started again", is_killed=False, has_standby=False),
    Case("SIGTERM, a standby runs", is_killed=False, has_standby=True),
    Case("SIGKILL, a standby runs", is_killed=True, has_standby=True),
    Case("SIGKILL, started again", is_killed=True, has_standby=False),
)


def longest_waits(environment: Environment, trackers: int, rounds: int) -> list[dict[str, object]]:
    """Return seconds: of each case the longest wait for a PUBACK in each round, and one without
    any.

    trackers: how many are known, of which the last ones send.
    """
    senders = range(trackers - DEVICES, trackers)
    port = free_port(0)
    with ExitStack() as ends:
        owner = Owner(environment, ends)
        log = environment.folder / "owner-change-listener.log"
        ends.enter_context(running(environment.listener(port), log))
        calm_s = asyncio.run(_longest_wait(port, senders, asyncio.sleep(CALM_S)))
        found: list[dict[str, object]] = [{"case": "no change", "puback_s": [calm_s]}]
        for case in CASES:
            waits = [
                asyncio.run(_longest_wait(port, senders, owner.change(case))) for _ in range(rounds)
            ]
            found.append({"case": case.name, "puback_s": waits})
    return found


class Owner:
    """The ingest that owns the lease, and perhaps a standby."""

    def __init__(self, environment: Environment, ends: ExitStack) -> None:
        self._environment, self._ends = environment, ends
        self._started = 0
        self._current = self._start()
        asyncio.run(self._until(_works))

    async def change(self, case: Case) -> None:
        """End the owner, and return a moment after the next one works."""
        process, _ = self._current
        if case.has_standby:
            self._current = self._start()
            await self._until(_stands_by)
        await asyncio.sleep(CALM_S)
        await asyncio.to_thread(process.kill if case.is_killed else process.stop)
        if not case.has_standby:
            await asyncio.sleep(FIRST_PAUSE_S)  # as `opsc up` waits
            self._current = self._start()
        await self._until(_works)
        await asyncio.sleep(CALM_S)

    def _start(self) -> tuple[Process, SubjectPlan]:
        self._started += 1
        plan = self._environment.linked()
        socket = f"unix:{self._environment.folder / f'link-{self._started}.sock'}"
        settings = {"OPSC_INGEST_LINK": socket, "OPSC_LOG_LEVEL": "info"}
        plan = replace(plan, environment={**plan.environment, **settings})
        log = self._environment.folder / f"owner-{self._started}.log"
        command = Command(plan.name, plan.argv, log, STOP_SIGNALS, signal.SIGKILL, plan.environment)
        process = Process(command)
        self._ends.callback(process.stop)
        return process, plan

    async def _until(self, condition: Callable[[str], bool]) -> None:
        process, plan = self._current
        await asyncio.to_thread(wait_until, process, lambda: condition(plan.ready_url), READY_S)


def _works(ready_url: str) -> bool:
    return answers_ready(ready_url)()


def _stands_by(ready_url: str) -> bool:
    try:
        urllib.request.urlopen(ready_url, timeout=2).close()
    except urllib.error.HTTPError as error:
        return json.load(error)["status"] == STANDS_BY
    except OSError:
        pass
    return False


async def _longest_wait(
    port: int, senders: Sequence[int], change: Coroutine[None, None, None]
) -> float:
    """Return seconds, of all devices, while `change` takes place."""
    waits: list[float] = []
    done, first = asyncio.Event(), [asyncio.Event() for _ in senders]
    async with asyncio.timeout(5 * READY_S), asyncio.TaskGroup() as tasks:
        for number, is_served in zip(senders, first, strict=True):
            tasks.create_task(_send(port, number, waits, is_served, done))
        for is_served in first:
            await is_served.wait()
        await change
        done.set()  # each device waits for its last PUBACK, which counts too
    return round(max(waits), 2)


async def _send(
    port: int, number: int, waits: list[float], is_served: asyncio.Event, done: asyncio.Event
) -> None:
    name = tracker_id(number)
    options = SessionOptions(
        client_id=f"device-{number}",
        username=name,
        password=tracker_secret(number).encode(),
        clean_start=True,
    )
    async with Session(BrokerAddress.parse(f"mqtt://127.0.0.1:{port}"), options) as session:
        while not done.is_set():
            fix = {"time": datetime.now(UTC).isoformat(), "lat": 47.0, "lon": 10.0}
            sent_s = time.monotonic()
            await session.publish(f"trackers/{name}/fixes", json.dumps(fix).encode(), qos=1)
            waits.append(time.monotonic() - sent_s)
            is_served.set()
            await asyncio.sleep(PAUSE_S)
