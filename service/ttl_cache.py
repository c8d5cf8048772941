"""A bounded cache whose entries expire."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class TtlCache(Generic[_Key, _Value]):
    """A bounded cache: each value has a time at which it expires, by `clock` in seconds.

    Beyond `max_entries` the entry that was put least recently is removed.
    """

    def __init__(self, max_entries: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_entries = max_entries
        self._clock = clock
        self._entries: OrderedDict[_Key, tuple[_Value, float]] = OrderedDict()

    def get(self, key: _Key) -> _Value | None:
        """Return the value of a key; None if there is none or it has expired."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        value, until_s = entry
        if self._clock() < until_s:
            return value
        del self._entries[key]
        return None

    def put(self, key: _Key, value: _Value, until_s: float) -> None:
        """Set the value of a key until the given time."""
        self._entries[key] = value, until_s
        self._entries.move_to_end(key)
        if len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)

    def forget(self, is_outdated: Callable[[_Value], bool]) -> None:
        """Remove the values for which this is true."""
        outdated = [key for key, (value, _) in self._entries.items() if is_outdated(value)]
        for key in outdated:
            del self._entries[key]


class LookupCache(Generic[_Key, _Value]):
    """A cache of look-ups, each kept for `fresh_s`. Callers at the same time share one look-up.

    Neither None nor an error is remembered: the next caller looks up again.
    """

    def __init__(
        self, fresh_s: float, max_entries: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fresh_s = fresh_s
        self._clock = clock
        self._known = TtlCache[_Key, _Value](max_entries, clock)
        self._running: dict[_Key, asyncio.Task[_Value]] = {}

    async def find(self, key: _Key, look_up: Callable[[], Awaitable[_Value]]) -> _Value:
        """Return what `look_up` gave at most `fresh_s` ago. Raises what `look_up` raises."""
        known = self._known.get(key)
        if known is not None:
            return known
        running = self._running.get(key)
        if running is None:
            running = asyncio.create_task(self._look_up(key, look_up))
            self._running[key] = running
        return await asyncio.shield(running)  # a caller that leaves takes no answer from others

    def forget(self, is_outdated: Callable[[_Value], bool]) -> None:
        """Look the values up again for which this is true. A look-up that runs answers those who
        wait for it already, and nobody else: it may have been made before they were outdated.
        """
        self._known.forget(is_outdated)
        self._running.clear()

    async def _look_up(self, key: _Key, look_up: Callable[[], Awaitable[_Value]]) -> _Value:
        # What is committed after this instant may be missed, so freshness counts from here.
        until_s = self._clock() + self._fresh_s
        own = asyncio.current_task()
        try:
            value = await look_up()
        finally:
            is_current = self._running.get(key) is own
            if is_current:
                del self._running[key]
        if value is not None and is_current:
            self._known.put(key, value, until_s)
        return value
