"""A tracker's fix becomes a stored row, a visit and an event."""

import json
from datetime import timedelta

import pytest

from db.core.wakeups import Channel
from ingest.late import lookup as past
from ingest.runtime import IngestRuntime
from telemetry.ids import format_id
from telemetry.times import format_time, to_us
from tests.db.core.hearing import listening
from tests.ingest.conftest import Device, fix
from tests.ingest.tenants import Tenant, soon, square
from tests.waiting import until

HOME = (13.4, 52.5)
AWAY = (13.4, 52.5013)  # 145 m north: outside, and near enough to be there a second later


async def test_a_fix_is_stored_with_all_that_it_says(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    at = soon(-10)
    sent = fix(at, *HOME, seq=7, altitude_m=34.5, speed_mps=12.25, course_deg=90, accuracy_m=3.1)
    await device.send(vehicle, {**sent, "battery_pct": 80, "satellites": 9, "fuel": "diesel"})
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 1)
    (row,) = tenant.rows(
        "SELECT tracker_id, time, seq, lon, lat, altitude_m, speed_mps, course_deg, accuracy_m,"
        " battery_pct, satellites, ignition, attributes, flags FROM gps_events"
    )
    known = (34.5, 12.25, 90.0, 3.1, 80.0, 9, None, {"fuel": "diesel"}, 0)
    assert row == (vehicle.tracker_id, at, 7, *HOME, *known)


