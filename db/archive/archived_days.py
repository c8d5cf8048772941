"""Days of fixes that are archived, for a tenant: which objects have what a question is about.

Where an object lies follows from its row, so no text from outside names a path.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import fetch_one, rows_of, value_of
from db.core.listing import Conditions
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import ALL_OF_EACH_TRACKER, HistoryFix

_A_DAY = timedelta(days=1)

_DAYS: LiteralString = """
SELECT org_id, day, object_id, rows, bytes, sha256, footer_sha256 FROM archived_days {where}
 ORDER BY day {way} LIMIT %(limit)s
"""
_EXTENT: LiteralString = """
SELECT count(*), min(day), max(day), max(archived_at) FROM archived_days {where}
"""
_SUMMARY: LiteralString = """
SELECT known.*, coalesce(failed.days, 0), failed.day, failed.failed_at
  FROM (SELECT count(*), coalesce(sum(rows), 0)::bigint, coalesce(sum(bytes), 0)::bigint, min(day),
               max(day), max(archived_at)
          FROM archived_days) AS known
  LEFT JOIN archive_failures AS failed ON true
"""
# `until` is the instant behind the last fix.
_CLIPPED: LiteralString = """
SELECT known.org_id, known.day, known.tracker_id, known.rows,
       greatest(span.since, known.first_at, %(since)s) AS since,
       least(span.until, known.last_at + interval '1 microsecond', %(until)s) AS until,
       span.since <= known.first_at AND span.until > known.last_at
       AND %(since)s <= known.first_at AND %(until)s > known.last_at AND {inside}
       AND NOT EXISTS (
           SELECT FROM tracker_assignments AS held
             JOIN employees AS holder
               ON holder.org_id = held.org_id AND holder.id = held.employee_id
            WHERE held.tracker_id = known.tracker_id AND %(hides)s
              AND holder.user_id IS DISTINCT FROM %(reader)s
              AND held.assigned_from <= known.last_at
              AND (held.assigned_to IS NULL OR held.assigned_to > known.first_at)) AS is_whole
  FROM ({span}) AS span
  JOIN archived_trackers AS known
    ON known.tracker_id = span.tracker_id
   AND known.last_at >= span.since AND known.first_at < span.until
 WHERE known.day BETWEEN %(first)s AND %(last)s
   AND known.last_at >= %(since)s AND known.first_at < %(until)s AND {meets}
"""
# One statement: what an object has of each tracker is read together with which object it is.
_PIECES: LiteralString = """
SELECT known.org_id, known.day, known.object_id, known.rows, known.bytes, known.sha256,
       known.footer_sha256,
       piece.tracker_id, (extract(epoch FROM piece.since) * 1000000)::bigint,
       (extract(epoch FROM piece.until) * 1000000)::bigint
  FROM ({clipped}) AS piece JOIN archived_days AS known USING (org_id, day)
 WHERE NOT (%(leaves_whole)s AND piece.is_whole)
 ORDER BY known.day, piece.tracker_id, piece.since
"""
_WHOLE: LiteralString = """
SELECT coalesce(sum(rows), 0)::bigint FROM ({clipped}) AS piece WHERE is_whole
"""
# What a reader must not see: trackers while they are other people's.
_HIDDEN: LiteralString = """
SELECT held.tracker_id, (extract(epoch FROM held.assigned_from) * 1000000)::bigint,
       (extract(epoch FROM coalesce(held.assigned_to, '9999-12-31Z')) * 1000000)::bigint
  FROM tracker_assignments AS held
  JOIN employees AS holder ON holder.org_id = held.org_id AND holder.id = held.employee_id
 WHERE holder.user_id IS DISTINCT FROM %(reader)s
"""
_ASSETS: LiteralString = """
SELECT asked.place, held.asset_id
  FROM unnest(%(trackers)s::uuid[], %(times)s::timestamptz[])
       WITH ORDINALITY AS asked (tracker_id, time, place)
  JOIN tracker_assignments AS held
    ON held.tracker_id = asked.tracker_id AND held.assigned_from <= asked.time
   AND (held.assigned_to IS NULL OR asked.time < held.assigned_to)
"""


class ArchivedDay(NamedTuple):
    """An object: the fixes of an organization's day, UTC."""

    org_id: UUID
    day: date
    object_id: UUID
    rows: int
    size_bytes: int
    sha256: bytes
    footer_sha256: bytes

    @property
    def path(self) -> str:
        return object_path(self.org_id, self.day, self.object_id)


class Extent(NamedTuple):
    """Archived days. It changes with each day that moves into the archive, or out of it."""

    days: int
    first: date
    last: date
    archived_at: datetime


class Summary(NamedTuple):
    """The archive of an organization, and the days that the last pass could not move."""

    days: int
    fixes: int
    bytes: int
    first_day: date | None
    last_day: date | None
    archived_at: datetime | None
    failed_days: int
    failed_day: date | None  # the newest of them
    failed_at: datetime | None


class Piece(NamedTuple):
    """The fixes of a tracker in [since_us, until_us), microseconds since 1970, all of one day."""

    tracker_id: UUID
    since_us: int
    until_us: int


def object_path(org_id: UUID, day: date, object_id: UUID) -> str:
    return f"org={org_id}/day={day.isoformat()}/{object_id.hex}.parquet"


def export_path(org_id: UUID, object_id: UUID) -> str:
    """Return where the file of an export lies. Its folder has what is half-written, too."""
    return f"{exports_of(org_id)}{object_id.hex}/file"


def exports_of(org_id: UUID) -> str:
    """Return the folder with all files of an organization's exports."""
    return f"exports/org={org_id}/"


