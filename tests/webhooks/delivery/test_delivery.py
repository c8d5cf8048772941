"""From a committed event to an accepted webhook, whatever the receivers do."""

import asyncio
import json
from collections import Counter
from functools import partial

import pytest
from standardwebhooks import Webhook

from db.core import leases
from db.core.connect import connect
from db.delivery import sequencer, webhook_deliveries
from telemetry.ids import format_id, parse_id
from tests.waiting import PATIENCE_S, until
from tests.webhooks import receivers
from tests.webhooks.poison.guards import AT_ONCE, is_set_aside
from tests.webhooks.world import delivering
from webhooks.delivery.deliverer import DeliverLimits
from webhooks.delivery.fair_queue import FairQueueLimits
from webhooks.metrics import WebhookMetrics
from webhooks.retry import ATTEMPTS_MAX, Answer


async def test_an_event_arrives_as_its_envelope_and_verifies(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved() as receiver:
        endpoint = await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 1)
        async with delivering(database):
            await until(lambda: receiver.requests)
    request = receiver.requests[0]
    envelope = Webhook(endpoint.secret).verify(request.body.decode(), request.headers)
    assert list(envelope) == [
        "id", "type", "seq", "occurred_at", "created_at", "organization_id", "data",
    ]  # fmt: skip
    assert envelope["id"] == request.id
    assert parse_id("evt", envelope["id"])
    assert envelope["type"] == "asset.geofence_breach"
    assert envelope["seq"] == 1
    assert envelope["occurred_at"] == "2026-01-01T12:00:00.500Z"
    assert envelope["created_at"].endswith("Z")
    assert envelope["organization_id"] == format_id("org", org_id)
    assert envelope["data"] == {"number": 1}
    assert await world.deliveries(org_id) == [("delivered", 1, 204, None, False)]


