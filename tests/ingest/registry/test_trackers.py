"""Trackers taken off assets and put on others, and assets that a zone is not for."""

from datetime import timedelta

from tests.ingest.conftest import Device, fix
from tests.ingest.tenants import Tenant, soon, square
from tests.waiting import until

HOME = (13.4, 52.5)
AWAY = (13.4, 52.5013)


async def _stored(tenant: Tenant, fixes: int) -> None:
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == fixes)


async def test_a_tracker_that_is_taken_off_ends_the_visits_of_its_asset(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    await device.send(vehicle, fix(soon(-5), *HOME))
    await _stored(tenant, 1)
    at = await tenant.take_off(vehicle.tracker_id)
    await until(lambda: tenant.rows("SELECT left_at FROM visits") == [(at,)])
    assert tenant.rows("SELECT exit_cause FROM visits") == [("reassigned",)]
    assert len(tenant.rows("SELECT FROM events")) == 1


async def test_a_tracker_that_is_put_on_an_asset_opens_visits_where_it_was_last(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle, other = await tenant.vehicle(), await tenant.asset()
    await tenant.zone(square(*HOME))
    await device.send(vehicle, fix(soon(-5), *HOME))
    await _stored(tenant, 1)
    off = await tenant.take_off(vehicle.tracker_id)
    on = await tenant.put_on(vehicle.tracker_id, other)
    await until(lambda: len(tenant.rows("SELECT FROM visits")) == 2)
    await until(lambda: len(tenant.rows("SELECT FROM visits WHERE left_at IS NULL")) == 1)
    query = "SELECT asset_id, entered_at, left_at, entry_cause FROM visits ORDER BY entered_at"
    first, second = tenant.rows(query)
    assert (first[0], first[2]) == (vehicle.asset_id, off)
    assert second == (other, on, None, "reassigned")
    await device.send(vehicle, fix(soon(0), *HOME))
    await _stored(tenant, 2)
    assert len(tenant.rows("SELECT FROM visits")) == 2
    assert len(tenant.rows("SELECT FROM events")) == 1


async def test_a_tracker_that_was_nowhere_yet_says_nothing_of_the_asset_it_is_put_on(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    await tenant.zone(square(*HOME))
    vehicle = await tenant.vehicle(assigned_from=soon(-60))
    await device.send(vehicle, fix(soon(-50), *HOME))
    await _stored(tenant, 1)
    assert tenant.rows("SELECT entry_cause FROM visits") == [("initial",)]


async def test_a_tracker_whose_clock_is_ahead_is_off_its_asset_as_soon_as_its_last_fix_is_past(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    ahead = soon(2)
    await device.send(vehicle, fix(ahead, *HOME))
    await _stored(tenant, 1)
    await tenant.take_off(vehicle.tracker_id)
    await until(lambda: len(tenant.rows("SELECT FROM visits WHERE left_at IS NOT NULL")) == 1)
    left = (ahead + timedelta(microseconds=1), "reassigned")
    assert tenant.rows("SELECT left_at, exit_cause FROM visits") == [left]


async def test_a_zone_for_some_assets_is_none_for_the_others(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    tagged, named = await tenant.vehicle(tags=["crane"]), await tenant.vehicle()
    other = await tenant.vehicle(tags=["truck"])
    choice = {"ids": [str(named.asset_id)], "tags": ["crane", "van"]}
    await tenant.zone(square(*HOME), assets=choice)
    for vehicle in (tagged, named, other):
        await device.send(vehicle, fix(soon(-5), *HOME))
    await _stored(tenant, 3)
    found = {asset for (asset,) in tenant.rows("SELECT asset_id FROM visits")}
    assert found == {tagged.asset_id, named.asset_id}


async def test_a_tag_that_an_asset_gets_or_loses_opens_and_ends_visits_without_a_fix(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME), assets={"ids": [], "tags": ["crane"]})
    await device.send(vehicle, fix(soon(-5), *HOME))
    await _stored(tenant, 1)
    begin = await tenant.tag(vehicle.asset_id, "crane", "big")
    await until(lambda: len(tenant.rows("SELECT FROM visits")) == 1)
    end = await tenant.tag(vehicle.asset_id, "big")
    await until(lambda: len(tenant.rows("SELECT FROM visits WHERE left_at IS NOT NULL")) == 1)
    query = "SELECT entered_at, left_at, entry_cause, exit_cause FROM visits"
    assert tenant.rows(query) == [(begin, end, "zone_changed", "zone_changed")]
    assert tenant.rows("SELECT FROM events") == []


async def test_a_fix_is_judged_by_the_tags_of_its_own_time(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle(tags=["crane"])
    await tenant.zone(square(*HOME), assets={"ids": [], "tags": ["crane"]})
    at = await tenant.tag(vehicle.asset_id)
    before = at - timedelta(seconds=10)
    await device.send(vehicle, fix(before, *HOME), fix(at + timedelta(seconds=1), *HOME))
    await _stored(tenant, 2)
    query = "SELECT entered_at, left_at, exit_cause FROM visits"
    assert tenant.rows(query) == [(before, at, "zone_changed")]


async def test_an_asset_that_was_new_while_ingest_ran_is_judged_once_it_has_a_tracker(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    first = await tenant.vehicle()
    await device.send(first, fix(soon(-9), *AWAY))
    await _stored(tenant, 1)  # ingest knows all that there is
    tagged, named = await tenant.asset(name="Crane 7", tags=["crane"]), await tenant.asset()
    other = await tenant.asset(tags=["truck"])
    choice = {"ids": [str(named)], "tags": ["crane"]}
    zone_id = await tenant.zone(square(*HOME), assets=choice)
    await device.send(first, fix(soon(-8), *AWAY))
    await _stored(tenant, 2)  # and the zone, whose assets have no tracker yet
    for asset_id in (tagged, named, other):
        vehicle = await tenant.tracker(asset_id, soon(-7))
        await device.send(vehicle, fix(soon(-5), *HOME))
    await _stored(tenant, 5)
    await until(lambda: len(tenant.rows("SELECT FROM events")) == 2)
    visits = tenant.rows("SELECT asset_id, zone_id FROM visits")
    assert sorted(visits) == sorted([(tagged, zone_id), (named, zone_id)])
    names = tenant.rows("SELECT data ->> 'asset_name' FROM events")
    assert sorted(names) == [("Crane 7",), ("Truck",)]
