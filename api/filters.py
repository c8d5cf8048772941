"""Ids in the query of a list: one that the organization does not have is a 404, like in a path."""

from uuid import UUID

from api.problems import Fault, not_found
from db import assets, trackers, zones
from db.connect import Connection


async def check_filter_ids(
    conn: Connection,
    *,
    asset_id: UUID | None = None,
    tracker_id: UUID | None = None,
    zone_id: UUID | None = None,
) -> None:
    """Raises Problem (404) for the first that is not there. A deleted zone still has a history."""
    if asset_id is not None and not await assets.exists(conn, asset_id):
        raise not_found("asset", fault=Fault("There is no such asset.", parameter="asset_id"))
    if tracker_id is not None and not await trackers.exists(conn, tracker_id):
        raise not_found("tracker", fault=Fault("There is no such tracker.", parameter="tracker_id"))
    if zone_id is not None and not await zones.existed(conn, zone_id):
        raise not_found("zone", fault=Fault("There is no such zone.", parameter="zone_id"))
