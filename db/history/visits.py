"""Visits, the stays of assets in zones.

Ingest writes them (opened, dwelled in, closed, amended) and reads them back. The API lists them by
when they began.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import columns
from db.core.listing import Columns, Conditions, FilteredList
from operations.work_orders.site_windows import SiteWindow


class VisitRow(NamedTuple):
    """A row as it is written, in the order of the table's columns. It is open where `left_at` is
    None.

    tracker_id, first_fix_*, change_time, again: the parts of the id. exit_tracker_id, exit_fix_*:
    the fix that ended the visit; None also for visits that ended before that fix was stored.
    *_announced: an event was published about it, even if the fact does not hold any more. No event
    is published for an end by silence, by an edit or by another tracker.
    """

    org_id: UUID
    id: UUID
    asset_id: UUID
    zone_id: UUID
    zone_version: int
    tracker_id: UUID
    first_fix_time: datetime
    first_fix_seq: int
    change_time: datetime | None
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
    again: int = 0
    revision: int = 1
    retracted: bool = False
    exit_announced: bool = False
    dwell_announced: bool = False
    overspeed_at: datetime | None = None
    overspeed_lat: float | None = None
    overspeed_lon: float | None = None
    overspeed_mps: float | None = None
    overspeed_announced: bool = False
    exit_tracker_id: UUID | None = None
    exit_fix_time: datetime | None = None
    exit_fix_seq: int | None = None


class Departure(NamedTuple):
    """The end of a visit that an earlier batch opened.

    exit_announced: an event is published about it. amends: an event about another end was published
    before.
    """

    org_id: UUID
    visit_id: UUID
    left_at: datetime
    exit_lat: float
    exit_lon: float
    exit_cause: str
    exit_inferred: str | None
    exit_tracker_id: UUID
    exit_fix_time: datetime
    exit_fix_seq: int
    exit_announced: bool = True
    amends: bool = False


class Dwelling(NamedTuple):
    """The dwell of a visit that an earlier batch opened."""

    org_id: UUID
    visit_id: UUID
    dwelled_at: datetime


class FirstOverspeed(NamedTuple):
    """The first fix of a visit that states a speed above the limit; an earlier batch opened it."""

    org_id: UUID
    visit_id: UUID
    overspeed_at: datetime
    overspeed_lat: float
    overspeed_lon: float
    overspeed_mps: float


class VisitNotOpen(Exception):
    """Visits that our state holds to be open are not open in the database."""

    def __init__(self, wanted: int, found: int) -> None:
        super().__init__(f"{found} of {wanted} visits are open, and all should be")
        self.wanted = wanted
        self.found = found


_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, VisitRow._fields))
_TYPES: tuple[LiteralString, ...] = (
    *("uuid", "uuid", "uuid", "uuid", "int4", "uuid", "timestamptz", "int4", "timestamptz"),
    *("timestamptz", "float8", "float8", "text", "timestamptz", "float8", "float8", "text"),
    *("text", "text", "timestamptz", "int4", "int4", "bool", "bool", "bool"),
    *("timestamptz", "float8", "float8", "float4", "bool", "uuid", "timestamptz", "int4"),
)
_INSERT = (
    sql.SQL("INSERT INTO visits ({}) SELECT * FROM unnest({})")
    .format(
        _COLUMNS, sql.SQL(", ").join(sql.SQL("%b::{}[]").format(sql.SQL(name)) for name in _TYPES)
    )
    .as_bytes()
)  # psycopg would put it together for each batch
_KEPT = ("org_id", "id", "asset_id", "zone_id", "tracker_id")
_AMEND = (
    sql.SQL("INSERT INTO visits ({}) VALUES ({}) ON CONFLICT (org_id, id) DO UPDATE SET {}")
    .format(
        _COLUMNS,
        sql.SQL(", ").join([sql.Placeholder()] * len(VisitRow._fields)),
        sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
            for name in VisitRow._fields
            if name not in _KEPT
        ),
    )
    .as_bytes()
)


async def insert(conn: Connection, visits: Sequence[VisitRow]) -> None:
    """Raise psycopg.errors.UniqueViolation where a visit is stored already."""
    if not visits:
        return
    await conn.execute(_INSERT, [list(column) for column in zip(*visits, strict=True)])


async def amend(conn: Connection, visits: Sequence[VisitRow]) -> None:
    """Write visits, over what was stored of them."""
    if not visits:
        return
    ended_first = sorted(visits, key=lambda visit: visit.left_at is None and not visit.retracted)
    async with conn.cursor() as cursor:  # so that no asset is in a zone twice meanwhile
        await cursor.executemany(_AMEND, ended_first)


async def close(conn: Connection, departures: Sequence[Departure]) -> None:
    """Raise VisitNotOpen unless every one of the visits was open."""
    if not departures:
        return
    cursor = await conn.execute(
        """
        UPDATE visits
           SET left_at = departure.left_at, exit_lat = departure.exit_lat,
               exit_lon = departure.exit_lon, exit_cause = departure.exit_cause,
               exit_inferred = departure.exit_inferred,
               exit_announced = visits.exit_announced OR departure.exit_announced,
               exit_tracker_id = departure.exit_tracker_id,
               exit_fix_time = departure.exit_fix_time, exit_fix_seq = departure.exit_fix_seq,
               revision = revision + departure.amends::int
          FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::float8[], %s::float8[],
                      %s::text[], %s::text[], %s::uuid[], %s::timestamptz[], %s::int4[],
                      %s::bool[], %s::bool[])
               AS departure (org_id, id, left_at, exit_lat, exit_lon, exit_cause, exit_inferred,
                             exit_tracker_id, exit_fix_time, exit_fix_seq, exit_announced, amends)
         WHERE visits.org_id = departure.org_id AND visits.id = departure.id
           AND visits.left_at IS NULL
        """,
        [list(column) for column in zip(*departures, strict=True)],
    )
    if cursor.rowcount != len(departures):
        raise VisitNotOpen(len(departures), cursor.rowcount)


async def mark_dwelled(conn: Connection, dwellings: Sequence[Dwelling]) -> None:
    """Raise VisitNotOpen unless every one of the visits is open: before `close`."""
    if not dwellings:
        return
    cursor = await conn.execute(
        """
        UPDATE visits SET dwelled_at = dwelling.dwelled_at, dwell_announced = true
          FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[])
               AS dwelling (org_id, id, dwelled_at)
         WHERE visits.org_id = dwelling.org_id AND visits.id = dwelling.id
           AND visits.left_at IS NULL
        """,
        [list(column) for column in zip(*dwellings, strict=True)],
    )
    if cursor.rowcount != len(dwellings):
        raise VisitNotOpen(len(dwellings), cursor.rowcount)


async def mark_overspeed(conn: Connection, overspeeds: Sequence[FirstOverspeed]) -> None:
    """Raise VisitNotOpen unless every one of the visits is open: before `close`."""
    if not overspeeds:
        return
    cursor = await conn.execute(
        """
        UPDATE visits
           SET overspeed_at = found.at, overspeed_lat = found.lat, overspeed_lon = found.lon,
               overspeed_mps = found.mps, overspeed_announced = true
          FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::float8[], %s::float8[],
                      %s::float4[]) AS found (org_id, id, at, lat, lon, mps)
         WHERE visits.org_id = found.org_id AND visits.id = found.id AND visits.left_at IS NULL
        """,
        [list(column) for column in zip(*overspeeds, strict=True)],
    )
    if cursor.rowcount != len(overspeeds):
        raise VisitNotOpen(len(overspeeds), cursor.rowcount)


_PAST = sql.SQL("""
SELECT {}
  FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::timestamptz[])
       AS wanted (org_id, asset_id, since, until)
  JOIN visits ON visits.org_id = wanted.org_id AND visits.asset_id = wanted.asset_id
   AND (visits.left_at IS NULL OR visits.left_at >= wanted.since
        OR visits.first_fix_time >= wanted.since)
   AND (visits.left_at IS NULL OR visits.entered_at <= wanted.until
        OR visits.first_fix_time <= wanted.until)
