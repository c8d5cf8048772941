"""Exceptions of the database and its driver, for callers outside of `db`."""

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
    "DataError",
    "DatabaseError",
    "ForeignKeyViolation",
    "IntegrityError",
    "InternalError",
    "LockNotAvailable",
    "OperationalError",  # no connection in time, too
    "QueryCanceled",
    "TransactionTimeout",
    "UniqueViolation",
]
