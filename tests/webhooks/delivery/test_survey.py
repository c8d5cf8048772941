"""The survey of what waits: how much it reads, and what it does to dead endpoints."""

from collections.abc import Mapping
from typing import Any

import pytest

from db.core.connect import Connection
from db.delivery import webhook_backlog, webhook_deliveries
from tests.waiting import until
from tests.webhooks.world import World, delivering
from webhooks.delivery.deliverer import DeliverLimits

PENDING = 5_000  # of each of two endpoints
MOST_READ = 200


async def _pending(
    world: World, count: int, *, is_ordered: bool, org_id=None, due="2 hours"
) -> Any:
    """Let deliveries wait for a new endpoint, of which the oldest is the longest due."""
    org_id = org_id or await world.organization()
    endpoint = await world.endpoint(org_id, "https://example.com/")
    await world.admin.execute(
        """
        WITH event AS (
            INSERT INTO events (org_id, id, type, occurred_at, data, seq)
            SELECT %(org)s, gen_random_uuid(), 'stock.low', now(), '{}',
                   (SELECT coalesce(max(seq), 0) FROM events WHERE org_id = %(org)s) + n
              FROM generate_series(1, %(count)s::int) AS n
            RETURNING id, seq)
        INSERT INTO webhook_deliveries
               (org_id, endpoint_id, event_id, seq, is_ordered, next_attempt_at)
        SELECT %(org)s, %(endpoint)s, id, seq, %(ordered)s,
               now() - %(due)s::interval + seq * interval '1 ms' FROM event
        """,
        {
            "org": org_id,
            "endpoint": endpoint.id,
            "count": count,
            "ordered": is_ordered,
            "due": due,
        },
    )
    return endpoint


async def _rows_read(conn: Connection, statement: str, limit: int) -> float:
    """Return how many rows the scans of a statement read, those that they threw away included."""
    cursor = await conn.execute(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".encode(), {"limit": limit}, prepare=False
    )
    row = await cursor.fetchone()
    assert row is not None
    return _read(row[0][0]["Plan"])


def _read(plan: Mapping[str, Any]) -> float:
    own = 0.0
    if "Scan" in plan["Node Type"] and plan["Node Type"] not in ("CTE Scan", "Subquery Scan"):
        own = (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)) * plan["Actual Loops"]
    return own + sum(map(_read, plan.get("Plans", ())))


async def test_a_survey_does_not_read_all_that_waits(world, deliver):
    org_id = await world.organization()
    await _pending(world, PENDING, is_ordered=False, org_id=org_id)
    await _pending(world, PENDING, is_ordered=True, org_id=org_id, due="3 hours")
    disabled = await _pending(world, PENDING, is_ordered=False)
    await world.admin.execute(
        "UPDATE webhook_endpoints SET state = 'disabled', disabled_reason = 'user',"
        " disabled_at = now() - interval '4 days' WHERE id = %s",
        (disabled.id,),
    )
    await world.admin.execute("VACUUM ANALYZE webhook_deliveries, webhook_endpoints, events")
    for statement in (webhook_backlog._BACKLOG, webhook_deliveries._FAIL_UNDELIVERABLE):
        assert await _rows_read(deliver, statement, 50) <= MOST_READ
    backlog = await webhook_backlog.read(deliver, limit=100)
    assert backlog.oldest_due_s == pytest.approx(3 * 3_600, abs=300)


async def test_only_what_waits_for_active_endpoints_counts(world, deliver):
    org_id = await world.organization()
    await _pending(world, 3, is_ordered=False, org_id=org_id)
    await _pending(world, 4, is_ordered=True, org_id=org_id)
    await _pending(world, 5, is_ordered=True, org_id=await world.organization("team"))
    deleted = await _pending(world, 6, is_ordered=False, due="9 hours")
    await world.delete(deleted)
    backlog = await webhook_backlog.read(deliver, limit=100)
    assert (backlog.pending, backlog.queues, backlog.longest_queue) == (7, 2, 4)
    assert backlog.oldest_due_s == pytest.approx(2 * 3_600, abs=300)
    assert (await webhook_backlog.read(deliver, limit=5)).pending == 5


async def test_a_survey_that_fails_is_not_the_work_of_each_pass(world, database):
    endpoint = await world.endpoint(await world.organization(), "https://example.com/")
    await world.admin.execute(
        "INSERT INTO webhook_failures (org_id, endpoint_id, failing_since)"
        " VALUES (%s, %s, now() - interval '9 days')",
        (endpoint.org_id, endpoint.id),
    )
    await world.admin.execute(
        "CREATE FUNCTION takes_long() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'timeout' USING ERRCODE = 'query_canceled'; END $$"
    )
    await world.admin.execute(
        "CREATE TRIGGER takes_long BEFORE UPDATE ON webhook_endpoints EXECUTE FUNCTION takes_long()"
    )
    try:
        async with delivering(database, limits=DeliverLimits(survey_s=3_600)) as running:
            await until(lambda: running.deliverer.trouble() is None)
    finally:
        await world.admin.execute("DROP FUNCTION takes_long CASCADE")


async def test_what_waits_is_kept_for_three_days_from_when_its_endpoint_was_disabled(
    world, deliver
):
    endpoint = await _pending(world, 2, is_ordered=True, due="5 days")
    disable = (
        "UPDATE webhook_endpoints SET state = 'disabled', disabled_reason = 'failures',"
        " disabled_at = now() - %s::interval WHERE id = %s"
    )
    await world.admin.execute(disable, ("71 hours", endpoint.id))
    assert await webhook_deliveries.fail_undeliverable(deliver, limit=10) == 0
    await world.admin.execute(disable, ("73 hours", endpoint.id))
    assert await webhook_deliveries.fail_undeliverable(deliver, limit=10) == 2
    assert await world.states(endpoint.org_id) == ["failed", "failed"]


async def test_of_what_waits_for_a_deleted_endpoint_all_has_failed_soon(world, database):
    endpoint = await _pending(world, 40, is_ordered=False)
    await world.delete(endpoint)
    # With the next survey an hour later, only passes one after the other come to the end.
    async with delivering(database, limits=DeliverLimits(claims=4, survey_s=3_600)) as running:
        await until(lambda: _all_failed(world, endpoint.org_id))
        assert running.metrics.registry.get_sample_value("opsc_webhook_failed_total") == 40


async def _all_failed(world: World, org_id) -> bool:
    return set(await world.states(org_id)) == {"failed"}
