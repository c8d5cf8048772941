"""A standby that has read ahead knows, once it is the leader, what a new process would know.

The walk is that of `tests.ingest.walking`: every rule and every change, drawn from a seed.
"""

import asyncio
from contextlib import closing
from random import Random
from typing import Any

import numpy as np
import psycopg
import pytest

from db.core import leases
from db.core.connect import Connection, Limits, connect
from db.ingest.registry import changes_since, unchanging
from ingest import leader
from ingest.metrics import IngestMetrics
from ingest.recovery import recover
from ingest.registry.registry import Registry
from ingest.standby import Standby
from ingest.transaction import LEASE, LeaderTerm
from stack.cli.organizations.delete import delete
from tests.ingest.conftest import running, runtime
from tests.ingest.tenants import Tenant, Vehicle
from tests.ingest.walking import (
    BATCHES,
    BEGIN,
    Walk,
    all_known,
    lease_of,
    microseconds,
    take,
)
from tests.servers import BrokerUnderTest, DatabaseUnderTest, PostgresUnderTest
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("checkpoints_lie_a_minute_apart")


def all_registered(registry: Registry, now_us: int) -> dict[str, Any]:
    """Return what a registry knows of trackers, assets that have one, and zones, by UUIDs."""
    trackers = np.arange(len(registry.trackers))
    hours = np.arange(microseconds(BEGIN), now_us, 60_000_000)
    assigned = {
        registry.trackers[tracker]: registry.assigned(np.full(len(hours), tracker), hours)
        for tracker in trackers.tolist()
    }
    assets = {asset for row in assigned.values() for asset in row.tolist() if asset >= 0}
    return {
        "revision": registry.revision,
        "assigned": {
            tracker: [registry.assets[asset] if asset >= 0 else None for asset in row.tolist()]
            for tracker, row in assigned.items()
        },
        "names": {registry.assets[asset]: registry.asset_name(asset) for asset in assets},
        "revoked": {registry.trackers[n] for n in trackers.tolist() if registry.is_revoked(n)},
        "receipts": {registry.trackers[n] for n in registry.wanting_receipts},
        "ended": sorted(
            (registry.trackers[tracker], *span[:2], registry.assets[span.other])
            for tracker, span in registry.ended_assignments()
        ),
    }


async def _change_trackers(walk: Walk, random: Random) -> None:
    """Revoke a tracker, or let one have receipts, and register others."""
    tracker = random.choice(list(walk.carrier))
    vehicle = Vehicle(tracker, walk.carrier[tracker] or walk.assets[0])
    if random.random() < 0.5:
        await walk.tenant.wants_receipts(vehicle)
    else:
        await walk.tenant.revoke(vehicle)
        if walk.carrier[tracker] is not None:
            await walk.tenant.take_off(tracker, walk.now)
        newcomer = await walk.tenant.loose_tracker()
        del walk.carrier[tracker]
        walk.carrier[newcomer], walk.place[newcomer] = None, walk.place[tracker]


@pytest.mark.parametrize("seed", [3, 4, 5])
async def test_a_standby_knows_after_each_change_what_a_fresh_process_reads(
    postgres: PostgresUnderTest, seed: int
) -> None:
    database, random = postgres.migrated_database(), Random(seed)
    walk, standby = await Walk.begin(database, seed), Standby(LEASE)
    compared = 0
    async with (
        lease_of(database) as (conn, epoch),
        await connect(database.url("opsc_ingest"), "standby") as ahead,
    ):
        term = LeaderTerm(
            conn, epoch, await recover(conn), IngestMetrics(), lambda: microseconds(walk.now)
        )
        for number in range(BATCHES):
            if random.random() < 0.1:
                await _change_trackers(walk, random)
            if random.random() < 0.3:
                await standby.refresh(ahead)
            await take(term, await walk.step(), walk.now)
            if random.random() < 0.2:
                next_epoch = await leases.acquire(conn, LEASE, "test", 600)
                assert next_epoch is not None
                memory = await recover(conn, standby.registry_of(next_epoch))
                fresh, now_us = await recover(conn), microseconds(walk.now)
                assert all_known(memory) == all_known(fresh), (seed, number)
                assert all_registered(memory.registry, now_us) == all_registered(
                    fresh.registry, now_us
                ), (seed, number)
                term, standby = (
                    LeaderTerm(
                        conn, next_epoch, memory, IngestMetrics(), lambda: microseconds(walk.now)
                    ),
                    Standby(LEASE),
                )
                compared += 1
    assert compared > 10
    postgres.drop(database)


