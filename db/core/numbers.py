"""Numbers that an organization gives to its things: 1, 2, 3, ... of each kind.

The row of a kind is locked by the transaction that takes a number, so numbers rise by one and no
number is given twice. Whoever takes a number waits for no other lock afterwards: all others who
take numbers of the organization wait meanwhile.
"""

from typing import Literal, TypeAlias

from db.core.connect import Connection
from db.core.fetch import value_of

Numbered: TypeAlias = Literal["quote", "work_order"]

_NEXT = """
INSERT INTO number_counters AS counter (org_id, kind, last)
VALUES (current_org_id(), %s, 1)
ON CONFLICT (org_id, kind) DO UPDATE SET last = counter.last + 1
RETURNING last
"""


async def next_number(conn: Connection, kind: Numbered) -> int:
    """Take the tenant's next number of a kind of things. Others wait for the transaction to end."""
    return await value_of(conn, _NEXT, (kind,))
