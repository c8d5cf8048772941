"""The numbers of rows in the lists of an organization, where nothing is filtered.

The database keeps these totals by triggers, exact as of each COMMIT (`0010_quick_lists.sql`): to
count the rows of a large organization would take longer than to read a page of them.
"""

from typing import Literal

from db.core.connect import Connection


async def read(conn: Connection, table: Literal["assets", "trackers", "zones"]) -> int:
    """Return the tenant's rows of the table that are not deleted."""
    cursor = await conn.execute("SELECT rows FROM row_counts WHERE table_name = %s", (table,))
    row = await cursor.fetchone()
    return 0 if row is None else row[0]
