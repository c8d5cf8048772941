"""Late fixes of assets whose past is not kept any more, and fixes that are too old to be kept."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from db.core.connect import Connection, connect
from db.core.registry_revision import bump
from db.history import retention
from ingest.runtime import IngestRuntime
from tests.archive.fleet import seen
from tests.archive.passes import AFTER_DAYS, archive, folder_store
from tests.db import rows
from tests.ingest.conftest import Device, fix
from tests.ingest.tenants import Tenant, Vehicle, soon, square
from tests.servers import DatabaseUnderTest
from tests.waiting import until

PLACE, AWAY = (13.4, 52.5), (13.4, 52.5013)
BEGAN = soon(-20 * 3600)


def _at(hour: float) -> datetime:
    return BEGAN + timedelta(hours=hour)


@pytest_asyncio.fixture
async def deliver(database: DatabaseUnderTest) -> AsyncIterator[Connection]:
    """A connection of the role that removes old data."""
    async with await connect(database.url("opsc_deliver"), "test") as conn:
        yield conn


async def _send(
    device: Device, tenant: Tenant, vehicle: Vehicle, *fixes: dict[str, object]
) -> None:
    """Send fixes one after the other, each stored."""
    count = len(tenant.rows("SELECT FROM gps_events"))
    for number, one in enumerate(fixes, count + 1):
        await device.send(vehicle, one)
        await until(lambda number=number: len(tenant.rows("SELECT FROM gps_events")) == number)


async def test_a_late_fix_whose_past_is_gone_changes_no_visit(
    tenant: Tenant, device: Device, ingest: IngestRuntime, deliver: Connection
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*PLACE))
    # in the zone from the first hour to the second, and from the ninth on
    places = [AWAY, PLACE, *[AWAY] * 7, *[PLACE] * 6]
    await _send(
        device,
        tenant,
        vehicle,
        *(fix(_at(hour), *place, accuracy_m=5) for hour, place in enumerate(places)),
    )
    visits = "SELECT * FROM visits ORDER BY entered_at"
    before, events = tenant.rows(visits), tenant.rows("SELECT type FROM events")
    assert [row[0] for row in tenant.rows("SELECT retracted FROM visits")] == [False, False]
    old = retention.Chunk(_at(-1), _at(9.5))
    assert await retention.remove_positions(deliver, tenant.org_id, old, 1000) == 10
    await retention.remove_checkpoints(deliver, 1000)
    # between the cut and the first checkpoint behind it: what went before is not known
    count = len(tenant.rows("SELECT FROM gps_events"))
    await device.send(vehicle, fix(_at(9.75), *PLACE, accuracy_m=5))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == count + 1)
    assert tenant.rows(visits) == before
    assert tenant.rows("SELECT type FROM events") == events
    await until(lambda: b"opsc_ingest_fixes_unjudged_total 1.0" in ingest.metrics.page())


async def test_a_late_fix_behind_a_checkpoint_that_is_kept_is_judged(
    tenant: Tenant, device: Device, ingest: object, deliver: Connection
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*PLACE))
    fixes = [fix(_at(hour), *AWAY, accuracy_m=5) for hour in range(12)]
    await _send(device, tenant, vehicle, *fixes)
    old = retention.Chunk(_at(-1), _at(5.5))
    await retention.remove_positions(deliver, tenant.org_id, old, 1000)
    await retention.remove_checkpoints(deliver, 1000)
    await device.send(vehicle, fix(_at(8.5), *PLACE, accuracy_m=5))
    await until(lambda: len(tenant.rows("SELECT FROM visits")) == 1)


@pytest.mark.parametrize("days", [1, 3])
async def test_a_fix_older_than_its_organization_keeps_them_is_ancient(
    database: DatabaseUnderTest, tenant: Tenant, device: Device, ingest: object, days: int
) -> None:
    """It would be removed within the hour."""
    other = await Tenant.create(database)
    vehicle, theirs = await tenant.vehicle(), await other.vehicle()
    async with rows.transaction(database, "opsc_owner", tenant.org_id) as conn:
        await bump(conn)
        await retention.change(conn, {"positions": days})
    old, young = soon(-2 * 86_400), soon(-3600)
    await device.send(theirs, fix(old, *PLACE), fix(young, *PLACE))
    await device.send(vehicle, fix(old, *PLACE), fix(young, *PLACE))
    await until(lambda: len(other.rows("SELECT FROM gps_events")) == 2)
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == (1 if days == 1 else 2))
    reasons = tenant.rows("SELECT reason, positions FROM quarantine")
    assert reasons == ([("ancient", [0])] if days == 1 else [])
    assert other.rows("SELECT FROM quarantine") == []


async def test_an_assignment_that_reaches_back_over_removed_fixes_begins_anew_behind_them(
    tenant: Tenant, device: Device, ingest: IngestRuntime, deliver: Connection
) -> None:
    """A visit from before goes on as another one."""
    vehicle = await tenant.vehicle(assigned_from=_at(-1))
    await tenant.zone(square(*PLACE))
    places = [AWAY, *[PLACE] * 11]
    own = [fix(_at(hour), *place, accuracy_m=5) for hour, place in enumerate(places)]
    await _send(device, tenant, vehicle, fix(_at(-2), *AWAY), *own)
    old = retention.Chunk(_at(-1), _at(5.5))
    assert await retention.remove_positions(deliver, tenant.org_id, old, 1000) == 6
    await retention.remove_checkpoints(deliver, 1000)
    await tenant.assign(vehicle.tracker_id, vehicle.asset_id, since=_at(-3))
    await until(lambda: tenant.rows("SELECT FROM asset_backlogs") == [])
    kept = "SELECT entered_at, left_at FROM visits WHERE NOT retracted"
    assert tenant.rows(kept) == [(_at(6), None)]
    await _send(device, tenant, vehicle, *(fix(_at(hour), *AWAY) for hour in (12, 13)))
    await until(lambda: tenant.rows(kept) == [(_at(6), _at(12))])
    assert ingest.trouble() is None


async def test_what_comes_for_an_archived_day_is_stored_and_tells_nothing(
    database: DatabaseUnderTest,
    tenant: Tenant,
    device: Device,
    ingest: IngestRuntime,
    tmp_path: Path,
) -> None:
    """A late fix, and one that comes again. The vehicle goes on as if nothing had been moved."""
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*PLACE))
    place_of_hour = [AWAY, PLACE, *[AWAY] * 10]
    own = [fix(_at(hour), *place, accuracy_m=5) for hour, place in enumerate(place_of_hour)]
    await _send(device, tenant, vehicle, *own)
    told = "SELECT type FROM events ORDER BY position"
    events, visits = tenant.rows(told), tenant.rows("SELECT id, left_at FROM visits")
    assert len(visits) == 1
    store = folder_store(tmp_path)
    now = _at(0) + timedelta(days=AFTER_DAYS + 2)
    assert (await archive(database, store, now=now)).fixes >= 1
    left = len(tenant.rows("SELECT FROM gps_events"))
    assert left < len(own)
    await device.send(vehicle, fix(_at(0.5), *PLACE, accuracy_m=5))
    await device.send(vehicle, own[0])
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == left + 2)
    assert tenant.rows(told) == events
    assert tenant.rows("SELECT id, left_at FROM visits") == visits
    assert (await seen(database, tenant, store))[1] == len(own) + 1
    await device.send(vehicle, fix(_at(12), *PLACE, accuracy_m=5))
    await until(lambda: len(tenant.rows("SELECT FROM visits")) == 2)
    assert ingest.trouble() is None