def day_of_path(path: str) -> date | None:
    """Return the day of an object; None: the archive would not have written it there."""
    match = re.match(r"org=[0-9a-f-]{36}/day=(\d{4}-\d\d-\d\d)/", path)
    return None if match is None else date.fromisoformat(match[1])


def day_interval(day: date) -> tuple[datetime, datetime]:
    """Return the beginning and the end of a day."""
    begin = datetime.combine(day, time(), UTC)
    return begin, begin + _A_DAY


async def days(
    conn: Connection, wanted: FixFilter, *, descending: bool, limit: int
) -> list[ArchivedDay]:
    """Return the first archived days that share an instant with the wanted time, in order."""
    conditions = _within(wanted)
    statement = sql.SQL(_DAYS).format(
        where=conditions.where(), way=sql.SQL("DESC" if descending else "ASC")
    )
    rows = await rows_of(conn, statement, conditions.values | {"limit": limit})
    return [ArchivedDay(*row) for row in rows]


async def objects_of(conn: Connection, wanted: Collection[date]) -> list[ArchivedDay]:
    rows = await rows_of(
        conn,
        "SELECT org_id, day, object_id, rows, bytes, sha256, footer_sha256 FROM archived_days"
        " WHERE day = ANY (%s) ORDER BY day",
        (list(wanted),),
    )
    return [ArchivedDay(*row) for row in rows]


async def extent(conn: Connection, wanted: FixFilter) -> Extent | None:
    """Return the extent of the archived days that share an instant with the wanted time."""
    conditions = _within(wanted)
    statement = sql.SQL(_EXTENT).format(where=conditions.where())
    row = await fetch_one(await conn.execute(statement, conditions.values))
    return Extent(*row) if row[0] else None


async def summary(conn: Connection) -> Summary:
    """Return what the tenant has in the archive."""
    return Summary(*await fetch_one(await conn.execute(_SUMMARY)))


async def pieces(
    conn: Connection, wanted: FixFilter, first: date, last: date, *, leaves_whole: bool = False
) -> list[tuple[ArchivedDay, list[Piece]]]:
    """Return what archived days from the first to the last have of the wanted fixes, in order.

    leaves_whole: without the trackers that `count_whole` counts.
    """
    statement, values = _clipped(_PIECES, wanted, first, last)
    hidden = await _hidden(conn, wanted)
    found: dict[ArchivedDay, list[Piece]] = {}
    for row in await rows_of(conn, statement, values | {"leaves_whole": leaves_whole}):
        piece = Piece(*row[7:])
        parts = without(piece, hidden.get(piece.tracker_id, ()))
        found.setdefault(ArchivedDay(*row[:7]), []).extend(parts)
    return list(found.items())


async def count_whole(conn: Connection, wanted: FixFilter, first: date, last: date) -> int:
    """Count the fixes of trackers whose archived days are wanted as a whole."""
    return await value_of(conn, *_clipped(_WHOLE, wanted, first, last))


async def assets_at(conn: Connection, fixes: Sequence[HistoryFix]) -> list[HistoryFix]:
    """Return the fixes with the assets that their trackers were on. Not empty."""
    values = {"trackers": [fix.tracker_id for fix in fixes], "times": [fix.time for fix in fixes]}
    found = dict(await rows_of(conn, _ASSETS, values))
    return [fix._replace(asset_id=found.get(place)) for place, fix in enumerate(fixes, 1)]


async def _hidden(conn: Connection, wanted: FixFilter) -> dict[UUID, list[tuple[int, int]]]:
    """Return the spans of each tracker that the reader must not see."""
    hidden: dict[UUID, list[tuple[int, int]]] = {}
    if wanted.hides_people_from is not None:
        for row in await rows_of(conn, _HIDDEN, {"reader": wanted.hides_people_from}):
            hidden.setdefault(row[0], []).append((row[1], row[2]))
    return hidden


def without(piece: Piece, hidden: Sequence[tuple[int, int]]) -> list[Piece]:
    """Return the parts of a piece that lie in none of the hidden spans [from, to)."""
    parts = [piece]
    for begin_us, end_us in hidden:
        parts = [
            left
            for part in parts
            for left in (
                part._replace(until_us=min(part.until_us, begin_us)),
                part._replace(since_us=max(part.since_us, end_us)),
            )
            if left.since_us < left.until_us
        ]
    return parts


def _within(wanted: FixFilter) -> Conditions:
    conditions = Conditions()
    if wanted.since is not None:
        conditions.add("day >= %(first)s", first=wanted.since.astimezone(UTC).date())
    if wanted.until is not None:
        # A day that begins by then, but not at that instant.
        conditions.add("day < %(until)s::timestamptz AT TIME ZONE 'UTC'", until=wanted.until)
    return conditions


def _clipped(
    statement: LiteralString, wanted: FixFilter, first: date, last: date
) -> tuple[sql.Composed, dict[str, object]]:
    begin, end = day_interval(first)[0], day_interval(last)[1]
    since = begin if wanted.since is None else max(begin, wanted.since)
    until = end if wanted.until is None else min(end, wanted.until)
    span, values = replace(wanted, since=since, until=until).spans() or (ALL_OF_EACH_TRACKER, {})
    edges = {"first": first, "last": last, "since": since, "until": until}
    reader = wanted.hides_people_from
    hidden = {"reader": reader, "hides": reader is not None}
    meets = inside = sql.SQL("true")
    if wanted.area is not None:
        values = values | wanted.area.holds().values
        meets = wanted.area.meets()
        inside = wanted.area.contains() if wanted.area.covers is None else sql.SQL("false")
    clipped = sql.SQL(_CLIPPED).format(span=span, meets=meets, inside=inside)
    return sql.SQL(statement).format(clipped=clipped), values | edges | hidden
