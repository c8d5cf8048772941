"""Ids in a body, or in the query of a list: what an id names must be there.

An id that names nothing, or something of another organization, is a 404 that points at its field or
parameter. What a body names must not be deleted, and stays until the transaction ends.
"""

from collections.abc import Sequence
from uuid import UUID

from api.http.problems import Fault, Problem, not_found
from db.core.connect import Connection
from db.identity import users
from db.resources import assets, trackers, zones
from db.resources.clients import clients
from db.resources.employees import employees
from db.resources.sites import sites


async def check_references(
    conn: Connection,
    *,
    asset_id: UUID | None = None,
    employee_id: UUID | None = None,
    client_id: UUID | None = None,
    site_id: UUID | None = None,
    zone_id: UUID | None = None,
    user_id: UUID | None = None,
) -> None:
    """Raise Problem (404) for the first id of a body that is not there; None asks for nothing."""
    if asset_id is not None and not await assets.exists(conn, asset_id):
        raise _missing_in_body("asset")
    if employee_id is not None and not await employees.held(conn, [employee_id]):
        raise _missing_in_body("employee")
    if client_id is not None and not await clients.held(conn, [client_id]):
        raise _missing_in_body("client")
    if site_id is not None and not await sites.held(conn, [site_id]):
        raise _missing_in_body("site")
    if zone_id is not None and not await zones.held(conn, zone_id):
        raise _missing_in_body("zone")
    if user_id is not None and not await users.exists(conn, user_id):
        raise _missing_in_body("user")


async def check_sites(conn: Connection, site_ids: Sequence[UUID] | None, pointer: str) -> None:
    """Raise Problem: 422 with the place of each id in a list that there is no site of."""
    missing = set(site_ids or ())
    if missing:
        missing -= await sites.held(conn, list(missing))
    if missing:
        faults = tuple(
            Fault("There is no such site.", pointer=f"{pointer}/{place}")
            for place, site_id in enumerate(site_ids or ())
            if site_id in missing
        )
        raise Problem(422, "invalid_body", "The body is not valid.", faults=faults)


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
    """Raise Problem (404) for the first id of a query that is not there.

    What is deleted still has a past.
    """
    if asset_id is not None and not await assets.existed(conn, asset_id):
        raise _missing_in_query("asset")
    if tracker_id is not None and not await trackers.exists(conn, tracker_id):
        raise _missing_in_query("tracker")
    if zone_id is not None and not await zones.existed(conn, zone_id):
        raise _missing_in_query("zone")
    if client_id is not None and not await clients.existed(conn, client_id):
        raise _missing_in_query("client")
    if site_id is not None and not await sites.existed(conn, site_id):
        raise _missing_in_query("site")
    if employee_id is not None and not await employees.existed(conn, employee_id):
        raise _missing_in_query("employee")
    if user_id is not None and not await users.exists(conn, user_id):
        raise _missing_in_query("user")


def _missing_in_body(what: str) -> Problem:
    return not_found(what, fault=Fault(f"There is no such {what}.", pointer=f"/{what}_id"))


def _missing_in_query(what: str) -> Problem:
    return not_found(what, fault=Fault(f"There is no such {what}.", parameter=f"{what}_id"))
