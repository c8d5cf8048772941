"""Fixes and states that are stored by one statement, as long as nothing has changed."""

import asyncio
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import psycopg
import pytest

from db.core import registry_revision
from db.core.connect import Connection
from db.core.ids import new_id
from db.core.leases import LeaseLost
from db.history.gps_events import Owners, copy_new, copy_stream
from db.ingest import asset_states, plain_batches
from db.ingest.asset_states import AssetKey, AssetState
from telemetry.fix import OPTIONAL_COLUMNS, FixBatch, Flag, Known, blank_rows
from tests.db.rows import transaction
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest
from tests.waiting import until

LEASE = "ingest"
TIME_US = 1_700_000_000_123_456


class Led(NamedTuple):
    """A tenant with a tracker, and the lease as it is."""

    tenant: Tenant
    tracker_id: UUID
    epoch: int
    revision: int

    @property
    def as_leader(self) -> tuple[str, int, int]:
        return LEASE, self.epoch, self.revision

    def owners(self, batch: FixBatch) -> Owners:
        n = len(batch)
        org_id, tracker_id = self.tenant.org_id.bytes, self.tracker_id.bytes
        return Owners(
            np.full(n, np.void(org_id)), np.full(n, np.void(tracker_id)), np.full(n, TIME_US + 5)
        )

    async def store(
        self,
        conn: Connection,
        batch: FixBatch,
        states: tuple[AssetState, ...] = (),
        forgotten: tuple[AssetKey, ...] = (),
    ) -> int:
        return await plain_batches.store(
            conn, self.as_leader, batch, self.owners(batch), states, forgotten
        )


@pytest.fixture
async def led(database: DatabaseUnderTest) -> Led:
    tenant = await Tenant.create(database)
    tracker_id = await tenant.loose_tracker()
    with psycopg.connect(database.url("admin")) as conn:
        found = conn.execute(
            "SELECT epoch, revision FROM leases, zones_revision WHERE name = %s", (LEASE,)
        )
        epoch, revision = found.fetchall()[0]
    return Led(tenant, tracker_id, epoch, revision)


def some_fixes(count: int, first_seq: int = 0) -> FixBatch:
    """Return fixes that each know other columns, some with attributes."""
    rows = blank_rows(count)
    rows["time_us"], rows["seq"] = TIME_US, np.arange(first_seq, first_seq + count)
    rows["lat"], rows["lon"] = np.linspace(-90, 90, count), np.linspace(-180, 180, count)
    for place, name in enumerate(OPTIONAL_COLUMNS):
        rows[name] = np.arange(count) % (place + 2)
    rows["known"] = np.arange(count) % (2 * int(Known.IGNITION))
    rows["flags"] = np.where(np.arange(count) % 3, 0, int(Flag.SUSPECT))
    return FixBatch(
        rows, {row: b'{"place": "\xc3\xa9, \\"%d\\"", "b": null}' % row for row in (1, 5)}
    )


def fixes_of(led: Led) -> list[tuple[Any, ...]]:
    return led.tenant.rows(
        "SELECT org_id, seq, time, received_at, lat, lon, altitude_m, speed_mps, course_deg,"
        " accuracy_m, battery_pct, satellites, ignition, flags, attributes::text FROM gps_events"
        f" WHERE tracker_id = '{led.tracker_id}' ORDER BY seq"
    )


async def until_it_waits(conn: Connection, database: DatabaseUnderTest) -> None:
    """Wait until a statement of a connection waits for a lock."""
    with psycopg.connect(database.url("admin"), autocommit=True) as admin:
        asked = "SELECT FROM pg_locks WHERE NOT granted AND pid = %s"
        pid = (conn.info.backend_pid,)
        await until(lambda: admin.execute(asked, pid).fetchone() is not None)


async def test_the_rows_are_those_of_copy(led: Led, database: DatabaseUnderTest) -> None:
    batch = some_fixes(200)
    async with transaction(database, "opsc_ingest") as conn:
        await copy_new(conn, copy_stream(batch, led.owners(batch)))
    copied = fixes_of(led)
    other = led._replace(tracker_id=await led.tenant.loose_tracker())
    async with database.connection("opsc_ingest") as conn:
        revision = await registry_revision.read(conn)
        assert await other._replace(revision=revision).store(conn, batch) == revision
    assert len(copied) == 200
    assert fixes_of(other) == copied


async def test_states_are_written_and_forgotten_with_the_fixes(
    led: Led, database: DatabaseUnderTest
) -> None:
    org_id = led.tenant.org_id
    kept, changed, gone = (AssetState(org_id, new_id(), state) for state in (b"1", b"2", b"3"))
    again = changed._replace(state=b"\0new")
    async with database.connection("opsc_ingest") as conn:
        await asset_states.store(conn, [changed, gone])
        await led.store(conn, some_fixes(1), (kept, again), (AssetKey(*gone[:2]),))
        stored = {state for state in await asset_states.all(conn) if state.org_id == org_id}
    assert stored == {kept, again}


async def test_nothing_is_written_under_another_revision(
    led: Led, database: DatabaseUnderTest
) -> None:
    state = AssetState(led.tenant.org_id, new_id(), b"state")
    async with database.connection("opsc_ingest") as conn:
        outdated = led._replace(revision=led.revision - 1)
        assert await outdated.store(conn, some_fixes(6), (state,)) == led.revision
        assert state not in await asset_states.all(conn)
    assert not fixes_of(led)


async def test_a_change_under_way_is_waited_for_and_seen(
    led: Led, database: DatabaseUnderTest
) -> None:
    async with (
        database.connection("opsc_ingest") as conn,
        database.connection("opsc_app") as other,
    ):
        async with other.transaction():
            revision, _ = await registry_revision.bump(other)
            storing = asyncio.create_task(led.store(conn, some_fixes(6)))
            await until_it_waits(conn, database)
        assert await storing == revision
    assert not fixes_of(led)


async def test_a_leader_of_before_writes_nothing(led: Led, database: DatabaseUnderTest) -> None:
    async with database.connection("opsc_ingest") as conn:
        with pytest.raises(LeaseLost):
            await led._replace(epoch=led.epoch - 1).store(conn, some_fixes(6))
    assert not fixes_of(led)


async def test_of_a_batch_with_a_stored_fix_nothing_is_written(
    led: Led, database: DatabaseUnderTest
) -> None:
    state = AssetState(led.tenant.org_id, new_id(), b"state")
    async with database.connection("opsc_ingest") as conn:
        await led.store(conn, some_fixes(6))
        with pytest.raises(psycopg.errors.UniqueViolation):
            await led.store(conn, some_fixes(6, first_seq=5), (state,))
        assert state not in await asset_states.all(conn)
    assert len(fixes_of(led)) == 6
