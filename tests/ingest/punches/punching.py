"""Employees of an organization, with what they punch with and where, and what they send."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from db.core.ids import new_id
from db.core.registry_revision import bump
from telemetry.ids import format_id
from telemetry.topics import punches_topic
from tests.db.rows import transaction
from tests.ingest.seam import DeviceMessage
from tests.ingest.tenants import LONG_AGO, Tenant, soon

HOME = (13.4, 52.5)  # 67 m inside `square(*HOME)`
AWAY = (13.41, 52.5)  # 610 m outside


@dataclass(frozen=True, slots=True)
class Worker:
    """An employee with a tracker of their own."""

    employee_id: UUID
    tracker_id: UUID

    @property
    def name(self) -> str:
        return format_id("emp", self.employee_id)

    @property
    def tracker_name(self) -> str:
        return format_id("trk", self.tracker_id)

    def message(self, *punches: dict[str, Any], raw: bytes | None = None) -> DeviceMessage:
        """Return a message of the tracker: one object, or an array of several."""
        body = punches[0] if len(punches) == 1 else list(punches)
        payload = json.dumps(body).encode() if raw is None else raw
        return DeviceMessage(self.tracker_id, punches_topic(self.tracker_name), payload)


def punch(
    employee: UUID,
    kind: str = "in",
    *,
    ago_s: float = 1,
    fix_ago_s: float | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Return a punch at HOME, claimed so long ago.

    fix_ago_s: when its position was taken; None: then too. more: other keys; None: without it.
    """
    at = soon(-ago_s).isoformat()
    lon, lat = more.pop("place", HOME)
    fields = {
        "employee_id": format_id("emp", employee),
        "kind": kind,
        "time": at,
        "fix_time": at if fix_ago_s is None else soon(-fix_ago_s).isoformat(),
        "lat": lat,
        "lon": lon,
        "accuracy_m": 8,
        **more,
    }
    return {key: value for key, value in fields.items() if value is not None}


@dataclass(slots=True)
class Crew:
    """The employees of a tenant; each method is one transaction, as the application's role."""

    tenant: Tenant

    async def employee(
        self, by: Sequence[str] = ("tracker",), sites: Sequence[UUID] | None = None
    ) -> UUID:
        """Return a new employee. sites: where they may punch; None: at any jobsite."""
        employee_id = new_id()
        await self.execute(
            "INSERT INTO employees (org_id, id, name, punch_by, punch_site_ids)"
            " VALUES (current_org_id(), %s, 'Anna Keller', %s, %s)",
            (employee_id, list(by), None if sites is None else list(sites)),
        )
        return employee_id

    async def worker(self, **rights: Any) -> Worker:
        """Return a new employee with a new tracker."""
        worker = Worker(await self.employee(**rights), await self.tenant.loose_tracker())
        await self.put_on(worker.tracker_id, worker.employee_id)
        return worker

    async def put_on(self, tracker_id: UUID, employee_id: UUID, since: datetime = LONG_AGO) -> None:
        """Assign a tracker to an employee."""
        await self.execute(
            "INSERT INTO tracker_assignments"
            " (org_id, id, tracker_id, employee_id, assigned_from, revision)"
            " VALUES (current_org_id(), %s, %s, %s, %s, %s)",
            (new_id(), tracker_id, employee_id, since),
            with_revision=True,
        )

    async def terminal(self, tracker_id: UUID) -> None:
        """Make a tracker a punch terminal."""
        await self.execute(
            "UPDATE trackers SET is_punch_terminal = true WHERE id = %s AND revision <> %s",
            (tracker_id,),
            with_revision=True,
        )

    async def site(self, zone_id: UUID) -> UUID:
        """Return a new site whose geofence is the zone."""
        site_id = new_id()
        await self.execute(
            "INSERT INTO sites (org_id, id, zone_id, name) VALUES (current_org_id(), %s, %s, 'x')",
            (site_id, zone_id),
        )
        return site_id

    async def execute(
        self, statement: str, values: Sequence[object] = (), *, with_revision: bool = False
    ) -> None:
        """Execute one statement. with_revision: the number of the change is its last value."""
        async with transaction(self.tenant.database, "opsc_app", self.tenant.org_id) as conn:
            if with_revision:
                revision, _ = await bump(conn)
                values = (*values, revision)
            await conn.execute(statement.encode(), values)

    def stored(self, columns: str) -> list[tuple[Any, ...]]:
        """Read columns of the stored punches, by claimed time."""
        return self.tenant.rows(f"SELECT {columns} FROM punches ORDER BY claimed_at, id")

    def events(self) -> list[tuple[Any, ...]]:
        """Read type and data of the events, in order."""
        return self.tenant.rows("SELECT type, data FROM events ORDER BY position")
