"""The number that every change raises on which a decision depends.

Whoever changes assets, trackers, assignments or zones takes it first in the transaction, which
also puts such changes into one order, and stamps the changed rows with it; only a new asset, which
no fix can be judged by yet, is not among them. Ingest reads it FOR
SHARE in each of its transactions, together with its lease: a change that has the row makes ingest
wait, and then start again with what is new.
"""

from datetime import datetime

from db.core.connect import Connection
from db.core.fetch import fetch_one, value_of
from db.core.leases import LeaseLost

IS_CHANGING = "coalesce(current_setting('app.is_changing', true), '') = 'yes'"
"""The condition that this transaction has taken a revision itself."""


async def bump(conn: Connection) -> tuple[int, datetime]:
    """Return the next revision, and the instant it is in force from, read while the row is held.

    The transaction is marked: what it reads from now on may be rolled back (`IS_CHANGING`).
    """
    cursor = await conn.execute(
        """
        UPDATE zones_revision SET revision = revision + 1
        RETURNING revision, clock_timestamp(), say('app.is_changing', 'yes')
        """
    )
    revision, at, _ = await fetch_one(cursor)
    return revision, at


async def read_as_leader(conn: Connection, lease: str, epoch: int) -> int:
    """Return the revision, held against change until the transaction ends, and the lease's epoch
    with it.

    One question in place of two: each is waited for in every transaction. Raises LeaseLost.
    """
    cursor = await conn.execute(
        """
        SELECT revision FROM zones_revision, leases WHERE name = %s AND epoch = %s
           FOR SHARE OF zones_revision FOR KEY SHARE OF leases
        """,
        (lease, epoch),
    )
    row = await cursor.fetchone()
    if row is None:
        raise LeaseLost(lease, epoch)
    return row[0]


async def read(conn: Connection) -> int:
    """Return the revision as it is just now."""
    return await value_of(conn, "SELECT revision FROM zones_revision")
