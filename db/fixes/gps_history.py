"""Fixes as the API lists them: by tracker, asset, zone and time, the newest first or the oldest.

History is stored by tracker. Which fixes a question is about is therefore a set of spans (tracker,
since, until): an asset's are its assignments, a zone's are the visits in it (`zone_spans.py`). Each
span is read from its first end along the index (tracker, time, seq) and no further than the page
needs.

A question about all trackers is asked of a short stretch of time first, and of longer ones until
the page is full; where the oldest come first, these begin at the oldest fix that there is. A tenant
that has most trackers there are follows the coarse index on time; others would wade through what is
not theirs: for them there is a span for each tracker that they have.

A question about an area is asked of ever longer stretches, too, and leaves out hours in which a
tracker was elsewhere (`fix_hours.py`). What lies in the area's box is found by the database; which
of it lies in the area is found here, from the places alone, before whole rows are read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, NamedTuple, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import fetch_one, value_of
from db.core.listing import Conditions, PageRows, read_page
from db.fixes.fix_filters import FixFilter, Spans
from db.fixes.fix_hours import SpanHours
from db.history.binary_arrays import POSTGRES_EPOCH_US
from telemetry.fix import Flag
from telemetry.times import to_datetime

FIX = sql.SQL(
    "g.org_id, g.tracker_id, g.time, g.seq, g.received_at, g.lat, g.lon, g.flags, g.altitude_m,"
    " g.speed_mps, g.course_deg, g.accuracy_m, g.battery_pct, g.satellites, g.ignition,"
    " g.attributes"
)
_CUT_OUT = sql.SQL("{source} {order_by} LIMIT %(limit)s OFFSET %(offset)s")
_AT_KEYS = sql.SQL(
    """
    SELECT {fix} FROM unnest(%(trackers)s::uuid[], %(times)s::timestamptz[], %(seqs)s::int[])
           AS wanted (tracker_id, time, seq)
      JOIN gps_events g ON g.tracker_id = wanted.tracker_id AND g.time = wanted.time
       AND g.seq = wanted.seq
     WHERE g.time >= %(oldest)s AND g.time <= %(newest)s
    """
)
_WITH_ASSET = sql.SQL(
    """
    WITH page AS ({source})
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
# As `PLACE_DTYPE` has them. uuid_send and the like cost a tenth of what a row costs to read.
_PLACES = sql.SQL(
    """
    SELECT string_agg(uuid_send(g.tracker_id) || timestamptz_send(g.time) || int4send(g.seq)
                      || float8send(g.lat) || float8send(g.lon), '')
      FROM ({source} {order_by} LIMIT %(limit)s) AS g
    """
)
PLACE_DTYPE = np.dtype(
    [("tracker_id", "V16"), ("time", ">i8"), ("seq", ">i4"), ("lat", ">f8"), ("lon", ">f8")]
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
ALL_OF_EACH_TRACKER = sql.SQL(
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
_EARLIEST, _LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_FIXES_AT_A_TIME = 5_000  # of a track
_FIRST_PLACES, _MORE_PLACES = 2_000, 8
MOST_PLACES = 200_000
"""The places in the box of an area that a page, or a count, looks at."""

_A_FEW = timedelta(days=2)
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


class HistoryKey(NamedTuple):
    """The place of a row in the list."""

    time: datetime
    tracker_id: UUID
    seq: int


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

    @property
    def key(self) -> HistoryKey:
        return HistoryKey(self.time, self.tracker_id, self.seq)


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


@dataclass(frozen=True, slots=True)
class Cut:
    """Return a page: `limit` rows behind `after`, or behind the first `offset`."""

    descending: bool
    after: HistoryKey | None
    limit: int
    offset: int


_READ = TypeVar("_READ", bound=PageRows[HistoryFix] | NDArray[np.void])


async def listing(conn: Connection, wanted: FixFilter, cut: Cut) -> PageRows[HistoryFix]:
    """Return a page. In an area that is more than a box it looks at MOST_PLACES."""
    if wanted.area is not None and wanted.area.covers is not None:
        return await _covered_page(conn, wanted, cut)
    return await _in_stretches(conn, wanted, cut, _page)


async def _covered_page(conn: Connection, wanted: FixFilter, cut: Cut) -> PageRows[HistoryFix]:
    """Look at ever more places until enough of them are covered."""
    keys, looked, most = list[HistoryKey](), 0, _FIRST_PLACES
    behind = cut.after
    while len(keys) < cut.offset + cut.limit and looked < MOST_PLACES:
        most = min(most, MOST_PLACES - looked)
        part = Cut(cut.descending, behind, most, 0)
        places = await _in_stretches(conn, wanted, part, places_of)
        covered = await covered_of(wanted, places)
        keys += map(key_of_place, covered[: cut.offset + cut.limit - len(keys)])
        if len(places) < most:
            break
        behind, looked, most = key_of_place(places[-1]), looked + most, most * _MORE_PLACES
    rows = await at_keys(conn, keys[cut.offset :], cut)
    if not rows.is_cut and looked >= MOST_PLACES and len(keys) < cut.offset + cut.limit:
        rows.is_cut, rows.goes_on_behind = True, behind
    return rows


async def covered_of(wanted: FixFilter, places: NDArray[np.void]) -> NDArray[np.void]:
    assert wanted.area is not None
    assert wanted.area.covers is not None
    time_us = places["time"].astype(np.int64) + POSTGRES_EPOCH_US
    lon, lat = places["lon"].astype(np.float64), places["lat"].astype(np.float64)
    return places[await asyncio.to_thread(wanted.area.covers, time_us, lon, lat)]


def key_of_place(place: Any) -> HistoryKey:
    time_us = int(place["time"]) + POSTGRES_EPOCH_US
    return HistoryKey(
        to_datetime(time_us), UUID(bytes=place["tracker_id"].tobytes()), int(place["seq"])
    )


async def at_keys(conn: Connection, keys: Sequence[HistoryKey], cut: Cut) -> PageRows[HistoryFix]:
    """Return the fixes of these keys, in order."""
    if not keys:
        return PageRows()
    times = [key.time for key in keys]
    values: dict[str, object] = {
        "trackers": [key.tracker_id for key in keys],
        "times": times,
        "seqs": [key.seq for key in keys],
        "oldest": min(times),
        "newest": max(times),
    }
    source = _AT_KEYS.format(fix=FIX)
    return await read_page(conn, HistoryFix, with_asset(source, _ORDER_BY[cut.descending]), values)


async def _in_stretches(
    conn: Connection,
    wanted: FixFilter,
    cut: Cut,
    read: Callable[[Connection, Spans, Conditions, Cut], Awaitable[_READ]],
) -> _READ:
    """Read a page of as short a time as has enough, if that is not known at once."""
    if wanted.zone_id is not None:
        return await _within_visits(conn, behind_key(wanted, cut), cut, read)
    if wanted.spans() is None or wanted.area is not None:
        for stretch in await _stretches(conn, wanted, cut):
            rows = await read(conn, await spans_of(conn, stretch), stretch.window(), cut)
            if _is_full(rows, cut):
                return rows
    return await read(conn, await spans_of(conn, wanted), wanted.window(), cut)


def _is_full(rows: PageRows[HistoryFix] | NDArray[np.void], cut: Cut) -> bool:
    return len(rows) == cut.limit or (isinstance(rows, PageRows) and rows.is_cut)


async def _within_visits(
    conn: Connection,
    wanted: FixFilter,
    cut: Cut,
    read: Callable[[Connection, Spans, Conditions, Cut], Awaitable[_READ]],
) -> _READ:
    async for at in wanted.visits().beginnings(conn, descending=cut.descending):
        stretch = replace(wanted, since=at) if cut.descending else replace(wanted, until=at)
        rows = await read(conn, stretch.spans(), stretch.window(), cut)
        if _is_full(rows, cut):
            return rows
    return await read(conn, wanted.spans(), wanted.window(), cut)


def behind_key(wanted: FixFilter, cut: Cut) -> FixFilter:
    """Return what is left of the time for a page and those that follow."""
    if cut.after is None:
        return wanted
    if cut.descending:
        return replace(wanted, until=cut.after.time + timedelta(microseconds=1))
    return replace(wanted, since=cut.after.time)


async def spans_of(conn: Connection, wanted: FixFilter) -> Spans:
    if wanted.area is not None and wanted.zone_id is None:
        hours, values = _hours(wanted)
        return hours.to_read(), values
    spans = wanted.spans()
    if spans is not None:
        return spans
    cursor = await conn.execute(_HAS_MOST_TRACKERS)
    return None if await cursor.fetchone() == (True,) else (ALL_OF_EACH_TRACKER, {})


def _hours(wanted: FixFilter) -> tuple[SpanHours, dict[str, object]]:
    """Return the hours of a question, and the values of its spans."""
    spans, values = wanted.spans() or (ALL_OF_EACH_TRACKER, {})
    window = {"since": wanted.since or _EARLIEST, "until": wanted.until or _LATEST}
    return SpanHours(spans, wanted.area), values | window


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
    source, values = _behind(spans, conditions, cut)
    order_by = _ORDER_BY[cut.descending]
    source = _CUT_OUT.format(source=source, order_by=order_by)
    statement = with_asset(source, order_by)
    return await read_page(conn, HistoryFix, statement, values)


def with_asset(source: sql.Composable, order_by: sql.Composable) -> sql.Composed:
    """Return a SELECT of HistoryFix for the fixes of a SELECT of FIX from `g`."""
    return _WITH_ASSET.format(source=source, order_by=order_by)


async def places_of(
    conn: Connection, spans: Spans, conditions: Conditions, cut: Cut
) -> NDArray[np.void]:
    """Return PLACE_DTYPE, (n,)."""
    source, values = _behind(spans, conditions, cut)
    statement = _PLACES.format(source=source, order_by=_ORDER_BY[cut.descending])
    return await _read_places(conn, statement, values)


async def _read_places(
    conn: Connection, statement: sql.Composed, values: Mapping[str, object]
) -> NDArray[np.void]:
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(statement, values)
        row = await cursor.fetchone()
    return np.frombuffer(row[0] or b"" if row else b"", PLACE_DTYPE)


def _behind(
    spans: Spans, conditions: Conditions, cut: Cut
) -> tuple[sql.Composable, dict[str, object]]:
    """Return a SELECT of the wanted fixes behind the place where the page begins, as `g`."""
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
    cuts = {"limit": cut.limit, "offset": cut.offset, "reach": cut.limit + cut.offset}
    return source, values | cuts


class Counted(NamedTuple):
    """is_cut: there are more, or there may be: counting ended."""

    rows: int
    is_cut: bool


async def count(conn: Connection, wanted: FixFilter, at_most: int) -> Counted:
    """Count the fixes. In an area that is more than a box it looks at MOST_PLACES; elsewhere it
    looks at `at_most` fixes, and adds the hours that it need not look at.
    """
    if wanted.area is not None and wanted.area.covers is not None:
        return await _count_covered(conn, wanted)
    start, begun = sql.SQL("SELECT 0"), dict[str, object]()
    # Who counts everything, or leaves out fixes one by one, looks at them; those of a day are few,
    # and whether there is one is seen at once.
    begin, end = wanted.since or _EARLIEST, wanted.until or _LATEST
    is_long = wanted.spans() is not None and end - begin > _A_FEW and at_most > 1
    is_plain = wanted.zone_id is None and wanted.hides_people_from is None
    if is_plain and (is_long or wanted.area is not None):
        hours, begun = _hours(wanted)
        start, spans = hours.sum_of_whole(), (hours.to_read(but_whole=True), begun)
    else:
        spans = await spans_of(conn, wanted)
    source, values = _source(spans, wanted.window())
    statement = sql.SQL(
        "SELECT ({}), (SELECT count(*) FROM ({} LIMIT %(reach)s) AS counted)"
    ).format(start, source)
    cursor = await conn.execute(statement, begun | values | {"reach": at_most + 1})
    whole, others = await fetch_one(cursor)
    return Counted(whole + min(others, at_most), others > at_most)


async def _count_covered(conn: Connection, wanted: FixFilter) -> Counted:
    source, values = _source(await spans_of(conn, wanted), wanted.window())
    statement = _PLACES.format(source=source, order_by=sql.SQL(""))
    reach = {"reach": MOST_PLACES + 1, "limit": MOST_PLACES + 1}
    places = await _read_places(conn, statement, values | reach)
    covered = await covered_of(wanted, places[:MOST_PLACES])
    return Counted(len(covered), len(places) > MOST_PLACES)


async def track(
    conn: Connection, wanted: FixFilter, max_accuracy_m: float, at_most: int
) -> list[TrackFix]:
    """Read fixes in order of time, without suspect and inaccurate ones; the first `at_most`."""
    conditions = wanted.window()
    conditions.add("g.flags & %(suspect)s = 0", suspect=int(Flag.SUSPECT))
    conditions.add(
        "(g.accuracy_m IS NULL OR g.accuracy_m <= %(accuracy)s)", accuracy=max_accuracy_m
    )
    source, values = _source(await spans_of(conn, wanted), conditions, descending=False)
    statement = _OF_TRACK.format(source=source, order_by=_ORDER_BY[False])
    fixes: list[TrackFix] = []
    async with conn.cursor(name="track", binary=True) as cursor:
        await cursor.execute(statement, values | {"reach": at_most})
        while rows := await cursor.fetchmany(_FIXES_AT_A_TIME):
            fixes += map(TrackFix._make, rows)
    return fixes


async def keys(conn: Connection, wanted: FixFilter) -> list[HistoryKey]:
    """Return the places of all fixes: of a time that has few."""
    source, values = _source(await spans_of(conn, wanted), wanted.window())
    statement = _PLACES.format(source=source, order_by=sql.SQL(""))
    places = await _read_places(conn, statement, values | {"reach": None, "limit": None})
    if wanted.area is not None and wanted.area.covers is not None:
        places = await covered_of(wanted, places)
    return list(map(key_of_place, places))


def _source(
    spans: Spans, conditions: Conditions, *, descending: bool = True
) -> tuple[sql.Composable, dict[str, object]]:
    """Return a SELECT of the wanted fixes as `g`, each span at most `%(reach)s` deep."""
    if spans is None:
        everything = sql.SQL("SELECT {} FROM gps_events g {}")
        return everything.format(FIX, conditions.where()), dict(conditions.values)
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
        fix=FIX,
        span=span,
        more=conditions.and_also(),
        order_by=_ORDER_IN_SPAN_BY[descending],
    )
    return statement, values | conditions.values
