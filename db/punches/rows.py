"""Rows of punches, as they come in and as they are written."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import columns, rows_of
from geofence.punches.claim import TimedPosition, punch_id
from operations.work_orders.states import GOING_ON, IN_HANDS
from telemetry.punch import PunchKind


class NewPunch(NamedTuple):
    """A punch that somebody brings.

    Times are microseconds since 1970: claimed_us is what the employee says, received_us when we
    heard of it, fix_time_us the time of the position. lat, lon (degrees, in range) and accuracy_m
    are as they were sent. tracker_id: the sender; None over the API. entered_by, entry_reason: the
    user who enters it by hand, and why; is_own_entry: that is the employee. machine_id: the asset
    that the employee works with, where the caller knows; else that of the tracker. is_released: it
    is taken whatever the bound of a day is.
    """

    org_id: UUID
    employee_id: UUID
    kind: PunchKind
    claimed_us: int
    received_us: int
    tracker_id: UUID | None = None
    fix_time_us: int | None = None
    lat: float | None = None
    lon: float | None = None
    accuracy_m: float | None = None
    mock: bool = False
    note: str | None = None
    entered_by: UUID | None = None
    entry_reason: str | None = None
    is_own_entry: bool = False
    machine_id: UUID | None = None
    is_released: bool = False

    @property
    def id(self) -> UUID:
        return punch_id(self.employee_id, self.claimed_us, self.kind, self.tracker_id)

    @property
    def employee(self) -> tuple[UUID, UUID]:
        """Its organization and its employee."""
        return self.org_id, self.employee_id


class Fate(StrEnum):
    """The end of a punch that was brought."""

    STORED = "stored"
    KNOWN = "known"  # it is stored already, by whatever was brought first
    UNKNOWN_EMPLOYEE = "unknown_employee"  # the organization has no such employee
    TOO_MANY = "too_many"  # more of the employee in a day than MAX_PUNCHES_PER_DAY


class Recorded(NamedTuple):
    """The end of one punch, and its id."""

    id: UUID
    fate: Fate


class PunchRow(NamedTuple):
    """A row as it is written, see db/schema.sql. reasons: a JSON text."""

    org_id: UUID
    id: UUID
    employee_id: UUID
    kind: PunchKind
    claimed_at: datetime
    received_at: datetime
    tracker_id: UUID | None
    entered_by: UUID | None
    entry_reason: str | None
    note: str | None
    fix_time: datetime | None
    lat: float | None
    lon: float | None
    accuracy_m: float | None
    mock: bool
    verdict: str
    reasons: str
    zone_id: UUID | None
    zone_version: int | None
    site_id: UUID | None
    distance_m: float | None
    margin_m: float | None
    fix_age_s: float | None
    asset_id: UUID | None
    machine_distance_m: float | None
    pay_time: datetime
    pay_time_source: str
    server_time: datetime | None
    is_own_entry: bool


_UUIDS = {
    "org_id", "id", "employee_id", "tracker_id", "entered_by", "zone_id", "site_id", "asset_id",
}  # fmt: skip
_TIMES = {"claimed_at", "received_at", "fix_time", "pay_time", "server_time"}
_NUMBERS = {
    "lat", "lon", "accuracy_m", "distance_m", "margin_m", "fix_age_s", "machine_distance_m",
}  # fmt: skip


def _array_type(column: str) -> sql.SQL:
    if column in _UUIDS:
        return sql.SQL("uuid[]")
    if column in _TIMES:
        return sql.SQL("timestamptz[]")
    if column in _NUMBERS:
        return sql.SQL("float8[]")
    others = {
        "mock": sql.SQL("bool[]"),
        "is_own_entry": sql.SQL("bool[]"),
        "zone_version": sql.SQL("int4[]"),
    }
    return others.get(column, sql.SQL("text[]"))


WORK_ORDER = sql.SQL(
    """
CASE WHEN punch.kind = 'in' AND punch.verdict <> 'failed' THEN (
    SELECT min(ranked.id::text)::uuid FROM (
           SELECT job.id, place.rank, min(place.rank) OVER () AS first
             FROM (SELECT org_id, work_order_id FROM work_order_assignees
                    WHERE org_id = punch.org_id AND employee_id = punch.employee_id
                    ORDER BY work_order_id DESC LIMIT 500) AS assignee
             JOIN work_orders AS job
               ON job.org_id = assignee.org_id AND job.id = assignee.work_order_id
            CROSS JOIN LATERAL (SELECT (
                  SELECT made.state FROM work_order_transitions AS made
                   WHERE made.org_id = job.org_id AND made.work_order_id = job.id
                     AND made.created_at <= punch.claimed_at
                   ORDER BY made.created_at DESC, made.id DESC LIMIT 1) AS state) AS known
            CROSS JOIN LATERAL (SELECT CASE
                  WHEN known.state = ANY ({going_on}) THEN 1
                  WHEN known.state = ANY ({in_hands}) THEN 2
                  WHEN job.state <> 'cancelled' THEN 3 END AS rank) AS place
            WHERE job.site_id = punch.site_id AND job.deleted_at IS NULL
              AND (job.state = ANY ({in_hands})
                   OR job.ended_at > punch.claimed_at)
              AND place.rank IS NOT NULL) AS ranked
     WHERE ranked.rank = ranked.first
    HAVING count(*) = 1) END
