"""Tables that a test locks, so that the API's questions to them wait as behind any other writer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from tests.api.running import RunningApi

_WAITING = "SELECT FROM pg_locks WHERE NOT granted AND relation = %s::regclass"


@contextmanager
def locked(api: RunningApi, table: str) -> Iterator[Callable[[], int]]:
    """Lock a table while the block lasts. Provides how many statements wait for it."""
    with psycopg.connect(api.database.url("admin")) as conn:
        conn.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield lambda: len(api.sql(_WAITING, table))
