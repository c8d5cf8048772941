"""Events get their place after commit: without gaps, by one process at a time."""

import asyncio
import random

import pytest

from db.core import leases
from db.core.connect import connect
from db.delivery import sequencer
from tests.waiting import until
from tests.webhooks.world import delivering, numbered
from webhooks.sequencer import SequencerLimits


async def test_each_organization_counts_for_itself_without_gaps(world, deliver, epoch):
    first, second = await world.organization(), await world.organization()
    for _ in range(3):
        await world.events(first, 2)
        await world.events(second, 5)
        await numbered(deliver, epoch, 100)
    assert await world.seqs(first) == list(range(1, 7))
    assert await world.seqs(second) == list(range(1, 16))


async def test_events_of_one_transaction_follow_each_other(world, deliver, epoch):
    org_id = await world.organization()
    async with await connect(world.database.url("opsc_ingest"), "test") as slow, slow.transaction():
        await world.events(org_id, 1, conn=slow)
        await world.events(org_id, 1)  # of another transaction
        await world.events(org_id, 1, conn=slow)
    await numbered(deliver, epoch, 100)
    assert await world.seqs(org_id) == [1, 3, 2]  # in the order in which they were inserted


async def test_a_limit_leaves_the_rest_for_the_next_transaction(world, deliver, epoch):
    org_id = await world.organization()
    await world.events(org_id, 10)
    assert (await numbered(deliver, epoch, 4)).events == 4
    assert await world.seqs(org_id) == [1, 2, 3, 4] + [None] * 6
    assert (await numbered(deliver, epoch, 100)).events == 6
    assert (await numbered(deliver, epoch, 100)).events == 0


async def test_each_organization_has_its_share_of_the_numbers(world, deliver, epoch):
    much, little = await world.organization(), await world.organization()
    await world.events(much, 1_000)
    await world.events(little, 3)
    done = await numbered(deliver, epoch, 10)
    assert (done.events, set(done.org_ids)) == (8, {much, little})
    assert await world.seqs(little) == [1, 2, 3]


async def test_an_organization_whose_row_is_held_keeps_nobody_waiting(world, deliver, epoch):
    held, other = await world.organization(), await world.organization()
    await world.events(held, 2)
    await world.events(other, 2)
    async with world.admin.transaction():
        await world.admin.execute(
            "UPDATE organizations SET name = 'Held' WHERE org_id = %s", (held,)
        )
        assert await numbered(deliver, epoch, 10) == (2, [other])
    assert await numbered(deliver, epoch, 10) == (2, [held])
    assert await world.seqs(held) == [1, 2]


async def test_what_an_event_is_about_is_written_with_its_seq(world, deliver, epoch):
    org_id = await world.organization()
    data = [
        '{"asset_id": "ast_1", "zone_id": "zon_1", "asset_name": "ast_9"}',
        '{"asset_ids": ["ast_2", "ast_1", "ast_2"], "assignee_ids": ["emp_1"], "machine_id": null}',
        '{"work_order_id": 7, "employee_id": "", "asset_ids": "ast_3", "assignee_ids": {}}',
        '["ast_4"]',
    ]
    for text in data:
        await world.ingest.execute(
            "INSERT INTO events (org_id, id, type, occurred_at, data)"
            " VALUES (%s, gen_random_uuid(), 'asset.geofence_breach', now(), %s)",
            (org_id, text),
        )
    await numbered(deliver, epoch, 100)
    assert await world.rows("event_subjects", "seq, subject", "seq, subject", org_id) == [
        (1, "ast_1"),
        (1, "zon_1"),
        (2, "ast_1"),
        (2, "ast_2"),
        (2, "emp_1"),
        (3, "7"),
    ]


async def test_what_commits_late_comes_behind_and_is_not_missed(world, deliver, epoch):
    org_id = await world.organization()
    async with await connect(world.database.url("opsc_ingest"), "test") as late:
        async with late.transaction():
            await world.events(org_id, 1, conn=late)
            await world.events(org_id, 1)
            await numbered(deliver, epoch, 100)
        await numbered(deliver, epoch, 100)
    assert await world.seqs(org_id) == [2, 1]


