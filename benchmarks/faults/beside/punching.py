"""Employees who punch in and out beside the fleet, in an organization of their own.

Each has a phone, and the phone's PUBACKs are a ledger: what was acknowledged must be stored once,
with its event. At any moment an employee whose last punch is not `out` has one open shift, and
another one has none. `Broken` is raised where this does not hold.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.faults.disturbance import Broken, torn_punches, watched_commits
from benchmarks.faults.load import new_organization
from benchmarks.faults.system import FaultSystem
from device_sim.crew import LEAST_SECONDS, SITE, CrewPlan
from mqtt import Session, SessionOptions
from stack.scenario.api_client import ApiClient
from stack.sim.crew import Crew, hire
from stack.verify.punches import read_crew
from telemetry.times import format_time, parse_time_us
from telemetry.topics import punches_topic

EMPLOYEES = 5
_MOST_PUNCHES = 400  # of an employee: fewer than the system takes in a day
_IN_FLIGHT = 3  # an odd number: what is committed together ends with `in` and with `out`
_PAUSE_S = 0.5
_LOOK_S = 0.02
_SETTLED_S = 60.0
_SECOND_US = 1_000_000

PunchKey = tuple[str, int]  # employee, claimed time


async def punched_beside(system: FaultSystem, action: Callable[[], Awaitable[None]]) -> None:
    """Let employees punch until the action has ended. Raises Broken, and what the action raises."""
    async with (
        new_organization(system.stack) as client,
        system.admin() as watching,
        watched_commits(watching),
    ):
        crew = await hire(client, system.device_broker, CrewPlan(EMPLOYEES, LEAST_SECONDS))
        began_us = time.time_ns() // 1000 - _MOST_PUNCHES * _SECOND_US
        stop, settled = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(_look(system, settled))
            punching = [
                tasks.create_task(_punch(system, crew, number, began_us, stop))
                for number in range(EMPLOYEES)
            ]
            await action()
            stop.set()
            async with asyncio.timeout(_SETTLED_S):
                acknowledged = [key for task in punching for key in await task]
            settled.set()
        system.done["punches acknowledged"] += len(acknowledged)
        system.measured["looks_at_shifts"] = looking.result()
        await _check(client, acknowledged)


async def _punch(
    system: FaultSystem, crew: Crew, number: int, began_us: int, stop: asyncio.Event
) -> list[PunchKey]:
    """Send `in` and `out` in turn until `stop`. Returns what was acknowledged."""
    phone, employee_id = crew.phones[number], crew.employee_ids[number]
    options = SessionOptions(
        phone.tracker_id,
        username=phone.tracker_id,
        password=phone.secret.encode(),
        reconnect_max_s=0.5,
    )
    told: list[PunchKey] = []
    async with Session(system.device_broker, options) as session:
        while not stop.is_set() and len(told) + _IN_FLIGHT <= _MOST_PUNCHES:
            some = range(len(told), len(told) + _IN_FLIGHT)
            times_us = [began_us + each * _SECOND_US for each in some]
            await asyncio.gather(
                *(
                    session.publish(
                        punches_topic(phone.tracker_id),
                        _body(employee_id, ("in", "out")[each % 2], at_us),
                        qos=1,
                    )
                    for each, at_us in zip(some, times_us, strict=True)
                )
            )
            told += [(employee_id, at_us) for at_us in times_us]
            await asyncio.sleep(_PAUSE_S)
    return told


def _body(employee_id: str, kind: str, at_us: int) -> bytes:
    at, (lon, lat) = format_time(at_us), SITE.place
    body: dict[str, Any] = {"employee_id": employee_id, "kind": kind, "time": at}
    return json.dumps({**body, "fix_time": at, "lat": lat, "lon": lon, "accuracy_m": 8}).encode()


async def _look(system: FaultSystem, settled: asyncio.Event) -> int:
    """Look at what is committed until all is `settled`, and once more. Returns how often."""
    looks, is_last = 0, False
    async with system.admin() as conn:
        while not is_last:
            is_last = settled.is_set()
            if torn := await torn_punches(conn):
                raise Broken("; ".join(torn))
            looks += 1
            await asyncio.sleep(_LOOK_S)
    return looks


async def _check(client: ApiClient, acknowledged: list[PunchKey]) -> None:
    ends_s = time.monotonic() + _SETTLED_S
    while True:
        found = await read_crew(client)
        stored = Counter((row["employee_id"], parse_time_us(row["time"])) for row in found.punches)
        told = Counter(event["data"]["punch_id"] for event in found.events)
        if len(told) >= len(stored) or time.monotonic() > ends_s:
            break
        await asyncio.sleep(0.5)
    lost = set(acknowledged) - stored.keys()
    others = stored.keys() - set(acknowledged)
    if lost or others or stored.total() != len(stored):
        raise Broken(
            f"of {len(acknowledged)} acknowledged punches {len(lost)} are lost,"
            f" {stored.total() - len(stored)} are doubled; {len(others)} others are stored"
        )
    if told != Counter(row["id"] for row in found.punches):
        raise Broken(f"{len(stored)} punches have {told.total()} events of {len(told)} punches")
