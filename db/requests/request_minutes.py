"""Tokens of an organization's minute, taken in blocks by the processes that let requests in.

One row per organization says how many were given out since its minute began. So the sum over all
processes never exceeds the limit, whatever becomes of a process: what it took is taken until the
minute ends.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.pipeline_cursor import Asked
from db.core.tenant import acting_for


class Settlement(NamedTuple):
    """The return of a block: of the minute it is from, `spare` were kept and `unused` remain."""

    began_at: datetime
    spare: int
    unused: int


class Wish(NamedTuple):
    """`need` for requests that wait, up to `extra` to keep for `keep_s`."""

    per_minute: int
    need: int
    extra: int
    keep_s: float


class Block(NamedTuple):
    """A block of tokens: `kept` of `granted` beyond the need. `remaining` are left of the limit;
    others have `spare` tokens, which they use or give back within `spare_left_s`.
    """

    began_at: datetime
    left_s: float
    granted: int
    kept: int
    remaining: int
    spare: int
    spare_left_s: float


class Running(NamedTuple):
    """The minute that runs."""

    requests: int
    ends_at: datetime


_TAKE = (
    "SELECT * FROM take_requests(%(per_minute)s, %(need)s, %(extra)s, %(keep_s)s,"
    " %(began_at)s, %(spare)s, %(unused)s)"
)
_NO_SETTLEMENT = {"began_at": None, "spare": 0, "unused": 0}
_NOTHING = Wish(0, 0, 0, 0.0)


async def take(conn: Connection, org_id: UUID, wish: Wish, settled: Settlement | None) -> Block:
    """Settle one block and take the next, in one round trip; `conn` is in no transaction."""
    taking = _TAKE, _values(wish, settled)
    block = await (await conn.together(acting_for(org_id), taking)).fetchone()
    assert block is not None  # the function gives one row
    return Block(*block)


async def settle(conn: Connection, settlements: Sequence[tuple[UUID, Settlement]]) -> None:
    """Give back what was not used. Rows are locked in the order of their organizations, which keeps
    those who do the same from waiting for each other in a circle.
    """
    each: list[tuple[Asked, Asked]] = [
        (acting_for(org_id), (_TAKE, _values(_NOTHING, settled)))
        for org_id, settled in sorted(settlements)
    ]
    await conn.together(*chain.from_iterable(each))


def _values(wish: Wish, settled: Settlement | None) -> dict[str, object]:
    return wish._asdict() | (_NO_SETTLEMENT if settled is None else settled._asdict())


async def running(conn: Connection) -> Running | None:
    """Return the tenant's minute; None: none runs. What is in blocks is not counted as used."""
    async with conn.cursor(row_factory=args_row(Running)) as cursor:
        await cursor.execute(
            """
            SELECT taken - spare, began_at + interval '60 seconds' FROM request_minutes
             WHERE began_at BETWEEN now() - interval '60 seconds' AND now() + interval '60 seconds'
            """
        )
        return await cursor.fetchone()
