"""The past of zones in real traces: what shapely finds among all fixes."""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

import csv
import gzip
import json
from collections.abc import AsyncIterator
from datetime import datetime
from itertools import islice
from typing import NamedTuple
from uuid import UUID

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from api.resources.gps_areas import area_of
from db.core.connect import Connection
from db.core.ids import new_id
from db.fixes import fix_hours, gps_history
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import Cut
from geofence.shapes.geojson import read_shape
from geofence.zones.coverage import Coverage
from tests.data import DATA, needs_data
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest

pytestmark = needs_data


class Traces(NamedTuple):
    """Stored fixes. lon, lat: degrees, (n,)."""

    conn: Connection
    trackers: list[UUID]
    lon: NDArray[np.float64]
    lat: NDArray[np.float64]


@pytest.fixture
async def traces(database: DatabaseUnderTest) -> AsyncIterator[Traces]:
    tenant = await Tenant.create(database)
    trackers, places = dict[str, UUID](), dict[tuple[str, datetime], tuple[float, float]]()
    with gzip.open(DATA / "traces_sf_cabs.csv.gz", "rt") as file:
        for row in islice(csv.DictReader(file), None, None, 5):
            key = (row["device_id"], datetime.fromisoformat(row["time"]))
            places[key] = (float(row["lon"]), float(row["lat"]))
    async with database.connection("admin") as conn:
        await conn.execute("TRUNCATE gps_events, fix_hours, fix_hours_changed")
        async with (
            conn.cursor() as cursor,
            cursor.copy(
                "COPY gps_events (org_id, tracker_id, time, seq, received_at, lat, lon) FROM STDIN"
            ) as copy,
        ):
            for (device, time), (lon, lat) in places.items():
                tracker = trackers.setdefault(device, new_id())
                await copy.write_row((tenant.org_id, tracker, time, 0, time, lat, lon))
        first, last = (end(time for _, time in places) for end in (min, max))
        middle = first + (last - first) / 2  # the rest is read fix by fix
        await fix_hours.add(conn, first, middle)
        yield Traces(conn, [*trackers.values()], *np.array(list(places.values())).T)


async def test_a_zone_has_the_past_that_shapely_finds(traces: Traces) -> None:
    with gzip.open(DATA / "zones_sf_neighborhoods_311.geojson.gz", "rt") as file:
        features = json.load(file)["features"]
    for feature in features[::5]:
        geometry = shapely.from_geojson(json.dumps(feature["geometry"]))
        expected = int(shapely.intersects_xy(geometry, traces.lon, traces.lat).sum())
        area = area_of(Coverage([read_shape(feature["geometry"])], [0]))
        wanted = FixFilter(tracker_ids=traces.trackers, area=area)
        assert await gps_history.count(traces.conn, wanted, 10) == (expected, False)
        page = await gps_history.listing(traces.conn, wanted, Cut(True, None, 1_000, 0))
        assert len(page) == min(1_000, expected) > 0
        assert all(shapely.intersects_xy(geometry, fix.lon, fix.lat) for fix in page)
