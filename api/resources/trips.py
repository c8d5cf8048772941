"""Trips and stops of a machine, of a tracker, or of an employee's trackers.

They are worked out from the stored fixes when they are asked for, so they are right after late
fixes, of any past, and by any rules (docs/decisions/0044-trips-when-asked-for.md).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import id_text, optional_id_text, optional_time_text, time_text
from api.http.problems import bad_parameter
from api.request.access import Access, Reader
from api.request.paging import ListOf, ListQuery, Page, Total
from api.request.references import check_filters
from api.request.route import TenantRoute
from db.core.connect import Connection
from db.core.table import db_now
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import TrackFix
from db.history import visits
from db.history.visits import ZoneAt
from db.resources import organizations
from geofence.model.rules import MAX_ACCURACY_M
from geofence.trips.history import Stop, Trip, trips_and_stops
from geofence.trips.track import Track, TripRules
from telemetry.times import to_datetime

router = APIRouter(prefix="/v1", tags=["trips"], route_class=TenantRoute)

MOST_DAYS = 31
MOST_FIXES = 200_000
MOST_ZONES = 10  # told of a place
# How far beyond the time that is asked for is looked, until what lies across its ends is known.
_MARGINS = tuple(timedelta(hours=hours) for hours in (6, 24, 96, 384, 1536))
_USUAL = TripRules()
_A_DAY = timedelta(days=1)
_EARLIEST, _LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_FOUND = TypeVar("_FOUND", Trip, Stop)
_ZonesAt: TypeAlias = Mapping[datetime, Sequence[ZoneAt]]


class TripZone(BaseModel):
    """A zone in which the machine was."""

    id: fields.ZoneId
    name: fields.Name = Field(description="as it was called then")


class _Item(BaseModel):
    asset_id: fields.AssetId | None = Field(description="as it was asked for, as the next two")
    tracker_id: fields.TrackerId | None
    employee_id: fields.EmployeeId | None
    started_at: datetime = Field(description="the time of its first fix")
    ended_at: datetime | None = Field(description="of its last fix; null while it goes on")
    duration_s: float = Field(ge=0, description="up to its last fix", examples=[1800.0])
    is_cut: bool = Field(
        description="it may be longer: there are too many fixes to look so far back, or ahead"
    )


_Zones = Annotated[list[TripZone], Field(max_length=MOST_ZONES)]


class TripItem(_Item):
    """The way from one stop to the next: both fixes at its ends belong to them, too."""

    start_lat: fields.Latitude
    start_lon: fields.Longitude
    start_zones: _Zones = Field(
        description=f"of a machine, by its visits, {MOST_ZONES} at most; as `end_zones`"
    )
    end_lat: fields.Latitude
    end_lon: fields.Longitude
    end_zones: _Zones
    distance_m: float = Field(
        ge=0, description="along the fixes that move by more than their accuracy", examples=[8123.5]
    )
    odometer_m: float | None = Field(
        description="what the attribute `odometer` counted, in metres", examples=[8200.0]
    )
    top_speed_mps: float | None = Field(ge=0, description="that a fix states", examples=[22.2])
    mean_speed_mps: float | None = Field(ge=0, examples=[11.5])
    has_gap: bool = Field(description="for longer than trip_gap_s there is no fix")
    is_carried: bool = Field(description="the ignition was off: on a ferry, or a tow truck")


class StopItem(_Item):
    """A stay at one place."""

    lat: fields.Latitude = Field(description="of its middle")
    lon: fields.Longitude
    zones: _Zones = Field(description="in which a machine was amid it, by its visits")
    idle_s: float | None = Field(
        ge=0, description="with the ignition on; null: it is not sent", examples=[120.0]
    )


class TripQuery(ListQuery):
    """What shares an instant with [from, to)."""

    asset_id: fields.AssetId | None = None
    tracker_id: fields.TrackerId | None = None
    employee_id: fields.EmployeeId | None = None
    since: Annotated[
        fields.Time | None, Field(alias="from", description="without it a day before to")
    ] = None
    until: Annotated[
        fields.Time | None,
        Field(alias="to", description=f"at most {MOST_DAYS} days later; without it now"),
    ] = None
    stop_radius_m: Annotated[float, Field(ge=10, le=1_000, description="a stop lies within it")] = (
        _USUAL.stop_radius_m
    )
    stop_after_s: Annotated[
        float, Field(ge=60, le=86_400, description="a shorter stay is no stop")
    ] = _USUAL.stop_after_s
    trip_min_m: Annotated[
        float, Field(ge=10, le=10_000, description="who gets less far away has not left a stop")
    ] = _USUAL.trip_min_m
    trip_gap_s: Annotated[
        float, Field(ge=60, le=86_400, description="a trip without a fix for longer `has_gap`")
    ] = _USUAL.trip_gap_s
    sort: Annotated[
        Literal["-started_at", "started_at"], Field(description="-: the last ones first")
    ] = "-started_at"


class _Key(NamedTuple):
    """The place of a row in the list: no two begin with the same fix."""

    first_us: int


@dataclass(frozen=True, slots=True)
class _Found(Generic[_FOUND]):
    """One of a track. is_cut: it may be longer than the track."""

    track: Track
    what: _FOUND
    is_cut: bool

    @property
    def started_at(self) -> datetime:
        return to_datetime(int(self.track.time_us[self.what.first]))

    @property
    def middle(self) -> datetime:
        return self.started_at + (self.last_at - self.started_at) / 2

    @property
    def last_at(self) -> datetime:
        return to_datetime(int(self.track.time_us[self.what.last]))


@router.get("/trips", operation_id="listTrips", response_model=ListOf[TripItem])
async def list_trips(access: Reader, query: Annotated[TripQuery, Query()]) -> Response:
    """List the trips of a machine, of a tracker or of an employee's trackers, newest first."""
    return await _listed(access, query, Trip, _trip_item)


