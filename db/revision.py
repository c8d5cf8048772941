"""The number that every change raises on which a decision depends.

Whoever changes assets, trackers, assignments or zones takes it first in the transaction, which
also puts such changes into one order, and stamps the changed rows with it; only a new asset, which
no fix can be judged by yet, is not among them. Ingest reads it FOR
SHARE in each of its transactions: a change that has the row makes ingest wait, and then start again
with what is new.
"""

from datetime import datetime

from db.connect import Connection


async def bump(conn: Connection) -> tuple[int, datetime]:
    """The next revision, and the instant it is in force from, read while the row is held."""
    cursor = await conn.execute(
        "UPDATE zones_revision SET revision = revision + 1 RETURNING revision, clock_timestamp()"
    )
    row = await cursor.fetchone()
    assert row is not None  # the migration put the one row there
    return row[0], row[1]


async def read_for_share(conn: Connection) -> int:
    """The revision, held against change until the transaction ends."""
    cursor = await conn.execute("SELECT revision FROM zones_revision FOR SHARE")
    row = await cursor.fetchone()
    assert row is not None
    return row[0]


async def read(conn: Connection) -> int:
    """The revision as it is just now."""
    cursor = await conn.execute("SELECT revision FROM zones_revision")
    row = await cursor.fetchone()
    assert row is not None
    return row[0]
