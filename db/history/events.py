"""Events: written into the outbox without a `seq`, beside their cause, and listed by `seq`.

An event without a `seq` is not listed yet: the sequencer gives it one after commit, so that a
reader that goes on from a `seq` misses nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

import msgspec
from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import columns, fetch_one, value_of
from db.core.listing import Conditions, PageRows, count_rows, page, read_page
from db.core.wakeups import Channel
from geofence.event_data.timesheets import TIMESHEET_APPROVED
from geofence.punches.claim import PUNCH_AMENDED, PUNCHED_IN, PUNCHED_OUT


class Event(NamedTuple):
    """A row as it is written; `data` is JSON text. is_for_webhooks: whether endpoints get it."""

    org_id: UUID
    id: UUID
    type: str
    occurred_at: datetime
    data: str
    is_for_webhooks: bool = True


_INSERT = """
INSERT INTO events (org_id, id, type, occurred_at, data, for_webhooks)
SELECT org_id, id, type, occurred_at, data::json, for_webhooks
  FROM unnest(%b::uuid[], %b::uuid[], %b::text[], %b::timestamptz[], %b::text[], %b::bool[])
       WITH ORDINALITY AS event (org_id, id, type, occurred_at, data, for_webhooks, place)
 ORDER BY place
"""


async def insert_missing(conn: Connection, events: Sequence[Event]) -> None:
    """Insert the events that are not stored yet, in their order."""
    await _write(conn, f"{_INSERT} ON CONFLICT DO NOTHING", events)


async def insert(conn: Connection, events: Sequence[Event]) -> None:
    """Write the events so that their order is the order of `events`.

    Raises psycopg.errors.UniqueViolation where one is stored already: an event is never doubled.
    """
    await _write(conn, _INSERT, events)


async def _write(conn: Connection, statement: LiteralString, events: Sequence[Event]) -> None:
    if events:
        await conn.execute(statement, columns(events))
        conn.note(Channel.EVENTS)


ABOUT_HOURS = frozenset({PUNCHED_IN, PUNCHED_OUT, PUNCH_AMENDED, TIMESHEET_APPROVED})
"""The types of events about the hours of the employee that their data names."""
NOBODY = ""
"""An employee without events."""

LISTED = sql.SQL("id, type, seq, occurred_at, created_at, data::text")


class ListedEvent(NamedTuple):
    """A row as the API lists it; `data` is a JSON text."""

    id: UUID
    type: str
    seq: int
    occurred_at: datetime
    created_at: datetime
    data: str

    @property
    def about_hours_of(self) -> str | None:
        """The id of the employee whose hours it is about; None: it is about no hours."""
        if self.type not in ABOUT_HOURS:
            return None
        return msgspec.json.decode(self.data, type=_AboutEmployee).employee_id or "unknown"


class _AboutEmployee(msgspec.Struct):
    employee_id: str | None = None


class EventKey(NamedTuple):
    """The place of a row in the list."""

    seq: int


@dataclass(frozen=True, slots=True)
class EventFilter:
    """A filter of events. `types`: any of these types; None: all. `subjects`: the ids of all the
    things that an event must be about. `hours_of`: the id of the only employee whose events about
    hours are wanted; None: everybody's are. Times: [since, until) of when it happened.

    With `after_seq` the oldest come first, else the newest.
    """

    after_seq: int | None = None
    types: frozenset[str] | None = None
    subjects: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    hours_of: str | None = None

    def of_hours_of(self, employee_id: str | None) -> "EventFilter":
        """Return the filter with `hours_of`. Where all wanted types are about hours, the events are
        those about the employee, which an index has.
        """
        if employee_id is not None and self.types is not None and self.types <= ABOUT_HOURS:
            return replace(self, subjects=(employee_id, *self.subjects))
        return replace(self, hours_of=employee_id)

    @property
    def is_plain(self) -> bool:
        """Whether all events are wanted, at most those behind a seq."""
        return replace(self, after_seq=None) == EventFilter()

    def conditions(self) -> Conditions:
        """Return the conditions, but for the types where `source` has them."""
        conditions = Conditions()
        conditions.add("event.seq IS NOT NULL")  # so that partial indexes fit
        if self.after_seq is not None:
            conditions.add("seq > %(after_seq)s", after_seq=self.after_seq)
        if self.since is not None:
            conditions.add("occurred_at >= %(since)s", since=self.since)
        if self.until is not None:
            conditions.add("occurred_at < %(until)s", until=self.until)
        if self.types is not None:
            conditions.add("type = ANY(%(types)s)", types=list(self.types))
        if self.hours_of is not None and (self.types is None or self.types & ABOUT_HOURS):
            conditions.add(_SHOWN, about_hours=sorted(ABOUT_HOURS), hours_of=self.hours_of)
        if self.subjects:  # the events of the first are read, and looked up among the others
            conditions.add("subject = %(subject)s", subject=self.subjects[0])
            conditions.add(_ABOUT_ALL, subjects=list(self.subjects[1:]))
        return conditions

    def source(self) -> sql.SQL:
        """Return the table that is read, in an order that an index has."""
        return _SUBJECT_EVENTS if self.subjects else _EVENTS


_SHOWN: LiteralString = (
    "(type <> ALL (%(about_hours)s::text[]) OR data ->> 'employee_id' = %(hours_of)s)"
)
_EVENTS = sql.SQL("events AS event")
_SUBJECT_EVENTS = sql.SQL("event_subjects AS named JOIN events AS event USING (org_id, seq)")
_ABOUT_ALL: LiteralString = """
NOT EXISTS (SELECT FROM unnest(%(subjects)s::text[]) AS wanted (subject)
             WHERE NOT EXISTS (
                   SELECT FROM event_subjects AS other
                    WHERE other.org_id = event.org_id AND other.subject = wanted.subject
                      AND other.seq = event.seq))"""


async def find(conn: Connection, event_id: UUID) -> ListedEvent | None:
    """Return the tenant's event of this id, once it has a `seq`."""
    async with conn.cursor(row_factory=args_row(ListedEvent)) as cursor:
        await cursor.execute(
            sql.SQL("SELECT {} FROM events WHERE id = %s AND seq IS NOT NULL").format(LISTED),
            (event_id,),
        )
        return await cursor.fetchone()


