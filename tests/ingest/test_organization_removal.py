"""An organization is deleted while ingest runs: the others notice nothing."""

import asyncio

import psycopg
import pytest

from stack.cli.organizations.delete import delete
from tests.ingest.conftest import Device, fix
from tests.ingest.tenants import Tenant, Vehicle, soon, square
from tests.servers import DatabaseUnderTest
from tests.stack.cli.organizations.test_org_delete import rows_of
from tests.waiting import until

HOME, AWAY = (13.4, 52.5), (13.4, 52.5013)  # 145 m apart


async def _inside(tenant: Tenant, device: Device) -> Vehicle:
    """Return a vehicle in a zone, as ingest remembers it, and a deadline that is still to come."""
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME), rules={"dwell_seconds": 3600})
    await device.send(vehicle, fix(soon(-60), *HOME))
    await until(lambda: len(tenant.rows("SELECT FROM visits WHERE left_at IS NULL")) == 1)
    return vehicle


async def _sent(device: Device, vehicle: Vehicle, done: asyncio.Event) -> int:
    """Send fixes of a vehicle until it is done; returns how many."""
    count = 0
    while not done.is_set():
        await device.send(vehicle, fix(soon(0), *HOME))
        count += 1
        await asyncio.sleep(0.02)
    return count


@pytest.mark.usefixtures("ingest")
async def test_others_lose_nothing_and_fixes_of_the_deleted_are_of_unknown_trackers(
    database: DatabaseUnderTest, device: Device
) -> None:
    gone, stays = [await Tenant.create(database, name) for name in ("Gone", "Stays")]
    lost, kept = await _inside(gone, device), await _inside(stays, device)
    done = asyncio.Event()
    sending = asyncio.create_task(_sent(device, kept, done))
    sending_on = asyncio.create_task(_sent(device, lost, done))
    await delete(database.url("opsc_owner"), gone.org_id, lambda _: None)
    done.set()
    await sending_on
    sent = 1 + await sending

    await device.send(kept, fix(soon(2), *AWAY), fix(soon(3), *AWAY))
    await until(lambda: len(stays.rows("SELECT FROM gps_events")) == sent + 2)
    assert stays.rows("SELECT exit_cause FROM visits") == [("moved",)]
    await device.send(lost, fix(soon(0.1), *AWAY))
    await until(lambda: _reasons(database, lost)[-1:] == ["unknown_tracker"])
    assert set(_reasons(database, lost)) == {"unknown_tracker"}
    assert rows_of(database, gone.org_id) == {}


def _reasons(database: DatabaseUnderTest, vehicle: Vehicle) -> list[str]:
    """Return why messages of a tracker are in quarantine, all of them of no organization."""
    with psycopg.connect(database.url("admin")) as conn:
        rows = conn.execute(
            "SELECT reason FROM quarantine WHERE topic = %s AND org_id IS NULL",
            (f"trackers/{vehicle.name}/fixes",),
        ).fetchall()
    return [reason for (reason,) in rows]
