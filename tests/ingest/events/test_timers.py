"""What happens to assets without a fix: zones drawn around them, deadlines, hours that begin."""

import asyncio
import secrets
from datetime import datetime, timedelta
from typing import Any

import pytest

from telemetry.ids import format_id
from tests.ingest.conftest import Device, fix, running, runtime
from tests.ingest.tenants import Tenant, Vehicle, soon, square
from tests.servers import BrokerUnderTest, DatabaseUnderTest
from tests.waiting import until

HOME = (13.4, 52.5)
AWAY = (13.4, 52.6)


async def _park(
    tenant: Tenant, device: Device, at: datetime, place: tuple[float, float]
) -> Vehicle:
    """Return a vehicle with one stored fix."""
    vehicle = await tenant.vehicle()
    await device.send(vehicle, fix(at, *place))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 1)
    return vehicle


def _told(tenant: Tenant) -> list[dict[str, Any]]:
    return [data for (data,) in tenant.rows("SELECT data FROM events ORDER BY position")]


async def test_a_zone_drawn_around_a_parked_vehicle_opens_a_visit_without_a_fix_and_alerts_nobody(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    await _park(tenant, device, soon(-5), HOME)
    zone_id = await tenant.zone(square(*HOME), valid_from=None)
    await until(lambda: len(tenant.rows("SELECT FROM visits")) == 1)
    ((valid_from,),) = tenant.rows("SELECT valid_from FROM zone_versions")
    assert tenant.rows("SELECT zone_id, entered_at, entry_cause, left_at FROM visits") == [
        (zone_id, valid_from, "zone_changed", None)
    ]
    assert _told(tenant) == []


async def test_a_zone_that_is_deleted_ends_its_visits_without_a_fix_and_alerts_nobody(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    zone_id = await tenant.zone(square(*HOME))
    await _park(tenant, device, soon(-5), HOME)
    at = await tenant.change_zone(zone_id, None)
    await until(lambda: tenant.rows("SELECT left_at FROM visits") == [(at,)])
    assert tenant.rows("SELECT exit_cause, exit_inferred FROM visits") == [("zone_changed", None)]
    assert [told["transition"] for told in _told(tenant)] == ["enter"]


async def test_a_stay_is_told_once_when_it_has_lasted_long_enough(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    at = soon(-5)
    await tenant.zone(square(*HOME), kind="yard", rules={"dwell_seconds": 6})
    vehicle = await _park(tenant, device, at, HOME)
    await until(lambda: len(_told(tenant)) == 1)
    due = at + timedelta(seconds=6)
    assert tenant.rows("SELECT type, occurred_at FROM events") == [("asset.geofence_dwell", due)]
    assert tenant.rows("SELECT dwelled_at, left_at FROM visits") == [(due, None)]
    (told,) = _told(tenant)
    shown = ("transition", "inferred", "dwell_s", "lon", "tracker_id", "initial")
    tracker = format_id("trk", vehicle.tracker_id)
    assert [told[name] for name in shown] == ["dwell", "timer", 6.0, HOME[0], tracker, False]


async def test_a_stay_of_which_nothing_is_heard_ends_after_the_silence(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    at = soon(-5)
    await tenant.zone(square(*HOME), rules={"close_after_silence_seconds": 6})
    await _park(tenant, device, at, HOME)
    left = [(at + timedelta(seconds=6), "silence", "timer")]
    query = "SELECT left_at, exit_cause, exit_inferred FROM visits"
    await until(lambda: tenant.rows(query) == left)
    assert [told["transition"] for told in _told(tenant)] == ["enter"]


def _hours_from(at: datetime) -> dict[str, Any]:
    """Return hours of ten minutes from a whole minute on, every day."""
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    end = at + timedelta(minutes=10)
    window = {"days": days, "from": f"{at:%H:%M}", "to": f"{end:%H:%M}"}
    return {"timezone": "UTC", "windows": [window]}


@pytest.mark.parametrize(
    ("kind", "place", "transition"), [("restricted", HOME, "enter"), ("allowed", AWAY, "exit")]
)
async def test_hours_that_begin_tell_once_of_an_asset_in_the_wrong_place_also_over_a_restart(
    tenant: Tenant,
    device: Device,
    database: DatabaseUnderTest,
    broker: BrokerUnderTest,
    kind: str,
    place: tuple[float, float],
    transition: str,
) -> None:
    starts_at = soon(-60).replace(second=0, microsecond=0)
    zone_id = await tenant.zone(square(*HOME), kind=kind, schedule=_hours_from(starts_at))
    url, client_id = database.url("opsc_ingest"), f"ingest-{secrets.token_hex(4)}"
    async with running(runtime(url, broker.url, client_id)):
        vehicle = await _park(tenant, device, starts_at - timedelta(seconds=30), place)
        await until(lambda: len(_told(tenant)) == 1)
    async with running(runtime(url, broker.url, client_id)):
        await device.send(vehicle, fix(soon(-1), *place))
        await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 2)
    async with running(runtime(url, broker.url, client_id)) as leader:
        await asyncio.sleep(1)
        assert b"failures_total{" not in leader.metrics.page()
    (told,) = _told(tenant)
    assert (told["transition"], told["cause"]) == (transition, "schedule_started")
    assert (told["inferred"], told["zone_id"]) == ("timer", format_id("zon", zone_id))
    assert tenant.rows("SELECT occurred_at FROM events") == [(starts_at,)]
    visits = [format_id("vis", visit) for (visit,) in tenant.rows("SELECT id FROM visits")]
    assert [told["visit_id"]] == (visits or [None])


async def test_what_fell_due_while_nobody_was_the_owner_is_told_by_the_next(
    tenant: Tenant, device: Device, database: DatabaseUnderTest, broker: BrokerUnderTest
) -> None:
    url, client_id = database.url("opsc_ingest"), f"ingest-{secrets.token_hex(4)}"
    await tenant.zone(square(*HOME), kind="yard", rules={"dwell_seconds": 6})
    async with running(runtime(url, broker.url, client_id)):
        await _park(tenant, device, soon(-5), HOME)
    zone_id = await tenant.zone(square(*HOME), kind="yard", valid_from=None)
    await asyncio.sleep(2)
    async with running(runtime(url, broker.url, client_id)):
        await until(lambda: len(tenant.rows("SELECT FROM visits")) == 2)
        await until(lambda: len(_told(tenant)) == 1)
    query = "SELECT entry_cause FROM visits WHERE zone_id = '{}'"
    assert tenant.rows(query.format(zone_id)) == [("zone_changed",)]