async def listing(
    conn: Connection, wanted: EventFilter, *, after: EventKey | None, limit: int, offset: int
) -> PageRows[ListedEvent]:
    """Return a page: `limit` rows behind `after`, or behind the first `offset`."""
    conditions = wanted.conditions()
    ascending = wanted.after_seq is not None
    cut = page(conditions, limit, offset)
    if after is not None:
        than: LiteralString = "seq > %(seq)s" if ascending else "seq < %(seq)s"
        conditions.add(than, **after._asdict())
    statement = sql.SQL("SELECT {} FROM {} {} ORDER BY seq {} {}").format(
        LISTED,
        wanted.source(),
        conditions.where(),
        sql.SQL("ASC" if ascending else "DESC"),
        cut,
    )
    return await read_page(conn, ListedEvent, statement, conditions.values)


async def count(conn: Connection, wanted: EventFilter, at_most: int) -> int:
    """Count the events; counting ends at `at_most`.

    `seq` has no gaps: of all types there are as many as the first and the last one tell.
    """
    if wanted.is_plain:
        return min(await _count_by_seq(conn, wanted.after_seq or 0), at_most)
    return await count_rows(conn, wanted.source(), wanted.conditions(), at_most)


class KeptEvents(NamedTuple):
    """The events that a tenant has. gone_seq: of the last one that is not kept any more, 0 where
    all are.
    """

    gone_seq: int
    newest_seq: int


async def kept_events(conn: Connection) -> KeptEvents:
    """Return which events of the tenant are kept."""
    cursor = await conn.execute(
        """
        SELECT coalesce((SELECT min(seq) - 1 FROM events), event_seq), event_seq
          FROM organizations
        """
    )
    return KeptEvents(*await fetch_one(cursor))


async def _count_by_seq(conn: Connection, after_seq: int) -> int:
    newest = await value_of(
        conn, "SELECT max(seq) - greatest(min(seq) - 1, %s) FROM events", (after_seq,)
    )
    return max(newest or 0, 0)
