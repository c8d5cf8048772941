"""Deliveries as the API lists them and puts them back into the queue, and the log of attempts.

Ids of deliveries are in the order of their making, so a list goes by them alone, and a window of
time is a range of ids.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import fetch_one, value_of
from db.core.ids import new_id
from db.core.listing import Conditions, PageRows, page, read_page
from db.core.wakeups import Channel
from db.delivery.webhook_deliveries import State
from telemetry.times import to_us

ATTEMPTS_SHOWN = 100
_CLOCKS = timedelta(hours=1)
_LISTED = sql.SQL(
    "d.id, d.endpoint_id, d.event_id, e.type, e.is_test, d.seq, d.state, d.attempts,"
    " CASE WHEN d.state = 'pending' THEN d.next_attempt_at END, d.last_status, d.last_error,"
    " d.delivered_at, d.created_at"
)
_DELIVERIES = sql.SQL("webhook_deliveries AS d")
_WITH_EVENTS = sql.SQL(
    "webhook_deliveries AS d JOIN events AS e ON e.org_id = d.org_id AND e.id = d.event_id"
)


class ListedDelivery(NamedTuple):
    """A row as the API lists it. seq: of the event; 0 for a test."""

    id: UUID
    endpoint_id: UUID
    event_id: UUID
    type: str
    is_test: bool
    seq: int
    state: State
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    delivered_at: datetime | None
    created_at: datetime


class ListedAttempt(NamedTuple):
    """An attempt in the log; response_headers is a JSON text."""

    attempted_at: datetime
    status: int | None
    duration_ms: int | None
    error: str | None
    response_headers: str | None
    response_body: str | None
    next_attempt_at: datetime | None


class WaitingDeliveries(NamedTuple):
    """The deliveries that wait for an endpoint, without tests. oldest_due_at: since when the first
    of them has been due; None: none is.
    """

    pending: int
    oldest_due_at: datetime | None


class DeliveryKey(NamedTuple):
    """The place of a row in the list."""

    id: UUID


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """A filter of deliveries made in [since, until). type: one type, or `asset.*`, or `*`.
    has_tests: also of test events.
    """

    endpoint_id: UUID | None = None
    event_id: UUID | None = None
    type: str | None = None
    state: State | None = None
    since: datetime | None = None
    until: datetime | None = None
    has_tests: bool = True

    @property
    def needs_events(self) -> bool:
        return self.type is not None

    def conditions(self) -> Conditions:
        conditions = Conditions()
        if self.endpoint_id is not None:
            conditions.add("d.endpoint_id = %(endpoint_id)s", endpoint_id=self.endpoint_id)
        if self.event_id is not None:
            conditions.add("d.event_id = %(event_id)s", event_id=self.event_id)
        if self.state is not None:
            conditions.add("d.state = %(state)s", state=self.state)
        if self.type is not None and self.type.endswith("*"):
            conditions.add("starts_with(e.type, %(prefix)s)", prefix=self.type[:-1])
        elif self.type is not None:
            conditions.add("e.type = %(type)s", type=self.type)
        if self.since is not None:
            conditions.add(
                "d.id >= %(first_id)s AND d.created_at >= %(since)s",
                first_id=_first_id(self.since, 0),
                since=self.since,
            )
        if self.until is not None:
            conditions.add(
                "d.id < %(last_id)s AND d.created_at < %(until)s",
                last_id=_first_id(self.until, 1),
                until=self.until,
            )
        if not self.has_tests:
            conditions.add("d.seq > 0")
        return conditions


def _first_id(at: datetime, later_ms: int) -> UUID:
    """Return a UUID that is less than all of version 7 of this millisecond, or of a later one."""
    unix_ms = min(max(0, to_us(at) // 1000 + later_ms), 2**48 - 1)
    return UUID(int=unix_ms << 80)


async def listing(
    conn: Connection, wanted: DeliveryFilter, *, after: DeliveryKey | None, limit: int, offset: int
) -> PageRows[ListedDelivery]:
    """Return a page, newest first: `limit` rows behind `after`, or behind the first `offset`."""
    conditions = wanted.conditions()
    cut = page(conditions, limit, offset)
    if after is not None:
        conditions.add("d.id < %(after)s", after=after.id)
    statement = sql.SQL("SELECT {} FROM {} {} ORDER BY d.id DESC {}").format(
        _LISTED, _WITH_EVENTS, conditions.where(), cut
    )
    return await read_page(conn, ListedDelivery, statement, conditions.values)


async def count(conn: Connection, wanted: DeliveryFilter, at_most: int) -> int:
    """Count the deliveries; counting ends at `at_most`."""
    conditions = wanted.conditions()
    statement = sql.SQL(
        "SELECT count(*) FROM (SELECT FROM {} {} LIMIT %(at_most)s) AS counted"
    ).format(_WITH_EVENTS if wanted.needs_events else _DELIVERIES, conditions.where())
    return await value_of(conn, statement, conditions.values | {"at_most": at_most})


async def waiting(conn: Connection, endpoint_id: UUID, at_most: int) -> WaitingDeliveries:
    """Count what waits for the tenant's endpoint; counting ends at `at_most`."""
    async with conn.cursor(row_factory=args_row(WaitingDeliveries)) as cursor:
        await cursor.execute(
            """
            SELECT (SELECT count(*)
                      FROM (SELECT FROM webhook_deliveries
                             WHERE endpoint_id = %(endpoint_id)s AND state = 'pending' AND seq > 0
                             LIMIT %(at_most)s) AS counted),
                   (SELECT min(first.next_attempt_at)
                      FROM (VALUES (false), (true)) AS kind (is_ordered)
                     CROSS JOIN LATERAL (
                        SELECT next_attempt_at FROM webhook_deliveries AS d
                         WHERE endpoint_id = %(endpoint_id)s AND state = 'pending' AND seq > 0
                           AND d.is_ordered = kind.is_ordered AND next_attempt_at <= now()
                         ORDER BY next_attempt_at LIMIT 1) AS first)
            """,
            {"endpoint_id": endpoint_id, "at_most": at_most},
        )
        return await fetch_one(cursor)


