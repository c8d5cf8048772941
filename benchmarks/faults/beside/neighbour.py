"""An organization that floods, with poison and rubbish among it, beside one that must not notice.

The database refuses one `seq` for as long as this goes on, so that a fix with it is poison: it is
decoded and judged like any other, and fails the transaction that it is in.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count

import numpy as np

from benchmarks.faults.beside.guests import NASTY, Guest, guests
from benchmarks.faults.disturbance import Broken, refusing_seq
from benchmarks.faults.system import FaultSystem
from mqtt import MqttError, PublishRefusedError
from telemetry.times import format_time
from telemetry.topics import fixes_topic

LONGEST_PUBACK_S = 5.0
POISON_SEQ = 666_666_666
_CALM_S = 8.0
_BETWEEN_S = 0.05
_FLOODING_TRACKERS = 8
_IN_FLIGHT = 40
_FIXES = 50  # of a message of the flood
_BACKLOG_US = 12 * 3600 * 1_000_000  # so that no time of it lies ahead


async def flooded_beside(system: FaultSystem, seconds: float, seed: int) -> None:
    """Raise Broken where a PUBACK of the other organization is late, or a term ended."""
    failures = system.ingest.metric("opsc_ingest_failures_total")
    async with guests(system, 1) as (quiet,), guests(system, _FLOODING_TRACKERS, seed) as crowd:
        _measure(system, "calm", await _answers_s(quiet, min(_CALM_S, seconds)))
        async with _poisonous(system), _flooding(crowd):
            answers_s = await _answers_s(quiet, seconds)
        _measure(system, "beside", answers_s)
        system.done["messages of the flood"] += sum(one.sent for one in crowd)
        system.measured["poison_refused"] = await crowd[0].refused()
    failures = system.ingest.metric("opsc_ingest_failures_total") - failures
    if failures:
        raise Broken(f"the flood ended {failures:.0f} turns of ingest")
    if max(answers_s) > LONGEST_PUBACK_S:
        raise Broken(f"a PUBACK came after {max(answers_s):.1f} s beside the flood")


async def _answers_s(one: Guest, seconds: float) -> list[float]:
    """Measure from each publish to its PUBACK, one after the other."""
    answers_s = list[float]()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        began = time.monotonic()
        await one.send(one.fix())
        answers_s.append(time.monotonic() - began)
        await asyncio.sleep(_BETWEEN_S)
    return answers_s


def _measure(system: FaultSystem, name: str, answers_s: list[float]) -> None:
    for share in (50, 99, 100):
        system.measured[f"{name}_p{share}_s"] = float(np.percentile(answers_s, share))


@asynccontextmanager
async def _poisonous(system: FaultSystem) -> AsyncIterator[None]:
    async with system.admin() as conn, refusing_seq(conn, POISON_SEQ):
        yield


@asynccontextmanager
async def _flooding(crowd: list[Guest]) -> AsyncIterator[None]:
    """Provide a load in which each tracker sends as fast as the listener allows."""
    began_us = time.time_ns() // 1000 - _BACKLOG_US
    async with AsyncExitStack() as ending:
        for one in crowd:
            numbers = count()
            for _ in range(_IN_FLIGHT):
                task = asyncio.create_task(_flood(one, began_us, numbers))
                ending.push_async_callback(_ended, task)
        yield


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _flood(one: Guest, began_us: int, numbers: count[int]) -> None:
    topic = fixes_topic(one.tracker.tracker_id)
    for number in numbers:
        with suppress(PublishRefusedError, MqttError):
            await one.session.publish(topic, _message(began_us, number))
        one.sent += 1
        await asyncio.sleep(0)


def _message(began_us: int, number: int) -> bytes:
    """Return a message: of eight one is poison, one rubbish, and the others have many fixes, a
    millisecond apart.
    """
    if number % 8 == 0:
        return NASTY[number // 8 % len(NASTY)]
    first_us, is_poison = began_us + 1000 * _FIXES * number, number % 8 == 1
    fixes = [
        {
            "time": format_time(first_us + 1000 * index),
            "lat": 52.5,
            "lon": 13.4,
            "seq": POISON_SEQ if is_poison and not index else 0,
        }
        for index in range(_FIXES)
    ]
    return json.dumps(fixes).encode()
