"""Failures that are no fault of a row of work: the waiting while the database is away, a little
longer each time, and logged once.
"""

import random

import structlog

from db.core.connect import Pool
from db.core.errors import (
    RECONNECT_S,
    InternalError,
    OperationalError,
    QueryCanceled,
    TransactionTimeout,
)
from db.core.leases import LeaseLost
from db.history.failing_work import FailingWork
from service.background.row_guard import GuardLimits, GuardMetrics, RowGuard
from service.exceptions import message

# A server that is gone, restarting, full or read-only; a session that was ended; a wait that was
# cut off. Whoever meets one of these begins again. Anything else is a fault of ours.
TROUBLE = (OperationalError, InternalError)

NOT_OF_A_ROW = (*TROUBLE, LeaseLost)
SLOW = (QueryCanceled, TransactionTimeout)
"""Those that tell of a statement that took too long, perhaps because of what it was about."""
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


def row_guard(
    connections: Pool, metrics: GuardMetrics, limits: GuardLimits | None = None
) -> RowGuard:
    """Return the guard of all background work of this role."""
    return RowGuard(FailingWork(connections.connection), NOT_OF_A_ROW, SLOW, metrics, limits)
