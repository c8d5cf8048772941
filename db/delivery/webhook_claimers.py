"""The delivering processes that live: each holds an advisory lock of its number.

PostgreSQL frees the lock when the process is killed or its session ends for another reason. The
lock is shared, so that a process whose session ended takes it again while the server still has the
old session.
"""

from db.core.connect import Connection

_CLASS = 0x0707_5C02  # any number that is ours alone; beside it stands the claimer's
LARGEST = 2**31 - 1


async def hold(conn: Connection, claimer: int) -> None:
    """Hold the lock of the number for as long as the session lasts."""
    await conn.execute("SELECT pg_advisory_lock_shared(%s::int4, %s::int4)", (_CLASS, claimer))


async def living(conn: Connection) -> set[int]:
    """Read the numbers whose locks are held."""
    cursor = await conn.execute(
        """
        SELECT objid::bigint FROM pg_locks
         WHERE locktype = 'advisory' AND classid = %s::int4::oid AND objsubid = 2 AND granted
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """,
        (_CLASS,),
    )
    return {number for (number,) in await cursor.fetchall()}
