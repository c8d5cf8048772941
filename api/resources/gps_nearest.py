"""Who came nearest to a place: the nearest stored fix of each tracker, in a time."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import ok
from api.http.fields import DIGITS
from api.http.problems import bad_parameter
from api.request.access import Access, HistoryReader
from api.request.references import check_filters
from api.request.route import TenantRoute
from api.resources.gps_areas import MAX_NEAR_M, around
from api.resources.gps_events import GpsEventItem, fix_item
from archive.choosing import nearest
from db.core.connect import Connection
from db.core.table import db_now
from db.fixes.fix_filters import FixFilter
from db.fixes.places import Places, TooManyPlaces
from geofence.geometry.measures import distances_m

router = APIRouter(prefix="/v1/gps-events/nearest", tags=["gps-events"], route_class=TenantRoute)
MOST_NEAREST = 100
MOST_DAYS = 31
_REACHES_M = (200.0, 2_000.0, 20_000.0, float(MAX_NEAR_M))
_A_DAY = timedelta(days=1)
_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)


class NearestItem(GpsEventItem):
    """A fix, and how far away it was."""

    distance_m: float = Field(ge=0, examples=[12.5])


class NearestFixes(BaseModel):
    """The nearest fix of each tracker, the nearest ones first."""

    data: list[NearestItem] = Field(max_length=MOST_NEAREST)


class NearestQuery(fields.Query):
    """Fixes with `time` in [from, to)."""

    lat: Annotated[float, Field(ge=-90, le=90, examples=[52.52])]
    lon: Annotated[float, Field(ge=-180, le=180, examples=[13.405])]
    asset_id: fields.AssetIds | None = None
    tracker_id: fields.TrackerIds | None = None
    employee_id: fields.EmployeeIds | None = None
    since: Annotated[
        fields.Time | None, Field(alias="from", description="without it a day before to")
    ] = None
    until: Annotated[
        fields.Time | None,
        Field(alias="to", description=f"at most {MOST_DAYS} days later; without it now"),
    ] = None
    limit: Annotated[int, Field(ge=1, le=MOST_NEAREST, description="trackers at most"), DIGITS] = 10


@router.get("", operation_id="getNearestGpsEvents", response_model=NearestFixes)
async def get_nearest(access: HistoryReader, query: Annotated[NearestQuery, Query()]) -> Response:
    """Return the fix of each tracker that was nearest to a place, within 100 km. Viewers and
    technicians see none of other people's trackers.
    """
    lon, lat = query.lon, query.lat

    def away_m(places: Places) -> NDArray[Any]:
        return distances_m(lon, lat, places["lon"].astype(float), places["lat"].astype(float))

    async with access.transaction() as conn:
        wanted = await _wanted(conn, access, query)
    try:
        found = await nearest(
            access.state.archive,
            access.transaction,
            wanted,
            lambda m: around(lon, lat, m),
            away_m,
            _REACHES_M,
            query.limit,
        )
    except TooManyPlaces as error:
        message = f"There are more than {error.what}: ask for a shorter time."
        raise bad_parameter("to", message) from None
    items = [fix_item(near.fix) | {"distance_m": round(near.distance_m, 1)} for near in found]
    return ok({"data": items})


async def _wanted(conn: Connection, access: Access, query: NearestQuery) -> FixFilter:
    """Return the filter of the fixes. Raises Problem (400, 404)."""
    await check_filters(conn, query)
    until = query.until or await db_now(conn)
    since = query.since or max(until, _EARLIEST + _A_DAY) - _A_DAY
    if until - since > timedelta(days=MOST_DAYS):
        raise bad_parameter("to", f"to must be at most {MOST_DAYS} days later than from.")
    return FixFilter(
        tracker_ids=query.tracker_id or (),
        asset_ids=query.asset_id or (),
        employee_ids=query.employee_id or (),
        since=since,
        until=until,
        hides_people_from=None if access.sees_all else access.caller.user_id,
    )
