"""Geometry checks beside the event loop: small ones on a thread, large ones in a process, which
also decodes large bodies.

Organizations take turns. Each has at most one geometry that is checked or is next, so a costly one
delays others only by its own time. That time is bounded (`api.limits.geometry_process`).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import ParamSpec, TypeVar
from uuid import UUID

import msgspec

from api.limits.forking_process import ForkingProcess
from api.limits.geometry_process import (
    LIMITS,
    BodyAnswer,
    BodyRequest,
    Request,
    ShapeAnswer,
    ShapeRequest,
    ShapesRequest,
    judge,
)
from api.limits.turns import MOST_ORGANIZATIONS, TooManyOfAll, Turns
from service.worker_thread import OneThread

_P = ParamSpec("_P")
_T = TypeVar("_T")

WAITING_IMPORTS = 2
"""An import of zones beyond, of one organization, does not wait."""
LARGE_BYTES = 256 * 1024
"""Bodies beyond are decoded in the process."""
_SMALL_ARRAYS, _SMALL_BYTES = 300, 32 * 1024
_PORTION, _PORTION_BYTES = 250, 256 * 1024  # of many geometries, which a child checks
_answers = msgspec.msgpack.Decoder(list[ShapeAnswer])
_TOO_DEAR = f"it cannot be checked within {LIMITS.cpu_s} s: draw it with fewer vertices"


class Shapes:
    """Checks geometries. The process for large ones is started when the first one comes.

    imports: the turns of organizations that import zones.
    """

    def __init__(self) -> None:
        self.imports = Turns(most_of_each=1 + WAITING_IMPORTS)
        self._turns = Turns()
        self._thread = OneThread("geometry", waiting=MOST_ORGANIZATIONS)
        self._process = ForkingProcess("api.limits.geometry_process", self._turns)

    @property
    def process_id(self) -> int | None:
        """The process for large geometries, where one was started."""
        return None if self._process.process is None else self._process.process.pid

    async def check(self, org_id: UUID, asked: Sequence[ShapeRequest]) -> list[ShapeAnswer]:
        """Read and measure geometries. Raises TooManyOfOne, TooManyOfAll."""
        if _are_small(asked):
            return await self.beside(org_id, judge, asked)
        results: list[ShapeAnswer] = []
        for some in _portions(asked):
            answered = await self._ask(org_id, ShapesRequest(some))
            if answered:
                results += _answers.decode(answered)
            elif len(some) > 1:  # one of them is too dear, or all are together
                for geometry in some:
                    results += await self.check(org_id, [geometry])
            else:
                results.append(ShapeAnswer(problem=_TOO_DEAR))
        return results

    async def decode_body(self, org_id: UUID, content: bytes, most_values: int) -> object:
        """Decode a large body; the coordinates of geometries stay JSON texts (`msgspec.Raw`).

        Raises Problem, TooManyOfOne, TooManyOfAll.
        """
        answered = await self._ask(org_id, BodyRequest(content, most_values))
        if not answered:
            raise TooManyOfAll  # no body takes so long on a machine that is not too busy
        return msgspec.msgpack.decode(answered, type=BodyAnswer).result()

    async def _ask(self, org_id: UUID, request: Request) -> bytes:
        async def read() -> bytes:
            return msgspec.msgpack.encode(request)

        return await self._process.ask(org_id, read)

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


def _are_small(asked: Sequence[ShapeRequest]) -> bool:
    """Return whether all together take some ten milliseconds at most."""
    texts = [question.geometry for question in asked]
    if sum(map(len, texts)) > _SMALL_BYTES:
        return False
    return sum(text.count("[") for text in texts) <= _SMALL_ARRAYS


def _portions(asked: Sequence[ShapeRequest]) -> Iterator[list[ShapeRequest]]:
    """Yield all in their order, in lists of one at least, and of more as far as they are short."""
    some: list[ShapeRequest] = []
    size = 0
    for question in asked:
        size += len(question.geometry)
        if some and (len(some) == _PORTION or size > _PORTION_BYTES):
            yield some
            some, size = [], len(question.geometry)
        some.append(question)
    yield some