async def test_entering_and_leaving_a_zone_gives_a_visit_and_two_breaches(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    zone_id = await tenant.zone(square(*HOME))
    at = soon(-100)
    places = [AWAY, HOME, HOME, AWAY, AWAY]
    async with listening(tenant.database.url("opsc_deliver"), Channel.EVENTS) as heard:
        for number, place in enumerate(places):
            await device.send(vehicle, fix(at + timedelta(seconds=number), *place, accuracy_m=4.2))
        await until(lambda: len(tenant.rows("SELECT FROM events")) == 2)
        await until(lambda: bool(heard))
    ((visit_id, *visit),) = tenant.rows(
        "SELECT id, asset_id, zone_id, zone_version, entered_at, left_at, entry_cause, exit_cause"
        " FROM visits"
    )
    entered_at, left_at = at + timedelta(seconds=1), at + timedelta(seconds=3)
    assert visit == [vehicle.asset_id, zone_id, 1, entered_at, left_at, "moved", "moved"]
    enter, leave = (row[0] for row in tenant.rows("SELECT data FROM events ORDER BY position"))
    assert [enter["transition"], leave["transition"]] == ["enter", "exit"]
    assert enter["visit_id"] == leave["visit_id"] == format_id("vis", visit_id)
    assert (enter["dwell_s"], leave["dwell_s"]) == (None, 2.0)
    assert enter["distance_m"] < 0 < leave["distance_m"]
    assert (enter["accuracy_m"], enter["speed_mps"]) == (4.2, None)
    assert (enter["initial"], enter["late"], enter["cause"]) == (False, False, "moved")
    assert (enter["asset_name"], enter["zone_name"]) == ("Truck", "Depot")


async def test_the_first_fix_of_an_asset_inside_a_zone_is_an_initial_enter(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    await device.send(vehicle, fix(soon(-5), *HOME))
    await until(lambda: len(tenant.rows("SELECT FROM events")) == 1)
    assert tenant.rows("SELECT data ->> 'initial' FROM events") == [("true",)]
    assert tenant.rows("SELECT entry_cause, left_at FROM visits") == [("initial", None)]


async def test_a_fix_sent_twice_is_stored_once_and_gives_one_event(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    at = soon(-50)
    first, second = fix(at, *HOME), fix(at + timedelta(seconds=1), *AWAY)
    for message in ([first], [first], [second], [first, second], [second, second]):
        await device.send(vehicle, *message)
    await device.send(vehicle, fix(at + timedelta(seconds=2), *AWAY))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 3)
    assert len(tenant.rows("SELECT FROM events")) == 2


async def test_a_late_fix_is_stored_and_judged_in_its_place(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    at = soon(-50)
    await device.send(vehicle, fix(at, *AWAY))
    await device.send(vehicle, fix(at - timedelta(seconds=5), *HOME))
    await device.send(vehicle, fix(at + timedelta(seconds=5), *AWAY))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 3)
    assert tenant.rows("SELECT entered_at, left_at FROM visits") == [
        (at - timedelta(seconds=5), at)
    ]
    told = tenant.rows("SELECT data->>'transition', data->>'late' FROM events ORDER BY position")
    assert told == [("enter", "true"), ("exit", "false")]


async def test_what_a_late_fix_disproves_is_amended(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME), rules={"exit_confirm_fixes": 1})
    at = soon(-50)
    await device.send(vehicle, fix(at, *HOME))
    await device.send(vehicle, fix(at + timedelta(seconds=20), *AWAY))
    await device.send(vehicle, fix(at + timedelta(seconds=10), *AWAY))
    await until(lambda: len(tenant.rows("SELECT FROM events")) == 3)
    assert tenant.rows("SELECT left_at, revision FROM visits") == [(at + timedelta(seconds=10), 2)]
    told = tenant.rows(
        "SELECT type, data->>'change', data->>'left_at', data->>'revision', data->>'late'"
        "  FROM events ORDER BY position DESC LIMIT 1"
    )
    left_at = format_time(to_us(at + timedelta(seconds=10)))
    assert told == [("asset.visit_amended", "end", left_at, "2", "true")]


async def test_a_late_fix_that_many_follow_is_judged_in_pieces(
    tenant: Tenant, device: Device, ingest: IngestRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was told before is amended, and told once; what comes meanwhile is judged too."""
    monkeypatch.setattr(past, "MOST_FIXES", 2)
    monkeypatch.setattr(past, "PIECE_FIXES", 2)
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    at = soon(-50)
    places = {0: AWAY, 10: HOME, 11: HOME, 12: AWAY, 13: AWAY, 20: HOME}
    for seconds, place in places.items():
        await device.send(vehicle, fix(at + timedelta(seconds=seconds), *place))
    await until(lambda: len(tenant.rows("SELECT FROM events")) == 3)
    await device.send(vehicle, fix(at + timedelta(seconds=5), *HOME))
    for seconds in (21, 22):
        await device.send(vehicle, fix(at + timedelta(seconds=seconds), *AWAY))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 9)
    await until(lambda: tenant.rows("SELECT FROM asset_backlogs") == [])
    visits = tenant.rows("SELECT entered_at, left_at, revision FROM visits ORDER BY entered_at")
    spans = ((5, 12, 2), (20, 21, 1))
    assert visits == [(*(at + timedelta(seconds=s) for s in (a, b)), n) for a, b, n in spans]
    told = tenant.rows("SELECT data->>'transition', data->>'change' FROM events ORDER BY position")
    again = [(None, "start"), ("exit", None)]
    assert told == [("enter", None), ("exit", None), ("enter", None), *again]
    assert "opsc_ingest_fixes_unjudged_total 0.0" in ingest.metrics.page().decode()


async def test_a_stay_that_lasts_and_is_split_deep_in_the_past_is_not_told_to_have_ended(
    tenant: Tenant, device: Device, ingest: IngestRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "MOST_FIXES", 2)
    monkeypatch.setattr(past, "PIECE_FIXES", 1)
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME), rules={"exit_confirm_fixes": 1})
    at = soon(-50)
    for seconds in (0, 10, 20, 30, 40):
        await device.send(vehicle, fix(at + timedelta(seconds=seconds), *HOME))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 5)
    await device.send(vehicle, fix(at + timedelta(seconds=5), *AWAY))
    await until(lambda: len(tenant.rows("SELECT FROM visits")) == 2)
    await until(lambda: tenant.rows("SELECT FROM asset_backlogs") == [])
    told = tenant.rows("SELECT type, data->>'change' FROM events ORDER BY position")
    assert told[:2] == [("asset.geofence_breach", None), ("asset.visit_amended", "split")]


async def test_the_fix_that_ended_a_visit_is_stored_with_it(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    """One that moved, one between two fixes, and one that a late fix ended earlier."""
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    await tenant.zone(square(13.42, 52.5))
    at, east = soon(-200), [(13.41, 52.5), (13.43, 52.5)]
    places = [HOME, AWAY, AWAY, *east]
    fixes = [
        fix(at + timedelta(seconds=30 * number), *place, seq=number + 1)
        for number, place in enumerate(places)
    ]
    await device.send(vehicle, *fixes)
    await until(lambda: len(tenant.rows("SELECT FROM visits WHERE left_at IS NOT NULL")) == 2)
    query = (
        "SELECT exit_tracker_id, exit_fix_time, exit_fix_seq, left_at = exit_fix_time FROM visits"
        " ORDER BY entered_at"
    )
    moved = (vehicle.tracker_id, at + timedelta(seconds=30), 2, True)
    passed = (vehicle.tracker_id, at + timedelta(seconds=120), 5, False)
    assert tenant.rows(query) == [moved, passed]
    await device.send(vehicle, fix(at + timedelta(seconds=20), *AWAY, seq=9))
    earlier = (vehicle.tracker_id, at + timedelta(seconds=20), 9, True)
    await until(lambda: tenant.rows(query) == [earlier, passed])


async def test_a_tracker_without_an_asset_at_that_time_is_stored_and_not_judged(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    at = soon(-50)
    vehicle = await tenant.vehicle(assigned_from=at)
    await tenant.zone(square(*HOME))
    await device.send(vehicle, fix(at - timedelta(seconds=1), *HOME))
    await device.send(vehicle, fix(at, *AWAY))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 2)
    assert tenant.rows("SELECT FROM events") == []


async def test_a_reassigned_tracker_speaks_for_the_asset_of_each_fix(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    other_asset = await tenant.asset()
    await tenant.zone(square(*HOME))
    at = soon(-50)
    await tenant.reassign(vehicle, other_asset, at)
    await device.send(vehicle, fix(at - timedelta(seconds=1), *HOME), fix(at, *HOME))
    await until(lambda: len(tenant.rows("SELECT FROM visits")) == 2)
    rows = tenant.rows("SELECT asset_id, entered_at FROM visits ORDER BY entered_at")
    assert rows == [(vehicle.asset_id, at - timedelta(seconds=1)), (other_asset, at)]


async def test_an_array_is_stored_whole_with_every_pattern_of_known_values(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    at = soon(-200)
    optional = {"altitude_m": 1.5, "speed_mps": 2.5, "ignition": True, "attributes": {"a": [1]}}
    fixes = [
        fix(
            at + timedelta(seconds=number),
            *HOME,
            **{
                name: value
                for bit, (name, value) in enumerate(optional.items())
                if number >> bit & 1
            },
        )
        for number in range(16)
    ]
    await device.send(vehicle, *fixes)
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 16)
    rows = tenant.rows(
        "SELECT altitude_m, speed_mps, ignition, attributes FROM gps_events ORDER BY time"
    )
    assert rows == [
        (one.get("altitude_m"), one.get("speed_mps"), one.get("ignition"), one.get("attributes"))
        for one in fixes
    ]


async def test_json_in_an_event_is_what_the_database_gives_back(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    await device.send(vehicle, fix(soon(-5), *HOME))
    await until(lambda: len(tenant.rows("SELECT FROM events")) == 1)
    ((text,),) = tenant.rows("SELECT data::text FROM events")
    assert json.loads(text)["asset_id"] == format_id("ast", vehicle.asset_id)