async def find(conn: Connection, delivery_id: UUID, *, lock: bool = False) -> ListedDelivery | None:
    """Return the tenant's delivery of this id. lock: against other writers."""
    statement = sql.SQL("SELECT {} FROM {} WHERE d.id = %s {}").format(
        _LISTED, _WITH_EVENTS, sql.SQL("FOR NO KEY UPDATE OF d" if lock else "")
    )
    async with conn.cursor(row_factory=args_row(ListedDelivery)) as cursor:
        await cursor.execute(statement, (delivery_id,))
        return await cursor.fetchone()


async def attempts(conn: Connection, delivery: ListedDelivery) -> list[ListedAttempt]:
    """Return the newest attempts that are kept in the log, the oldest of them first."""
    async with conn.cursor(row_factory=args_row(ListedAttempt)) as cursor:
        await cursor.execute(
            """
            SELECT attempted_at, status, duration_ms, error, response_headers, response_body,
                   next_attempt_at
              FROM webhook_attempts
             WHERE delivery_id = %s AND attempted_at >= %s
             ORDER BY attempted_at DESC LIMIT %s
            """,
            # Clocks of two machines differ a little.
            (delivery.id, delivery.created_at - _CLOCKS, ATTEMPTS_SHOWN),
        )
        return (await cursor.fetchall())[::-1]


async def resend(conn: Connection, delivery_id: UUID) -> None:
    """Put a delivery back, as if it were new. One that is being attempted just now stays claimed;
    if that attempt fails, its mark finds other `attempts`, changes nothing, and the claim lapses.
    """
    await conn.execute(
        """
        UPDATE webhook_deliveries
           SET state = 'pending', attempts = 0, next_attempt_at = now(), delivered_at = NULL,
               claimed_until = CASE WHEN state = 'pending' AND claimed_until > now()
                                    THEN claimed_until END
         WHERE id = %s
        """,
        (delivery_id,),
    )
    conn.note(Channel.DELIVERIES)


async def recover(conn: Connection, wanted: DeliveryFilter, limit: int) -> int:
    """Put back the oldest deliveries that the filter lets through, up to `limit`; how many."""
    conditions = wanted.conditions()
    statement = sql.SQL(
        """
        UPDATE webhook_deliveries AS known
           SET state = 'pending', attempts = 0, next_attempt_at = now(), claimed_until = NULL
          FROM (SELECT d.org_id, d.event_id, d.endpoint_id FROM {} {}
                 ORDER BY d.id LIMIT %(limit)s FOR NO KEY UPDATE OF d SKIP LOCKED) AS found
         WHERE known.org_id = found.org_id AND known.event_id = found.event_id
           AND known.endpoint_id = found.endpoint_id
        """
    ).format(_DELIVERIES, conditions.where())
    cursor = await conn.execute(statement, conditions.values | {"limit": limit})
    conn.note(Channel.DELIVERIES)
    return cursor.rowcount


async def count_tests(conn: Connection, at_most: int) -> int:
    """Count the tenant's test events that are kept."""
    (counted,) = await fetch_one(
        await conn.execute(
            "SELECT count(*) FROM (SELECT FROM events WHERE is_test LIMIT %s) AS kept", (at_most,)
        )
    )
    return counted


async def insert_test(
    conn: Connection, endpoint_id: UUID, event_type: str, data: str, at: datetime
) -> UUID:
    """Insert a test event with JSON data, and its delivery to one endpoint. Return its id."""
    event_id = new_id()
    await conn.execute(
        "INSERT INTO events (org_id, id, type, occurred_at, data, is_test)"
        " VALUES (current_org_id(), %s, %s, %s, %s::json, true)",
        (event_id, event_type, at, data),
    )
    cursor = await conn.execute(
        "INSERT INTO webhook_deliveries (org_id, endpoint_id, event_id, seq)"
        " VALUES (current_org_id(), %s, %s, 0) RETURNING id",
        (endpoint_id, event_id),
    )
    conn.note(Channel.DELIVERIES)
    return (await fetch_one(cursor))[0]
