"""The waiting while the database is away: a little longer each time, and logged once."""

import asyncio
import random

import structlog

from db.core.errors import RECONNECT_S, InternalError, OperationalError
from service.exceptions import message

# A server that is gone, restarting, full or read-only; a session that was ended; a wait that was
# cut off. Whoever meets one of these begins again. Anything else is a fault of ours.
TROUBLE = (OperationalError, InternalError)

_DELAY_MIN_S = 0.25
_log = structlog.get_logger("webhooks")


class Outage:
    """The state of one loop's work with the database."""

    def __init__(self, what: str, chances: random.Random) -> None:
        self._what = what
        self._chances = chances
        self._delay_s = 0.0

    def begin(self, error: Exception) -> float:
        """Note a failure and return the seconds to wait."""
        if self._delay_s == 0:
            _log.warning("database unavailable, retrying", work=self._what, error=message(error))
        self._delay_s = min(max(2 * self._delay_s, _DELAY_MIN_S), RECONNECT_S)
        return self._delay_s * self._chances.uniform(0.5, 1)

    def end(self) -> None:
        """Note that the database has answered."""
        if self._delay_s > 0:
            _log.info("database available again", work=self._what)
        self._delay_s = 0.0


async def pause(event: asyncio.Event, seconds: float) -> bool:
    """Wait for `event`, at most `seconds`; whether it came."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
