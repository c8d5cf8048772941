"""Fixes as the API lists them: by tracker, asset, zone and time, the newest first or the oldest.

History is stored by tracker. Which fixes a question is about is therefore a set of spans (tracker,
since, until): an asset's are its assignments, a zone's are the visits in it (`zone_spans.py`). Each
span is read from its first end along the index (tracker, time, seq) and no further than the page
needs.

A question about all trackers is asked of a short stretch of time first, and of longer ones until
the page is full; where the oldest come first, these begin at the oldest fix that there is. A tenant
that has most trackers there are follows the coarse index on time; others would wade through what is
not theirs: for them there is a span for each tracker that they have.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import LiteralString, NamedTuple, Self
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.listing import Conditions, PageRows, read_page
from db.history.zone_spans import ZoneVisits
from telemetry.fix import Flag

_FIX = sql.SQL(
    "g.org_id, g.tracker_id, g.time, g.seq, g.received_at, g.lat, g.lon, g.flags, g.altitude_m,"
    " g.speed_mps, g.course_deg, g.accuracy_m, g.battery_pct, g.satellites, g.ignition,"
    " g.attributes"
)
_WITH_ASSET = sql.SQL(
    """
    WITH page AS ({source} {order_by} LIMIT %(limit)s OFFSET %(offset)s)
    SELECT g.tracker_id, a.asset_id, g.time, g.seq, g.received_at, g.lat, g.lon, g.flags,
           g.altitude_m, g.speed_mps, g.course_deg, g.accuracy_m, g.battery_pct, g.satellites,
           g.ignition, g.attributes::text
      FROM page g
      LEFT JOIN tracker_assignments a
        ON a.org_id = g.org_id AND a.tracker_id = g.tracker_id
       AND a.assigned_from <= g.time AND (a.assigned_to IS NULL OR g.time < a.assigned_to)
    {order_by}
    """
)
_OF_TRACK = sql.SQL(
    """
    SELECT (extract(epoch FROM g.time) * 1000000)::int8, g.lat, g.lon, coalesce(g.accuracy_m, 0),
           coalesce(g.speed_mps, 'NaN'), coalesce(g.ignition::int, -1),
           CASE WHEN jsonb_typeof(g.attributes -> 'odometer') = 'number'
                THEN (g.attributes ->> 'odometer')::float8 ELSE 'NaN' END
      FROM ({source}) AS g {order_by} LIMIT %(reach)s
    """
)
_ALL_OF_ONE_TRACKER = sql.SQL(
    "SELECT %(tracker)s::uuid AS tracker_id, '-infinity'::timestamptz AS since,"
    " 'infinity'::timestamptz AS until"
)
_ALL_OF_EACH_TRACKER = sql.SQL(
    "SELECT t.id AS tracker_id, '-infinity'::timestamptz AS since,"
    " 'infinity'::timestamptz AS until FROM trackers t"
)
# As far as PostgreSQL knows how many there are, which is -1 as long as it has not looked.
_HAS_MOST_TRACKERS = """
SELECT 2 * count(*) > (SELECT reltuples FROM pg_class WHERE oid = 'trackers'::regclass)
  FROM trackers
"""
_OLDEST = sql.SQL(
    """
    SELECT min(oldest.time) FROM trackers t
     CROSS JOIN LATERAL (
        SELECT g.time FROM gps_events g WHERE g.tracker_id = t.id {more}
         ORDER BY g.time, g.seq LIMIT 1) AS oldest
    """
)
_IS_OF_NOBODY_ELSE: LiteralString = """
NOT EXISTS (SELECT FROM tracker_assignments AS held
              JOIN employees AS holder
                ON holder.org_id = held.org_id AND holder.id = held.employee_id
             WHERE held.org_id = g.org_id AND held.tracker_id = g.tracker_id
               AND held.assigned_from <= g.time
               AND (held.assigned_to IS NULL OR g.time < held.assigned_to)
               AND holder.user_id IS DISTINCT FROM %(reader)s)
