"""Hours that a caller reads: a viewer or a technician those of their own employee alone."""

from uuid import UUID

from api.auth.caller import Caller
from api.http.problems import Problem, forbidden
from api.request.access import Access
from db.core.connect import Connection
from db.history.events import NOBODY
from db.resources import employees
from telemetry.ids import format_id

_NO_EMPLOYEE = UUID(int=0)


async def readable_employee(conn: Connection, access: Access, wanted: UUID | None) -> UUID | None:
    """Return the employee to whom a list of hours is limited; None: it has everybody's. wanted: the
    employee that the query asks for. Raises Problem (403) where these are somebody else's hours.
    """
    if access.sees_all:
        return wanted
    own = await employees.of_user(conn, access.caller.user_id)
    if wanted not in (None, own):
        raise not_own_hours(access.caller)
    return own or _NO_EMPLOYEE


def not_own_hours(caller: Caller) -> Problem:
    """Return a 403: a viewer or a technician wants to read the hours of somebody else."""
    return forbidden(f"The role {caller.role} reads hours of their own alone.")


async def hours_of(conn: Connection, user_id: UUID | None) -> str | None:
    """Return the id of the only employee whose events about hours are read, as events have it;
    None: everybody's are. user_id: `Caller.own_hours_of`.
    """
    if user_id is None:
        return None
    own = await employees.of_user(conn, user_id)
    return NOBODY if own is None else format_id("emp", own)
