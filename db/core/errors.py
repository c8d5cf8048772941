"""Exceptions of the database and its driver, for callers outside of `db`; how soon to try again."""

from psycopg import DataError, IntegrityError, InternalError, OperationalError
from psycopg import Error as DatabaseError  # all of psycopg's, those of the pool too
from psycopg.errors import (
    ForeignKeyViolation,
    LockNotAvailable,
    QueryCanceled,
    TransactionTimeout,
    UniqueViolation,
)

__all__ = [
    "RECONNECT_S",
    "DataError",
    "DatabaseError",
    "ForeignKeyViolation",
    "IntegrityError",
    "InternalError",
    "LockNotAvailable",
    "NoAnswer",
    "NoConnection",
    "NotReplicated",
    "OperationalError",  # no connection in time, too
    "QueryCanceled",
    "TransactionTimeout",
    "UniqueViolation",
]

RECONNECT_S = 0.5
"""The longest pause between two tries to reach a database that is away, of pools and of whatever a
role must have done to be ready: a pause may grow, but not beyond. So each role is ready within two
seconds of the database's return, however long that was away.
"""


class NoConnection(OperationalError):
    """No connection came free in time. is_share_used: the organization that asks has used its share
    of them, so it is not the database that is busy.
    """

    def __init__(self, *, is_share_used: bool) -> None:
        super().__init__("no connection came free in time")
        self.is_share_used = is_share_used


class NoAnswer(OperationalError):
    """The server has not answered for longer than its own limits; whether it did what it was asked
    for is not known.
    """

    def __init__(self) -> None:
        super().__init__("the database does not answer")


class NotReplicated(OperationalError):
    """What was committed is on this server, and perhaps on no other: it counts as not done. It may
    be found there later, and is gone after a fail-over.
    """

    def __init__(self) -> None:
        super().__init__("the wait for a synchronous standby was given up")