""").format(sql.SQL(", ").join(sql.Identifier("visits", name) for name in VisitRow._fields))


async def within(
    conn: Connection, wanted: Sequence[tuple[UUID, UUID, datetime, datetime]]
) -> list[VisitRow]:
    """Read visits of assets, each given as (org_id, asset_id, since, until).

    Read are the visits that end after since or were opened by a fix after since, retracted ones
    too. A visit that begins after until is read only if it is open.
    """
    cursor = await conn.execute(_PAST, [list(column) for column in zip(*wanted, strict=True)])
    return [VisitRow(*row) for row in await cursor.fetchall()]


_LISTED = sql.SQL(
    "id, asset_id, zone_id, zone_version, tracker_id, entered_at, entry_lat, entry_lon,"
    " entry_cause, entry_inferred, dwelled_at, left_at, exit_lat, exit_lon, exit_cause,"
    " exit_inferred, exit_tracker_id, revision, retracted, overspeed_at, overspeed_mps"
)


class ListedVisit(NamedTuple):
    id: UUID
    asset_id: UUID
    zone_id: UUID
    zone_version: int
    tracker_id: UUID
    entered_at: datetime
    entry_lat: float
    entry_lon: float
    entry_cause: str
    entry_inferred: str | None
    dwelled_at: datetime | None
    left_at: datetime | None
    exit_lat: float | None
    exit_lon: float | None
    exit_cause: str | None
    exit_inferred: str | None
    exit_tracker_id: UUID | None
    revision: int
    retracted: bool
    overspeed_at: datetime | None
    overspeed_mps: float | None


@dataclass(frozen=True, slots=True)
class VisitFilter:
    """A filter of visits: those that share an instant with [since, until), of an asset, in a zone.
    windows: with one of these, in its zone.

    open: True for visits that are open, False for visits that have ended. retracted: only retracted
    visits, instead of the others.
    """

    asset_id: UUID | None = None
    zone_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    retracted: bool = False
    open: bool | None = None
    windows: Sequence[SiteWindow] = ()

    def conditions(self) -> Conditions:
        conditions = Conditions()
        conditions.add("retracted" if self.retracted else "NOT retracted")
        conditions.add_null("left_at", null=self.open)
        if self.asset_id is not None:
            conditions.add("asset_id = %(asset_id)s", asset_id=self.asset_id)
        if self.zone_id is not None:
            conditions.add("zone_id = %(zone_id)s", zone_id=self.zone_id)
        if self.since is not None:
            # The last part lets a visit that began and ended in one instant count at `since`.
            conditions.add(
                "(left_at IS NULL OR left_at > %(since)s OR entered_at >= %(since)s)",
                since=self.since,
            )
        if self.until is not None:
            conditions.add("entered_at < %(until)s", until=self.until)
        if self.windows:
            zone_ids, since, until = columns(self.windows)
            conditions.add("zone_id = ANY (%(zone_ids)s)", zone_ids=zone_ids)
            conditions.add(_IN_WINDOW, starts=since, ends=until)
        return conditions


_IN_WINDOW: LiteralString = """
EXISTS (SELECT FROM unnest(%(zone_ids)s::uuid[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
                 AS spent (zone_id, since, until)
         WHERE spent.zone_id = visits.zone_id
           AND (left_at IS NULL OR left_at > spent.since OR entered_at >= spent.since)
           AND (spent.until IS NULL OR entered_at < spent.until))
"""


class ZoneAt(NamedTuple):
    """A zone in which an asset was at an instant, under its name of then."""

    at: datetime
    zone_id: UUID
    name: str


async def zones_at(
    conn: Connection, asset_id: UUID, times: Sequence[datetime], at_most: int
) -> list[ZoneAt]:
    """Return the zones in which an asset was at each time, by its visits: `at_most` of each."""
    cursor = await conn.execute(
        """
        SELECT look.at, within.zone_id, within.name
          FROM unnest(%s::timestamptz[]) AS look (at)
         CROSS JOIN LATERAL (
               SELECT visit.zone_id, version.name
                 FROM visits AS visit
                 JOIN zone_versions AS version
                   ON version.org_id = visit.org_id AND version.zone_id = visit.zone_id
                  AND version.version = visit.zone_version
                WHERE visit.asset_id = %s AND NOT visit.retracted AND visit.entered_at <= look.at
                  AND (visit.left_at IS NULL OR visit.left_at >= look.at)
                ORDER BY version.name, visit.zone_id LIMIT %s) AS within
         ORDER BY look.at, within.name, within.zone_id
        """,
        (list(times), asset_id, at_most),
    )
    return [ZoneAt(*row) for row in await cursor.fetchall()]


async def find(conn: Connection, visit_id: UUID) -> ListedVisit | None:
    async with conn.cursor(row_factory=args_row(ListedVisit)) as cursor:
        await cursor.execute(
            sql.SQL("SELECT {} FROM visits WHERE id = %s").format(_LISTED), (visit_id,)
        )
        return await cursor.fetchone()


VISITS = FilteredList(ListedVisit, _LISTED, "visits", Columns(time="entered_at"))
