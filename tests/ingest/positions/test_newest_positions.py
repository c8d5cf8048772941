"""The newest position of each asset: the rows of the live map are what the fixes say."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import pytest

from db.core import leases
from db.core.connect import Limits, connect
from db.core.errors import DatabaseError, QueryCanceled, TransactionTimeout
from ingest.metrics import IngestMetrics
from ingest.planning.positions import POSITION_DTYPE, PlanPositions
from ingest.positions.newest import NewestPositions
from ingest.positions.writer import MOST_DERIVED, PositionWriter
from ingest.recovery import recover
from ingest.runtime import IngestRuntime
from ingest.transaction import LeaderTerm
from tests.ingest.conftest import Device, fix
from tests.ingest.seam import DeviceMessage, settle, term_of
from tests.ingest.tenants import Tenant, Vehicle, soon
from tests.ingest.walking import Walk, lease_of, microseconds, take
from tests.servers import DatabaseUnderTest, PostgresUnderTest
from tests.waiting import until

KEPT = """
SELECT asset_id, tracker_id, time, seq, lat, lon, speed_mps, course_deg, accuracy_m
  FROM latest_positions WHERE time IS NOT NULL
"""
# All fixes of an asset, whatever their age, and the newest one of them.
IN_FIXES = """
SELECT DISTINCT ON (asset_id) asset_id, tracker_id, time, seq, lat, lon, speed_mps, course_deg,
       accuracy_m
  FROM gps_events JOIN tracker_assignments USING (org_id, tracker_id)
 WHERE asset_id IS NOT NULL AND time >= assigned_from
   AND time < coalesce(assigned_to, 'infinity') AND flags & 1 = 0
 ORDER BY asset_id, time DESC, seq DESC
