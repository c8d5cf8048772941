"""Numbers that an organization gives to its things: 1, 2, 3, ... of each kind.

The row of a kind is locked by the transaction that takes a number, so numbers rise by one and no
number is given twice. Whoever takes a number waits for no other lock afterwards: all others who
take numbers of the organization wait meanwhile. So whoever can takes it with COMMIT, by the
statement that writes the new thing (`write_numbered`), and no round trip lies between.
"""

from typing import Literal, LiteralString, TypeAlias

from db.core.connect import Connection
from db.core.exchange import Exchange, Reply
from db.core.joined import joined
from db.core.pipeline_cursor import Asked

Numbered: TypeAlias = Literal["quote", "work_order"]

_NEXT = """
INSERT INTO number_counters AS counter (org_id, kind, last)
VALUES (current_org_id(), %s, 1)
ON CONFLICT (org_id, kind) DO UPDATE SET last = counter.last + 1
RETURNING last
"""
TAKEN: LiteralString = "(SELECT last FROM taken)"
"""The number that is taken by the statement which writes it (`write_numbered`)."""


def write_numbered(conn: Connection, kind: Numbered, *written: Asked) -> Reply[int]:
    """Queue one statement that takes the tenant's next number and writes a new thing with it. The
    reply is there after COMMIT, or once it had to go out before.

    written: statements as for `joined`, which have `TAKEN` for the number. The first of them
    inserts the thing.
    """
    number = Reply[int](lambda rows: rows[0][0])
    conn.later_taken(joined(*written, taken=_next(kind)), number.take)
    return number


async def next_number(conn: Connection, kind: Numbered) -> int:
    """Take the tenant's next number of a kind of things. Others wait for the transaction to end."""
    exchange = Exchange(conn)
    number = ask_number(exchange, kind)
    await exchange.send()
    return number.value


def ask_number(exchange: Exchange, kind: Numbered) -> Reply[int]:
    """Take a number as `next_number` does, when `exchange` is sent; to be asked last in it."""
    return exchange.ask(*_next(kind), lambda rows: rows[0][0])


def _next(kind: Numbered) -> Asked:
    return _NEXT, (kind,)
