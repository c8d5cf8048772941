"""Visits as ingest writes them: opened, dwelled in, closed, or all of it in one batch."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.connect import Connection


class Visit(NamedTuple):
    """A row of `visits`, in the order of its columns. Open where `left_at` is None."""

    org_id: UUID
    id: UUID
    asset_id: UUID
    zone_id: UUID
    zone_version: int
    tracker_id: UUID
    opening_time: datetime
    opening_seq: int
    opening_change: datetime | None
    entered_at: datetime
    entry_lat: float
    entry_lon: float
    entry_cause: str
    left_at: datetime | None = None
    exit_lat: float | None = None
    exit_lon: float | None = None
    exit_cause: str | None = None
    entry_inferred: str | None = None
    exit_inferred: str | None = None
    dwelled_at: datetime | None = None


class Departure(NamedTuple):
    """The end of a visit that an earlier batch opened."""

    org_id: UUID
    visit_id: UUID
    left_at: datetime
    exit_lat: float
    exit_lon: float
    exit_cause: str
    exit_inferred: str | None = None


class Dwelling(NamedTuple):
    """The dwell of a visit that an earlier batch opened."""

    org_id: UUID
    visit_id: UUID
    dwelled_at: datetime


class VisitNotOpen(Exception):
    """Visits that our state holds to be open are not open in the database."""

    def __init__(self, wanted: int, found: int) -> None:
        super().__init__(f"{found} of {wanted} visits are open, which all were held to be")
        self.wanted = wanted
        self.found = found


_COPY = """
COPY visits (org_id, id, asset_id, zone_id, zone_version, tracker_id, opening_time, opening_seq,
             opening_change, entered_at, entry_lat, entry_lon, entry_cause, left_at, exit_lat,
             exit_lon, exit_cause, entry_inferred, exit_inferred, dwelled_at)
FROM STDIN (FORMAT BINARY)
"""
_TYPES = (
    *("uuid", "uuid", "uuid", "uuid", "int4", "uuid", "timestamptz", "int4", "timestamptz"),
    *("timestamptz", "float8", "float8", "text", "timestamptz", "float8", "float8", "text"),
    *("text", "text", "timestamptz"),
)


async def insert(conn: Connection, visits: Sequence[Visit]) -> None:
    """Raises psycopg.errors.UniqueViolation where a visit is stored already."""
    if not visits:
        return
    async with conn.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for visit in visits:
            await copy.write_row(visit)


async def close(conn: Connection, departures: Sequence[Departure]) -> None:
    """Raises VisitNotOpen unless every one of the visits was open."""
    if not departures:
        return
    cursor = await conn.execute(
        """
        UPDATE visits
           SET left_at = departure.left_at, exit_lat = departure.exit_lat,
               exit_lon = departure.exit_lon, exit_cause = departure.exit_cause,
               exit_inferred = departure.exit_inferred
          FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::float8[], %s::float8[],
                      %s::text[], %s::text[])
               AS departure (org_id, id, left_at, exit_lat, exit_lon, exit_cause, exit_inferred)
         WHERE visits.org_id = departure.org_id AND visits.id = departure.id
           AND visits.left_at IS NULL
        """,
        [list(column) for column in zip(*departures, strict=True)],
    )
    if cursor.rowcount != len(departures):
        raise VisitNotOpen(len(departures), cursor.rowcount)


async def mark_dwelled(conn: Connection, dwellings: Sequence[Dwelling]) -> None:
    """Raises VisitNotOpen unless every one of the visits is open: before `close`."""
    if not dwellings:
        return
    cursor = await conn.execute(
        """
        UPDATE visits SET dwelled_at = dwelling.dwelled_at
          FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[])
               AS dwelling (org_id, id, dwelled_at)
         WHERE visits.org_id = dwelling.org_id AND visits.id = dwelling.id
           AND visits.left_at IS NULL
        """,
        [list(column) for column in zip(*dwellings, strict=True)],
    )
    if cursor.rowcount != len(dwellings):
        raise VisitNotOpen(len(dwellings), cursor.rowcount)
