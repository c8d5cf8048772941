"""Work that would hold up the event loop, on one thread, with a bounded queue before it."""

import asyncio
import threading
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
        self._room = threading.Semaphore(waiting)

    async def run(self, call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run `call` on the thread; return its result or raise its error.

        Raises QueueFull at once if the queue is full.
        """
        if not self._room.acquire(blocking=False):
            raise QueueFull
        future = self._executor.submit(call, *args, **kwargs)
        future.add_done_callback(lambda _: self._room.release())  # before the result is known here
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Discard waiting calls and wait for the running one."""
        self._executor.shutdown(wait=True, cancel_futures=True)
