"""Events read as they happen: which organizations have new ones, and a bounded page of them.

`organizations.event_seq` is raised in the transaction that numbers the events. Whoever sees it can
read all events up to it, and `seq` has no gaps.
"""

from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.history.events import LISTED, ListedEvent


class EventBounds(NamedTuple):
    """The newest seq of an organization, and that of the last event that is not kept any more."""

    newest_seq: int
    gone_seq: int


async def bounds(conn: Connection) -> EventBounds:
    """Return the tenant's bounds. Without events both are the last seq that was given, and 0 where
    the organization was deleted meanwhile.
    """
    cursor = await conn.execute(
        "SELECT event_seq, coalesce((SELECT min(seq) - 1 FROM events), event_seq)"
        " FROM organizations WHERE org_id = current_org_id()"
    )
    return EventBounds(*(await cursor.fetchone() or (0, 0)))


async def newest_seqs(conn: Connection, org_ids: Collection[UUID]) -> dict[UUID, int]:
    """Return the newest seq of each organization. `conn` needs no tenant."""
    cursor = await conn.execute("SELECT * FROM event_seqs(%s)", (list(org_ids),))
    return dict(await cursor.fetchall())


# The first row is returned whatever its size.
_PAGE = sql.SQL("""
SELECT id, type, seq, occurred_at, created_at, data
  FROM (SELECT *, sum(octet_length(data)) OVER (ORDER BY seq) - octet_length(data) AS bytes_before
          FROM (SELECT {listed} AS data FROM events
                 WHERE seq > %(after)s AND seq <= %(up_to)s {of_types}
                 ORDER BY seq LIMIT %(rows)s) AS page) AS sized
 WHERE bytes_before < %(bytes)s
 ORDER BY seq
""")


async def page(
    conn: Connection,
    after_seq: int,
    up_to_seq: int,
    types: Collection[str] | None,
    *,
    most_rows: int,
    most_bytes: int,
) -> list[ListedEvent]:
    """Return the tenant's events in (after_seq, up_to_seq], the oldest first. types: None is all.

    The page ends at `most_rows`, or with the event that reaches `most_bytes` of data.
    """
    of_types = sql.SQL("" if types is None else "AND type = ANY(%(types)s)")
    values: dict[str, object] = {
        "after": after_seq,
        "up_to": up_to_seq,
        "rows": most_rows,
        "bytes": most_bytes,
    }
    if types is not None:
        values["types"] = list(types)
    async with conn.cursor(row_factory=args_row(ListedEvent)) as cursor:
        await cursor.execute(_PAGE.format(listed=LISTED, of_types=of_types), values)
        return await cursor.fetchall()
