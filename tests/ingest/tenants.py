"""An organization with trackers, assets and zones, written as the API writes them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Json

from db import assets
from db.assets import Asset
from db.connect import connect
from db.ids import new_id
from db.organizations import create_organization
from db.revision import bump
from db.tenant import act_for
from telemetry.ids import format_id
from tests.servers import DatabaseUnderTest

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A tracker on an asset."""

    tracker_id: UUID
    asset_id: UUID

    @property
    def name(self) -> str:
        return format_id("trk", self.tracker_id)


def square(lon: float, lat: float, half_deg: float = 0.001) -> dict[str, Any]:
    """A square zone around a point."""
    west, east, south, north = lon - half_deg, lon + half_deg, lat - half_deg, lat + half_deg
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


@dataclass(slots=True)
class Tenant:
    """One organization; each method is one transaction."""

    database: DatabaseUnderTest
    org_id: UUID

    @classmethod
    async def create(cls, database: DatabaseUnderTest, name: str = "Acme") -> "Tenant":
        async with await connect(database.url("opsc_owner"), "test") as conn, conn.transaction():
            org_id = await create_organization(
                conn, name=name, email="a@example.com", password_hash="-", plan="unlimited"
            )
        return cls(database, org_id)

    async def vehicle(self, assigned_from: datetime = LONG_AGO) -> Vehicle:
        """A new asset with a new tracker on it."""
        vehicle = Vehicle(new_id(), new_id())
        async with await self._connect() as conn, conn.transaction():
            await act_for(conn, self.org_id)
            revision, _ = await bump(conn)
            await self._asset(conn, vehicle.asset_id, "Truck", revision)
            await self._put_on(conn, vehicle, assigned_from, revision)
        return vehicle

    async def tracker(self, asset_id: UUID, assigned_from: datetime) -> Vehicle:
        """A new tracker on an asset that has none from then on."""
        vehicle = Vehicle(new_id(), asset_id)
        async with await self._connect() as conn, conn.transaction():
            await act_for(conn, self.org_id)
            revision, _ = await bump(conn)
            await self._put_on(conn, vehicle, assigned_from, revision)
        return vehicle

    async def asset(self) -> UUID:
        """A new asset without a tracker."""
        asset_id = new_id()
        async with await self._connect() as conn, conn.transaction():
            await act_for(conn, self.org_id)
            revision, _ = await bump(conn)
            await self._asset(conn, asset_id, "Crane", revision)
        return asset_id

    async def zone(self, geometry: dict[str, Any], *, valid_from: datetime = LONG_AGO) -> UUID:
        """A new restricted zone."""
        zone_id = new_id()
        async with await self._connect() as conn, conn.transaction():
            await act_for(conn, self.org_id)
            revision, _ = await bump(conn)
            await conn.execute(
                "INSERT INTO zones (org_id, id, version) VALUES (%s, %s, 1)", (self.org_id, zone_id)
            )
            await self._version(conn, zone_id, 1, geometry, valid_from, revision)
        return zone_id

    async def change_zone(self, zone_id: UUID, geometry: dict[str, Any] | None) -> datetime:
        """A second version of the zone, or its deletion; returns the instant of the change."""
        async with await self._connect() as conn, conn.transaction():
            await act_for(conn, self.org_id)
            revision, at = await bump(conn)
            await conn.execute(
                "UPDATE zone_versions SET valid_to = %s, revision = %s"
                " WHERE zone_id = %s AND valid_to IS NULL",
                (at, revision, zone_id),
            )
            if geometry is not None:
                await self._version(conn, zone_id, 2, geometry, at, revision)
        return at

    async def revoke(self, vehicle: Vehicle) -> None:
        async with await self._connect() as conn, conn.transaction():
            await act_for(conn, self.org_id)
            revision, _ = await bump(conn)
            await conn.execute(
                "UPDATE trackers SET revoked_at = now(), revision = %s WHERE id = %s",
                (revision, vehicle.tracker_id),
            )

    async def reassign(self, vehicle: Vehicle, asset_id: UUID, at: datetime) -> None:
        """The vehicle's tracker is on another asset from `at`."""
        async with await self._connect() as conn, conn.transaction():
            await act_for(conn, self.org_id)
            revision, _ = await bump(conn)
            await conn.execute(
                "UPDATE tracker_assignments SET assigned_to = %s, revision = %s"
                " WHERE tracker_id = %s",
                (at, revision, vehicle.tracker_id),
            )
            await conn.execute(
                """
                INSERT INTO tracker_assignments
                    (org_id, id, tracker_id, asset_id, assigned_from, revision)
                VALUES (%s, %s, %s, %s, %s, %s)
                """,
                (self.org_id, new_id(), vehicle.tracker_id, asset_id, at, revision),
            )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What opsc_app sees of this organization."""
        with psycopg.connect(self.database.url("opsc_app")) as conn:
            conn.execute("SELECT set_config('app.org_id', %s, true)", (str(self.org_id),))
            return conn.execute(query.encode()).fetchall()

    async def _asset(
        self, conn: psycopg.AsyncConnection[Any], asset_id: UUID, name: str, revision: int
    ) -> None:
        asset = Asset(asset_id, name, None, None, None, "other", [], LONG_AGO, LONG_AGO)
        await assets.insert(conn, asset, revision)

    async def _put_on(
        self,
        conn: psycopg.AsyncConnection[Any],
        vehicle: Vehicle,
        assigned_from: datetime,
        revision: int,
    ) -> None:
        await conn.execute(
            "INSERT INTO trackers (org_id, id, secret_hash, revision) VALUES (%s, %s, %s, %s)",
            (self.org_id, vehicle.tracker_id, bytes(32), revision),
        )
        await conn.execute(
            """
            INSERT INTO tracker_assignments
                (org_id, id, tracker_id, asset_id, assigned_from, revision)
            VALUES (%s, %s, %s, %s, %s, %s)
            """,
            (self.org_id, new_id(), *_ids(vehicle), assigned_from, revision),
        )

    async def _version(
        self,
        conn: psycopg.AsyncConnection[Any],
        zone_id: UUID,
        version: int,
        geometry: dict[str, Any],
        valid_from: datetime,
        revision: int,
    ) -> None:
        await conn.execute(
            """
            INSERT INTO zone_versions
                (org_id, zone_id, version, name, kind, geometry, valid_from, revision)
            VALUES (%s, %s, %s, 'Depot', 'restricted', %s, %s, %s)
            """,
            (self.org_id, zone_id, version, Json(geometry), valid_from, revision),
        )

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await connect(self.database.url("opsc_app"), "test")


def _ids(vehicle: Vehicle) -> tuple[UUID, UUID]:
    return vehicle.tracker_id, vehicle.asset_id


def soon(seconds: float) -> datetime:
    """A time of the device, `seconds` from now; whole milliseconds."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
