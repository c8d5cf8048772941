"""Ids in the query of a list: one that the organization does not have is a 404, like in a path."""

from uuid import UUID

from api.http.problems import Fault, Problem, not_found
from db.core.connect import Connection
from db.identity import users
from db.resources import assets, trackers, zones
from db.resources.clients import clients
from db.resources.employees import employees
from db.resources.sites import sites


async def check_filter_ids(
    conn: Connection,
    *,
    asset_id: UUID | None = None,
    tracker_id: UUID | None = None,
    zone_id: UUID | None = None,
    client_id: UUID | None = None,
    site_id: UUID | None = None,
    employee_id: UUID | None = None,
    user_id: UUID | None = None,
) -> None:
    """Raise Problem (404) for the first that is not there. What is deleted still has a past."""
    if asset_id is not None and not await assets.existed(conn, asset_id):
        raise _missing("asset")
    if tracker_id is not None and not await trackers.exists(conn, tracker_id):
        raise _missing("tracker")
    if zone_id is not None and not await zones.existed(conn, zone_id):
        raise _missing("zone")
    if client_id is not None and not await clients.existed(conn, client_id):
        raise _missing("client")
    if site_id is not None and not await sites.existed(conn, site_id):
        raise _missing("site")
    if employee_id is not None and not await employees.existed(conn, employee_id):
        raise _missing("employee")
    if user_id is not None and not await users.exists(conn, user_id):
        raise _missing("user")


def _missing(what: str) -> Problem:
    return not_found(what, fault=Fault(f"There is no such {what}.", parameter=f"{what}_id"))
