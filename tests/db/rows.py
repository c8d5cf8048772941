"""Rows of a tenant for tests, written by the functions that the API uses."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from db.core.connect import Connection
from db.core.ids import new_id
from db.core.tenant import act_for
from db.resources.assets import Asset
from db.resources.zones import Zone, keep_shapes
from geofence.shapes.geojson import read_shape
from geofence.shapes.stored import write_wkb
from tests.servers import DatabaseUnderTest

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@asynccontextmanager
async def transaction(
    database: DatabaseUnderTest, role: str, org_id: UUID | None = None
) -> AsyncIterator[Connection]:
    """Provide one transaction as a role, for a tenant where one is given."""
    async with database.connection(role) as conn, conn.transaction():
        if org_id is not None:
            await act_for(conn, org_id)
        yield conn


def asset(**fields: Any) -> Asset:
    """Return an asset without much."""
    plain = Asset(new_id(), "Truck", None, None, None, "other", [], LONG_AGO, LONG_AGO)
    return plain._replace(**fields)


def zone(**fields: Any) -> Zone:
    """Return a circle for all assets."""
    plain = Zone(
        id=new_id(),
        external_id=None,
        version=1,
        name="Depot",
        kind="restricted",
        alert_on=None,
        geometry='{"type": "Point", "coordinates": [13.4, 52.5]}',
        radius_m=100.0,
        width_m=None,
        rules={},
        schedule=None,
        assets=None,
        valid_from=LONG_AGO,
        created_at=LONG_AGO,
        updated_at=LONG_AGO,
    )
    return plain._replace(**fields)


async def keep_shape(conn: Connection, zone: Zone) -> None:
    """Write the shape of a zone that will be inserted."""
    geometry = json.loads(zone.geometry)
    shape = read_shape(geometry, radius_m=zone.radius_m, width_m=zone.width_m)
    await keep_shapes(conn, {zone.geometry: write_wkb(shape)})
