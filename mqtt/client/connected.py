"""The connected state of a session, as something that one can ask and wait for."""

import asyncio


class Connected:
    """Like asyncio.Event, but waiting raises the error that ended the session instead of going on
    for ever.
    """

    def __init__(self) -> None:
        self._settled = asyncio.Event()
        self._is_set = False
        self._error: BaseException | None = None

    def is_set(self) -> bool:
        return self._is_set

    async def wait(self) -> None:
        """Return once connected, at once if it is so already. Raises the error that ended the
        session.
        """
        await self._settled.wait()
        if self._error is not None:
            raise self._error.with_traceback(None)

    def set(self) -> None:
        if self._error is None:
            self._is_set = True
            self._settled.set()

    def clear(self) -> None:
        self._is_set = False
        if self._error is None:
            self._settled.clear()

    def end(self, error: BaseException) -> None:
        """End the waiting: there will be no connection any more."""
        self._is_set = False
        self._error = error
        self._settled.set()
