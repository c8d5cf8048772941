"""The rules of fixes and zones at work between a broker and a database."""

import secrets
from datetime import timedelta

import pytest

from telemetry.ids import format_id
from tests.ingest.conftest import Device, fix, running, runtime
from tests.ingest.tenants import Tenant, Vehicle, soon, square
from tests.servers import BrokerUnderTest, DatabaseUnderTest
from tests.waiting import until

HOME = (13.4, 52.5)
NORTH = (13.4, 52.5013)  # 145 m from HOME: outside, and near enough to be there a second later
SOUTH = (13.4, 52.4987)
FAR = (13.4, 53.0)


async def _stored(tenant: Tenant, fixes: int) -> None:
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == fixes)


def _suspect(tenant: Tenant) -> list[int]:
    return [flags & 1 for (flags,) in tenant.rows("SELECT flags FROM gps_events ORDER BY time")]


async def test_a_fix_that_was_reached_too_fast_is_flagged_and_changes_nothing(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    at = soon(-100)
    for number, place in enumerate([HOME, FAR, HOME]):
        await device.send(vehicle, fix(at + timedelta(seconds=number), *place))
    await _stored(tenant, 3)
    assert _suspect(tenant) == [0, 1, 0]
    assert tenant.rows("SELECT left_at FROM visits") == [(None,)]


@pytest.mark.parametrize("at_once", [True, False])
async def test_three_suspect_fixes_that_agree_lose_the_flag_and_are_judged(
    tenant: Tenant, device: Device, ingest: object, at_once: bool
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    await tenant.zone(square(*FAR))
    at = soon(-100)
    fixes = [
        fix(at + timedelta(seconds=number), *place)
        for number, place in enumerate([HOME, FAR, FAR, FAR])
    ]
    if at_once:
        await device.send(vehicle, *fixes)
    else:
        for number, one in enumerate(fixes, 1):
            await device.send(vehicle, one)
            await _stored(tenant, number)
            assert _suspect(tenant) == ([0, 1, 1][:number] if number < 4 else [0, 0, 0, 0])
    await _stored(tenant, 4)
    assert _suspect(tenant) == [0, 0, 0, 0]
    second = at + timedelta(seconds=1)
    assert tenant.rows(
        "SELECT occurred_at, data ->> 'transition' FROM events ORDER BY position"
    ) == [(at, "enter"), (second, "enter"), (second, "exit")]


async def test_an_aircraft_may_be_where_a_truck_cannot(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    truck, plane = await tenant.vehicle(), await tenant.vehicle(asset_class="aircraft")
    at = soon(-200)
    for vehicle in (truck, plane):
        await device.send(vehicle, fix(at, *HOME), fix(at + timedelta(seconds=90), *FAR))
    await _stored(tenant, 4)
    rows = dict(tenant.rows("SELECT tracker_id, max(flags) FROM gps_events GROUP BY tracker_id"))
    assert rows == {truck.tracker_id: 1, plane.tracker_id: 0}


async def test_a_fix_of_poor_accuracy_is_stored_and_changes_nothing(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    at = soon(-100)
    for number, accuracy_m in enumerate([500.0, 20.0]):
        one = fix(at + timedelta(seconds=number), *HOME, accuracy_m=accuracy_m)
        await device.send(vehicle, one)
    await _stored(tenant, 2)
    assert tenant.rows("SELECT entered_at FROM visits") == [(at + timedelta(seconds=1),)]


async def test_passing_through_between_two_fixes_is_an_enter_and_an_exit(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    at = soon(-100)
    await device.send(vehicle, fix(at, *NORTH), fix(at + timedelta(seconds=26), *SOUTH))
    await until(lambda: len(tenant.rows("SELECT FROM events")) == 2)
    ((*inferred, entered_at, left_at),) = tenant.rows(
        "SELECT entry_inferred, exit_inferred, entered_at, left_at FROM visits"
    )
    assert inferred == ["segment", "segment"]
    assert (entered_at - at, left_at - at) == (timedelta(seconds=3), timedelta(seconds=23))
    told = [data for (data,) in tenant.rows("SELECT data FROM events ORDER BY position")]
    assert [each["inferred"] for each in told] == ["segment", "segment"]
    assert [each["dwell_s"] for each in told] == [None, 20.0]
    assert [each["lat"] for each in told] == pytest.approx([52.501, 52.499])
    assert [each["speed_mps"] for each in told] == [None, None]


async def test_an_enter_that_needs_confirmation_tells_of_the_first_fix(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME), rules={"enter_confirm_fixes": 3})
    at = soon(-100)
    for number, place in enumerate([NORTH, HOME, HOME, HOME]):
        one = fix(at + timedelta(seconds=number), *place, speed_mps=number + 0.5)
        await device.send(vehicle, one)
    await until(lambda: len(tenant.rows("SELECT FROM events")) == 1)
    query = "SELECT occurred_at, (data ->> 'speed_mps')::float FROM events"
    assert tenant.rows(query) == [(at + timedelta(seconds=1), 1.5)]


async def test_a_corridor_is_as_wide_as_it_says(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    line = {"type": "LineString", "coordinates": [[13.39, 52.5], [13.41, 52.5]]}
    wide, narrow = await tenant.zone(line, width_m=300.0), await tenant.zone(line, width_m=250.0)
    vehicle = await tenant.vehicle()
    await device.send(vehicle, fix(soon(-5), *NORTH))
    await _stored(tenant, 1)
    assert tenant.rows("SELECT zone_id FROM visits") == [(wide,)]
    assert wide != narrow


async def test_hours_keep_alerts_away_and_visits_as_they_are(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    at = soon(-3600)
    windows = [{"days": [f"{at + timedelta(days=3):%a}".lower()], "from": "00:00", "to": "24:00"}]
    await tenant.zone(square(*HOME), schedule={"timezone": "UTC", "windows": windows})
    await device.send(vehicle, fix(at, *NORTH), fix(at + timedelta(seconds=1), *HOME))
    await until(lambda: len(tenant.rows("SELECT FROM visits")) == 1)
    assert tenant.rows("SELECT FROM events") == []


async def test_coming_back_into_an_allowed_zone_alerts_and_being_seen_there_first_does_not(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME), kind="allowed")
    at = soon(-100)
    for number, place in enumerate([NORTH, HOME, NORTH, NORTH, HOME]):
        await device.send(vehicle, fix(at + timedelta(seconds=number), *place))
    await until(lambda: len(tenant.rows("SELECT FROM events")) == 2)
    query = "SELECT occurred_at, data ->> 'transition' FROM events ORDER BY position"
    times = [at + timedelta(seconds=number) for number in (2, 4)]
    assert tenant.rows(query) == list(zip(times, ["exit", "enter"], strict=True))


async def test_settings_of_an_organization_bear_on_what_arrives_after_them(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    own = await tenant.zone(square(*HOME), rules={"exit_confirm_fixes": 3})
    other = await tenant.zone(square(*HOME))
    before, after = await tenant.vehicle(), await tenant.vehicle()
    at = soon(-100)

    async def visit(vehicle: Vehicle) -> None:
        """Visit twice: inside, first by an accuracy of 25 m; then once outside."""
        places = ((HOME, 25.0), (HOME, 5.0), (NORTH, 5.0))
        for number, (place, accuracy_m) in enumerate(places):
            moment = at + timedelta(seconds=number)
            await device.send(vehicle, fix(moment, *place, accuracy_m=accuracy_m))

    await visit(before)
    await _stored(tenant, 3)
    assert tenant.rows("SELECT left_at FROM visits") == [(None,), (None,)]
    await tenant.settings(rules={"exit_confirm_fixes": 1}, max_accuracy_m=20.0)
    await visit(after)
    await _stored(tenant, 6)
    await device.send(before, fix(at + timedelta(seconds=3), *NORTH, accuracy_m=5.0))
    await _stored(tenant, 7)
    rows = tenant.rows("SELECT asset_id, zone_id, entered_at, left_at FROM visits")
    moments = [at + timedelta(seconds=number) for number in range(4)]
    assert {(asset, zone): tuple(ends) for asset, zone, *ends in rows} == {
        (before.asset_id, own): (moments[0], None),
        (before.asset_id, other): (moments[0], moments[2]),
        (after.asset_id, own): (moments[1], None),
        (after.asset_id, other): (moments[1], moments[2]),
    }


async def test_an_organization_says_how_fast_a_class_may_be(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    await tenant.settings(max_speed_mps={"person": 200.0})
    person, vessel = [await tenant.vehicle(asset_class=name) for name in ("person", "vessel")]
    at = soon(-100)
    for one in (person, vessel):
        await device.send(one, fix(at, *HOME), fix(at + timedelta(seconds=1), *NORTH))
    await _stored(tenant, 4)
    rows = dict(tenant.rows("SELECT tracker_id, max(flags) FROM gps_events GROUP BY tracker_id"))
    assert rows == {person.tracker_id: 0, vessel.tracker_id: 1}


async def test_a_tracker_brings_its_place_by_a_fix_that_its_organization_takes(
    tenant: Tenant, device: Device, database: DatabaseUnderTest, ingest: object
) -> None:
    """Where a tracker was when it is put on an asset is told by its last good fix."""
    other = await Tenant.create(database)
    await tenant.settings(max_accuracy_m=20.0)
    at, put_on = soon(-100), []
    for one in (tenant, other):
        zone_id = await one.zone(square(*HOME))
        tracker_id = await one.loose_tracker()
        carrier = Vehicle(tracker_id, await one.asset())
        for number, (place, accuracy_m) in enumerate(((NORTH, 5.0), (HOME, 25.0))):
            moment = at + timedelta(seconds=number)
            await device.send(carrier, fix(moment, *place, accuracy_m=accuracy_m))
        await _stored(one, 2)
        put_on.append((one, zone_id, await one.put_on(tracker_id, carrier.asset_id)))
    ours, theirs = put_on
    query = "SELECT zone_id, entered_at, entry_cause FROM visits"
    await until(lambda: other.rows(query) == [(theirs[1], theirs[2], "reassigned")])
    assert ours[0].rows(query) == []


async def test_a_speed_above_the_limit_is_told_once_a_stay_and_kept_over_a_restart(
    tenant: Tenant, device: Device, database: DatabaseUnderTest, broker: BrokerUnderTest
) -> None:
    zone_id = await tenant.zone(square(*HOME), kind="yard", rules={"speed_limit_mps": 8.3})
    vehicle, at = await tenant.vehicle(), soon(-100)
    url, client_id = database.url("opsc_ingest"), f"ingest-{secrets.token_hex(4)}"
    speeds = {0: 8.3, 2: 9.7, 3: 12.0, 1: 9.0}  # by second, in order of arrival
    for number, (second, speed_mps) in enumerate(speeds.items(), 1):
        async with running(runtime(url, broker.url, client_id)):
            moment = at + timedelta(seconds=second)
            await device.send(vehicle, fix(moment, *HOME, speed_mps=speed_mps))
            await _stored(tenant, number)
    ((type_, occurred_at, told),) = tenant.rows("SELECT type, occurred_at, data FROM events")
    assert (type_, occurred_at) == ("asset.overspeed", at + timedelta(seconds=2))
    shown = ("zone_id", "zone_kind", "speed_mps", "speed_limit_mps", "late", "lon")
    assert [told[name] for name in shown] == [
        format_id("zon", zone_id),
        "yard",
        9.7,
        8.3,
        False,
        HOME[0],
    ]
    ((overspeed_at, mps),) = tenant.rows("SELECT overspeed_at, overspeed_mps FROM visits")
    assert (overspeed_at, mps) == (at + timedelta(seconds=1), 9.0)


async def test_a_late_fix_tells_of_a_speed_above_the_limit(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    zone_id = await tenant.zone(square(*HOME), kind="yard")
    vehicle, at = await tenant.vehicle(), soon(-100)
    limited_from = at + timedelta(seconds=0.5)  # when the visit has begun
    await tenant.change_zone(zone_id, square(*HOME), limited_from, rules={"speed_limit_mps": 8.3})
    for second in (0, 2):
        await device.send(vehicle, fix(at + timedelta(seconds=second), *HOME, speed_mps=5.0))
    await _stored(tenant, 2)
    await device.send(vehicle, fix(at + timedelta(seconds=1), *HOME, speed_mps=9.7))
    await until(lambda: len(tenant.rows("SELECT FROM events")) == 1)
    ((type_, told),) = tenant.rows("SELECT type, data FROM events")
    shown = ("zone_version", "speed_mps", "speed_limit_mps", "late")
    assert (type_, *(told[name] for name in shown)) == ("asset.overspeed", 2, 9.7, 8.3, True)
