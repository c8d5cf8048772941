"""Numbers that an organization gives to its things: 1, 2, 3, ... of each kind.

The row of a kind is locked by the transaction that takes a number, so numbers rise by one and no
number is given twice. Whoever takes a number waits for no other lock afterwards: all others who
take numbers of the organization wait meanwhile. So whoever can takes it with COMMIT (`take_later`),
and no round trip lies between: the statements behind it write `last_number`.
"""

from typing import Literal, LiteralString, TypeAlias

from db.core.connect import Connection
from db.core.exchange import Exchange, Reply

Numbered: TypeAlias = Literal["quote", "work_order"]

_NEXT = """
INSERT INTO number_counters AS counter (org_id, kind, last)
VALUES (current_org_id(), %s, 1)
ON CONFLICT (org_id, kind) DO UPDATE SET last = counter.last + 1
RETURNING last
"""


# Of a kind, behind its `_NEXT` in the same transaction.
_LAST: LiteralString = "(SELECT last FROM number_counters WHERE kind = '{}')"


def last_number(kind: Numbered) -> LiteralString:
    """Return the SQL of the number that the transaction has taken."""
    return _LAST.format(kind)


def take_later(conn: Connection, kind: Numbered) -> Reply[int]:
    """Queue the taking of the tenant's next number, ahead of what writes it (`last_number`). The
    reply is there after COMMIT, or once it had to go out before.
    """
    number = Reply[int](lambda rows: rows[0][0])
    conn.later_taken((_NEXT, (kind,)), number.take)
    return number


async def next_number(conn: Connection, kind: Numbered) -> int:
    """Take the tenant's next number of a kind of things. Others wait for the transaction to end."""
    exchange = Exchange(conn)
    number = ask_number(exchange, kind)
    await exchange.send()
    return number.value


def ask_number(exchange: Exchange, kind: Numbered) -> Reply[int]:
    """Take a number as `next_number` does, when `exchange` is sent; to be asked last in it."""
    return exchange.ask(_NEXT, (kind,), lambda rows: rows[0][0])
