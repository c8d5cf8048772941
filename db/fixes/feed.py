"""Fixes in the order of their receipt, for readers who ask again and again.

Each transaction of ingest has a `received_at` of its own, later than those of all before it. So
whoever has read all up to one has missed nothing, and late fixes come as any others.
"""

from datetime import UTC, datetime, timedelta
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.listing import Conditions, PageRows, read_page
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import FIX, HistoryFix, with_asset

_ORDER_BY = sql.SQL("ORDER BY g.received_at, g.tracker_id, g.time, g.seq")
_IS_OF: LiteralString = """
EXISTS (SELECT FROM ({}) AS span
         WHERE span.tracker_id = g.tracker_id AND g.time >= span.since AND g.time < span.until)
"""
_FIRST_STRETCH = timedelta(minutes=2)
_MORE = 8
MOST_COUNTED = 10_000


class FeedKey(NamedTuple):
    """The place of a row in the feed."""

    received_at: datetime
    tracker_id: UUID
    time: datetime
    seq: int


async def listing(
    conn: Connection, wanted: FixFilter, received_after: datetime, after: FeedKey | None, limit: int
) -> PageRows[HistoryFix]:
    """Return the fixes that were received first after then, or after a row. They are looked for in
    ever longer stretches of time until there are enough.
    """
    begin, length = (after.received_at if after else received_after), _FIRST_STRETCH
    now = datetime.now(UTC)
    while now - begin > length:
        rows = await _page(conn, wanted, received_after, after, begin + length, limit)
        if len(rows) == limit or rows.is_cut:
            return rows
        length *= _MORE
    return await _page(conn, wanted, received_after, after, None, limit)


async def _page(
    conn: Connection,
    wanted: FixFilter,
    received_after: datetime,
    after: FeedKey | None,
    until: datetime | None,
    limit: int,
) -> PageRows[HistoryFix]:
    conditions = _conditions(wanted, received_after)
    if after is not None:
        # The first condition says nothing new, but it is the one that an index can follow.
        conditions.add(
            "g.received_at >= %(key_received)s AND (g.received_at, g.tracker_id, g.time, g.seq)"
            " > (%(key_received)s, %(key_tracker)s, %(key_time)s, %(key_seq)s)",
            **{f"key_{name}": value for name, value in zip(_KEY, after, strict=True)},
        )
    if until is not None:
        conditions.add("g.received_at < %(stretch)s", stretch=until)
    source = sql.SQL("SELECT {} FROM gps_events g {} {} LIMIT %(limit)s").format(
        FIX, conditions.where(), _ORDER_BY
    )
    values = conditions.values | {"limit": limit}
    return await read_page(conn, HistoryFix, with_asset(source, _ORDER_BY), values)


_KEY = ("received", "tracker", "time", "seq")


async def count(conn: Connection, wanted: FixFilter, received_after: datetime) -> int:
    """Count what was received after then; counting ends at MOST_COUNTED + 1."""
    conditions = _conditions(wanted, received_after)
    statement = sql.SQL(
        "SELECT count(*) FROM (SELECT FROM gps_events g {} LIMIT %(most)s) AS counted"
    ).format(conditions.where())
    return await value_of(conn, statement, conditions.values | {"most": MOST_COUNTED + 1})


def _conditions(wanted: FixFilter, received_after: datetime) -> Conditions:
    conditions = wanted.window()
    conditions.add("g.received_at > %(received_after)s", received_after=received_after)
    spans = wanted.spans()
    if spans is not None:
        conditions.add(sql.SQL(_IS_OF).format(spans[0]), **spans[1])
    return conditions
