"""Rows of punches, as they come in and as they are written."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from geofence.punches.claim import TimedPosition, punch_id
from telemetry.punch import PunchKind


class NewPunch(NamedTuple):
    """A punch that somebody brings.

    Times are microseconds since 1970: claimed_us is what the employee says, received_us when we
    heard of it, fix_time_us the time of the position. lat, lon (degrees, in range) and accuracy_m
    are as they were sent. tracker_id: the sender; None over the API. entered_by, entry_reason: the
    user who enters it for somebody else, and why. machine_id: the asset that the employee works
    with, where the caller knows; else that of the tracker. is_released: it is taken whatever the
    bound of a day is.
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
    """A row as it is written, see db/migrations/0023_punches.sql. reasons: a JSON text."""

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
    others = {"mock": sql.SQL("bool[]"), "zone_version": sql.SQL("int4[]")}
    return others.get(column, sql.SQL("text[]"))


# The order that an employee begins to work on: theirs at the site, if there is exactly one.
_WORK_ORDER = """
CASE WHEN punch.kind = 'in' AND punch.verdict <> 'failed' THEN (
    SELECT min(job.id::text)::uuid FROM work_order_assignees AS assignee
      JOIN work_orders AS job ON job.org_id = assignee.org_id AND job.id = assignee.work_order_id
     WHERE assignee.org_id = punch.org_id AND assignee.employee_id = punch.employee_id
       AND job.site_id = punch.site_id AND job.state IN ('assigned', 'started')
       AND job.deleted_at IS NULL
    HAVING count(*) = 1) END
"""
_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, PunchRow._fields))
_INSERT = sql.SQL(
    """
    INSERT INTO punches ({columns}, work_order_id)
    SELECT {values}, {work_order} FROM unnest({arrays}) WITH ORDINALITY AS punch ({columns}, place)
     ORDER BY place
        ON CONFLICT DO NOTHING
    RETURNING id
    """
).format(
    columns=_COLUMNS,
    work_order=sql.SQL(_WORK_ORDER),
    values=sql.SQL(", ").join(
        sql.SQL("{}::jsonb" if name == "reasons" else "{}").format(sql.Identifier(name))
        for name in PunchRow._fields
    ),
    arrays=sql.SQL(", ").join(
        sql.SQL("%s::{}").format(_array_type(name)) for name in PunchRow._fields
    ),
)


async def insert_missing(conn: Connection, rows: Sequence[PunchRow]) -> set[UUID]:
    """Write those that are not stored yet. Returns their ids."""
    if not rows:
        return set()
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    cursor = await conn.execute(_INSERT, columns)
    return {row_id for (row_id,) in await cursor.fetchall()}


_EVIDENCE_WITHIN_S = 86_400.0
_INSERT_EVIDENCE = """
INSERT INTO punch_evidence (org_id, punch_id, employee_id, fix_time, nearest_s)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::timestamptz[], %s::float8[])
"""


async def insert_evidence(conn: Connection, rows: Sequence[tuple[PunchRow, float]]) -> None:
    """Write how far in time the nearest place was by which each of the new punches was judged."""
    known = [
        (row.org_id, row.id, row.employee_id, row.fix_time, apart_s)
        for row, apart_s in rows
        if row.fix_time is not None and row.lat is not None
    ]
    if known:
        await conn.execute(_INSERT_EVIDENCE, [list(column) for column in zip(*known, strict=True)])


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


async def stored(conn: Connection, punches: Sequence[NewPunch]) -> set[UUID]:
    """Return the ids of the punches that are stored already."""
    cursor = await conn.execute(
        "SELECT id FROM punches JOIN unnest(%s::uuid[], %s::uuid[]) AS wanted (org_id, id)"
        " USING (org_id, id)",
        ([one.org_id for one in punches], [one.id for one in punches]),
    )
    return {row_id for (row_id,) in await cursor.fetchall()}


_LAST = """
SELECT wanted.employee_id, (extract(epoch FROM last.pay_time) * 1000000)::bigint
  FROM unnest(%s::uuid[], %s::uuid[]) AS wanted (org_id, employee_id)
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
    cursor = await conn.execute(_LAST, [list(column) for column in zip(*employees, strict=True)])
    return dict(await cursor.fetchall())


_OF_DAY = """
SELECT wanted.employee_id, wanted.since, received.punches
  FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[]) AS wanted (org_id, employee_id, since)
 CROSS JOIN LATERAL (
       SELECT count(*) AS punches FROM punches AS punch
        WHERE punch.org_id = wanted.org_id AND punch.employee_id = wanted.employee_id
          AND punch.received_at >= wanted.since
          AND punch.received_at < wanted.since + interval '1 day') AS received
"""


async def received_in_day(
    conn: Connection, days: Sequence[tuple[UUID, UUID, datetime]]
) -> dict[tuple[UUID, datetime], int]:
    """Count the stored punches by employee and day. days: (organization, employee, its start)."""
    cursor = await conn.execute(_OF_DAY, [list(column) for column in zip(*days, strict=True)])
    return {(employee, since): punches for employee, since, punches in await cursor.fetchall()}
