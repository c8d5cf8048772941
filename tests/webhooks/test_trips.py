"""Events of trips by the loop of the delivering role: the same whatever the order of arrival, once,
and of whoever wants them alone.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from archive.reading import Archive
from archive.trips import FixesOf, worked_out
from db.core import leases
from db.core.connect import Connection, Pool, connect, pool
from db.core.tenant import reading
from db.fixes.fix_filters import FixFilter
from db.fixes.trips_due import LEASE
from geofence.trips.history import Stop
from geofence.trips.track import TripRules
from telemetry.fix import Flag
from telemetry.ids import format_id
from telemetry.times import parse_time_us, to_datetime
from tests.geofence.trips.test_telling import batches
from tests.ingest.tenants import Tenant, Vehicle
from tests.servers import DatabaseUnderTest
from tests.waiting import until
from tests.webhooks.delivering_process import process
from webhooks.metrics import WebhookMetrics
from webhooks.trips import TripEvents, TripLimits

AT_ONCE = TripLimits(gather_s=0)
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
        loop = TripEvents(self.connections, holder, Archive(None), self.metrics, limits)
        while await loop.look(asyncio.Event()) or await self.due():
            pass

    async def due(self) -> int:
        cursor = await self.admin.execute("SELECT FROM trips_due WHERE due_at <= now()")
        return cursor.rowcount

    async def rows(self, statement: str, *values: Any) -> list[Any]:
        cursor = await self.admin.execute(statement.encode(), values)
        return await cursor.fetchall()

    async def events(self, vehicle: Vehicle | None = None) -> list[tuple[str, dict[str, Any]]]:
        asset = format_id("ast", (vehicle or self.vehicle).asset_id)
        return await self.rows(
            "SELECT type, data FROM events WHERE org_id = %s AND data ->> 'asset_id' = %s"
            " ORDER BY position",
            *(self.tenant.org_id, asset),
        )

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


@pytest_asyncio.fixture
async def fleet(database: DatabaseUnderTest) -> AsyncIterator[Fleet]:
    """Nothing is stored, and nobody else wants the events."""
    tenant = await Tenant.create(database)
    async with (
        await connect(database.url("admin"), "test") as admin,
        pool(database.url("opsc_deliver"), "test", max_size=4) as connections,
    ):
        await admin.execute(
            "TRUNCATE gps_events, events, webhook_deliveries, trips_due, told_trips"
        )
        await admin.execute("UPDATE leases SET expires_at = '-infinity' WHERE name = 'trips'")
        await admin.execute("UPDATE trips_seen SET received_at = clock_timestamp()")
        await admin.execute("UPDATE organizations SET trip_events_since = NULL")
        fleet = Fleet(tenant, await tenant.vehicle(), admin, connections)
        await switch(fleet, fleet.at(0) - timedelta(days=1))
        yield fleet


async def switch(fleet: Fleet, since: datetime | None) -> None:
    await fleet.admin.execute(
        "UPDATE organizations SET trip_events_since = %s WHERE org_id = %s",
        (since, fleet.tenant.org_id),
    )


async def test_a_day_of_a_truck(fleet: Fleet) -> None:
    fixes = day()
    for first in range(0, len(fixes), 3):
        await fleet.receive(fixes[first : first + 3])
        await fleet.look()
    assert await fleet.words() == [
        "stopped", "started", "ended", "stopped", "started", "ended", "stopped", "started",
    ]  # fmt: skip
    assert await fleet.heard() == await fleet.said()
    told = dict((await fleet.events())[:3])
    asset = {"asset_id": format_id("ast", fleet.vehicle.asset_id), "asset_name": "Truck"}
    start = {"started_at": _text(fleet, 8), "source": None} | asset
    ended = told["trip.ended"]
    assert told["trip.started"] == start | {
        "trip_id": ended["trip_id"],
        "revision": 1,
        "lat": 0,
        "lon": 9,
        "is_carried": False,
        "detected_at": told["trip.started"]["detected_at"],
    }
    assert ended == start | {
        "trip_id": ended["trip_id"],
        "revision": 2,
        "ended_at": _text(fleet, 13),
        "inferred": None,
        "start_lat": 0,
        "start_lon": 9,
        "end_lat": 0,
        "end_lon": pytest.approx(9 + 10 / 111.3195),
        "duration_s": 300,
        "distance_m": pytest.approx(10_000, rel=1e-3),
        "odometer_m": None,
        "top_speed_mps": None,
        "has_gap": False,
        "is_carried": False,
        "detected_at": ended["detected_at"],
    }
    stop = told["asset.stopped"]
    assert stop == asset | {
        "stop_id": stop["stop_id"],
        "started_at": _text(fleet, 0),
        "lat": 0,
        "lon": 9,
        "detected_at": stop["detected_at"],
        "source": None,
    }


def _text(fleet: Fleet, minute: float) -> str:
    return fleet.at(minute).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("seed", range(10))
async def test_any_order_of_arrival_tells_what_the_list_says(fleet: Fleet, seed: int) -> None:
    chances, fixes = random.Random(seed), day()
    for batch in batches(chances, len(fixes)):
        await fleet.receive(fixes[number] for number in batch)
        if chances.random() < 0.8:
            await fleet.look()
    await fleet.look()
    said = await fleet.said()
    assert len(said) == 3
    assert await fleet.heard() == said
    stops = await fleet.rows("SELECT count(*) FROM told_trips WHERE is_stop AND NOT is_retracted")
    assert stops == [(3,)]


async def test_it_is_off_at_first_and_tells_nothing_of_before(fleet: Fleet) -> None:
    """The trip under way is told, and what ended before is not."""
    await switch(fleet, None)
    fixes = day()
    await fleet.receive(fixes[:25])
    await fleet.look()
    assert await fleet.words() == []
    await switch(fleet, fleet.at(24.5))
    await fleet.admin.execute("UPDATE trips_seen SET received_at = clock_timestamp()")
    await fleet.look()
    assert await fleet.words() == []
    await fleet.receive(fixes[25:])
    await fleet.look()
    assert await fleet.words() == ["started", "ended", "stopped", "started"]
    assert await fleet.heard() == (await fleet.said())[1:]


async def test_switched_off_and_on_again_it_begins_anew(fleet: Fleet) -> None:
    fixes = day()
    await fleet.receive(fixes[:25])
    await fleet.look()
    assert await fleet.words() == ["stopped", "started", "ended", "stopped", "started"]
    await switch(fleet, None)
    await fleet.receive(fixes[25:40])
    await fleet.look()
    await switch(fleet, fleet.at(39.5))
    await fleet.admin.execute("UPDATE told_trips SET told_at = %s", (fleet.at(30),))
    await fleet.admin.execute("UPDATE trips_seen SET received_at = clock_timestamp()")
    await fleet.receive(fixes[40:])
    await fleet.look()
    # The trip that was under way when it was switched off is heard of no more.
    assert (await fleet.words())[5:] == ["started"]
    assert (await fleet.heard())[-1] == (await fleet.said())[-1]


async def test_who_falls_silent_has_ended_by_deadline(fleet: Fleet) -> None:
    begin = -50.0
    await fleet.receive((begin + minute, 0.0) for minute in range(21))
    await fleet.receive((begin + 20 + number, number * 1.0) for number in range(1, 31))
    await fleet.look()  # the last fix is 50 minutes old
    assert await fleet.words() == ["stopped", "started"]
    ((due_at,),) = await fleet.rows("SELECT due_at FROM trips_due")
    last = fleet.at(begin + 50)
    assert due_at == last + timedelta(hours=1)
    later = timedelta(minutes=20)  # as if it were an hour after the last fix
    await fleet.admin.execute("UPDATE gps_events SET time = time - %s", (later,))
    await fleet.admin.execute(
        "UPDATE told_trips SET started_at = started_at - %s, ended_at = ended_at - %s",
        (later, later),
    )
    await fleet.admin.execute(
        "UPDATE trips_due SET since = since - %s, until = until - %s, due_at = due_at - %s",
        (later, later, later),
    )
    await fleet.look()
    assert await fleet.words() == ["stopped", "started", "ended"]
    assert (await fleet.events())[-1][1]["inferred"] == "timer"
    assert await fleet.due() == 0
    # It was under way after all.
    await fleet.receive([(begin + 90, 60.0), (begin + 91, 61.0)])
    await fleet.look()
    assert (await fleet.words())[3:] == ["end"]
    assert await fleet.heard() == await fleet.said()


async def test_who_stays_at_a_stop_is_not_looked_at(fleet: Fleet) -> None:
    fixes = day()[:8]
    await fleet.receive(fixes)
    await fleet.look()
    looks = fleet.metrics.trip_looks._value.get()  # pyright: ignore[reportPrivateUsage]
    assert looks == 1
    await fleet.receive([(8.0 + number, 0.01) for number in range(20)])
    await fleet.look()
    assert fleet.metrics.trip_looks._value.get() == looks  # pyright: ignore[reportPrivateUsage]
    await fleet.receive([(28.0, 0.03)])  # beyond half of the radius
    await fleet.look()
    assert fleet.metrics.trip_looks._value.get() == looks + 1  # pyright: ignore
    assert await fleet.words() == ["stopped"]


async def test_events_of_an_upload_say_so_and_go_to_no_endpoint(fleet: Fleet) -> None:
    await fleet.receive(day()[:21], flags=Flag.UPLOADED | Flag.QUIET)
    await fleet.look()
    assert await fleet.words() == ["stopped", "started", "ended", "stopped"]
    assert {data["source"] for _, data in await fleet.events()} == {"upload"}
    assert await fleet.rows("SELECT DISTINCT for_webhooks FROM events") == [(False,)]
    await fleet.receive(day()[21:])
    await fleet.look()
    assert (await fleet.events())[-1][1]["source"] is None
    assert await fleet.rows("SELECT for_webhooks FROM events ORDER BY position DESC LIMIT 1") == [
        (True,)
    ]


async def test_a_stop_over_midnight_and_a_late_day(fleet: Fleet) -> None:
    """Days are looked at by themselves, and what lies across them is whole."""
    await switch(fleet, fleet.at(0) - timedelta(days=8))
    days = [[(minute - 1_440.0 * back, km) for minute, km in day()] for back in (2, 1, 0)]
    for number in (2, 0, 1):  # the middle day comes last
        await fleet.receive(days[number])
        await fleet.look()
    heard = await fleet.heard()
    assert len(heard) == 9
    assert heard == await fleet.said()


async def test_fixes_of_before_that_are_gone_take_nothing_back(fleet: Fleet) -> None:
    """As when they have grown too old."""
    fixes = day()
    await fleet.receive(fixes)
    await fleet.look()
    told = await fleet.words()
    await fleet.admin.execute("DELETE FROM gps_events WHERE time < %s", (fleet.at(11),))
    await fleet.receive([(20.5, 10.0)])
    await fleet.look()
    assert await fleet.words() == told


async def test_two_processes_tell_once(fleet: Fleet) -> None:
    others = [await fleet.tenant.vehicle() for _ in range(4)]
    for fixes in (day()[:20], day()[20:]):
        for vehicle in others:
            await fleet.receive(fixes, vehicle)
        await asyncio.gather(fleet.look("one"), fleet.look("two"))
    for vehicle in others:
        assert await fleet.heard(vehicle) == await fleet.said(vehicle)


async def test_a_process_that_lost_the_lease_writes_nothing(fleet: Fleet) -> None:
    class Slow(Archive):
        async def track(self, *arguments: Any, **named: Any) -> Any:
            async with await connect(fleet.tenant.database.url("opsc_deliver"), "test") as conn:
                await conn.execute("UPDATE leases SET expires_at = now() WHERE name = 'trips'")
                assert await leases.acquire(conn, LEASE, "other", 0.01) is not None
            return await super().track(*arguments, **named)

    await fleet.receive(day())
    loop = TripEvents(fleet.connections, "test", Slow(None), fleet.metrics, AT_ONCE)
    with pytest.raises(leases.LeaseLost):
        await loop.look(asyncio.Event())
    assert await fleet.words() == []
    await asyncio.sleep(0.02)
    await fleet.look()
    assert await fleet.heard() == await fleet.said()


async def test_organizations_take_turns(fleet: Fleet, database: DatabaseUnderTest) -> None:
    """A long late track of one keeps nobody waiting."""
    await switch(fleet, fleet.at(0) - timedelta(days=60))
    await fleet.receive((-1_440.0 * back, 0.0) for back in range(1, 50))
    tenant = await Tenant.create(database)
    other = Fleet(tenant, await tenant.vehicle(), fleet.admin, fleet.connections)
    await switch(other, other.at(0) - timedelta(days=1))
    await other.receive(day())
    loop = TripEvents(
        fleet.connections, "test", Archive(None), fleet.metrics, TripLimits(gather_s=0, rows=2)
    )
    assert await loop.look(asyncio.Event()) is False
    assert await other.heard() == await other.said()
    left = "SELECT count(*) FROM trips_due WHERE org_id = %s"
    assert await fleet.rows(left, fleet.tenant.org_id) == [(48,)]


async def test_a_reassigned_tracker_ends_by_deadline_and_begins_elsewhere(fleet: Fleet) -> None:
    fixes = day()
    await fleet.receive(fixes[:25])
    await fleet.look()
    other = await fleet.tenant.asset(name="Trailer")
    await fleet.tenant.assign(fleet.vehicle.tracker_id, other, fleet.at(24.5), at=fleet.at(50))
    await fleet.receive(fixes[25:])
    await fleet.look()
    trailer = Vehicle(fleet.vehicle.tracker_id, other)
    assert await fleet.heard(trailer) == await fleet.said(trailer)
    assert len(await fleet.heard()) == 2


async def test_killed_again_and_again_it_tells_once(
    fleet: Fleet, database: DatabaseUnderTest
) -> None:
    vehicles = [await fleet.tenant.vehicle() for _ in range(16)]
    for vehicle in vehicles:
        await fleet.receive(day(), vehicle)
    # They were received half a minute ago.
    await fleet.admin.execute("UPDATE gps_events SET received_at = received_at - interval '40 s'")
    await fleet.admin.execute("UPDATE trips_seen SET received_at = received_at - interval '1 h'")

    async def told(most: int) -> bool:
        rows = await fleet.rows("SELECT count(DISTINCT asset_id) FROM told_trips")
        return rows[0][0] >= most

    for most in (3, 9):
        async with process(database.url("opsc_deliver")) as victim:
            await until(lambda most=most: told(most))
            victim.kill()
            await victim.wait()
        await fleet.admin.execute("UPDATE leases SET expires_at = now() WHERE name = 'trips'")
    async with process(database.url("opsc_deliver")):
        await until(lambda: told(16))
        await until(lambda: _nothing_due(fleet))
    for vehicle in vehicles:
        assert await fleet.heard(vehicle) == await fleet.said(vehicle)


async def _nothing_due(fleet: Fleet) -> bool:
    return await fleet.due() == 0


async def test_an_organization_hears_of_its_own_alone(
    fleet: Fleet, database: DatabaseUnderTest
) -> None:
    tenant = await Tenant.create(database)
    silent = Fleet(tenant, await tenant.vehicle(), fleet.admin, fleet.connections)
    await silent.receive(day())
    await fleet.receive(day())
    await fleet.look()
    assert await silent.words() == []
    assert await silent.rows("SELECT DISTINCT org_id FROM told_trips") == [(fleet.tenant.org_id,)]


def test_the_role_of_the_api_cannot_write_what_is_not_its_own(
    database: DatabaseUnderTest,
) -> None:
    with (
        psycopg.connect(database.url("opsc_app")) as conn,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        conn.execute("UPDATE trips_seen SET received_at = now()")
