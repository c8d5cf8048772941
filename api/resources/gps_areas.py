"""Where GPS events are asked for: in a box, near a place, or in a zone.

A zone knows the machines that were in it, as visits, since it exists. Of the time before, of
machines on which it does not bear and of phones the fixes themselves say who was in it, by the
shape that it had then, or by its newest one where it was not there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import cos, radians
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from api.http.problems import bad_parameter
from api.request.paging import MAX_COUNTED, ListQuery, Page, Total
from archive.reading import Archive, Transactions
from db.core.connect import Connection
from db.core.listing import PageRows
from db.fixes import zone_trials
from db.fixes.areas import Area, Box
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import Cut, HistoryFix, HistoryKey
from db.resources import zones
from geofence.shapes.stored import read_stored
from geofence.shapes.types import Circle
from geofence.zones.coverage import Coverage
from telemetry.times import to_us

MAX_NEAR_M = 100_000
_ROUNDING_DEG = 1e-9  # a tenth of a millimetre: the box is never too small
_MOST_COUNTED_IN_VISITS = 10_000  # each visit is looked up for its fixes
_NUMBER = r"-?[0-9]{1,6}(\.[0-9]{1,15})?"
ZoneBy = Literal["visits", "shape", "visits_and_shape"]


class AreaQuery(ListQuery):
    """The parameters of an area."""

    bbox: Annotated[
        str | None,
        Field(
            max_length=100,
            pattern=f"^{_NUMBER}(,{_NUMBER}){{3}}$",
            description="west,south,east,north in degrees, edges included; over the 180th meridian"
            " west is greater than east",
            examples=["13.3,52.4,13.5,52.6"],
        ),
    ] = None
    near: Annotated[
        str | None,
        Field(
            max_length=80,
            pattern=f"^{_NUMBER}(,{_NUMBER}){{2}}$",
            description=f"lat,lon,metres: at most so far away, {MAX_NEAR_M:,} at most",
            examples=["52.52,13.405,200"],
        ),
    ] = None
    zone_by: Annotated[
        Literal["visits", "shape"] | None,
        Field(
            description="visits: within stored visits of the zone. shape: every fix that its shape"
            " covers. Without it by visits, as far as the zone knows the machines that are asked"
            " for, and else by shape"
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class WantedFixes:
    """Filters of times that follow each other, the newest first, one or two."""

    parts: Sequence[FixFilter]

    @property
    def zone_by(self) -> ZoneBy:
        """Return by what the fixes in a zone are found."""
        by_visits = [part.zone_id is not None for part in self.parts]
        return "visits_and_shape" if len(by_visits) > 1 else "visits" if by_visits[0] else "shape"

    async def listing(
        self, archive: Archive, transaction: Transactions, cut: Cut
    ) -> PageRows[HistoryFix]:
        """Return a page. As `Archive.listing`."""
        if len(self.parts) == 1:
            return await archive.listing(transaction, self.parts[0], cut)
        rows, reach = PageRows[HistoryFix](), cut.offset + cut.limit
        for part in self.parts if cut.descending else reversed(self.parts):
            left = replace(cut, limit=reach - len(rows), offset=0)
            found = await archive.listing(transaction, part, left)
            rows += found
            rows.is_cut, rows.goes_on_behind = found.is_cut, found.goes_on_behind
            if found.is_cut or len(rows) == reach:
                break
        del rows[: cut.offset]
        return rows

    async def total(
        self, archive: Archive, transaction: Transactions, page: Page[HistoryKey]
    ) -> Total:
        """Return the number of fixes. As `Page.counted`."""
        if page.total is not None:
            return page.total
        rows, is_estimate = 0, False
        for part in self.parts:
            most = MAX_COUNTED if part.zone_id is None else _MOST_COUNTED_IN_VISITS
            counted = await archive.count(transaction, part, most)
            rows, is_estimate = rows + counted.rows, is_estimate or counted.is_cut
        return Total(rows, is_estimate)


async def wanted_fixes(
    conn: Connection, query: AreaQuery, zone_id: UUID | None, wanted: FixFilter
) -> WantedFixes:
    """Return what is asked for within an area, if there is one. Raises Problem (400)."""
    areas = [name for name in ("bbox", "near") if getattr(query, name) is not None]
    areas += ["zone_id"] if zone_id is not None else []
    if len(areas) > 1:
        raise bad_parameter(areas[1], f"Name one area: leave out {areas[0]}, or {areas[1]}.")
    if query.zone_by is not None and zone_id is None:
        raise bad_parameter("zone_by", "There is no zone_id that it could be about.")
    if query.bbox is not None:
        wanted = replace(wanted, area=_within(query.bbox))
    elif query.near is not None:
        wanted = replace(wanted, area=_near(query.near))
    elif zone_id is not None:
        return WantedFixes(await _in_zone(conn, query.zone_by, zone_id, wanted))
    return WantedFixes([wanted])


def _within(text: str) -> Area:
    west, south, east, north = map(float, text.split(","))
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise bad_parameter(
            "bbox", "must be west,south,east,north: degrees within 180 and 90, south first."
        )
    return Area(Box(west, south, east, north))


def _near(text: str) -> Area:
    lat, lon, radius_m = map(float, text.split(","))
    if not (-90 <= lat <= 90 and -180 <= lon <= 180 and 0 < radius_m <= MAX_NEAR_M):
        raise bad_parameter(
            "near", f"must be lat,lon,metres: degrees, and more than 0 and at most {MAX_NEAR_M:,}."
        )
    return around(lon, lat, radius_m)


def around(lon: float, lat: float, radius_m: float) -> Area:
    """Return what is at most so far away from a place."""
    return area_of(Coverage([Circle(lon, lat, radius_m)], [0]))


def area_of(coverage: Coverage, margin_deg: float = _ROUNDING_DEG) -> Area:
    """Return what shapes cover. margin_deg: of latitude, by which the box is larger."""
    west, south, east, north = coverage.span
    south, north = south - margin_deg, north + margin_deg
    # As far to the east and west in metres, unless that is near a pole.
    margin_deg /= max(cos(radians(max(-south, north))), 0.01)
    if east - west + 2 * margin_deg >= 360:
        west, east = -180.0, 180.0
    else:
        west, east = _wrapped(west - margin_deg), _wrapped(east + margin_deg)
    return Area(Box(west, south, east, north), coverage.covers)


def _wrapped(lon: float) -> float:
    return lon - 360 if lon > 180 else lon + 360 if lon < -180 else lon


async def _in_zone(
    conn: Connection, zone_by: str | None, zone_id: UUID, wanted: FixFilter
) -> list[FixFilter]:
    by_visits = replace(wanted, zone_id=zone_id)
    if wanted.employee_ids:
        if zone_by == "visits":
            raise bad_parameter("zone_by", "Employees make no visits: leave it out.")
        zone_by = "shape"
    if zone_by == "visits":
        return [by_visits]
    shapes = await zones.past_shapes(conn, zone_id)
    begun, newest = shapes[0].valid_from, shapes[-1]
    if zone_by is None and wanted.asset_ids:
        borne_on = await zone_trials.tried(conn, wanted.asset_ids, newest.assets)
        zone_by = None if len(borne_on) == len(set(wanted.asset_ids)) else "shape"
    if zone_by is None and wanted.since is not None and wanted.since >= begun:
        return [by_visits]
    # Before it was there, it had the shape that it has now.
    read = read_stored([each.shape for each in (newest, *shapes)])
    since_us = [0, *(to_us(each.valid_from) for each in shapes)]
    by_shape = replace(wanted, area=area_of(Coverage(read, since_us)))
    if zone_by is not None or (wanted.until is not None and wanted.until <= begun):
        return [by_shape]
    return [replace(by_visits, since=begun), replace(by_shape, until=begun)]