"""
_EARLIEST, _LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_FIXES_AT_A_TIME = 5_000  # of a track
_FIRST_STRETCH = timedelta(minutes=2)
_LONGEST_STRETCH = timedelta(days=60)
# By whether the newest come first.
_ORDER_BY = {
    True: sql.SQL("ORDER BY g.time DESC, g.tracker_id DESC, g.seq DESC"),
    False: sql.SQL("ORDER BY g.time, g.tracker_id, g.seq"),
}
_ORDER_IN_SPAN_BY = {
    True: sql.SQL("ORDER BY g.time DESC, g.seq DESC"),
    False: sql.SQL("ORDER BY g.time, g.seq"),
}


# A SELECT of (tracker_id, since, until) with its values; None: all fixes, of which row-level
# security leaves the tenant's.
Spans = tuple[sql.Composable, dict[str, object]] | None


class HistoryFix(NamedTuple):
    """One row, with the asset assigned at its time; `attributes` is a JSON text."""

    tracker_id: UUID
    asset_id: UUID | None
    time: datetime
    seq: int
    received_at: datetime
    lat: float
    lon: float
    flags: int
    altitude_m: float | None
    speed_mps: float | None
    course_deg: float | None
    accuracy_m: float | None
    battery_pct: float | None
    satellites: int | None
    ignition: bool | None
    attributes: str | None


class TrackFix(NamedTuple):
    """A fix of a track, microseconds since 1970. accuracy_m: 0 where it is not stated. speed_mps,
    odometer_m: NaN where they are not known. ignition: 1, 0, or -1 where it is not known.
    """

    time_us: int
    lat: float
    lon: float
    accuracy_m: float
    speed_mps: float
    ignition: int
    odometer_m: float


class HistoryKey(NamedTuple):
    """The place of a row in the list."""

    time: datetime
    tracker_id: UUID
    seq: int


@dataclass(frozen=True, slots=True)
class FixFilter:
    """A filter of fixes: time in [since, until), of a tracker, of an asset, of an employee's
    trackers, within visits of a zone. hides_people_from: the user who reads no fixes of other
    people's trackers; None: all are read.
    """

    tracker_id: UUID | None = None
    asset_id: UUID | None = None
    zone_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    hides_people_from: UUID | None = None
    employee_id: UUID | None = None

    def spans(self) -> Spans:
        """Return no values: the row says nothing but when."""
        if self.zone_id is not None:
            return self.visits().spans()
        if self.asset_id is not None or self.employee_id is not None:
            return self._assignments()
        if self.tracker_id is not None:
            return _ALL_OF_ONE_TRACKER, {"tracker": self.tracker_id}
        return None

    def visits(self) -> ZoneVisits:
        assert self.zone_id is not None
        return ZoneVisits(self.zone_id, self.asset_id, self.tracker_id, self.since, self.until)

    def behind(self, cut: "Cut") -> Self:
        """Return what is left of the time for a page and those that follow."""
        if cut.after is None:
            return self
        if cut.descending:
            return replace(self, until=cut.after.time + timedelta(microseconds=1))
        return replace(self, since=cut.after.time)

    def window(self) -> Conditions:
        """Return the conditions of each fix, `g`."""
        conditions = Conditions()
        if self.since is not None:
            conditions.add("g.time >= %(since)s", since=self.since)
        if self.until is not None:
            conditions.add("g.time < %(until)s", until=self.until)
        if self.hides_people_from is not None:
            conditions.add(_IS_OF_NOBODY_ELSE, reader=self.hides_people_from)
        return conditions

    def _assignments(self) -> tuple[sql.Composable, dict[str, object]]:
        conditions = Conditions()
        if self.asset_id is not None:
            conditions.add("a.asset_id = %(asset)s", asset=self.asset_id)
        if self.employee_id is not None:
            conditions.add("a.employee_id = %(employee)s", employee=self.employee_id)
        if self.tracker_id is not None:
            conditions.add("a.tracker_id = %(tracker)s", tracker=self.tracker_id)
        statement = sql.SQL(
            """
            SELECT a.tracker_id, a.assigned_from AS since,
                   coalesce(a.assigned_to, 'infinity') AS until
              FROM tracker_assignments a {}
            """
        ).format(conditions.where())
        return statement, conditions.values


@dataclass(frozen=True, slots=True)
class Cut:
    """Return a page: `limit` rows behind `after`, or behind the first `offset`."""

    descending: bool
    after: HistoryKey | None
    limit: int
    offset: int


async def listing(conn: Connection, wanted: FixFilter, cut: Cut) -> PageRows[HistoryFix]:
    if wanted.zone_id is not None:
        return await _within_visits(conn, wanted.behind(cut), cut)
    spans = await _spans(conn, wanted)
    if wanted.spans() is None:
        for stretch in await _stretches(conn, wanted, cut):
            rows = await _page(conn, spans, stretch.window(), cut)
            if len(rows) == cut.limit or rows.is_cut:
                return rows
    return await _page(conn, spans, wanted.window(), cut)


async def _within_visits(conn: Connection, wanted: FixFilter, cut: Cut) -> PageRows[HistoryFix]:
    async for at in wanted.visits().beginnings(conn, descending=cut.descending):
        stretch = replace(wanted, since=at) if cut.descending else replace(wanted, until=at)
        rows = await _page(conn, stretch.spans(), stretch.window(), cut)
        if len(rows) == cut.limit or rows.is_cut:
            return rows
    return await _page(conn, wanted.spans(), wanted.window(), cut)


async def _spans(conn: Connection, wanted: FixFilter) -> Spans:
    spans = wanted.spans()
    if spans is not None:
        return spans
    cursor = await conn.execute(_HAS_MOST_TRACKERS)
    return None if await cursor.fetchone() == (True,) else (_ALL_OF_EACH_TRACKER, {})


async def _stretches(conn: Connection, wanted: FixFilter, cut: Cut) -> Iterator[FixFilter]:
    """Yield ever longer stretches of time that begin where the page does, as long as they are
    shorter than all.
    """
    if cut.descending:
        end = cut.after.time if cut.after is not None else wanted.until or datetime.now(UTC)
        return _back_from(end, wanted)
    start = cut.after.time if cut.after is not None else await _oldest(conn, wanted)
    return iter(()) if start is None else _on_from(start, wanted)


def _back_from(end: datetime, wanted: FixFilter) -> Iterator[FixFilter]:
    for length in _lengths():
        if end - (wanted.since or _EARLIEST) <= length:
            return
        yield replace(wanted, since=end - length)


def _on_from(start: datetime, wanted: FixFilter) -> Iterator[FixFilter]:
    for length in _lengths():
        if (wanted.until or _LATEST) - start <= length:
            return
        yield replace(wanted, since=start, until=start + length)


def _lengths() -> Iterator[timedelta]:
    length = _FIRST_STRETCH
    while length < _LONGEST_STRETCH:
        yield length
        length *= 8


async def _oldest(conn: Connection, wanted: FixFilter) -> datetime | None:
    """Return the time of the first fix of any tracker within the window."""
    window = wanted.window()
    return await value_of(conn, _OLDEST.format(more=window.and_also()), window.values)


async def _page(
    conn: Connection, spans: Spans, conditions: Conditions, cut: Cut
) -> PageRows[HistoryFix]:
    if cut.after is not None:
        # The first condition says nothing new, but it is the one that an index can follow.
        than: LiteralString = "<" if cut.descending else ">"
        conditions.add(
            f"g.time {than}= %(key_time)s AND (g.time, g.tracker_id, g.seq)"
            f" {than} (%(key_time)s, %(key_tracker)s, %(key_seq)s)",
            key_time=cut.after.time,
            key_tracker=cut.after.tracker_id,
            key_seq=cut.after.seq,
        )
    source, values = _source(spans, conditions, descending=cut.descending)
    statement = _WITH_ASSET.format(source=source, order_by=_ORDER_BY[cut.descending])
    values |= {"limit": cut.limit, "offset": cut.offset, "reach": cut.limit + cut.offset}
    return await read_page(conn, HistoryFix, statement, values)


async def count(conn: Connection, wanted: FixFilter, at_most: int) -> int:
    """Count the fixes; counting ends at `at_most`."""
    source, values = _source(await _spans(conn, wanted), wanted.window())
    statement = sql.SQL("SELECT count(*) FROM ({} LIMIT %(at_most)s) AS counted").format(source)
    return await value_of(conn, statement, values | {"at_most": at_most, "reach": at_most})


async def track(
    conn: Connection, wanted: FixFilter, max_accuracy_m: float, at_most: int
) -> list[TrackFix]:
    """Read fixes in order of time, without suspect and inaccurate ones; the first `at_most`."""
    conditions = wanted.window()
    conditions.add("g.flags & %(suspect)s = 0", suspect=int(Flag.SUSPECT))
    conditions.add(
        "(g.accuracy_m IS NULL OR g.accuracy_m <= %(accuracy)s)", accuracy=max_accuracy_m
    )
    source, values = _source(await _spans(conn, wanted), conditions, descending=False)
    statement = _OF_TRACK.format(source=source, order_by=_ORDER_BY[False])
    fixes: list[TrackFix] = []
    async with conn.cursor(name="track", binary=True) as cursor:
        await cursor.execute(statement, values | {"reach": at_most})
        while rows := await cursor.fetchmany(_FIXES_AT_A_TIME):
            fixes += map(TrackFix._make, rows)
    return fixes


def _source(
    spans: Spans, conditions: Conditions, *, descending: bool = True
) -> tuple[sql.Composable, dict[str, object]]:
    """Return a SELECT of the wanted fixes as `g`, each span at most `%(reach)s` deep."""
    if spans is None:
        everything = sql.SQL("SELECT {} FROM gps_events g {}")
        return everything.format(_FIX, conditions.where()), dict(conditions.values)
    span, values = spans
    statement = sql.SQL(
        """
        SELECT {fix} FROM ({span}) AS span
         CROSS JOIN LATERAL (
            SELECT * FROM gps_events g
             WHERE g.tracker_id = span.tracker_id
               AND g.time >= span.since AND g.time < span.until {more}
             {order_by} LIMIT %(reach)s) AS g
        """
    ).format(
        fix=_FIX,
        span=span,
        more=conditions.and_also(),
        order_by=_ORDER_IN_SPAN_BY[descending],
    )
    return statement, values | conditions.values