"""
).format(going_on=sql.Literal(list(GOING_ON)), in_hands=sql.Literal(list(IN_HANDS)))
"""The order that the employee of `punch` begins to work on: theirs at the site, if there is exactly
one. Of several it is the one that was assigned or started at the claimed time, else on hold, else
assigned since. Only the newest 500 orders of an employee are looked at."""
_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, PunchRow._fields))
_INSERT = (
    sql.SQL(
        """
    INSERT INTO punches ({columns}, work_order_id)
    SELECT {values}, {work_order}
      FROM unnest({arrays}) WITH ORDINALITY AS punch ({columns}, place)
     ORDER BY place
    """
    )
    .format(
        columns=_COLUMNS,
        work_order=WORK_ORDER,
        values=sql.SQL(", ").join(
            sql.SQL("{}::jsonb" if name == "reasons" else "{}").format(sql.Identifier(name))
            for name in PunchRow._fields
        ),
        arrays=sql.SQL(", ").join(
            sql.SQL("%b::{}").format(_array_type(name)) for name in PunchRow._fields
        ),
    )
    .as_bytes()
)


async def insert(conn: Connection, rows: Sequence[PunchRow]) -> None:
    """Write punches of which none is stored."""
    await conn.execute(_INSERT, columns(rows))


_EVIDENCE_WITHIN_S = 86_400.0
_INSERT_EVIDENCE = """
INSERT INTO punch_evidence (org_id, punch_id, employee_id, fix_time, nearest_s)
SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::uuid[], %b::timestamptz[], %b::float8[])
"""


async def insert_evidence(conn: Connection, rows: Sequence[tuple[PunchRow, float]]) -> None:
    """Write how far in time the nearest place was by which each of the new punches was judged."""
    known = [
        (row.org_id, row.id, row.employee_id, row.fix_time, apart_s)
        for row, apart_s in rows
        if row.fix_time is not None and row.lat is not None
    ]
    if known:
        await conn.execute(_INSERT_EVIDENCE, columns(known))


def nearest_s(
    fix: TimedPosition | None, places: Sequence[TimedPosition]
) -> tuple[float, TimedPosition | None]:
    """Return the place next in time to the fix, behind the seconds between them: a day for none."""
    if fix is None or fix.time_us is None:
        return _EVIDENCE_WITHIN_S, None
    at_us = fix.time_us
    timed = [(abs(place.time_us - at_us), place) for place in places if place.time_us is not None]
    if not timed:
        return _EVIDENCE_WITHIN_S, None
    apart_us, place = min(timed, key=lambda one: one[0])
    return apart_us / 1_000_000, place


_STORED = """
SELECT id FROM punches JOIN unnest(%b::uuid[], %b::uuid[]) AS wanted (org_id, id) USING (org_id, id)
"""


async def stored(conn: Connection, keys: Sequence[tuple[UUID, UUID]]) -> set[UUID]:
    """Return the punches that are stored already. keys: (organization, punch)."""
    return {row_id for (row_id,) in await rows_of(conn, _STORED, columns(keys))}


_LAST = """
SELECT wanted.employee_id, (extract(epoch FROM last.pay_time) * 1000000)::bigint
  FROM unnest(%b::uuid[], %b::uuid[]) AS wanted (org_id, employee_id)
 CROSS JOIN LATERAL (
       SELECT pay_time FROM punches AS punch
        WHERE punch.org_id = wanted.org_id AND punch.employee_id = wanted.employee_id
          AND punch.verdict <> 'failed' AND punch.entered_by IS NULL
          AND punch.review IS DISTINCT FROM 'rejected'
        ORDER BY punch.received_at DESC, punch.id DESC LIMIT 1) AS last
"""


async def last_pay_us(conn: Connection, employees: Sequence[tuple[UUID, UUID]]) -> dict[UUID, int]:
    """Return the pay time of the punch of each employee that was received last, microseconds.

    Punches that failed, were rejected or entered by hand do not count. employees: (organization,
    employee).
    """
    return dict(await rows_of(conn, _LAST, columns(employees)))


# Sorted, so that it is read off the one index that has this order: by the others of its columns the
# planner, as long as it does not know the table, may choose one that has the whole organization.
_OF_DAY = """
SELECT wanted.employee_id, wanted.since, received.punches
  FROM unnest(%b::uuid[], %b::uuid[], %b::timestamptz[]) AS wanted (org_id, employee_id, since)
 CROSS JOIN LATERAL (
       SELECT count(*) AS punches FROM (
              SELECT FROM punches AS punch
               WHERE punch.org_id = wanted.org_id AND punch.employee_id = wanted.employee_id
                 AND punch.received_at >= wanted.since
                 AND punch.received_at < wanted.since + interval '1 day'
               ORDER BY punch.received_at DESC, punch.id DESC LIMIT %s) AS one) AS received
"""


async def received_in_day(
    conn: Connection, days: Sequence[tuple[UUID, UUID, datetime]], at_most: int
) -> dict[tuple[UUID, datetime], int]:
    """Return the number of stored punches by employee and day; counting ends at `at_most`. days:
    (organization, employee, the day's start).
    """
    rows = await rows_of(conn, _OF_DAY, [*columns(days), at_most])
    return {(employee, since): punches for employee, since, punches in rows}
