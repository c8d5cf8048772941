"""Devices that a gateway names are registered as they come, where its organization says so."""

from db.core.connect import Connection
from db.core.ids import new_id
from db.core.table import db_now
from db.resources import unknown_devices
from db.resources.quotas import read_room
from db.resources.trackers import Tracker
from use_cases.imports import import_trackers

MOST_AN_HOUR = 100
"""Of one organization: who has the key of a gateway can make up ids."""


async def register_wanted(conn: Connection) -> int:
    """Register what the patterns of the tenant's gateways name, and return how many it were.

    What the hour or the quota has no room for stays among the unknown devices. The secrets are
    nobody's: such a device comes by its gateway.
    """
    wanted = await unknown_devices.wanted(conn, MOST_AN_HOUR)
    room = await read_room(conn, "trackers")
    left = min(
        MOST_AN_HOUR - await unknown_devices.registered_in_an_hour(conn),
        room.limit("trackers") - room.used,
    )
    if left <= 0 or not wanted:
        return 0
    at = await db_now(conn)
    made = [
        Tracker(
            id=new_id(),
            name=None,
            external_id=external_id,
            receipts=False,
            asset_id=None,
            assigned_from=None,
            revoked_at=None,
            created_at=at,
            updated_at=at,
            registered_by=gateway_id,
        )
        for external_id, gateway_id in wanted[:left]
    ]
    return len((await import_trackers(conn, list(enumerate(made)))).sound)
