"""Geometry checks beside the event loop: small ones on a thread, large ones in a process.

Organizations take turns. Each has at most one geometry that is checked or is next, so a costly one
delays others only by its own time. That time is bounded (`api.limits.geometry_process`).
"""

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import msgspec

from api.limits.forking_process import ForkingProcess
from api.limits.geometry_process import LIMITS, ShapeAnswer, ShapeRequest, judge
from api.limits.turns import MOST_ORGANIZATIONS, Turns
from geofence.geometry.measures import Measures
from geofence.shapes.errors import ShapeError
from service.worker_thread import OneThread

_P = ParamSpec("_P")
_T = TypeVar("_T")

# What is smaller takes some ten milliseconds, whatever it is.
_SMALL_ARRAYS, _SMALL_BYTES = 300, 32 * 1024
_TOO_DEAR = f"it cannot be checked within {LIMITS.cpu_s} s: draw it with fewer vertices"


class Shapes:
    """Checks geometries. The process for large ones is started when the first one comes."""

    def __init__(self) -> None:
        self._turns = Turns()
        self._thread = OneThread("geometry", waiting=MOST_ORGANIZATIONS)
        self._process = ForkingProcess("api.limits.geometry_process", self._turns)

    @property
    def process_id(self) -> int | None:
        """The process for large geometries, where one was started."""
        return None if self._process.process is None else self._process.process.pid

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

        async def read() -> bytes:
            return message

        answer = await self._process.ask(org_id, read)
        if not answer:
            raise ShapeError(_TOO_DEAR)
        return msgspec.json.decode(answer, type=ShapeAnswer).result()

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
        await self._process.close()
