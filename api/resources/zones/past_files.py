"""The visits that a zone would have told, of any time, for the file of an export: machine by
machine, of each the first ones first.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from api.documents.file_forms import Shape
from api.http import fields
from api.http.problems import bad_parameter
from api.request.references import check_filters
from api.resources.exports import PAGE_ROWS, Asker, FileQuery, Pages, Place, columns_of
from api.resources.zones.past_visits import PastVisit, begun, end, hours_around, looked_at
from api.resources.zones.trial import max_speed_mps
from archive.pasts import PastZone, past_visits
from archive.trips import EARLIEST
from db.archive import past_times
from db.core.table import db_now
from db.fixes.zone_pasts import PastSpan
from db.resources import organizations, zones
from geofence.model.rules import MAX_ACCURACY_M, Gates, Rules
from geofence.shapes.stored import read_stored
from geofence.zones.index import ZoneVersion


class PastFileQuery(FileQuery):
    """Fixes with `time` in [from, to), of machines or of all, judged by a zone as it is now."""

    zone_id: fields.ZoneId
    asset_id: fields.AssetIds | None = None
    since: Annotated[
        fields.Time | None, Field(alias="from", description="without it from the first fix on")
    ] = None
    until: Annotated[fields.Time | None, Field(alias="to", description="without it now")] = None


PAST_VISITS = Shape(columns_of(PastVisit), (("entry_lat", "entry_lon"),))


class _Machines:
    """A zone, and the machines of which the past is asked for."""

    def __init__(self, asker: Asker, query: PastFileQuery) -> None:
        self._asker, self._query = asker, query

    async def read(self) -> None:
        """Raise Problem (400, 404)."""
        query = self._query
        async with self._asker.transaction() as conn:
            await check_filters(conn, query)
            now = await db_now(conn)
            until = min(query.until or now, now)
            self._span = PastSpan(query.since or EARLIEST, until)
            if self._span.since >= until:
                raise bad_parameter("from", "from must be earlier than to, and than now.")
            zone = await zones.find(conn, query.zone_id)
            assert zone is not None
            self._stored = await zones.find_shape(conn, zone)
            self._settings = await organizations.find(conn)
            self._rules = Rules(**self._settings.rules | zone.rules)
            self._remembers_exits = zone.kind == "allowed"
            ids = query.asset_id or ()
            self._machines = await past_times.assets_of(conn, self._span, ids)

    async def rows(self) -> AsyncIterator[dict[str, Any]]:
        """Yield PastVisits."""
        asker, span = self._asker, self._span
        zone_of_class: dict[str, PastZone] = {}
        for asset_id, asset_class in self._machines:
            if asset_class not in zone_of_class:
                zone_of_class[asset_class] = self._zone(asset_class)
            zone = zone_of_class[asset_class]
            found = past_visits(asker.transaction, asker.archive, zone, asset_id, span)
            async for visits in found:
                for visit in visits:
                    row = begun(asset_id, visit.entered)
                    if visit.left is not None:
                        end(row, visit.left)
                    yield row

    def _zone(self, asset_class: str) -> PastZone:
        """Return the zone as machines of a class are judged by it."""
        speed_mps = max_speed_mps(self._settings, asset_class)
        return PastZone(
            ZoneVersion(
                zone=0,
                version=1,
                organization=0,
                shape=read_stored([self._stored])[0],
                rules=self._rules,
                remembers_exits=self._remembers_exits,
            ),
            Gates(
                np.array([speed_mps]),
                max_accuracy_m=np.array([self._settings.max_accuracy_m or MAX_ACCURACY_M]),
            ),
            looked_at(self._stored, self._rules, self._settings, speed_mps),
            hours_around(self._rules),
        )


async def past_pages(asker: Asker, query: PastFileQuery, place: Place[Any]) -> Pages:
    """Return the rows of a file. Raises Problem (400, 404)."""
    machines = _Machines(asker, query)
    await machines.read()
    return _pages(machines)


async def _pages(machines: _Machines) -> Pages:
    page: list[dict[str, Any]] = []
    async for row in machines.rows():
        page.append(row)
        if len(page) == PAGE_ROWS:
            yield page
            page = []
    yield page