async def test_an_epoch_that_has_passed_sequences_nothing(world, deliver, epoch):
    org_id = await world.organization()
    await world.events(org_id, 1)
    await leases.release(deliver, sequencer.LEASE, epoch)
    await leases.acquire(deliver, sequencer.LEASE, "successor", 60)
    with pytest.raises(leases.LeaseLost):
        await numbered(deliver, epoch, 100)
    assert await world.seqs(org_id) == [None]


@pytest.mark.parametrize("count", [12_000, pytest.param(152_000, marks=pytest.mark.long)])
async def test_many_events_of_a_whole_run_are_sequenced(world, deliver, epoch, count):
    org_id = await world.organization()
    await world.endpoint(org_id, "https://example.com/")
    await world.events(org_id, count)
    assert await world.make_deliveries(deliver, epoch) == count
    assert await world.seqs(org_id) == list(range(1, count + 1))
    assert len(await world.deliveries(org_id)) == count


async def test_two_processes_under_many_committers_leave_no_gap(world, database):
    org_ids = [await world.organization() for _ in range(3)]

    async def commit_at_random(number: int) -> None:
        chances = random.Random(number)
        async with await connect(database.url("opsc_ingest"), "test") as conn:
            for _ in range(20):
                async with conn.transaction(force_rollback=chances.random() < 0.1):
                    await world.events(chances.choice(org_ids), chances.randint(1, 5), conn=conn)
                    await asyncio.sleep(chances.random() * 0.02)

    limits = SequencerLimits(events=7, lease_s=1, standby_s=0.05, idle_s=0.01, busy_s=0)
    async with (
        delivering(database, sequencer_limits=limits),
        delivering(database, sequencer_limits=limits),
    ):
        await asyncio.gather(*(commit_at_random(number) for number in range(8)))
        for org_id in org_ids:
            await until(lambda org_id=org_id: _all_placed(world, org_id))
    for org_id in org_ids:
        seqs = await world.seqs(org_id)
        assert sorted(seqs) == list(range(1, len(seqs) + 1))


async def test_a_standby_takes_over_at_once_when_the_leader_stops(world, database):
    org_id = await world.organization()
    limits = SequencerLimits(lease_s=300, standby_s=0.05, idle_s=0.02)
    async with delivering(database, sequencer_limits=limits) as leader:
        await until(lambda: _leads(leader))
        async with delivering(database, sequencer_limits=limits) as standby:
            leader.stop.set()
            await until(lambda: _leads(standby))
            await world.events(org_id, 3)
            await until(lambda: _all_placed(world, org_id))
    assert await world.seqs(org_id) == [1, 2, 3]


async def test_a_standby_takes_over_at_once_when_the_leader_is_killed(world, database):
    limits = SequencerLimits(lease_s=300, standby_s=0.05, idle_s=0.02)
    async with await connect(database.url("opsc_deliver"), "test") as session:
        await leases.acquire(session, sequencer.LEASE, "killed", 300, of_session=True)
        async with delivering(database, sequencer_limits=limits) as standby:
            await asyncio.sleep(0.3)
            assert not _leads(standby)
            await session.close()
            await until(lambda: _leads(standby))


async def test_sessions_that_are_ended_again_and_again_only_delay(world, database):
    org_id = await world.organization()
    async with delivering(database):
        for _ in range(10):
            await world.events(org_id, 50)
            await world.admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'opsc_deliver' AND datname = current_database()"
            )
            await asyncio.sleep(0.1)
        await until(lambda: _all_placed(world, org_id))
    assert sorted(await world.seqs(org_id)) == list(range(1, 501))


def _leads(running) -> bool:
    return running.metrics.registry.get_sample_value("opsc_sequencer_leads") == 1


async def _all_placed(world, org_id) -> bool:
    return None not in await world.seqs(org_id)
