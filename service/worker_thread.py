"""Work that would hold up the event loop, on one thread, with a bounded queue before it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class QueueFull(Exception):
    """The queue has reached its bound of waiting calls."""


class OneThread:
    """Runs calls one after the other. At most `waiting` may be under way at a time."""

    def __init__(self, name: str, *, waiting: int) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._waiting = waiting
        self._under_way = 0

    async def run(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run `call` on the thread; return its result or raise its error.

        Raises QueueFull at once if the queue is full.
        """
        if self._under_way >= self._waiting:
            raise QueueFull
        self._under_way += 1
        future = self._executor.submit(call, *args, **kwargs)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Discard waiting calls and wait for the running one."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _done(self) -> None:
        self._under_way -= 1
