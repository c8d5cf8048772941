"""Numbers that an organization gives to its things: 1, 2, 3, ... of each kind.

The row of a kind is locked by the transaction that takes a number, so numbers rise by one and no
number is given twice.
"""

from typing import Literal, TypeAlias

from db.core.connect import Connection
from db.core.fetch import value_of

Numbered: TypeAlias = Literal["quote", "work_order"]


async def next_number(conn: Connection, kind: Numbered) -> int:
    """Take the tenant's next number of a kind of things. Others wait for the transaction to end."""
    return await value_of(
        conn,
        """
        INSERT INTO number_counters AS counter (org_id, kind, last)
        VALUES (current_org_id(), %s, 1)
        ON CONFLICT (org_id, kind) DO UPDATE SET last = counter.last + 1
        RETURNING last
        """,
        (kind,),
    )


async def lock_numbers(conn: Connection, kind: Numbered) -> None:
    """Keep away others who take numbers of a kind, until the transaction ends."""
    await conn.execute("SELECT FROM number_counters WHERE kind = %s FOR NO KEY UPDATE", (kind,))
