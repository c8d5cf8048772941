"""Late fixes that come together with what falls due without a fix."""

import asyncio
import secrets
from datetime import timedelta

from ingest.planning.plan import UNDER_WAY_US
from tests.ingest.conftest import Device, fix, running, runtime
from tests.ingest.tenants import Tenant, soon, square
from tests.servers import BrokerUnderTest, DatabaseUnderTest
from tests.waiting import until

PLACE, AWAY = (13.4, 52.5), (13.4, 52.5013)


async def test_a_zone_is_deleted_while_a_late_fix_of_before_comes(
    tenant: Tenant, device: Device, database: DatabaseUnderTest, broker: BrokerUnderTest
) -> None:
    """The fix bears on an hour long ago, the deletion on now: one batch has both."""
    client_id, began = f"ingest-{secrets.token_hex(4)}", soon(-3 * 3600)
    vehicle, zone_id = await tenant.vehicle(), await tenant.zone(square(*PLACE))
    places = [(0, AWAY), (1, PLACE)]
    ingests = [runtime(database.url("opsc_ingest"), broker.url, client_id) for _ in range(2)]
    async with running(ingests[0]):
        fixes = [
            fix(began + timedelta(seconds=after), *place, accuracy_m=5) for after, place in places
        ]
        await device.send(vehicle, *fixes)
        await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 2)
        await device.send(vehicle, fix(began + timedelta(hours=2), *PLACE, accuracy_m=5))
        await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 3)
    await device.send(vehicle, fix(began + timedelta(hours=1), *PLACE, accuracy_m=5))
    at = await tenant.change_zone(zone_id, None)
    await asyncio.sleep(UNDER_WAY_US / 1e6)
    async with running(ingests[1]):
        await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 4)
        await until(lambda: tenant.rows("SELECT left_at FROM visits") == [(at,)])


async def test_a_deadline_to_come_does_not_make_a_late_fix_judge_all_that_follows(
    tenant: Tenant, device: Device, ingest: object, database: DatabaseUnderTest
) -> None:
    """An asset that is to dwell, or to fall silent, has a checkpoint like any other. Behind it the
    stored fix is made another one, which only who judges it sees.
    """
    vehicle = await tenant.vehicle()
    rules = {"dwell_seconds": 30 * 86_400, "exit_confirm_fixes": 1}
    await tenant.zone(square(*PLACE), rules=rules)
    began, stored = soon(-9 * 3600), "SELECT count(*) FROM gps_events"
    for count, hour in enumerate((0, 2, 4, 6, 8, 5), 1):
        if hour == 5:
            away = "UPDATE gps_events SET lon = %s, lat = %s WHERE tracker_id = %s AND time = %s"
            last = (vehicle.tracker_id, began + timedelta(hours=8))
            database.run("admin", away, (*AWAY, *last))
        await device.send(vehicle, fix(began + timedelta(hours=hour), *PLACE))
        await until(lambda count=count: tenant.rows(stored) == [(count,)])
    assert tenant.rows("SELECT left_at FROM visits") == [(None,)]