@router.get("/stops", operation_id="listStops", response_model=ListOf[StopItem])
async def list_stops(access: Reader, query: Annotated[TripQuery, Query()]) -> Response:
    """List the stops of a machine, of a tracker or of an employee's trackers, newest first."""
    return await _listed(access, query, Stop, _stop_item)


async def _listed(
    access: Access,
    query: TripQuery,
    kind: type[_FOUND],
    item: Callable[[_Found[_FOUND], _ZonesAt], dict[str, Any]],
) -> Response:
    rules = _rules(query)
    page = Page(access, query, f"{kind.__name__.lower()}s", _Key)
    async with access.transaction() as conn:
        await check_filters(conn, query)
        wanted = await _wanted(conn, access, query)
        settings = await organizations.find(conn)
    max_accuracy_m = settings.max_accuracy_m or MAX_ACCURACY_M
    all_found = await _worked_out(access, wanted, max_accuracy_m, rules)
    found = [one for one in all_found if isinstance(one.what, kind)]
    rows = _page_of(found, page, descending=query.sort == "-started_at")
    async with access.transaction() as conn:
        zones = await _zones(conn, query.asset_id, rows)
    return await page.response(
        rows,
        page.total or Total(len(found)),
        key=lambda row: _Key(int(row.track.time_us[row.what.first])),
        item=lambda row: _common(query, row) | item(row, zones),
    )


def _rules(query: TripQuery) -> TripRules:
    given = (query.stop_radius_m, query.stop_after_s, query.trip_min_m, query.trip_gap_s)
    try:
        return TripRules(*given)
    except ValueError as error:
        raise bad_parameter("trip_min_m", f"{error}.") from None


async def _wanted(conn: Connection, access: Access, query: TripQuery) -> FixFilter:
    """Return the filter of the fixes. Raises Problem where it is not about one thing, or the time
    is too long.
    """
    given = (query.asset_id, query.tracker_id, query.employee_id)
    if sum(each is not None for each in given) != 1:
        raise bad_parameter("asset_id", "Name one of asset_id, tracker_id and employee_id.")
    until = query.until or await db_now(conn)
    since = query.since or max(until, _EARLIEST + _A_DAY) - _A_DAY
    if since >= until:
        raise bad_parameter("from", "from must be earlier than to.")
    if until - since > timedelta(days=MOST_DAYS):
        raise bad_parameter("to", f"to must be at most {MOST_DAYS} days later than from.")
    return FixFilter(
        tracker_ids=tuple(filter(None, [query.tracker_id])),
        asset_ids=tuple(filter(None, [query.asset_id])),
        employee_ids=tuple(filter(None, [query.employee_id])),
        since=since,
        until=until,
        hides_people_from=None if access.sees_all else access.caller.user_id,
    )


async def _worked_out(
    access: Access, wanted: FixFilter, max_accuracy_m: float, rules: TripRules
) -> list[_Found[Any]]:
    """Return what shares an instant with the time that is wanted.

    More than that time is looked at, until the two before it and the one behind it are known, or
    there are no further fixes: then what lies across its ends is known, too. Raises Problem where
    there are too many fixes.
    """
    archive = access.state.archive
    known: list[_Found[Any]] | None = None
    for margin in _MARGINS:
        wide = _widened(wanted, margin)
        fixes = await archive.track(access.transaction, wide, max_accuracy_m, MOST_FIXES + 1)
        if len(fixes) > MOST_FIXES:
            break
        track = await asyncio.to_thread(_track, fixes)
        found = await asyncio.to_thread(trips_and_stops, track, rules)
        known, is_known = await _within(access, wanted, wide, track, found)
        if is_known:
            break
    if known is None:
        message = f"There are more than {MOST_FIXES:,} fixes: ask for a shorter time."
        raise bad_parameter("to", message)
    return known


