"""Events of trips by the loop of the delivering role: the same whatever the order of arrival, and
of whoever wants them alone.
"""

import random
from datetime import timedelta

import psycopg
import pytest

from db.history import retention
from telemetry.fix import Flag
from telemetry.ids import format_id
from tests.geofence.trips.test_telling import batches
from tests.ingest.tenants import Tenant, Vehicle
from tests.servers import DatabaseUnderTest
from tests.webhooks.trips.fleet import Fleet, day, switch

pytestmark = pytest.mark.every_python


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


async def test_a_clock_of_ingest_that_was_ahead_keeps_nobody_waiting(fleet: Fleet) -> None:
    await fleet.receive(day())
    await fleet.admin.execute("UPDATE gps_events SET received_at = received_at + interval '1 hour'")
    await fleet.look()
    assert len(await fleet.words()) == 8


async def test_who_falls_silent_has_ended_by_deadline(fleet: Fleet) -> None:
    begin = -50.0
    parked = [(begin + minute, 0.0) for minute in range(21)]
    fixes = [*parked, *((begin + 20 + number, number * 1.0) for number in range(1, 31))]
    await fleet.receive(fixes)
    await fleet.look()  # the last fix is 50 minutes old
    assert await fleet.words() == ["stopped", "started"]
    ((due_at,),) = await fleet.rows("SELECT due_at FROM trips_due")
    last = fleet.at(begin + 50)
    assert due_at == last + timedelta(hours=1)
    later = timedelta(minutes=20)  # as if it were an hour after the last fix
    await fleet.admin.execute("DELETE FROM gps_events")
    await fleet.receive((minute - 20, km) for minute, km in fixes)
    await fleet.admin.execute("UPDATE trips_seen SET received_at = clock_timestamp()")
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


async def test_what_was_told_goes_with_old_fixes(fleet: Fleet) -> None:
    await fleet.receive(day())
    await fleet.look()
    async with fleet.connections.connection() as conn:
        removed = await retention.remove_told_trips(conn, fleet.tenant.org_id, fleet.at(20), 100)
    # A stop, a trip; the stop behind it ended later.
    assert removed == 2
    assert await fleet.rows("SELECT count(*) FROM told_trips") == [(4,)]


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