async def test_each_of_many_events_arrives_once_at_each_endpoint(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved() as first, receivers.well_behaved() as second:
        await world.endpoint(org_id, first.url)
        await world.endpoint(org_id, second.url)
        await world.events(org_id, 500)
        async with delivering(database):
            await until(lambda: len(first.requests) + len(second.requests) >= 1000)
    for receiver in (first, second):
        assert len(receiver.ids) == 500
        assert set(receiver.ids.values()) == {1}
        assert receiver.open_most <= FairQueueLimits().steady_window
    assert Counter(await world.states(org_id)) == {"delivered": 1000}


async def test_two_organizations_hear_only_of_themselves(world, database):
    ours, theirs = await world.organization(), await world.organization()
    async with receivers.well_behaved() as receiver, receivers.well_behaved() as other:
        await world.endpoint(ours, receiver.url)
        await world.endpoint(theirs, other.url)
        await world.events(ours, 20)
        await world.events(theirs, 30)
        async with delivering(database):
            await until(lambda: len(receiver.requests) + len(other.requests) >= 50)
    for org_id, heard in ((ours, receiver), (theirs, other)):
        told = {json.loads(request.body)["organization_id"] for request in heard.requests}
        assert told == {format_id("org", org_id)}


async def test_a_refusal_is_tried_again_under_the_same_id_until_accepted(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved(statuses=[500, 302, 404]) as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 1)
        async with delivering(database):
            for attempts, status in ((1, 500), (2, 302), (3, 404)):
                await until(lambda n=attempts: world.has_attempted(org_id, n))
                told = ("pending", attempts, status, None, False)
                assert await world.deliveries(org_id) == [told]
                await world.make_due()
            await until(lambda: world.has_attempted(org_id, 4))
    assert list(receiver.ids.values()) == [4]
    assert len({request.body for request in receiver.requests}) == 1
    assert await world.states(org_id) == ["delivered"]


async def test_a_failed_attempt_waits_before_the_next(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved(statuses=[500]) as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 1)
        async with delivering(database):
            await until(lambda: world.has_attempted(org_id, 1))
    seconds = "extract(epoch FROM next_attempt_at - now())"
    ((wait_s,),) = await world.rows("webhook_deliveries", seconds, "seq", org_id)
    assert 0 < wait_s <= 6


async def test_after_the_last_attempt_it_has_failed_for_all_to_see(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved(statuses=[500] * 20) as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 1)
        async with delivering(database) as running:
            for attempts in range(1, ATTEMPTS_MAX + 1):
                await until(lambda n=attempts: world.has_attempted(org_id, n))
                await world.make_due()
            await until(lambda: _sample(running, "opsc_webhook_failed_total") == 1)
    assert await world.deliveries(org_id) == [("failed", ATTEMPTS_MAX, 500, None, False)]
    assert len(receiver.requests) == ATTEMPTS_MAX


async def test_endpoints_that_misbehave_delay_nobody_else(world, database):
    org_id = await world.organization()
    async with (
        receivers.raw(receivers.hangs) as hanging,
        receivers.raw(receivers.resets) as resetting,
        receivers.raw(receivers.sends_headers_without_end) as endless,
        receivers.raw(receivers.accepts_drop_by_drop) as dripping,
        receivers.well_behaved() as good,
    ):
        for url in [hanging] * 40 + [resetting, endless, dripping]:
            await world.endpoint(org_id, url)
        healthy = await world.endpoint(await world.organization(), good.url)
        await world.events(org_id, 20)
        await world.events(healthy.org_id, 300)
        limits = DeliverLimits(attempt_s=2 * PATIENCE_S, grace_s=0.2)
        async with delivering(database, limits=limits):
            # The hanging ones time out later: had one waited for them, so would this.
            await until(lambda: len(good.requests) >= 300)
    assert set(good.ids.values()) == {1}


async def test_an_endpoint_that_answers_slowly_gets_many_at_a_time_and_delays_nobody(
    world, database
):
    """As with answers after a second, only sooner."""
    org_id = await world.organization()
    async with (
        receivers.well_behaved(delay_s=0.4) as slow,
        receivers.well_behaved() as fast,
    ):
        await world.endpoint(org_id, slow.url)
        beside = await world.endpoint(await world.organization(), fast.url)
        await world.events(org_id, 500)
        # A machine that is very busy answers late: that is no time-out, or events come twice.
        limits = DeliverLimits(attempt_s=30, queues=FairQueueLimits(prompt_s=0.2, good_s=2))
        async with delivering(database, limits=limits):
            await until(lambda: len(slow.requests) >= 60)
            await world.events(beside.org_id, 200)
            await until(lambda: len(fast.requests) >= 200)
            assert len(slow.requests) < 500
            await until(lambda: len(slow.requests) >= 500)
    assert slow.open_most > 32
    assert set(slow.ids.values()) == set(fast.ids.values()) == {1}


class _Faulty(WebhookMetrics):
    """Metrics with a fault of ours."""

    def count_attempt(self, answer: Answer, took_s: float) -> None:
        raise ZeroDivisionError


async def test_a_fault_of_ours_at_the_end_of_an_attempt_is_one_of_the_delivery(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved() as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 1)
        async with delivering(database, metrics=_Faulty(), guard_limits=AT_ONCE):
            await until(partial(is_set_aside, world.admin, "delivery"))
    row = await world.rows("webhook_deliveries", "state, attempts, last_error", "seq", org_id)
    assert row == [("pending", 0, "a fault on our side: it is tried again")]


async def test_what_no_receiver_answers_is_told(world, database):
    org_id = await world.organization()
    async with receivers.raw(receivers.hangs) as url:
        await world.endpoint(org_id, url)
        await world.events(org_id, 1)
        async with delivering(database):
            await until(lambda: world.has_attempted(org_id, 1))
    assert await world.deliveries(org_id) == [("pending", 1, None, "no answer", False)]


async def test_without_the_flag_loopback_is_not_called(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved() as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 1)
        async with delivering(database, allow_loopback=False):
            await until(lambda: world.has_attempted(org_id, 1))
    ((state, _, _, error, _),) = await world.deliveries(org_id)
    assert state == "pending"
    assert error.startswith("refused: ")
    assert receiver.requests == []


async def test_a_secret_that_cannot_be_read_is_told_and_delays_nobody(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved() as receiver:
        broken = await world.endpoint(org_id, receiver.url)
        await world.endpoint(org_id, receiver.url)
        await world.admin.execute(
            "UPDATE webhook_endpoints SET secret_encrypted = '\\x00' WHERE id = %s", (broken.id,)
        )
        await world.events(org_id, 1)
        async with delivering(database):
            await until(lambda: len(receiver.requests) == 1)
            await until(lambda: world.has_attempted(org_id, 2))
    errors = sorted(row[3] or "" for row in await world.deliveries(org_id))
    assert errors == ["", "the secret of the endpoint cannot be read"]


async def test_what_waits_for_a_deleted_endpoint_fails(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved(statuses=[500]) as receiver:
        endpoint = await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 1)
        async with delivering(database):
            await until(lambda: world.has_attempted(org_id, 1))
            await world.delete(endpoint)
            await until(lambda: world.all_are(org_id, "failed"))
    assert await world.deliveries(org_id) == [("failed", 1, 500, "the endpoint was deleted", False)]


async def test_what_has_not_failed_when_a_deleted_endpoint_is_restored_is_sent(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved() as receiver:
        endpoint = await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 30)
        async with await connect(database.url("opsc_deliver"), "test") as deliver:
            epoch = await leases.acquire(deliver, sequencer.LEASE, "test", 60)
            await world.make_deliveries(deliver, epoch)
            await world.delete(endpoint)
            assert await webhook_deliveries.fail_undeliverable(deliver, limit=10) == 10
            await world.change(endpoint, deleted_at=None)
            assert await webhook_deliveries.fail_undeliverable(deliver, limit=10) == 0
        async with delivering(database):
            await until(lambda: len(receiver.requests) == 20)
            await until(lambda: world.none_is_claimed(org_id))
    assert Counter(await world.states(org_id)) == {"delivered": 20, "failed": 10}


async def test_what_waits_when_the_plan_ends_stays_until_it_is_back(world, database):
    org_id, other = await world.organization(), await world.organization()
    async with receivers.well_behaved(statuses=[500]) as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.endpoint(other, receiver.url)
        await world.events(org_id, 1)
        async with delivering(database):
            await until(lambda: world.has_attempted(org_id, 1))
            await world.set_plan(org_id, "starter")
            await world.make_due()
            await world.events(other, 1)
            await until(lambda: world.all_are(other, "delivered"))
            assert await world.states(org_id) == ["pending"]
            await world.set_plan(org_id, "starter", addon=True)
            await until(lambda: world.all_are(org_id, "delivered"))
    assert len(await world.deliveries(org_id)) == 1


async def test_what_waited_three_days_for_the_plan_fails(world, database):
    org_id = await world.organization()
    await world.endpoint(org_id, "https://example.com/")
    await world.events(org_id, 2)
    async with await connect(database.url("opsc_deliver"), "test") as deliver:
        epoch = await leases.acquire(deliver, sequencer.LEASE, "test", 60)
        await world.make_deliveries(deliver, epoch)
        await world.set_plan(org_id, "team")
        await world.admin.execute(
            "UPDATE webhook_deliveries SET next_attempt_at = now() - interval '73 hours'"
            " WHERE org_id = %s AND seq = 1",
            (org_id,),
        )
        assert await webhook_deliveries.fail_undeliverable(deliver, limit=10) == 1
        await world.set_plan(org_id, "unlimited")
        assert await webhook_deliveries.fail_undeliverable(deliver, limit=10) == 0
    assert await world.deliveries(org_id) == [
        ("failed", 0, None, "the plan has no webhooks", False),
        ("pending", 0, None, None, False),
    ]


async def test_a_claim_that_lapses_while_it_is_attempted_is_not_attempted_beside_itself(
    world, database
):
    """As where the database answers late."""
    org_id = await world.organization()
    async with receivers.well_behaved(delay_s=1) as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 1)
        async with delivering(database, limits=DeliverLimits(attempt_s=20)):
            await until(lambda: receiver.requests)
            await world.make_due()
            await until(lambda: world.all_are(org_id, "delivered"))
    assert len(receiver.requests) == 1


def test_a_claim_leaves_time_for_its_mark():
    limits = DeliverLimits(attempt_s=15)
    assert limits.claim_s - limits.begin_s - limits.no_answer_s == pytest.approx(5)
    assert limits.begin_s > limits.attempt_s


async def test_two_processes_share_the_work_and_do_nothing_twice(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved(delay_s=0.02) as receiver:
        for _ in range(4):
            await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 200)
        limits = DeliverLimits(attempt_s=5, queues=FairQueueLimits(window=2, waiting_per_attempt=1))
        async with (
            delivering(database, limits=limits) as first,
            delivering(database, limits=limits) as second,
        ):
            await until(lambda: len(receiver.requests) >= 800)
            await until(lambda: world.all_are(org_id, "delivered"))
        shares = [_sample(running, "opsc_webhook_delivered_total") for running in (first, second)]
    assert sum(shares) == len(receiver.requests) == 800
    assert min(shares) > 0
    assert set(receiver.ids.values()) == {4}


async def test_a_stop_lets_attempts_end_and_gives_back_the_rest(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved(delay_s=0.5) as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 50)
        async with delivering(database):
            await until(lambda: len(receiver.requests) >= 3)
    rows = await world.deliveries(org_id)
    states = Counter(row[0] for row in rows)
    assert states["delivered"] == len(receiver.requests)
    assert states["delivered"] + states["pending"] == 50
    assert not any(is_claimed for *_, is_claimed in rows)


async def test_a_stop_does_not_wait_for_ever(world, database):
    org_id = await world.organization()
    async with receivers.raw(receivers.hangs) as url:
        await world.endpoint(org_id, url)
        await world.events(org_id, 1)
        limits = DeliverLimits(attempt_s=2 * PATIENCE_S, grace_s=0.2)
        async with asyncio.timeout(PATIENCE_S), delivering(database, limits=limits) as running:
            await until(lambda: _sample(running, "opsc_webhook_in_flight") == 1)
    assert await world.deliveries(org_id) == [("pending", 0, None, None, False)]


async def test_sessions_that_are_ended_again_and_again_lose_nothing(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved() as receiver:
        await world.endpoint(org_id, receiver.url)
        async with delivering(database):
            for _ in range(10):
                await world.events(org_id, 50)
                await world.admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE usename = 'opsc_deliver' AND datname = current_database()"
                )
                await asyncio.sleep(0.1)
            await until(lambda: world.all_are(org_id, "delivered", count=500))
    assert len(receiver.ids) == 500


async def test_a_limit_does_not_always_favour_the_same_endpoints(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved() as receiver:
        for _ in range(30):
            await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 3)
        limits = DeliverLimits(claims=2, attempt_s=1)
        async with delivering(database, limits=limits):
            await until(lambda: world.all_are(org_id, "delivered", count=90))
    assert set(receiver.ids.values()) == {30}


def _sample(running, name: str) -> float | None:
    return running.metrics.registry.get_sample_value(name)


class _Full(WebhookMetrics):
    """Metrics for which there is no memory."""

    def count_attempt(self, answer: Answer, took_s: float) -> None:
        raise MemoryError


async def test_no_memory_at_the_end_of_an_attempt_is_no_fault_of_the_delivery(world, database):
    org_id = await world.organization()
    async with receivers.well_behaved() as receiver:
        await world.endpoint(org_id, receiver.url)
        await world.events(org_id, 1)
        with pytest.raises(ExceptionGroup) as caught:
            async with delivering(database, metrics=_Full()), asyncio.timeout(60):
                await asyncio.Event().wait()
    assert caught.group_contains(MemoryError)
