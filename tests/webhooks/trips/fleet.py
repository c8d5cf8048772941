"""A fleet of which is told, the order in which its fixes come, and who hears of it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from jsonschema import Draft202012Validator

from api.openapi.event_types import EVENT_KINDS
from archive.reading import Archive
from archive.trips import FixesOf, worked_out
from db.core.connect import Connection, Pool, pool
from db.core.tenant import reading
from db.fixes.fix_filters import FixFilter
from geofence.trips.history import Stop
from geofence.trips.track import TripRules
from telemetry.ids import format_id
from telemetry.times import parse_time_us, to_datetime
from tests.ingest.tenants import Tenant, Vehicle
from tests.webhooks.poison.guards import guard_of
from webhooks.metrics import WebhookMetrics
from webhooks.trips import TripEvents, TripLimits

AT_ONCE = TripLimits(gather_s=0)
DOCUMENTED = {
    kind.name: Draft202012Validator(kind.data_schema() | {"additionalProperties": False})
    for kind in EVENT_KINDS
    if kind.name.startswith(("trip.", "asset.stopped"))
}
_INSERT = (
    "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon, flags)"
    " VALUES (%s, %s, %s, 0, %s, 0, %s, %s)"
)


@dataclass
class Fleet:
    """A tenant that wants the events, a vehicle, and the order of receipt."""

    tenant: Tenant
    vehicle: Vehicle
    admin: Connection
    connections: Pool
    begin: datetime = field(
        default_factory=lambda: datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=50)
    )
    metrics: WebhookMetrics = field(default_factory=WebhookMetrics)

    async def receive(
        self, fixes: Iterable[tuple[float, float]], vehicle: Vehicle | None = None, flags: int = 0
    ) -> None:
        """Store fixes (minutes since the beginning, kilometres to the east) as one transaction of
        ingest.
        """
        tracker_id = (vehicle or self.vehicle).tracker_id
        async with self.admin.transaction(), self.admin.cursor() as cursor:
            await cursor.execute("SELECT clock_timestamp()")
            (received_at,) = await cursor.fetchone() or (None,)
            rows = [
                (
                    *(self.tenant.org_id, tracker_id, self.at(minute)),
                    *(received_at, 9 + km / 111.3195, flags),
                )
                for minute, km in fixes
            ]
            await cursor.executemany(_INSERT, rows)

    def at(self, minute: float) -> datetime:
        return self.begin + timedelta(minutes=minute)

    async def look(self, holder: str = "test", limits: TripLimits = AT_ONCE) -> None:
        """Look until nothing is due."""
        loop = TripEvents(
            self.connections,
            holder,
            Archive(None),
            guard_of(self.connections),
            self.metrics,
            limits,
        )
        while await loop.look(asyncio.Event()) or await self.due():
            pass

    async def due(self) -> int:
        cursor = await self.admin.execute("SELECT FROM trips_due WHERE due_at <= now()")
        return cursor.rowcount

    async def rows(self, statement: str, *values: Any) -> list[Any]:
        cursor = await self.admin.execute(statement.encode(), values)
        return await cursor.fetchall()

    async def events(self, vehicle: Vehicle | None = None) -> list[tuple[str, dict[str, Any]]]:
        """Return the type and the data of each event, which are as they are documented."""
        asset = format_id("ast", (vehicle or self.vehicle).asset_id)
        told = await self.rows(
            "SELECT type, data FROM events WHERE org_id = %s AND data ->> 'asset_id' = %s"
            " ORDER BY position",
            *(self.tenant.org_id, asset),
        )
        for kind, data in told:
            DOCUMENTED[kind].validate(data)
        return told

    async def words(self, vehicle: Vehicle | None = None) -> list[str]:
        told = await self.events(vehicle)
        return [data.get("change") or kind.partition(".")[2] for kind, data in told]

    async def heard(self, vehicle: Vehicle | None = None) -> list[tuple[datetime, datetime | None]]:
        """Return the trips that a consumer knows by the events."""
        trips: dict[str, dict[str, Any]] = {}
        for kind, data in await self.events(vehicle):
            if kind.startswith("trip."):
                known = trips.setdefault(data["trip_id"], {"revision": 0})
                assert data["revision"] == known["revision"] + 1, "in order, and each once"
                trips[data["trip_id"]] = data
        return sorted(
            (_time(data["started_at"]), data.get("ended_at") and _time(data["ended_at"]))
            for data in trips.values()
            if not data.get("retracted")
        )

    async def said(self, vehicle: Vehicle | None = None) -> list[tuple[datetime, datetime | None]]:
        """Return the trips that the list of the API has."""
        async with pool(self.tenant.database.url("opsc_app"), "test", max_size=2) as connections:
            fixes = FixesOf(lambda: reading(connections, self.tenant.org_id), Archive(None))
            wanted = FixFilter(
                asset_ids=((vehicle or self.vehicle).asset_id,),
                since=self.at(0) - timedelta(days=9),
                until=self.at(0) + timedelta(days=1),
            )
            _, found = await worked_out(fixes, wanted, TripRules())
        return [
            (each.started_at, None if each.what.is_open else each.last_at)
            for each in found
            if not isinstance(each.what, Stop)
        ]


def _time(text: str) -> datetime:
    return to_datetime(parse_time_us(text))


def day() -> list[tuple[float, float]]:
    """Return what a truck sends a minute: parked, 10 km, a stop, 6 km, a light, 6 km, a stop, and
    back for a while, all of it within an hour.
    """
    legs = ((8, 0.0), (5, 2.0), (8, 0.0), (3, 2.0), (2, 0.0), (3, 2.0), (10, 0.0), (10, -1.0))
    fixes, minute, km = [(0.0, 0.0)], 0.0, 0.0
    for minutes, km_a_minute in legs:
        for _ in range(minutes):
            minute, km = minute + 1, km + km_a_minute
            fixes.append((minute, km))
    return fixes


async def switch(fleet: Fleet, since: datetime | None) -> None:
    await fleet.admin.execute(
        "UPDATE organizations SET trip_events_since = %s WHERE org_id = %s",
        (since, fleet.tenant.org_id),
    )