async def test_what_a_standby_knows_of_the_owner_before_the_last_is_not_used(
    database: DatabaseUnderTest,
) -> None:
    """Rows of a tracker are removed without a revision, and the leader is fenced."""
    gone, stays = await Tenant.create(database), await Tenant.create(database)
    lost, kept = await gone.vehicle(), await stays.vehicle()
    async with await connect(database.url("opsc_ingest"), "standby") as conn:
        standby = Standby(LEASE)
        await standby.refresh(conn)
        epoch = await leases.epoch(conn, LEASE)
        assert standby.registry_of(epoch + 1).trackers.find(lost.tracker_id) >= 0
        await delete(database.url("opsc_owner"), gone.org_id, lambda _: None)
        epoch = await leases.epoch(conn, LEASE)
        assert standby.registry_of(epoch + 1).revision == -1
        await standby.refresh(conn)
        known = standby.registry_of(epoch + 1)
    assert known.trackers.find(lost.tracker_id) < 0
    assert known.trackers.find(kept.tracker_id) >= 0


async def test_a_standby_that_reads_keeps_nobody_from_changing_the_registry(
    database: DatabaseUnderTest,
) -> None:
    url = database.url("opsc_ingest")
    async with await connect(url, "standby") as conn:
        async with unchanging(conn):
            before = await changes_since(conn, -1)
            tenant = await Tenant.create(database)
            vehicle = await tenant.vehicle()
            again = await changes_since(conn, -1)
        async with unchanging(conn):
            after = await changes_since(conn, -1)
    assert again == before
    assert after.revision > before.revision
    assert vehicle.tracker_id in {row.tracker_id for row in after.trackers}


async def test_the_lease_of_a_session_is_free_when_the_session_ends(
    database: DatabaseUnderTest,
) -> None:
    url = database.url("opsc_ingest")
    async with await connect(url, "second") as conn:
        async with await connect(url, "first") as other:
            first = await leases.acquire(other, LEASE, "first", 600.0, of_session=True)
            assert first is not None
            assert await leases.acquire(conn, LEASE, "second", 600.0, of_session=True) is None
        await until(lambda: _acquired(conn, first + 1))


async def _acquired(conn: Connection, epoch: int) -> bool:
    """Wait until the lease is free: the server notices a closed session a moment later."""
    return await leases.acquire(conn, LEASE, "second", 600.0, of_session=True) == epoch


async def test_the_end_of_an_older_owner_does_not_free_the_lease_of_its_successor(
    database: DatabaseUnderTest,
) -> None:
    """The older one was frozen until its lease ran out."""
    url = database.url("opsc_ingest")
    async with await connect(url, "second") as second, await connect(url, "third") as third:
        async with await connect(url, "first") as first:
            assert await leases.acquire(first, LEASE, "first", -1.0, of_session=True) is not None
            assert await leases.acquire(second, LEASE, "second", 600.0, of_session=True) is not None
        await asyncio.sleep(0.5)
        assert await leases.acquire(third, LEASE, "third", 600.0, of_session=True) is None


async def test_a_leader_that_is_frozen_within_a_copy_is_cut_off(
    database: DatabaseUnderTest, broker: BrokerUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No timeout of the server ends its session."""
    monkeypatch.setattr(leader, "_LEASE_LIMITS", Limits(lock_s=1))
    url = database.url("opsc_ingest")
    async with await connect(url, "first") as first:
        epoch = await leases.acquire(first, LEASE, "first", -1.0, of_session=True)
        assert epoch is not None
        with closing(psycopg.connect(url, options="-c transaction_timeout=500")) as frozen:
            frozen.execute(
                "SELECT FROM leases WHERE name = %s AND epoch = %s FOR KEY SHARE", (LEASE, epoch)
            )
            frozen.pgconn.send_query(b"COPY gps_events (org_id) FROM STDIN")
            async with running(runtime(url, broker.url, "second")):
                assert await leases.epoch(first, LEASE) == epoch + 1
