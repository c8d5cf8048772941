"""The rules of fixes and zones at work between a broker and a database."""

from datetime import timedelta

import pytest

from tests.ingest.conftest import Device, fix, until
from tests.ingest.tenants import Tenant, soon, square

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
