"""Deliveries in the table: who claims them, gives them back, and marks them, and who comes late."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from db.core.connect import connect
from db.delivery import webhook_deliveries
from db.delivery.webhook_deliveries import Mark, WantedDeliveries
from telemetry.ids import parse_id
from telemetry.times import to_us
from tests.webhooks.world import until


@pytest.fixture
async def claimed(world, database):
    """A connection as opsc_deliver, and one delivery that it has claimed."""
    org_id = await world.organization()
    await world.endpoint(org_id, "https://example.com/")
    await _queue(world, org_id, 1)
    async with await connect(database.url("opsc_deliver"), "test") as conn:
        (claim,) = await webhook_deliveries.claim(conn, WANTED)
        yield conn, claim


WANTED = WantedDeliveries(
    limit=10,
    capacity=10,
    capacities={},
    after=parse_id("whe", "whe_" + "0" * 26),
    lease_s=60,
    claimer=1,
)


async def test_a_claim_is_nobody_elses_until_it_lapses(world, claimed):
    conn, claim = claimed
    assert await webhook_deliveries.claim(conn, WANTED) == []
    await world.make_due()
    assert await webhook_deliveries.claim(conn, WANTED) == [claim]


async def test_each_claim_has_the_settings_of_its_own_endpoint(world, claimed):
    conn, _ = claimed
    urls = [f"https://{number}.example.com/" for number in range(3)]
    org_ids = [await world.organization(), await world.organization()]
    endpoints = [await world.endpoint(org_ids[url == urls[2]], url) for url in urls]
    for org_id in org_ids:
        await _queue(world, org_id, 4)
    claims = await webhook_deliveries.claim(conn, replace(WANTED, limit=100))
    told = [(claim.endpoint.url, claim.endpoint.id, claim.endpoint.org_id) for claim in claims]
    for url, endpoint in zip(urls, endpoints, strict=True):
        assert told.count((url, endpoint.id, endpoint.org_id)) == 4
        assert [claim.seq for claim in claims if claim.endpoint.url == url] == [1, 2, 3, 4]


async def test_a_claim_touches_no_index(world, claimed):
    conn, _ = claimed
    org_id = await world.organization()
    await world.endpoint(org_id, "https://example.com/")
    await _queue(world, org_id, 100)  # more than a page of deliveries
    async with conn.transaction():
        assert (
            len(await webhook_deliveries.claim(conn, replace(WANTED, limit=100, capacity=100)))
            == 100
        )
        cursor = await conn.execute(
            "SELECT pg_stat_get_xact_tuples_updated(oid), pg_stat_get_xact_tuples_hot_updated(oid)"
            "  FROM pg_class WHERE relname = 'webhook_deliveries'"
        )
        updated, updated_on_the_page = await cursor.fetchone()
        assert updated_on_the_page == updated >= 100


async def test_the_event_of_a_test_is_claimed_without_a_seq(world, claimed):
    conn, _ = claimed
    org_id = await world.organization()
    await world.endpoint(org_id, "https://example.com/")
    await _queue(world, org_id, 2)
    for change in ("events SET is_test = true, seq = NULL", "webhook_deliveries SET seq = 0"):
        await world.admin.execute(f"UPDATE {change} WHERE org_id = %s AND seq = 2", (org_id,))
    claims = await webhook_deliveries.claim(conn, WANTED)
    assert {(claim.is_test, claim.seq) for claim in claims} == {(True, 0), (False, 1)}


async def test_many_marks_read_no_other_rows(world, claimed):
    conn, _ = claimed
    org_id = await world.organization()
    await world.endpoint(org_id, "https://example.com/")
    await _queue(world, org_id, 1_000)
    wanted = replace(WANTED, limit=1_000, capacity=1_000)
    claims = await webhook_deliveries.claim(conn, wanted)
    assert len(claims) == 1_000
    marks = [Mark(claim, "delivered", 204, None) for claim in claims]
    read = (
        "SELECT pg_stat_get_xact_tuples_returned(oid) FROM pg_class"
        " WHERE relname = 'webhook_deliveries'"
    )
    async with conn.transaction():
        before = await (await conn.execute(read)).fetchone()
        await webhook_deliveries.mark(conn, marks)
        assert await (await conn.execute(read)).fetchone() == before
    assert (await world.deliveries(org_id))[0][0] == "delivered"


async def _queue(world, org_id, events) -> None:
    """Add events with their seq, which wait for each endpoint of the organization."""
    await world.events(org_id, events)
    await world.admin.execute(
        "UPDATE events AS e SET seq = numbered.seq"
        "  FROM (SELECT id, row_number() OVER (ORDER BY position) AS seq FROM events"
        "         WHERE org_id = %(org_id)s) AS numbered"
        " WHERE e.org_id = %(org_id)s AND e.id = numbered.id",
        {"org_id": org_id},
    )
    await world.admin.execute(
        "INSERT INTO webhook_deliveries (org_id, endpoint_id, event_id, seq)"
        " SELECT p.org_id, p.id, e.id, e.seq"
        "   FROM webhook_endpoints AS p JOIN events AS e USING (org_id) WHERE p.org_id = %s",
        (org_id,),
    )


@pytest.mark.parametrize(
    ("living", "dead_after_s", "is_free"),
    [
        ([2], 0, True),
        ([2, 1], 0, False),
        (None, 0, False),  # nobody knows yet who lives
        ([2], 30, False),  # its claimer may be younger than our knowledge
    ],
)
async def test_a_claim_of_the_dead_is_free(claimed, living, dead_after_s, is_free):
    conn, claim = claimed
    wanted = replace(WANTED, claimer=2, living=living, dead_after_s=dead_after_s)
    assert await webhook_deliveries.claim(conn, wanted) == [claim] * is_free


async def test_a_claim_is_given_back_by_its_claimer_alone(world, claimed):
    conn, claim = claimed
    for claimer, is_claimed in ((2, True), (WANTED.claimer, False)):
        await webhook_deliveries.release(conn, [claim], claimer)
        assert await world.deliveries(claim.endpoint.org_id) == [
            ("pending", 0, None, None, is_claimed)
        ]


async def test_a_late_mark_of_a_failure_changes_nothing(world, claimed):
    conn, claim = claimed
    by_another = Mark(claim, "pending", 503, None, retry_s=60.0)
    await webhook_deliveries.mark(conn, [by_another])
    await webhook_deliveries.mark(conn, [Mark(claim, "failed", 500, "late")])
    assert await world.deliveries(claim.endpoint.org_id) == [("pending", 1, 503, None, False)]


async def test_a_late_mark_of_acceptance_counts(world, claimed):
    conn, claim = claimed
    await webhook_deliveries.mark(conn, [Mark(claim, "pending", 503, None, retry_s=60.0)])
    await webhook_deliveries.mark(conn, [Mark(claim, "delivered", 200, None)])
    assert await world.states(claim.endpoint.org_id) == ["delivered"]


async def test_what_is_delivered_stays_delivered(world, claimed):
    conn, claim = claimed
    await webhook_deliveries.mark(conn, [Mark(claim, "delivered", 200, None)])
    await webhook_deliveries.mark(conn, [Mark(claim, "failed", 500, "late")])
    await webhook_deliveries.release(conn, [claim], WANTED.claimer)
    assert await world.deliveries(claim.endpoint.org_id) == [("delivered", 1, 200, None, False)]


async def test_marks_that_are_written_again_log_each_attempt_once(world, claimed):
    """As where the connection broke before the first answer came."""
    conn, claim = claimed
    times = [datetime(2026, 1, 1, hour, 2, 3, 456_789, tzinfo=UTC) for hour in (1, 2)]
    marks = [Mark(claim, "delivered", 200, None, began_us=to_us(at), duration_ms=5) for at in times]
    for some in (marks[:1], marks, marks):
        await webhook_deliveries.mark(conn, some)
    logged = await world.rows("webhook_attempts", "attempted_at", "1", claim.endpoint.org_id)
    assert logged == [(at,) for at in times]
    assert await world.states(claim.endpoint.org_id) == ["delivered"]


@pytest.mark.parametrize(("hours_ago", "begins_anew"), [(30, False), (37, True)])
async def test_failures_after_a_long_pause_begin_anew(world, claimed, hours_ago, begins_anew):
    conn, claim = claimed
    await world.admin.execute(
        "INSERT INTO webhook_failures (org_id, endpoint_id, failing_since, failed_at)"
        " VALUES (%s, %s, now() - interval '10 days', now() - %s)",
        (claim.endpoint.org_id, claim.endpoint.id, timedelta(hours=hours_ago)),
    )
    await webhook_deliveries.mark(conn, [Mark(claim, "pending", 503, None, retry_s=5.0)])
    known = "failed_at > now() - interval '1 hour', failing_since > now() - interval '1 hour'"
    assert await world.rows("webhook_failures", known, "1", claim.endpoint.org_id) == [
        (True, begins_anew)
    ]


async def test_opposite_outcomes_that_are_marked_at_once_do_not_deadlock(world, database):
    org_id = await world.organization()
    endpoints = [await world.endpoint(org_id, "https://example.com/") for _ in range(3)]
    held, first, second = sorted(endpoint.id for endpoint in endpoints)
    await _queue(world, org_id, 2)
    for endpoint in endpoints:
        await world.admin.execute(
            "INSERT INTO webhook_failures (org_id, endpoint_id) VALUES (%s, %s)",
            (org_id, endpoint.id),
        )
    url = database.url("opsc_deliver")
    async with await connect(url, "one") as one, await connect(url, "two") as two:
        claims = {
            (claim.endpoint.id, claim.seq): claim
            for claim in await webhook_deliveries.claim(one, WANTED)
        }

        def marks(seq, well, failing):
            return [Mark(claims[well, seq], "delivered", 200, None)] + [
                Mark(claims[each, seq], "pending", 503, None, retry_s=60.0) for each in failing
            ]

        async with asyncio.TaskGroup() as markers, world.admin.transaction():
            await world.admin.execute(
                "SELECT FROM webhook_failures WHERE endpoint_id = %s FOR UPDATE", (held,)
            )
            markers.create_task(webhook_deliveries.mark(one, marks(1, first, [held, second])))
            await until(lambda: _waits(world, one))
            other = markers.create_task(webhook_deliveries.mark(two, marks(2, second, [first])))
            await until(lambda: other.done() or _waits(world, two))
    assert sorted(await world.states(org_id)) == ["delivered"] * 2 + ["pending"] * 4


async def _waits(world, conn):
    locks = "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted"
    cursor = await world.ingest.execute(locks, (conn.info.backend_pid,))
    return (await cursor.fetchone())[0]


async def test_the_id_of_a_delivery_is_of_the_millisecond_in_which_it_was_made(world):
    for _ in range(30):
        cursor = await world.ingest.execute("SELECT uuid7_of_now(), now()")
        made, now = await cursor.fetchone()
        assert made.int >> 80 == to_us(now) // 1_000
