"""Ids in a body: what they name must be there and stay until the transaction ends.

One that is not there, is deleted, or is another organization's is a 404 that points at its field.
"""

from collections.abc import Sequence
from uuid import UUID

from api.http.problems import Fault, Problem, not_found
from db.core.connect import Connection
from db.identity import users
from db.resources import assets, zones
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
    """Raise Problem (404) for the first that is not there; None asks for nothing."""
    if asset_id is not None and not await assets.exists(conn, asset_id):
        raise _missing("asset")
    if employee_id is not None and not await employees.held(conn, [employee_id]):
        raise _missing("employee")
    if client_id is not None and not await clients.held(conn, [client_id]):
        raise _missing("client")
    if site_id is not None and not await sites.held(conn, [site_id]):
        raise _missing("site")
    if zone_id is not None and not await zones.held(conn, zone_id):
        raise _missing("zone")
    if user_id is not None and not await users.exists(conn, user_id):
        raise _missing("user")


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


def _missing(what: str) -> Problem:
    return not_found(what, fault=Fault(f"There is no such {what}.", pointer=f"/{what}_id"))
