"""An organization with trackers, assets and zones, written as the API writes them."""

import json
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from api.resources.trackers.assignment import Assignment, assign
from db.core.connect import Connection
from db.core.ids import new_id
from db.core.registry_revision import bump
from db.history import inbox, quarantine_list
from db.history.inbox import NewMessage
from db.resources import assets, organizations, trackers, zones
from db.resources.organizations import create_organization
from db.resources.trackers import Tracker
from telemetry.ids import format_id
from tests.db.rows import asset, keep_shape, transaction, zone
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
    """Return a square zone around a point."""
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
        async with transaction(database, "opsc_owner") as conn:
            org_id = await create_organization(
                conn, name=name, email="a@example.com", password_hash="-", plan="unlimited"
            )
        return cls(database, org_id)

    async def vehicle(self, assigned_from: datetime = LONG_AGO, **fields: Any) -> Vehicle:
        """Return a new asset with a new tracker on it. fields: of the asset."""
        vehicle = Vehicle(new_id(), new_id())
        async with self._transaction() as conn:
            await assets.insert(conn, asset(id=vehicle.asset_id, **fields))
            revision, _ = await bump(conn)
            await self._put_on(conn, vehicle, assigned_from, revision)
        return vehicle

    async def tracker(self, asset_id: UUID, assigned_from: datetime) -> Vehicle:
        """Return a new tracker on an asset that has none from then on."""
        vehicle = Vehicle(new_id(), asset_id)
        async with self._transaction() as conn:
            revision, _ = await bump(conn)
            await self._put_on(conn, vehicle, assigned_from, revision)
        return vehicle

    async def loose_tracker(self) -> UUID:
        """Return a new tracker on no asset."""
        tracker_id = new_id()
        async with self._transaction() as conn:
            revision, at = await bump(conn)
            row = Tracker(tracker_id, None, None, False, None, None, None, at, at)
            await trackers.insert(conn, row, "secret", revision)
        return tracker_id

    async def assign(
        self,
        tracker_id: UUID,
        asset_id: UUID,
        since: datetime | None = None,
        at: datetime | None = None,
    ) -> datetime | None:
        """Put a tracker on an asset as the API does; returns what that reaches back to."""
        async with self._transaction() as conn:
            revision, now = await bump(conn)
            tracker = await trackers.table.find(conn, tracker_id)
            assert tracker is not None
            wanted = Assignment(asset_id, since)
            return await assign(conn, tracker, wanted, revision=revision, at=at or now)

    async def asset(self, **fields: Any) -> UUID:
        """Return a new asset without a tracker."""
        asset_id = new_id()
        async with self._transaction() as conn:
            await assets.insert(conn, asset(id=asset_id, **fields))
        return asset_id

    async def zone(
        self,
        geometry: dict[str, Any],
        *,
        valid_from: datetime | None = LONG_AGO,
        made_now: bool = False,
        **fields: Any,
    ) -> UUID:
        """Return a new zone, restricted unless `fields` of its version say otherwise.

        valid_from: None for now, as the API does. made_now: else as long ago as the tests need it.
        """
        zone_id = new_id()
        async with self._transaction() as conn:
            revision, at = await bump(conn)
            version = zone(
                id=zone_id,
                geometry=json.dumps(geometry),
                radius_m=fields.pop("radius_m", None),
                valid_from=valid_from or at,
                updated_at=at if made_now else LONG_AGO,
                **fields,
            )
            await keep_shape(conn, version)
            await zones.insert(conn, version, revision)
        return zone_id

    async def settings(self, **changed: Any) -> None:
        """Set other settings of the organization: fields of
        db.resources.organizations.Organization.
        """
        async with self._transaction() as conn:
            revision, _ = await bump(conn)
            known = await organizations.find(conn)
            await organizations.update(conn, known._replace(**changed), revision)

    async def change_zone(
        self,
        zone_id: UUID,
        geometry: dict[str, Any] | None,
        at: datetime | None = None,
        **fields: Any,
    ) -> datetime:
        """Return the next version of the zone, or its deletion; returns the instant of the change.

        at: now, unless given, here and below.
        """
        async with self._transaction() as conn:
            revision, now = await bump(conn)
            at = at or now
            if geometry is None:
                await zones.delete(conn, zone_id, at, revision)
                return at
            known = await zones.find(conn, zone_id)
            assert known is not None
            changed = {"version": known.version + 1, "geometry": json.dumps(geometry), **fields}
            new = known._replace(valid_from=at, **changed)
            await keep_shape(conn, new)
            await zones.replace(conn, new, revision)
        return at

    async def revoke(self, vehicle: Vehicle) -> None:
        async with self._transaction() as conn:
            revision, _ = await bump(conn)
            await conn.execute(
                "UPDATE trackers SET revoked_at = now(), revision = %s WHERE id = %s",
                (revision, vehicle.tracker_id),
            )

    async def wants_receipts(self, vehicle: Vehicle) -> None:
        """Let the vehicle's tracker have receipts."""
        async with self._transaction() as conn:
            revision, _ = await bump(conn)
            tracker = await trackers.table.find(conn, vehicle.tracker_id)
            assert tracker is not None
            await trackers.update(conn, tracker._replace(receipts=True), revision)

    async def reassign(self, vehicle: Vehicle, asset_id: UUID, at: datetime) -> None:
        """Put the vehicle's tracker on another asset from `at`."""
        async with self._transaction() as conn:
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

    async def take_off(self, tracker_id: UUID, at: datetime | None = None) -> datetime:
        """Take the tracker off its asset from then on; returns the instant."""
        async with self._transaction() as conn:
            revision, now = await bump(conn)
            at = at or now
            await trackers.end_assignment(
                conn, tracker_id=tracker_id, assigned_to=at, revision=revision
            )
        return at

    async def put_on(
        self, tracker_id: UUID, asset_id: UUID, at: datetime | None = None
    ) -> datetime:
        """Put a tracker without an asset on one from then on; returns the instant."""
        async with self._transaction() as conn:
            revision, now = await bump(conn)
            at = at or now
            await trackers.begin_assignment(
                conn,
                tracker_id=tracker_id,
                asset_id=asset_id,
                assigned_from=at,
                revision=revision,
            )
        return at

    async def tag(self, asset_id: UUID, *tags: str, at: datetime | None = None) -> datetime:
        """Give the asset these tags from then on; returns the instant."""
        async with self._transaction() as conn:
            revision, now = await bump(conn)
            at = at or now
            await assets.change_tags(conn, asset_id, tags, at, revision)
        return at

    async def release(self, quarantine_id: UUID) -> str:
        """Release a message in quarantine, which is judged again."""
        async with self._transaction() as conn:
            return await quarantine_list.release(conn, quarantine_id)

    async def upload(self, vehicle: Vehicle, *fixes: dict[str, Any], flags: int) -> None:
        """Put fixes into the inbox, as an upload does."""
        message = NewMessage(
            self.org_id,
            f"trackers/{vehicle.name}/fixes",
            json.dumps(fixes).encode(),
            fix_flags=flags,
        )
        async with self._transaction() as conn:
            await inbox.put(conn, message)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Read what opsc_app sees of this organization."""
        return self.database.run("opsc_app", query, org_id=self.org_id)

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

    def _transaction(self) -> AbstractAsyncContextManager[Connection]:
        return transaction(self.database, "opsc_app", self.org_id)


def _ids(vehicle: Vehicle) -> tuple[UUID, UUID]:
    return vehicle.tracker_id, vehicle.asset_id


def soon(seconds: float) -> datetime:
    """Return a time of the device, `seconds` from now; whole milliseconds."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
