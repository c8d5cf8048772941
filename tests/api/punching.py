"""Employees who sign in, job sites, and the punches that they send over the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from telemetry.ids import format_id, parse_id
from tests.api.running import Answer, Client, Organization, RunningApi
from tests.ingest.punches.punching import HOME, punch
from tests.ingest.tenants import square

_emails = count()


@dataclass(frozen=True, slots=True)
class Worker:
    """An employee, and who sends their punches."""

    id: str
    client: Client

    @property
    def employee_id(self) -> UUID:
        return parse_id("emp", self.id)

    def claim(self, kind: str = "in", **more: Any) -> dict[str, Any]:
        """Return a punch as `tests.ingest.punches.punching.punch` makes it."""
        return punch(self.employee_id, kind, **more)

    async def send(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send a punch, and return it as it is stored."""
        answer = await self.client.post("/v1/punches", body)
        assert answer.status == 201, answer.json
        return answer.json

    async def punch(self, kind: str = "in", **more: Any) -> dict[str, Any]:
        """Send a punch that is made here."""
        return await self.send(self.claim(kind, **more))


def punch_events(api: RunningApi, org: Organization) -> list[tuple[Any, ...]]:
    """Return type and data of the events of punches, in their order."""
    return api.sql(
        "SELECT type, data FROM events WHERE org_id = %s AND type LIKE 'employee.%%'"
        " ORDER BY position",
        org.org_id,
    )


def user_of(api: RunningApi, org: Organization, role: str) -> str:
    """Return the id of the organization's user of a role."""
    rows = api.sql("SELECT id FROM users WHERE org_id = %s AND role = %s", org.org_id, role)
    return format_id("usr", rows[0][0])


async def new_user(org: Organization) -> str:
    """Return the id of a new user, who is invited."""
    body = {"email": f"u{next(_emails)}@example.com", "role": "technician"}
    answer = await org.admin.post("/v1/users", body)
    assert answer.status == 201, answer.json
    return answer.json["id"]


async def employee(org: Organization, **body: Any) -> str:
    """Return a new employee, who may punch by phone unless the body says otherwise."""
    rights = {"punch_rights": {"by": ["phone"]}}
    answer = await org.admin.post("/v1/employees", {"name": "Anna Keller"} | rights | body)
    assert answer.status == 201, answer.json
    return answer.json["id"]


async def phone(org: Organization, employee_id: str, since: datetime | None = None) -> str:
    """Return a new tracker that is an employee's since then, or since an hour ago."""
    since = since or datetime.now(UTC) - timedelta(hours=1)
    body = {"employee_id": employee_id, "assigned_from": since.isoformat()}
    answer = await org.admin.post("/v1/trackers", body)
    assert answer.status == 201, answer.json
    return answer.json["id"]


async def show(org: Organization, shows: bool = True) -> None:
    """Let the organization show where its employees are, or not."""
    answer = await org.admin.patch("/v1/organization", {"shows_employees": shows})
    assert (answer.status, answer.json["shows_employees"]) == (200, shows)


async def worker(
    api: RunningApi, org: Organization, role: str = "technician", **body: Any
) -> Worker:
    """Return a new employee who signs in as the organization's user of a role."""
    user = user_of(api, org, role)
    return Worker(await employee(org, user_id=user, **body), getattr(org, role))


async def jobsite(
    org: Organization, place: tuple[float, float] = HOME, **more: Any
) -> dict[str, Any]:
    """Return a new jobsite around a place, in force since long ago."""
    body = {
        "name": "Quarry",
        "kind": "jobsite",
        "geometry": square(*place),
        "valid_from": "2020-01-01T00:00:00Z",
    }
    answer = await org.admin.post("/v1/zones", body | more)
    assert answer.status == 201, answer.json
    return answer.json


async def by_hand(org: Organization, employee_id: str, **more: Any) -> Answer:
    """Enter a punch as the dispatcher, without a position."""
    nowhere = {"lat": None, "lon": None, "fix_time": None, "accuracy_m": None}
    body = punch(parse_id("emp", employee_id), **(nowhere | more))
    return await org.dispatcher.post("/v1/punches", body | {"reason": "forgotten"})


def rules(stored: dict[str, Any]) -> list[str]:
    """Return the names of the rules that applied to a punch."""
    return [reason["rule"] for reason in stored["reasons"]]
