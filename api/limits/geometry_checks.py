"""Geometry checks beside the event loop: small ones on a thread, large ones in a process.

Organizations take turns. Each has at most one geometry that is checked or is next, so a costly one
delays others only by its own time. That time is bounded (`api.limits.geometry_process`).
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import msgspec

from api.http.worker_thread import OneThread
from api.limits.geometry_process import (
    CPU_S,
    HEAD_BYTES,
    ShapeAnswer,
    ShapeRequest,
    framed,
    judge,
    length_of,
)
from geofence.geometry.measures import Measures
from geofence.shapes.errors import ShapeError

_P = ParamSpec("_P")
_T = TypeVar("_T")

MOST_OF_EACH = 16  # geometries of an organization that are under way or wait
MOST_ORGANIZATIONS = 64
# What is smaller takes some ten milliseconds, whatever it is.
_SMALL_ARRAYS, _SMALL_BYTES = 300, 32 * 1024
_TOO_DEAR = f"it cannot be checked within {CPU_S} s: draw it with fewer vertices"


class TooManyOfOne(Exception):
    """The organization has reached its bound of geometries in work."""


class TooManyOfAll(Exception):
    """The queue has reached its bound of waiting organizations."""


@dataclass(slots=True)
class _Line:
    """The geometries of an organization."""

    head: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0


class Turns:
    """The turns of organizations: one request of each at a time, in order of arrival."""

    def __init__(self) -> None:
        self._lines: dict[UUID, _Line] = {}

    @asynccontextmanager
    async def turn(self, org_id: UUID) -> AsyncIterator[None]:
        """Wait for the organization's turn. Raises TooManyOfOne or TooManyOfAll at once."""
        line = self._lines.get(org_id) or _Line()
        if line.length >= MOST_OF_EACH:
            raise TooManyOfOne
        if line.length == 0 and len(self._lines) >= MOST_ORGANIZATIONS:
            raise TooManyOfAll
        self._lines[org_id] = line
        line.length += 1
        try:
            async with line.head:
                yield
        finally:
            line.length -= 1
            if line.length == 0:
                del self._lines[org_id]


class Shapes:
    """Checks geometries. The process for large ones is started when the first one comes."""

    def __init__(self) -> None:
        self._turns = Turns()
        self._thread = OneThread("geometry", waiting=MOST_ORGANIZATIONS)
        self._one_at_a_time = asyncio.Lock()
        self._process: Process | None = None

    @property
    def process_id(self) -> int | None:
        """The process for large geometries, where one was started."""
        return None if self._process is None else self._process.pid

    async def measure(
        self,
        org_id: UUID,
        geometry: Mapping[str, Any],
        *,
        radius_m: float | None,
        width_m: float | None,
    ) -> Measures:
        """Measure how large a geometry is. Raises ShapeError, TooManyOfOne, TooManyOfAll."""
        request = ShapeRequest(dict(geometry), radius_m, width_m)
        message = msgspec.json.encode(request)
        if len(message) <= _SMALL_BYTES and message.count(b"[") <= _SMALL_ARRAYS:
            return (await self.beside(org_id, judge, request)).result()
        # A request that is given up leaves its answer to be read.
        asking = asyncio.create_task(self._ask_in_turn(org_id, message))
        return (await asyncio.shield(asking)).result()

    async def beside(
        self, org_id: UUID, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Run `call`, which takes a fraction of a second, on the thread in the organization's turn.

        Raises TooManyOfOne, TooManyOfAll.
        """
        async with self._turns.turn(org_id):
            return await self._thread.run(call, *args, **kwargs)

    async def close(self) -> None:
        """End the thread and the process."""
        self._thread.close()
        if self._process is not None:
            with suppress(ProcessLookupError):  # it has ended by itself
                self._process.kill()
            await self._process.wait()

    async def _ask_in_turn(self, org_id: UUID, message: bytes) -> ShapeAnswer:
        async with self._turns.turn(org_id), self._one_at_a_time:
            answer = await self._ask(message)
        if not answer:
            raise ShapeError(_TOO_DEAR)
        return msgspec.json.decode(answer, type=ShapeAnswer)

    async def _ask(self, message: bytes) -> bytes:
        """Return the process's answer; from another process, where the one before has ended."""
        try:
            return await self._exchange(message)
        except (ConnectionError, asyncio.IncompleteReadError):
            self._process = None
            return await self._exchange(message)

    async def _exchange(self, message: bytes) -> bytes:
        if self._process is None:
            self._process = await _started()
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(framed(message))
        await stdin.drain()
        return await stdout.readexactly(length_of(await stdout.readexactly(HEAD_BYTES)))


async def _started() -> Process:
    """Start the process without our secrets, and without threads, since it forks."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("OPSC_")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "api.limits.geometry_process"),
        stdin=PIPE,
        stdout=PIPE,
        env=kept | {"OPENBLAS_NUM_THREADS": "1"},
    )
