"""Runs rows of the fault matrix, one after the other, each under traffic that is verified.

    async for result in run_rows(["1", "3"], is_short=False, seed=1, say=print): ...

Each row has a system of its own. In the short form rows of the same setting share one, each with an
organization of its own, until one of them fails, or has started a standby.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import psycopg

from benchmarks.faults.bad_receivers import BadReceivers
from benchmarks.faults.injections import Extent
from benchmarks.faults.live_readers import LiveReaders
from benchmarks.faults.load import Beside, Loaded, loaded
from benchmarks.faults.rows import ROWS, Row
from benchmarks.faults.system import FaultSystem, Setting, fault_system
from device_sim.fleet import FleetError
from mqtt import MqttError
from stack.errors import StackError
from stack.scenario.api_client import ApiError
from stack.servers.supervisor import Say

ROW_LIMIT_S = 900.0
_ZONE_SETS_SHORT = 3
WRONG = (
    *(StackError, ApiError, FleetError, MqttError),
    *(psycopg.Error, OSError, TimeoutError, RuntimeError),
)
_ELSEWHERE = ("OPSC_DATABASE_URL", "OPSC_BROKER_URL")


@dataclass(frozen=True, slots=True)
class RowResult:
    """The result of a row. trouble: why it is not good beyond the tally. skipped: why it was not
    done.
    """

    key: str
    title: str
    duration_s: float = 0.0
    loaded: Loaded | None = None
    done: Mapping[str, int] = field(default_factory=dict[str, int])
    measured: Mapping[str, float] = field(default_factory=dict[str, float])
    trouble: str | None = None
    skipped: str | None = None

    @property
    def is_good(self) -> bool:
        if self.skipped is not None:
            return True
        if self.trouble is not None or self.loaded is None:
            return False
        return self.loaded.tally.is_clean and self.loaded.whole == self.loaded.assets

    def as_json(self) -> Mapping[str, Any]:
        result = asdict(self)
        rounded = {name: round(value, 3) for name, value in self.measured.items()}
        return result | {"good": self.is_good, "measured": rounded}


async def run_rows(
    keys: Sequence[str], *, is_short: bool, seed: int, say: Say
) -> AsyncIterator[RowResult]:
    """Run the rows; a row whose system cannot be started is not good, and the others are done all
    the same.
    """
    if elsewhere := [name for name in _ELSEWHERE if os.environ.get(name)]:
        raise StackError(f"faults are for servers of our own: unset {', '.join(elsewhere)}")
    keeper = _Keeper(say)
    try:
        for key in keys:
            row = ROWS[key]
            if (why_not := row.why_not()) is not None:
                yield RowResult(key, row.title, skipped=why_not)
                continue
            say(f"row {key}: {row.title}")
            try:
                system = await keeper.system(row.setting)
            except StackError as error:
                yield RowResult(key, row.title, trouble=f"its system cannot be started: {error}")
                continue
            result = await _run(key, row, system, Extent(is_short, seed))
            if not (is_short and result.is_good) or row.has_standby:
                await keeper.close()
            yield result
    finally:
        await keeper.close()


class _Keeper:
    """One system at a time."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._ending = AsyncExitStack()
        self._system: FaultSystem | None = None
        self._setting: Setting | None = None

    async def system(self, setting: Setting) -> FaultSystem:
        """Return the one that runs, where it has that setting; else a new one."""
        if self._system is None or self._setting != setting:
            await self.close()
            self._system = await self._ending.enter_async_context(fault_system(setting, self._say))
            self._setting = setting
        return self._system

    async def close(self) -> None:
        self._system = None
        await self._ending.aclose()


async def _run(key: str, row: Row, system: FaultSystem, extent: Extent) -> RowResult:
    """Run a row; a row that cannot be brought to its end is not good, and `trouble` says why."""
    system.done.clear()
    system.measured.clear()
    system.bad_receivers, system.live_readers = BadReceivers(), LiveReaders()
    began = time.monotonic()
    came: Loaded | None = None
    trouble: str | None = None
    try:
        async with asyncio.timeout(ROW_LIMIT_S):
            came = await _done(row, system, extent)
    except* WRONG as group:
        trouble = "; ".join(f"{type(one).__name__}: {one}" for one in leaves(group))
    return RowResult(
        key,
        row.title,
        round(time.monotonic() - began, 1),
        came,
        dict(system.done),
        dict(system.measured),
        trouble,
    )


async def _done(row: Row, system: FaultSystem, extent: Extent) -> Loaded:
    await system.begin()
    if row.has_standby:
        system.standby.start()
    load = row.load
    if extent.is_short:
        load = replace(load, trackers=load.trackers // 2, zone_sets=_ZONE_SETS_SHORT)

    async def action() -> None:
        await row.do(system, extent)

    beside: list[Beside] = []
    if row.has_bad_receivers:
        beside.append(system.bad_receivers.endpoints)
    if row.has_live_readers:
        beside.append(partial(system.live_readers.beside, api_url=system.stack.api_url))
    return await loaded(system.stack, system.device_broker, load, extent.seed, action, beside)


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """Return the errors in a group, and in the groups within it."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found += leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
