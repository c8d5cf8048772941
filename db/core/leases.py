"""Leases: one leader per name, fenced by an epoch, the number of its term.

Another process may take a lease that is not renewed in time, and raises the epoch. A former leader
that only slept still believes that it holds the lease. So each of its transactions checks the epoch
and locks the row, and fails once the epoch has moved on.

The lease of a session is held by an advisory lock, too. PostgreSQL frees the lock when the process
is killed, so a successor need not wait until the lease expires. The epoch alone keeps a former
leader from writing: a session that ends early costs a change of leader and nothing else.
"""

from db.core.connect import Connection
from db.core.fetch import value_of

INGEST = "ingest"
"""The lease of the process that stores fixes."""


class LeaseLost(Exception):
    """The lease has another holder by now."""

    def __init__(self, name: str, epoch: int) -> None:
        super().__init__(f"the lease {name!r} is no longer held at epoch {epoch}")
        self.name = name
        self.epoch = epoch


async def acquire(
    conn: Connection,
    name: str,
    holder: str,
    ttl_s: float,
    address: str | None = None,
    *,
    of_session: bool = False,
) -> int | None:
    """Return the new epoch, or None while another holds the lease. address: where others find the
    holder.

    A holder that asks again gets a new epoch: what it had open before is fenced off. of_session:
    the lease is held by the session of `conn`, and was by those of all holders before.
    """
    asked = {"name": name, "holder": holder, "ttl_s": ttl_s, "address": address}
    async with conn.transaction():
        cursor = await conn.execute(
            """
            UPDATE leases
               SET epoch = epoch + 1, holder = %(holder)s, address = %(address)s,
                   expires_at = clock_timestamp() + make_interval(secs => %(ttl_s)s)
             WHERE name = %(name)s
               AND (expires_at < clock_timestamp() OR holder = %(holder)s
                    OR %(of_session)s AND pg_try_advisory_xact_lock_shared(
                           hashtextextended('lease ' || name || epoch, 0)))
            RETURNING epoch
            """,
            asked | {"of_session": of_session},
        )
        row = await cursor.fetchone()
        if row is not None and of_session:  # before anybody else sees the epoch
            await conn.execute(
                "SELECT pg_advisory_lock(hashtextextended('lease ' || %s || %s::bigint, 0))",
                (name, row[0]),
            )
    return None if row is None else row[0]


async def end_stuck(conn: Connection, older_than_s: float) -> int:
    """End the sessions of our role whose transactions hold a lease against change (`check`) for
    longer than `older_than_s`; the number of them. For who waited as long for a lease that has run
    out.

    PostgreSQL gives up a transaction of a process that is frozen, but not while it waits for the
    rows of a COPY: there it looks at no timeout, and at the end of the session alone.
    """
    cursor = await conn.execute(
        """
        SELECT pg_terminate_backend(held.pid)
          FROM pg_locks AS held JOIN pg_stat_activity AS session ON session.pid = held.pid
         WHERE held.relation = 'leases'::regclass AND held.mode = 'RowShareLock' AND held.granted
           AND session.datname = current_database() AND session.usename = current_user
           AND session.pid <> pg_backend_pid()
           AND session.xact_start < clock_timestamp() - make_interval(secs => %s)
        """,
        (older_than_s,),
    )
    return cursor.rowcount


async def epoch(conn: Connection, name: str) -> int:
    """Return the epoch of the last leader, which may have ended."""
    return await value_of(conn, "SELECT epoch FROM leases WHERE name = %s", (name,))


async def renew(conn: Connection, name: str, epoch: int, ttl_s: float) -> bool:
    """Hold the lease for another `ttl_s`. False: it is lost."""
    cursor = await conn.execute(
        """
        UPDATE leases SET expires_at = clock_timestamp() + make_interval(secs => %(ttl_s)s)
         WHERE name = %(name)s AND epoch = %(epoch)s
        """,
        {"name": name, "epoch": epoch, "ttl_s": ttl_s},
    )
    return cursor.rowcount == 1


async def holder(conn: Connection, name: str) -> tuple[int, str] | None:
    """Read the holder's epoch and address; None where there is no holder, or no address."""
    cursor = await conn.execute(
        """
        SELECT epoch, address FROM leases
         WHERE name = %s AND address IS NOT NULL AND expires_at > clock_timestamp()
        """,
        (name,),
    )
    row = await cursor.fetchone()
    return None if row is None else (row[0], row[1])


async def check(conn: Connection, name: str, epoch: int) -> None:
    """Hold the epoch against change until the transaction ends; raises LeaseLost.

    The lease can be renewed meanwhile: a transaction may last longer than it.
    """
    cursor = await conn.execute(
        "SELECT FROM leases WHERE name = %s AND epoch = %s FOR KEY SHARE", (name, epoch)
    )
    if cursor.rowcount != 1:
        raise LeaseLost(name, epoch)


async def release(conn: Connection, name: str, epoch: int) -> None:
    """Let a successor in at once; does nothing where the lease is lost already."""
    await conn.execute(
        "UPDATE leases SET expires_at = '-infinity' WHERE name = %s AND epoch = %s", (name, epoch)
    )


async def fence(conn: Connection, name: str) -> None:
    """Take the lease away from its holder; the next leader reads its memory anew.

    Waits for transactions of the holder; no other begins before the caller's has ended.
    """
    await conn.execute(
        "UPDATE leases SET epoch = epoch + 1, expires_at = '-infinity' WHERE name = %s", (name,)
    )
