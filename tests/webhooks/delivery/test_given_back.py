"""What was claimed is not sent, and is given back, where the endpoint is gone or has changed."""

import asyncio
from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.waiting import until
from tests.webhooks import receivers
from tests.webhooks.world import delivering
from webhooks.delivery.deliverer import DeliverLimits
from webhooks.delivery.fair_queue import FairQueueLimits

ONE_AT_A_TIME = DeliverLimits(
    attempt_s=5, recheck_s=0, queues=FairQueueLimits(window=1, waiting_per_attempt=20)
)

SECOND_IS_DUE = """
UPDATE webhook_deliveries SET next_attempt_at = %s::timestamptz WHERE org_id = %s AND seq = 2
"""
CLAIM_WAITS = """
SELECT FROM pg_stat_activity WHERE application_name = 'test-deliver' AND wait_event_type = 'Lock'
   AND query LIKE '%secret_encrypted%'
"""


async def test_a_receiver_that_is_gone_is_not_asked_again(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved(statuses=[410]) as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 1)
        async with delivering(database):
            await until(lambda: world.has_attempted(org_id, 1))
    assert await world.deliveries(org_id) == [("failed", 1, 410, None, False)]


async def test_after_410_nothing_more_of_what_was_claimed_is_sent(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved(statuses=[204, *[410] * 20]) as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 12)
        async with delivering(database, limits=ONE_AT_A_TIME):
            await until(lambda: world.has_attempted(org_id, 2))
            await until(lambda: world.none_is_claimed(org_id))
    assert len(receiver.requests) == 2
    assert Counter(await world.states(org_id)) == {"delivered": 1, "failed": 1, "pending": 10}


async def test_what_is_claimed_while_410_arrives_is_not_sent(world, database, deliver, epoch):
    """The claim waits for a lock meanwhile; its transaction makes the second delivery due."""
    asked, may_answer, connections = asyncio.Event(), asyncio.Event(), []

    async def is_gone(_, writer) -> None:
        connections.append(writer)
        asked.set()
        await may_answer.wait()
        writer.write(b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    org_id = await world.organization()
    async with receivers.raw(is_gone) as url:
        await world.endpoint(org_id, url)
        await world.events(org_id, 2)
        await world.make_deliveries(deliver, epoch)
        await world.admin.execute(SECOND_IS_DUE, ("infinity", org_id))
        async with delivering(database, limits=DeliverLimits(attempt_s=60)) as running:
            await asked.wait()
            async with world.admin.transaction():
                await world.admin.execute("LOCK TABLE webhook_deliveries")
                await world.admin.execute(SECOND_IS_DUE, ("now", org_id))
                await until(lambda: database.run("admin", CLAIM_WAITS))
                may_answer.set()
                await until(lambda: running.metrics.attempts.counts)
            await until(lambda: world.has_attempted(org_id, 1))
            await until(lambda: world.none_is_claimed(org_id))
    assert len(connections) == 1
    kept = await world.rows("webhook_deliveries", "state, claimer IS NOT NULL", "seq", org_id)
    assert kept == [("failed", True), ("pending", True)]


async def test_410_of_the_old_url_does_not_disable_an_endpoint_with_a_new_one(world, database):
    asked, changed = asyncio.Event(), asyncio.Event()

    async def is_gone_later(_, writer) -> None:
        asked.set()
        await changed.wait()
        writer.write(b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    org_id = await world.organization()
    async with receivers.raw(is_gone_later) as old, receivers.well_behaved() as new:
        endpoint = await world.endpoint(org_id, old)
        await world.events(org_id, 1)
        async with delivering(database, limits=DeliverLimits(attempt_s=20)):
            await asked.wait()
            await world.change(endpoint, url=new.url)
            changed.set()
            await until(lambda: world.has_attempted(org_id, 1))
            await world.events(org_id, 1)
            await until(lambda: new.requests)
    assert await world.rows("webhook_endpoints", "state", "id", org_id) == [("active",)]


@pytest.mark.parametrize("what", ["url", "deleted", "disabled", "plan"])
async def test_what_was_claimed_before_a_change_is_not_sent_as_it_was(world, database, what):
    org_id = await world.organization()
    async with receivers.well_behaved(delay_s=0.2) as old, receivers.well_behaved() as new:
        endpoint = await world.endpoint(org_id, old.url)
        await world.events(org_id, 15)
        async with delivering(database, limits=ONE_AT_A_TIME):
            await until(lambda: world.are_claimed(org_id, 9))
            if what == "url":
                await world.change(endpoint, url=new.url)
            elif what == "plan":
                await world.set_plan(org_id, "starter")
            elif what == "deleted":
                await world.delete(endpoint)
            else:
                await world.change(
                    endpoint,
                    state="disabled",
                    disabled_reason="user",
                    disabled_at=datetime.now(UTC),
                )
            # One is on its way, and a few may begin on a busy machine before the change is seen.
            most = len(old.requests) + 5
            if what == "url":
                await until(lambda: world.all_are(org_id, "delivered"))
            else:
                await until(lambda: world.none_is_claimed(org_id))
    assert len(old.requests) <= most
    assert len(old.requests) + len(new.requests) == (15 if what == "url" else len(old.requests))