async def _within(
    access: Access,
    wanted: FixFilter,
    wide: FixFilter,
    track: Track,
    found: Sequence[Trip | Stop],
) -> tuple[list[_Found[Any]], bool]:
    """Return what shares an instant with the wanted time, and whether all of it is known."""
    all_found = [_Found[Any](track, one, is_cut=False) for one in found]
    assert wanted.since is not None
    assert wanted.until is not None
    before = sum(one.last_at < wanted.since for one in all_found)
    is_begin_known = before >= 2 or not await _has_fixes(access, wide, until=wide.since)
    is_end_known = any(one.started_at >= wanted.until for one in all_found)
    is_end_known = is_end_known or not await _has_fixes(access, wide, since=wide.until)
    shown = [
        replace(
            one,
            is_cut=(one.what.first == 0 and not is_begin_known)
            or (one.what.is_open and not is_end_known),
        )
        for one in all_found
        if one.started_at < wanted.until and (one.what.is_open or one.last_at > wanted.since)
    ]
    return shown, is_begin_known and is_end_known


async def _has_fixes(
    access: Access,
    wide: FixFilter,
    since: datetime | None = None,
    until: datetime | None = None,
) -> bool:
    wanted = replace(wide, since=since, until=until)
    return (await access.state.archive.count(access.transaction, wanted, 1)).rows > 0


def _widened(wanted: FixFilter, margin: timedelta) -> FixFilter:
    assert wanted.since is not None
    assert wanted.until is not None
    since = max(wanted.since, _EARLIEST + margin) - margin
    until = min(wanted.until, _LATEST - margin) + margin
    return replace(wanted, since=since, until=until)


def _track(fixes: Sequence[TrackFix]) -> Track:
    columns = np.array(fixes, np.float64).reshape(-1, len(TrackFix._fields)).T
    time_us, lat, lon, accuracy_m, speed_mps, ignition, odometer_m = columns
    return Track(
        time_us.astype(np.int64),
        lat,
        lon,
        accuracy_m,
        speed_mps,
        odometer_m,
        ignition.astype(np.int8),
    )


def _page_of(
    found: Sequence[_Found[_FOUND]], page: Page[_Key], *, descending: bool
) -> list[_Found[_FOUND]]:
    """Return the rows to read for a page."""
    rows = list(reversed(found)) if descending else list(found)
    if page.after is not None:
        after_us = page.after.first_us
        rows = [
            row
            for row in rows
            if (first_us := int(row.track.time_us[row.what.first])) != after_us
            and (first_us < after_us) == descending
        ]
    return rows[page.fetch_offset : page.fetch_offset + page.fetch_limit]


async def _zones(conn: Connection, asset_id: UUID | None, rows: Iterable[_Found[Any]]) -> _ZonesAt:
    """Return the zones in which the machine was at the ends of trips and amid stops."""
    zones: dict[datetime, list[ZoneAt]] = {}
    times = sorted({at for row in rows for at in (row.started_at, row.middle, row.last_at)})
    if asset_id is None or not times:
        return zones
    for zone in await visits.zones_at(conn, asset_id, times, MOST_ZONES):
        zones.setdefault(zone.at, []).append(zone)
    return zones


def _common(query: TripQuery, row: _Found[Any]) -> dict[str, Any]:
    ended_at = None if row.what.is_open else row.last_at
    return {
        "asset_id": optional_id_text("ast", query.asset_id),
        "tracker_id": optional_id_text("trk", query.tracker_id),
        "employee_id": optional_id_text("emp", query.employee_id),
        "started_at": time_text(row.started_at),
        "ended_at": optional_time_text(ended_at),
        "duration_s": _duration_s(row),
        "is_cut": row.is_cut,
    }


def _duration_s(row: _Found[Any]) -> float:
    return (row.last_at - row.started_at).total_seconds()


def _trip_item(row: _Found[Trip], zones: _ZonesAt) -> dict[str, Any]:
    trip, track, duration_s = row.what, row.track, _duration_s(row)
    return {
        "start_lat": float(track.lat[trip.first]),
        "start_lon": float(track.lon[trip.first]),
        "start_zones": _zone_items(zones, row.started_at),
        "end_lat": float(track.lat[trip.last]),
        "end_lon": float(track.lon[trip.last]),
        "end_zones": _zone_items(zones, row.last_at),
        "distance_m": round(trip.distance_m, 1),
        "odometer_m": trip.odometer_m,
        "top_speed_mps": trip.top_speed_mps,
        "mean_speed_mps": round(trip.distance_m / duration_s, 2) if duration_s > 0 else None,
        "has_gap": trip.has_gap,
        "is_carried": trip.is_carried,
    }


def _stop_item(row: _Found[Stop], zones: _ZonesAt) -> dict[str, Any]:
    stop = row.what
    return {
        "lat": round(stop.lat, 7),
        "lon": round(stop.lon, 7),
        "zones": _zone_items(zones, row.middle),
        "idle_s": stop.idle_s,
    }


def _zone_items(zones: _ZonesAt, at: datetime) -> list[dict[str, Any]]:
    return [{"id": id_text("zon", zone.zone_id), "name": zone.name} for zone in zones.get(at, ())]