"""
EAST, NORTH = 13.4, 52.5


@pytest.fixture
async def term(database: DatabaseUnderTest) -> AsyncIterator[LeaderTerm]:
    async with term_of(database) as leading:
        yield leading


def kept(tenant: Tenant) -> dict[UUID, tuple[Any, ...]]:
    return {row[0]: row[1:] for row in tenant.rows(KEPT)}


def in_fixes(tenant: Tenant) -> dict[UUID, tuple[Any, ...]]:
    return {row[0]: row[1:] for row in tenant.rows(IN_FIXES)}


def writer_of(term: LeaderTerm, epoch: int | None = None) -> PositionWriter:
    epoch = term.epoch if epoch is None else epoch
    return PositionWriter(epoch, term.positions, term.memory.registry, term.metrics)


async def write_all(term: LeaderTerm, now: datetime | None = None) -> None:
    writer = writer_of(term)
    while term.positions:
        await writer.write_some(term.conn, now or soon(0))


async def store(term: LeaderTerm, vehicle: Vehicle, *fixes: dict[str, Any]) -> None:
    """Store fixes as one batch."""
    payload = json.dumps(list(fixes)).encode()
    await settle(term, [DeviceMessage(None, f"trackers/{vehicle.name}/fixes", payload)])


@pytest.mark.parametrize("seed", [1, 6])
async def test_after_each_batch_and_each_restart_positions_are_those_of_the_fixes(
    postgres: PostgresUnderTest, seed: int
) -> None:
    database, trouble = postgres.migrated_database(), Random(seed)
    walk = await Walk.begin(database, seed)
    outdated = 0
    async with lease_of(database) as (conn, epoch):
        memory = await recover(conn)
        term = LeaderTerm(conn, epoch, memory, IngestMetrics(), lambda: microseconds(walk.now))
        for number in range(60):
            await take(term, await walk.step(), walk.now)
            if trouble.random() < 0.1:  # what waits is lost
                memory = await recover(conn)
                term = LeaderTerm(conn, epoch, memory, term.metrics, term.now_us)
                term.positions.outdate(range(len(memory.registry.assets)))
            else:
                outdated += len(term.positions._outdated)  # pyright: ignore[reportPrivateUsage]
            await write_all(term, walk.now)
            assert kept(walk.tenant) == in_fixes(walk.tenant), number
    assert outdated > 3
    flags = walk.tenant.rows("SELECT count(*) FROM gps_events WHERE flags & 1 = 1")
    assert flags[0][0] > 3
    postgres.drop(database)


@pytest.mark.parametrize(
    ("asset", "time_us", "seq", "is_derived"),
    [
        (0, 10, 5, True),  # the position itself
        (0, 10, 4, False),
        (0, 9, 9, False),
        (0, 10, 6, True),  # newer than the position: it may be good now
        (0, 11, 0, True),
        (1, 1, 0, True),  # no position is remembered
    ],
)
def test_a_flag_that_changes_matters_unless_a_newer_fix_is_good(
    asset: int, time_us: int, seq: int, is_derived: bool
) -> None:
    told, marked = np.zeros(1, POSITION_DTYPE), np.zeros(1, POSITION_DTYPE)
    told["time_us"], told["seq"] = 10, 5
    marked["asset"], marked["time_us"], marked["seq"] = asset, time_us, seq
    positions = NewestPositions()
    positions.add(PlanPositions(told, marked[:0]))
    positions.add(PlanPositions(told[:0], marked))
    assert positions.pop_outdated(9) == [asset] * is_derived
    assert len(positions.pop_waiting(9)) == (asset == 1 or not is_derived)


async def test_values_that_a_fix_does_not_have_are_not_known(
    database: DatabaseUnderTest, term: LeaderTerm
) -> None:
    tenant = await Tenant.create(database)
    bare, full = await tenant.vehicle(), await tenant.vehicle()
    at = soon(-5)
    await store(term, bare, fix(at, EAST, NORTH))
    more = {"seq": 7, "speed_mps": 2.5, "course_deg": 90.25, "accuracy_m": 3.1}
    await store(term, full, fix(at, EAST, -NORTH, **more))
    await write_all(term)
    assert kept(tenant) == {
        bare.asset_id: (bare.tracker_id, at, 0, NORTH, EAST, None, None, None),
        full.asset_id: (full.tracker_id, at, 7, -NORTH, EAST, 2.5, 90.25, 3.1),
    }


async def test_a_late_fix_is_no_newer_position_also_where_the_newest_is_not_remembered(
    database: DatabaseUnderTest, term: LeaderTerm
) -> None:
    tenant = await Tenant.create(database)
    vehicle = await tenant.vehicle()
    at = soon(-10)
    await store(term, vehicle, fix(at, EAST, NORTH))
    await write_all(term)
    for positions in (term.positions, NewestPositions()):
        later = LeaderTerm(
            term.conn, term.epoch, term.memory, term.metrics, term.now_us, positions=positions
        )
        at -= timedelta(seconds=1)
        await store(later, vehicle, fix(at, EAST, NORTH + 0.001))
        await write_all(later)
        assert kept(tenant)[vehicle.asset_id][3] == NORTH
    assert kept(tenant) == in_fixes(tenant)


async def test_a_tracker_brings_its_fixes_to_its_asset_and_leaves_them_there(
    database: DatabaseUnderTest, term: LeaderTerm
) -> None:
    tenant = await Tenant.create(database)
    vehicle, other = await tenant.vehicle(), await tenant.asset()
    await store(term, vehicle, fix(soon(-30), EAST, NORTH), fix(soon(-10), EAST, NORTH + 0.001))
    await write_all(term)
    await tenant.take_off(vehicle.tracker_id, soon(-20))  # the newest one is of nobody now
    await tenant.put_on(vehicle.tracker_id, other, soon(-15))
    await settle(term, [])
    await write_all(term)
    assert {asset: row[3] for asset, row in kept(tenant).items()} == {
        vehicle.asset_id: NORTH,
        other: NORTH + 0.001,
    }


async def test_what_cannot_be_written_waits(database: DatabaseUnderTest, term: LeaderTerm) -> None:
    tenant = await Tenant.create(database)
    vehicle, lost = await tenant.vehicle(), await tenant.vehicle()
    for each in (vehicle, lost):
        await store(term, each, fix(soon(-5), EAST, NORTH))
    await write_all(term)
    before = kept(tenant)
    await store(term, vehicle, fix(soon(-1), EAST, NORTH + 0.0001))
    term.positions.outdate([term.memory.registry.assets.number(lost.asset_id)])
    async with await connect(database.url("opsc_ingest"), "test") as broken:
        await broken.execute("SET default_transaction_read_only = on")
        with pytest.raises(DatabaseError):
            await writer_of(term).write_some(broken, soon(0))
    assert kept(tenant) == before != in_fixes(tenant)
    await write_all(term)
    assert kept(tenant) == in_fixes(tenant)


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        (Limits(statement_s=0.3), QueryCanceled),
        (Limits(statement_s=0.3, transaction_s=0.3), TransactionTimeout),
    ],
)
async def test_positions_that_take_too_long_to_derive_do_not_keep_back_ready_ones(
    database: DatabaseUnderTest, term: LeaderTerm, limits: Limits, error: type[DatabaseError]
) -> None:
    tenant = await Tenant.create(database)
    ready, slow = await tenant.vehicle(), await tenant.vehicle()
    for each in (ready, slow):
        await store(term, each, fix(soon(-5), EAST, NORTH))
    await write_all(term)
    await store(term, ready, fix(soon(-1), EAST, NORTH + 0.0001))
    term.positions.outdate([term.memory.registry.assets.number(slow.asset_id)])
    writer = writer_of(term)
    with psycopg.connect(database.url("admin")) as admin:
        admin.execute("LOCK TABLE gps_events")  # reading takes long
        async with await connect(database.url("opsc_ingest"), "test", limits) as conn:
            with pytest.raises(error):
                await writer.write_some(conn, soon(0))
    assert kept(tenant)[ready.asset_id][3] == NORTH + 0.0001
    assert term.positions.pop_waiting(9).size == 0
    assert writer.most_derived == MOST_DERIVED // 4
    await writer.write_some(term.conn, soon(0))
    assert not term.positions
    assert MOST_DERIVED // 4 < writer.most_derived < MOST_DERIVED


async def test_a_former_leader_writes_nothing(
    database: DatabaseUnderTest, term: LeaderTerm
) -> None:
    tenant = await Tenant.create(database)
    vehicle = await tenant.vehicle()
    await store(term, vehicle, fix(soon(-5), EAST, NORTH))
    with pytest.raises(leases.LeaseLost):
        await writer_of(term, term.epoch - 1).write_some(term.conn, soon(0))
    assert kept(tenant) == {}


async def test_positions_follow_their_fixes_and_a_new_term_makes_up_for_what_is_lost(
    ingest: IngestRuntime, device: Device, tenant: Tenant
) -> None:
    vehicle = await tenant.vehicle()
    await device.send(vehicle, fix(soon(-1), EAST, NORTH))
    await until(lambda: vehicle.asset_id in kept(tenant))
    assert kept(tenant) == in_fixes(tenant)
    with psycopg.connect(tenant.database.url("admin"), autocommit=True) as conn:
        conn.execute("DELETE FROM latest_positions")
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await until(lambda: kept(tenant) == in_fixes(tenant))
