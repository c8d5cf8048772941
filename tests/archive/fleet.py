"""Machines with fixes of an old day, and what lists show of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from archive.reading import Archive
from archive.store import Store
from db.archive import archived_days
from db.archive.archived_days import ArchivedDay
from db.core.connect import Connection, connect, pool
from db.core.tenant import reading
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import HistoryKey, TrackFix
from tests.ingest.tenants import Tenant, Vehicle
from tests.servers import DatabaseUnderTest

NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
OLD = (NOW - timedelta(days=50)).replace(hour=0)
DAY = OLD.date()
_INSERT = (
    "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon, speed_mps,"
    " attributes) VALUES (%s, %s, %s, %s, %s, %s, 13.4, 12.3, '{\"a\": 1}')"
)


async def admin_of(database: DatabaseUnderTest) -> AsyncIterator[Connection]:
    """No fixes, nothing archived."""
    async with await connect(database.url("admin"), "test") as conn:
        await conn.execute("TRUNCATE gps_events, archived_days CASCADE")
        await conn.execute("TRUNCATE archive_removals, asset_cuts")
        await conn.execute("UPDATE organizations SET positions_days = NULL")
        yield conn


async def insert(
    admin: Connection,
    tenant: Tenant,
    vehicle: Vehicle,
    times: Sequence[datetime],
    *,
    seq: int = 0,
    lat: float = 52.5,
    received_at: datetime = OLD,
) -> None:
    async with admin.transaction(), admin.cursor() as cursor:
        await cursor.executemany(
            _INSERT,
            [(tenant.org_id, vehicle.tracker_id, time, seq, received_at, lat) for time in times],
        )


def minutes(*numbers: float) -> list[datetime]:
    return [OLD + timedelta(minutes=number) for number in numbers]


async def truck(
    admin: Connection, database: DatabaseUnderTest, fixes: int = 100
) -> tuple[Tenant, Vehicle]:
    """Return a vehicle with a fix a minute of an old day, and one of now."""
    tenant = await Tenant.create(database)
    vehicle = await tenant.vehicle()
    await insert(admin, tenant, vehicle, [*minutes(*range(fixes)), NOW])
    return tenant, vehicle


async def seen(
    database: DatabaseUnderTest, tenant: Tenant, store: Store | None, **wanted: Any
) -> tuple[list[HistoryKey], int]:
    """Return what lists show of a tenant, and how many they count."""
    async with pool(database.url("opsc_app"), "test", max_size=2) as connections:

        def transaction() -> Any:
            return reading(connections, tenant.org_id)

        found, archived = [], Archive(store)
        walk = archived.walk(transaction, FixFilter(**wanted), descending=False, page_rows=70)
        async for page in walk:
            found += [fix.key for fix in page]
        counted = await archived.count(transaction, FixFilter(**wanted), 1_000_000)
        assert not counted.is_cut
        return found, counted.rows


async def track(database: DatabaseUnderTest, tenant: Tenant, store: Store) -> list[TrackFix]:
    """Return the track of all of a tenant's fixes."""
    async with pool(database.url("opsc_app"), "test", max_size=2) as connections:
        return await Archive(store).track(
            lambda: reading(connections, tenant.org_id), FixFilter(), 1e9, 1_000_000
        )


async def in_database(admin: Connection, day: date = DAY) -> int:
    rows = await admin.execute(
        "SELECT count(*) FROM gps_events WHERE time >= %s AND time < %s",
        archived_days.day_interval(day),
    )
    return (await rows.fetchone() or (0,))[0]


async def objects_of(admin: Connection) -> list[ArchivedDay]:
    rows = await admin.execute(
        "SELECT org_id, day, object_id, rows, bytes, sha256, footer_sha256 FROM archived_days"
        " ORDER BY day"
    )
    return [ArchivedDay(*row) for row in await rows.fetchall()]
