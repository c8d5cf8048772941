"""Recent failures to sign in, counted in PostgreSQL, so for all processes alike.

Each key has a count that runs out with time. Some failures are free; beyond them each failure
blocks the key, for twice as long as the one before. A try is counted before it is judged, and taken
back where it was good: so tries at the same time come one after the other. A try while the key is
blocked is not counted, and makes nothing worse.
"""

from datetime import timedelta
from typing import NamedTuple

from db.core.connect import Connection
from db.core.fetch import fetch_one

_MOST_DOUBLINGS = 20


class Allowance(NamedTuple):
    """The number of free failures, the time after which one is forgotten, and the longest and first
    block.
    """

    free: int
    forgotten_after_s: float
    longest_block_s: float
    first_block_s: float = 1


class SignInAllowance(NamedTuple):
    """Whether a try may be judged, and after how long the next may."""

    is_admitted: bool
    wait_s: float


async def count(conn: Connection, key: bytes, allowance: Allowance) -> SignInAllowance:
    cursor = await conn.execute(
        """
        INSERT INTO sign_in_failures AS f (key, failures, counted_at, blocked_until, was_admitted)
        VALUES (%(key)s, 1, now(), now(), true)
        ON CONFLICT (key) DO UPDATE
           SET (failures, counted_at, blocked_until, was_admitted) = (
            SELECT CASE WHEN n.is_blocked THEN f.failures ELSE n.failures END,
                   CASE WHEN n.is_blocked THEN f.counted_at ELSE n.at END,
                   CASE WHEN n.is_blocked THEN f.blocked_until
                        WHEN n.failures <= %(free)s THEN n.at
                        ELSE n.at + interval '1 second' * least(
                            %(first)s * 2 ^ least(n.failures - %(free)s - 1, %(most)s),
                            %(longest)s) END,
                   NOT n.is_blocked
              FROM (SELECT c.at, f.blocked_until > c.at AS is_blocked,
                           1 + greatest(0, f.failures - %(rate)s
                               * extract(epoch FROM c.at - f.counted_at)::float8) AS failures
                      FROM (SELECT clock_timestamp() AS at) AS c) AS n)
        RETURNING was_admitted,
                  greatest(0, extract(epoch FROM blocked_until - clock_timestamp()))::float8
        """,
        {
            "key": key,
            "free": allowance.free,
            "longest": allowance.longest_block_s,
            "first": allowance.first_block_s,
            "rate": 1 / allowance.forgotten_after_s,
            "most": _MOST_DOUBLINGS,
        },
    )
    return SignInAllowance(*await fetch_one(cursor))


async def take_back(conn: Connection, key: bytes) -> None:
    """Take back the last counted try, which was good."""
    await conn.execute(
        """
        UPDATE sign_in_failures
           SET failures = greatest(0, failures - 1), blocked_until = clock_timestamp()
         WHERE key = %s
        """,
        (key,),
    )


async def forget(conn: Connection, key: bytes) -> None:
    await conn.execute(
        """
        UPDATE sign_in_failures SET failures = 0, blocked_until = clock_timestamp() WHERE key = %s
        """,
        (key,),
    )


async def trust(conn: Connection, key: bytes, lifetime: timedelta) -> None:
    """Trust the user who is counted by this key and has signed in, for `lifetime`."""
    await conn.execute(
        """
        INSERT INTO sign_in_failures (key, failures, counted_at, blocked_until, was_admitted,
                                      trusted_until)
        VALUES (%(key)s, 0, now(), now(), true, now() + %(lifetime)s)
        ON CONFLICT (key) DO UPDATE
           SET failures = 0, blocked_until = now(), trusted_until = now() + %(lifetime)s
        """,
        {"key": key, "lifetime": lifetime},
    )


async def is_trusted(conn: Connection, keys: list[bytes]) -> bool:
    """Return whether who is counted by one of these keys is trusted."""
    cursor = await conn.execute(
        "SELECT FROM sign_in_failures WHERE key = ANY (%s) AND trusted_until > now()", (keys,)
    )
    return cursor.rowcount > 0
