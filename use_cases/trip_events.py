"""Events of trips and stops: what was told of an asset is compared with what its fixes say.

The events, and that they were told, are in one transaction with the mark that the fixes were looked
at: what is told once is not told again, and what was not told will be, whatever is killed.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from db.core.connect import Connection
from db.core.table import db_now
from db.fixes import told_trips, trips_due
from db.fixes.told_trips import ToldTrip
from db.fixes.trips_due import TripsDue
from db.history import events
from db.history.events import Event
from db.resources import organizations
from db.resources.names import names_of
from geofence.event_data.trips import (
    TYPES,
    AmendedTrip,
    EndedTrip,
    StartedTrip,
    StoppedAsset,
    TripData,
    data_text,
)
from geofence.trips.history import Found, Stop, Trip
from geofence.trips.telling import (
    News,
    Seen,
    Telling,
    Told,
    event_id,
    falls_due_us,
    news,
    rests_until_us,
    trip_id,
)
from geofence.trips.track import TripRules
from telemetry.fix import Flag
from telemetry.ids import format_id
from telemetry.times import format_time, to_datetime, to_us

RULES = TripRules()
"""Events go by the rules that lists have where none are given."""


async def stop_before(conn: Connection, row: TripsDue) -> datetime | None:
    """Return the beginning of a stop of the tenant's asset from which on trips are to be worked out
    again; None: none is known.
    """
    since = (await organizations.find(conn)).trip_events_since
    if since is None:
        return None
    return await told_trips.stop_before(conn, row.asset_id, row.since, since)


async def tell(
    conn: Connection, row: TripsDue, seen: Sequence[Seen], until: datetime | None
) -> int:
    """Tell what is new of an asset of the tenant, and note that its fixes were looked at. Returns
    the number of events.

    seen: all trips and stops up to `until`; None: up to now.
    """
    await trips_due.done(conn, row)
    told_since = (await organizations.find(conn)).trip_events_since
    if not seen or told_since is None:
        return 0
    now_us = to_us(await db_now(conn))
    told = await _told(conn, row, seen, until, told_since)
    all_news = news(row.asset_id, told, seen, to_us(told_since), now_us, RULES)
    kept = {each.now.id: each for each in all_news}  # of two, the later one
    stored = [_stored(each) for each in kept.values()]
    await told_trips.write(conn, row.org_id, row.asset_id, stored)
    fresh = await _events(conn, row, all_news, now_us)
    await events.insert_missing(conn, fresh)
    due_us = falls_due_us(seen, now_us, RULES) if until is None else None
    if due_us is not None:
        trip = seen[-1].found
        await trips_due.look_again(conn, row, trip.last_at, to_datetime(due_us))
        rests_until = to_datetime(rests_until_us(trip, RULES))
        await told_trips.rest(conn, row.asset_id, trip.started_at, trip.last_at, rests_until)
    return len(fresh)


async def _told(
    conn: Connection,
    row: TripsDue,
    seen: Sequence[Seen],
    until: datetime | None,
    told_since: datetime,
) -> list[Told]:
    ids = [
        trip_id(row.asset_id, each.found.first_us, is_stop=isinstance(each.found.what, Stop))
        for each in seen
    ]
    since = seen[0].found.started_at
    rows = await told_trips.overlapping(conn, row.asset_id, ids, since, until, told_since)
    return [
        Told(
            each.id,
            each.is_stop,
            each.revision,
            to_us(each.started_at),
            None if each.ended_at is None else to_us(each.ended_at),
            each.is_retracted,
        )
        for each in rows
    ]


def _stored(each: News) -> ToldTrip:
    now, what = each.now, None if each.found is None else each.found.what
    ended_at = None if now.ended_us is None else to_datetime(now.ended_us)
    middle = (what.lat, what.lon) if isinstance(what, Stop) else (None, None)
    return ToldTrip(
        now.id,
        now.is_stop,
        now.revision,
        to_datetime(now.started_us),
        ended_at,
        now.is_retracted,
        *middle,
    )


async def _events(
    conn: Connection, row: TripsDue, all_news: Sequence[News], now_us: int
) -> list[Event]:
    told = [each for each in all_news if each.kind is not None]
    if not told:
        return []
    name = (await names_of(conn, "assets", [row.asset_id]))[row.asset_id]
    flags = row.flags or 0
    result: list[Event] = []
    for each in told:
        data = _data(each, row, name, now_us)
        at_us = each.now.started_us if each.now.ended_us is None else each.now.ended_us
        result.append(
            Event(
                org_id=row.org_id,
                id=event_id(each.now.id, each.now.revision),
                type=TYPES[type(data)],
                occurred_at=to_datetime(at_us),
                data=data_text(data),
                is_for_webhooks=not flags & Flag.QUIET,
            )
        )
    return result


def _data(each: News, row: TripsDue, name: str, now_us: int) -> TripData:
    now, found = each.now, each.found
    started_at = format_time(now.started_us)
    ended_at = None if now.ended_us is None else format_time(now.ended_us)
    trip, asset = format_id("trp", now.id), format_id("ast", row.asset_id)
    detected_at, is_upload = format_time(now_us), bool((row.flags or 0) & Flag.UPLOADED)
    source = "upload" if is_upload else None
    if each.kind == Telling.AMENDED:
        assert each.before is not None
        assert each.change is not None
        before_us = each.before.ended_us
        return AmendedTrip(
            trip_id=trip,
            change=each.change.value,
            revision=now.revision,
            asset_id=asset,
            asset_name=name,
            started_at=started_at,
            ended_at=ended_at,
            retracted=now.is_retracted,
            before_started_at=format_time(each.before.started_us),
            before_ended_at=None if before_us is None else format_time(before_us),
            detected_at=detected_at,
            source=source,
        )
    assert found is not None
    if each.kind == Telling.STOPPED:
        return StoppedAsset(
            stop_id=format_id("stp", now.id),
            asset_id=asset,
            asset_name=name,
            started_at=started_at,
            lat=round(found.what.lat, 7),
            lon=round(found.what.lon, 7),
            detected_at=detected_at,
            source=source,
        )
    if each.kind == Telling.STARTED:
        lat, lon = _place(found, found.what.first)
        return StartedTrip(
            trip_id=trip,
            revision=now.revision,
            asset_id=asset,
            asset_name=name,
            started_at=started_at,
            lat=lat,
            lon=lon,
            is_carried=found.what.is_carried,
            detected_at=detected_at,
            source=source,
        )
    assert ended_at is not None
    ended: Trip = found.what
    (start_lat, start_lon), (end_lat, end_lon) = (
        _place(found, fix) for fix in (ended.first, ended.last)
    )
    return EndedTrip(
        trip_id=trip,
        revision=now.revision,
        asset_id=asset,
        asset_name=name,
        started_at=started_at,
        ended_at=ended_at,
        inferred="timer" if each.by_timer else None,
        start_lat=start_lat,
        start_lon=start_lon,
        end_lat=end_lat,
        end_lon=end_lon,
        duration_s=found.duration_s,
        distance_m=round(ended.distance_m, 1),
        odometer_m=ended.odometer_m,
        top_speed_mps=ended.top_speed_mps,
        has_gap=ended.has_gap,
        is_carried=ended.is_carried,
        detected_at=detected_at,
        source=source,
    )


def _place(found: Found[Any], fix: int) -> tuple[float, float]:
    return float(found.track.lat[fix]), float(found.track.lon[fix])
