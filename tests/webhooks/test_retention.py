"""What is too old goes, in bounded pieces, and what is left fits together."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
import pytest_asyncio
from structlog.typing import EventDict

from db.core.connect import Limits, Pool, connect, pool
from db.core.ids import new_id
from db.delivery import endpoint_hours, webhook_deliveries
from db.delivery.webhook_deliveries import ClaimedDelivery, ClaimedEndpoint, Mark
from db.history import events, retention
from db.history.events import EventFilter
from db.history.retention import Days
from telemetry.times import to_us
from tests.db import rows
from tests.ingest.punches.punching import Crew
from tests.ingest.tenants import Tenant, Vehicle
from tests.listener.registering import claim
from tests.listener.tcp.boxes import new_imei
from tests.servers import DatabaseUnderTest
from tests.waiting import until
from tests.webhooks.poison.guards import guard_of
from tests.webhooks.world import World, world_in
from webhooks.metrics import WebhookMetrics
from webhooks.retention import Retention, RetentionLimits

NOW = datetime.now(UTC)
FOR_EVER = Days(None, None, None)
LIMITS = RetentionLimits(rows=50, rest_s=0)


@pytest_asyncio.fixture
async def world(database: DatabaseUnderTest) -> AsyncIterator[World]:
    """No fixes, no events, and no organization with days of its own."""
    async with world_in(database) as world:
        await world.admin.execute(
            "TRUNCATE gps_events, events, webhook_deliveries, asset_cuts, asset_checkpoints,"
            " webhook_attempts, webhook_endpoint_hours, webhook_failures"
        )
        await world.admin.execute(
            "UPDATE organizations SET positions_days = NULL, events_days = NULL, audit_days = NULL"
        )
        yield world


@pytest_asyncio.fixture
async def connections(database: DatabaseUnderTest) -> AsyncIterator[Pool]:
    """The connections of the delivering role."""
    async with pool(database.url("opsc_deliver"), "test", max_size=4) as opened:
        yield opened


async def _removed(
    connections: Pool, days: Days = FOR_EVER, metrics: WebhookMetrics | None = None
) -> dict[str, int]:
    """Run one pass, and return what it removed."""
    worker = Retention(
        connections, days, guard_of(connections), metrics or WebhookMetrics(), LIMITS
    )
    return await worker.remove_old(asyncio.Event(), NOW)


async def _tenant(database: DatabaseUnderTest) -> tuple[Tenant, Vehicle]:
    """Return a tenant with a fix an hour for ten days, and a checkpoint for each."""
    tenant = await Tenant.create(database)
    vehicle = await tenant.vehicle()
    async with await connect(database.url("admin"), "test") as conn:
        await conn.execute(
            "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon)"
            " SELECT %s, %s, at, 0, at, 52.5, 13.4"
            "   FROM generate_series(%s - interval '10 days', %s, '1 hour') AS at",
            (tenant.org_id, vehicle.tracker_id, NOW, NOW),
        )
        await conn.execute(
            "INSERT INTO asset_checkpoints SELECT org_id, %s, time, seq, '' FROM gps_events"
            " WHERE tracker_id = %s",
            (vehicle.asset_id, vehicle.tracker_id),
        )
    return tenant, vehicle


async def _keeps(world: World, tenant: Tenant, **days: int) -> None:
    async with rows.transaction(world.database, "opsc_owner", tenant.org_id) as conn:
        assert await retention.change(conn, dict(days)) is not None


async def _one(world: World, query: str, *values: object) -> Any:
    cursor = await world.admin.execute(query.encode(), values)
    row = await cursor.fetchone()
    assert row is not None
    return row[0]


async def _oldest(world: World, vehicle: Vehicle) -> tuple[datetime, datetime]:
    """Return the oldest fix and the oldest checkpoint."""
    fix = "SELECT min(time) FROM gps_events WHERE tracker_id = %s"
    checkpoint = "SELECT min(time) FROM asset_checkpoints WHERE asset_id = %s"
    return (
        await _one(world, fix, vehicle.tracker_id),
        await _one(world, checkpoint, vehicle.asset_id),
    )


async def _cut(world: World, vehicle: Vehicle) -> datetime:
    return await _one(
        world, "SELECT max(before) FROM asset_cuts WHERE asset_id = %s", vehicle.asset_id
    )


async def test_nothing_goes_unless_a_setting_says_so(world: World, connections: Pool) -> None:
    await _tenant(world.database)
    assert await _removed(connections) == {}


async def test_positions_go_by_whole_chunks(world: World, connections: Pool) -> None:
    _, vehicle = await _tenant(world.database)
    metrics = WebhookMetrics()
    removed = await _removed(connections, Days(4, None, None), metrics)
    start_of_day = (NOW - timedelta(days=4)).replace(hour=0, minute=0, second=0, microsecond=0)
    fix, checkpoint = await _oldest(world, vehicle)
    assert start_of_day <= fix < start_of_day + timedelta(hours=1)  # none younger is gone
    assert await _cut(world, vehicle) == start_of_day <= checkpoint
    assert removed["position_chunks"] in (6, 7)
    assert b'opsc_retention_removed_total{what="position_chunks"} ' in metrics.text()
    assert await _removed(connections, Days(4, None, None)) == {}
    chunks = "SELECT count(*) FROM timescaledb_information.chunks WHERE range_end <= %s"
    assert await _one(world, chunks, NOW - timedelta(days=4)) == 0


async def test_an_organization_may_keep_positions_shorter(world: World, connections: Pool) -> None:
    tenant, vehicle = await _tenant(world.database)
    _, other = await _tenant(world.database)
    await _keeps(world, tenant, positions=3)
    removed = await _removed(connections, Days(8, None, None))
    before = NOW - timedelta(days=3)
    fix, checkpoint = await _oldest(world, vehicle)
    assert before <= fix < before + timedelta(hours=1)
    # The newest of the cuts is that of a whole day where no fix lies between it and `before`.
    assert before - timedelta(hours=1) < await _cut(world, vehicle) <= before <= checkpoint
    assert removed["positions"] > 2 * LIMITS.rows  # in more than one piece
    fix, _ = await _oldest(world, other)
    assert fix <= NOW - timedelta(days=8)  # by whole chunks
    assert await _cut(world, other) <= fix


@pytest.mark.parametrize("days", [Days(4, None, None), FOR_EVER])
async def test_the_newest_position_of_an_asset_or_employee_goes_with_its_fix(
    world: World, connections: Pool, days: Days
) -> None:
    tenant, vehicle = await _tenant(world.database)
    moving = await tenant.vehicle()
    if days == FOR_EVER:
        await _keeps(world, tenant, positions=4)
    for asset_id, ago in ((vehicle.asset_id, timedelta(days=6)), (moving.asset_id, timedelta())):
        await world.admin.execute(
            "INSERT INTO latest_positions (org_id, asset_id, time) VALUES (%s, %s, %s)",
            (tenant.org_id, asset_id, NOW - ago),
        )
    crew = Crew(tenant)
    stayed, moves = await crew.employee(), await crew.employee()
    for employee_id, ago in ((stayed, timedelta(days=6)), (moves, timedelta())):
        await world.admin.execute(
            "INSERT INTO latest_employee_positions (org_id, employee_id, time) VALUES (%s, %s, %s)",
            (tenant.org_id, employee_id, NOW - ago),
        )
    await _removed(connections, days)
    assert tenant.rows("SELECT asset_id FROM latest_positions") == [(moving.asset_id,)]
    assert tenant.rows("SELECT employee_id FROM latest_employee_positions") == [(moves,)]


async def test_an_asset_that_lost_nothing_is_not_cut(world: World, connections: Pool) -> None:
    tenant, vehicle = await _tenant(world.database)
    idle, moved = await tenant.vehicle(), await tenant.asset()
    await tenant.reassign(vehicle, moved, NOW - timedelta(days=2))
    await _keeps(world, tenant, positions=3)
    await _removed(connections)
    await _removed(connections, Days(3, None, None))
    cursor = await world.admin.execute("SELECT asset_id FROM asset_cuts")
    assert await cursor.fetchall() == [(vehicle.asset_id,)]
    assert idle.asset_id != vehicle.asset_id


async def test_a_chunk_that_somebody_reads_is_left_for_later(
    world: World, connections: Pool
) -> None:
    _, vehicle = await _tenant(world.database)
    async with await connect(world.database.url("admin"), "test") as reader:
        async with reader.transaction():
            await reader.execute("SELECT count(*) FROM gps_events")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await _removed(connections, Days(4, None, None))
        fix, _ = await _oldest(world, vehicle)
        assert fix < NOW - timedelta(days=9)
        assert await _one(world, "SELECT count(*) FROM asset_cuts") == 0
    assert (await _removed(connections, Days(4, None, None)))["position_chunks"]


async def test_a_chunk_that_somebody_reads_holds_nothing_else_up(
    world: World, connections: Pool
) -> None:
    tenant, vehicle = await _tenant(world.database)
    await _events(world, tenant.org_id, [9, 8, 1])
    await _keeps(world, tenant, positions=3)
    metrics = WebhookMetrics()
    async with (
        await connect(world.database.url("admin"), "test") as reader,
        reader.transaction(),
    ):
        await reader.execute("SELECT count(*) FROM gps_events")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            await _removed(connections, Days(4, 5, None), metrics)
    assert await world.seqs(tenant.org_id) == [3]
    fix, _ = await _oldest(world, vehicle)
    assert fix >= NOW - timedelta(days=3)
    assert b'opsc_retention_removed_total{what="events"} 2.0' in metrics.text()


async def test_the_loop_tries_again_after_somebody_was_in_the_way(
    world: World, connections: Pool, logged: list[EventDict]
) -> None:
    _, vehicle = await _tenant(world.database)
    limits, stop, metrics = RetentionLimits(again_s=0.05), asyncio.Event(), WebhookMetrics()
    worker = Retention(connections, Days(4, None, None), guard_of(connections), metrics, limits)

    async def is_done() -> bool:
        return (await _oldest(world, vehicle))[0] > NOW - timedelta(days=5)

    async with (
        await connect(world.database.url("admin"), "test", Limits(transaction_s=300)) as reader,
        asyncio.TaskGroup() as tasks,
    ):
        await reader.execute("SET idle_in_transaction_session_timeout = 0")
        async with reader.transaction():
            await reader.execute("SELECT count(*) FROM gps_events")
            tasks.create_task(worker.run(stop))
            await until(lambda: any(one["event"] == "retention postponed" for one in logged))
        await until(is_done)
        stop.set()


async def test_one_process_at_a_time_does_it(world: World, connections: Pool) -> None:
    await _tenant(world.database)
    async with await connect(world.database.url("opsc_deliver"), "test") as other:
        assert await retention.begin(other)
        assert await _removed(connections, Days(4, None, None)) == {}
        await retention.end(other)
        assert await _removed(connections, Days(4, None, None))


async def _events(world: World, org_id: UUID, ages_days: Sequence[float]) -> None:
    """Store one event of each age, numbered as they come."""
    for seq, age_days in enumerate(ages_days, 1):
        await world.admin.execute(
            "INSERT INTO events (org_id, id, type, occurred_at, created_at, data, seq)"
            " VALUES (%s, gen_random_uuid(), 'asset.test', now(), %s, '{}', %s)",
            (org_id, NOW - timedelta(days=age_days), seq),
        )
    await world.admin.execute(
        "UPDATE organizations SET event_seq = %s WHERE org_id = %s", (len(ages_days), org_id)
    )


async def _deliver_all(world: World, org_id: UUID, pending: int | None = None) -> None:
    """Deliver each event to its end, but that of `pending`."""
    endpoint = await world.endpoint(org_id, "https://example.com")
    await world.admin.execute(
        "INSERT INTO webhook_deliveries (org_id, endpoint_id, event_id, seq, state)"
        " SELECT org_id, %s, id, seq, CASE WHEN seq = %s THEN 'pending' ELSE 'delivered' END"
        "   FROM events WHERE org_id = %s",
        (endpoint.id, pending, org_id),
    )


async def test_events_go_from_the_first_one_on_with_their_deliveries(
    world: World, connections: Pool
) -> None:
    org_id = await world.organization()
    # the sixth is old too, but one before it is not: no gap may come
    await _events(world, org_id, [9, 8, 7, 6, 2, 9, 1])
    await _deliver_all(world, org_id)
    await world.admin.execute(
        """UPDATE events SET data = '{"asset_id": "ast_1", "zone_id": "zon_1"}'"""
        " WHERE org_id = %s",
        (org_id,),
    )
    await world.admin.execute(
        "INSERT INTO event_subjects SELECT org_id, subject, seq FROM events"
        " CROSS JOIN LATERAL subjects_of_event(data) AS named (subject) WHERE org_id = %s",
        (org_id,),
    )
    assert await _removed(connections, Days(None, 5, None)) == {"events": 4}
    about = await world.rows("event_subjects", "seq", "seq, subject", org_id)
    assert about == [(5,), (5,), (6,), (6,), (7,), (7,)]
    assert await world.seqs(org_id) == [5, 6, 7]
    assert await world.rows("webhook_deliveries", "seq", "seq", org_id) == [(5,), (6,), (7,)]


async def test_an_event_that_waits_for_its_delivery_stays(world: World, connections: Pool) -> None:
    org_id = await world.organization()
    await _events(world, org_id, [9, 8, 7, 6])
    await _deliver_all(world, org_id, pending=3)
    await _removed(connections, Days(None, 5, None))
    assert await world.seqs(org_id) == [3, 4]


async def test_readers_are_told_up_to_where_events_are_gone(
    world: World, connections: Pool
) -> None:
    tenant = Tenant(world.database, await world.organization())
    await _events(world, tenant.org_id, [9] * 120 + [1.5, 1.5])
    for days, gone, kept in ((30, 0, 122), (5, 120, 2), (1, 122, 0)):
        await _removed(connections, Days(None, days, None))
        async with rows.transaction(world.database, "opsc_app", tenant.org_id) as conn:
            assert (await events.kept_events(conn)).gone_seq == gone
            assert await events.count(conn, EventFilter(after_seq=0), 1000) == kept


async def _audit_ages(world: World, org_id: UUID) -> list[int]:
    """Return the ages of the events of the test below, in days."""
    query = (
        "SELECT %s::date - occurred_at::date FROM audit_events WHERE org_id = %s AND login = 'x'"
    )
    cursor = await world.admin.execute(query, (NOW, org_id))
    return sorted([age for (age,) in await cursor.fetchall()], reverse=True)


async def test_audit_events_go_by_their_age_the_oldest_first(
    world: World, connections: Pool
) -> None:
    one, other = [(await Tenant.create(world.database)).org_id for _ in range(2)]
    for org_id in (one, other):
        await world.admin.execute(
            "INSERT INTO audit_events (org_id, occurred_at, login, resource_type, resource_id,"
            " table_name, action, changes)"
            " SELECT %s, %s - days * interval '1 day', 'x', 'asset', %s, 'assets', 'update', '{}'"
            " FROM unnest('{8, 2, 9, 7}'::int[]) AS days",
            (org_id, NOW, org_id),
        )
    before = NOW - timedelta(days=5)
    async with connections.connection() as conn:
        for number, left in ((2, [7, 2]), (1, [2]), (0, [2])):
            assert await retention.remove_audit_events(conn, one, before, 2) == number
            assert await _audit_ages(world, one) == left
    assert await _audit_ages(world, other) == [9, 8, 7, 2]
    assert await _removed(connections, Days(None, None, 5)) == {"audit_events": 3}
    assert await _audit_ages(world, other) == [2]


async def _alert_ages(world: World, org_id: UUID) -> list[int]:
    """Return the ages of the alerts of the test below, in days."""
    query = "SELECT %s::date - created_at::date FROM alerts WHERE org_id = %s"
    cursor = await world.admin.execute(query, (NOW, org_id))
    return sorted([age for (age,) in await cursor.fetchall()], reverse=True)


async def test_alerts_go_by_their_age_the_oldest_first(world: World, connections: Pool) -> None:
    one, other = [(await Tenant.create(world.database)).org_id for _ in range(2)]
    for org_id in (one, other):
        await world.admin.execute(
            "INSERT INTO alerts (org_id, id, asset_id, asset_name, zone_id, zone_name, zone_kind,"
            " occurred_at, lat, lon, told, created_at)"
            " SELECT %(org_id)s, gen_random_uuid(), gen_random_uuid(), 'x', gen_random_uuid(), 'x',"
            " 'restricted', %(now)s, 0, 0, '{enter}', %(now)s - days * interval '1 day'"
            " FROM unnest('{8, 2, 9, 7}'::int[]) AS days",
            {"org_id": org_id, "now": NOW},
        )
    before = NOW - timedelta(days=5)
    async with connections.connection() as conn:
        for number, left in ((2, [7, 2]), (1, [2]), (0, [2])):
            assert await retention.remove_alerts(conn, one, before, 2) == number
            assert await _alert_ages(world, one) == left
    assert await _alert_ages(world, other) == [9, 8, 7, 2]
    assert await _removed(connections, Days(None, 5, None)) == {"alerts": 3}
    assert await _alert_ages(world, other) == [2]


async def test_attempts_go_by_days_and_statistics_by_hours(world: World, connections: Pool) -> None:
    org_id = await world.organization()
    for days in (1, 28, 29, 31, 32, 40):
        at = NOW - timedelta(days=days)
        await world.admin.execute(
            "INSERT INTO webhook_attempts (org_id, delivery_id, attempted_at)"
            " VALUES (%s, gen_random_uuid(), %s)",
            (org_id, at),
        )
        await world.admin.execute(
            "INSERT INTO webhook_endpoint_hours"
            " VALUES (%s, gen_random_uuid(), %s, 1, 1, array_fill(0, '{49}'))",
            (org_id, at),
        )
    assert await _removed(connections) == {}
    removed = await _removed(connections, Days(None, None, None, attempts=30))
    assert removed == {"attempt_chunks": 3, "endpoint_hours": 3}
    for table in ("webhook_attempts", "webhook_endpoint_hours"):
        assert len(await world.rows(table, "1", "1", org_id)) == 3


async def test_test_events_go_after_a_day_and_no_other_event_with_them(
    world: World, connections: Pool
) -> None:
    org_id = await world.organization()
    endpoint = await world.endpoint(org_id, "https://example.com/")
    await world.events(org_id, 3)
    await world.admin.execute(
        "INSERT INTO webhook_deliveries (org_id, endpoint_id, event_id, seq)"
        " SELECT org_id, %s, id, 0 FROM events WHERE org_id = %s",
        (endpoint.id, org_id),
    )
    old = "created_at = created_at - interval '25 hours'"
    for change in (f"is_test = true, {old}", old):
        await world.admin.execute(
            f"UPDATE events SET {change} WHERE position ="
            " (SELECT min(position) FROM events WHERE org_id = %s AND NOT is_test)",
            (org_id,),
        )
    assert await _removed(connections) == {"test_events": 1}
    assert await world.rows("events", "is_test", "position", org_id) == [(False,), (False,)]
    assert len(await world.deliveries(org_id)) == 2


async def test_a_device_that_is_not_let_in_goes_30_days_after_it_was_last_seen(
    world: World, connections: Pool
) -> None:
    for org_id in (await world.organization(), await world.organization()):
        for days in (0, 29, 31, 40):
            seen_at = NOW - timedelta(days=days)
            await world.admin.execute(
                "INSERT INTO unknown_devices (org_id, id, external_id, reason, protocol, seen,"
                " first_seen_at, last_seen_at)"
                " VALUES (%s, %s, %s, 'not_registered', 'http', 1, %s, %s)",
                (org_id, new_id(), f"{days}", seen_at - timedelta(days=90), seen_at),
            )
    assert await _removed(connections) == {"unknown_devices": 4}
    left = await world.admin.execute("SELECT external_id FROM unknown_devices")
    assert sorted(await left.fetchall()) == [("0",), ("0",), ("29",), ("29",)]


async def test_a_command_goes_after_30_days(world: World, connections: Pool) -> None:
    org_id, tracker_id = await world.organization(), new_id()
    await world.admin.execute(
        "INSERT INTO trackers (org_id, id, secret_hash, revision) VALUES (%s, %s, sha256('x'), 1)",
        (org_id, tracker_id),
    )
    for days in (29, 31):
        made_at = NOW - timedelta(days=days)
        await world.admin.execute(
            "INSERT INTO commands (org_id, id, tracker_id, text, repeatable, created_by,"
            " created_at, expires_at)"
            " SELECT org_id, %s, %s, %s, false, id, %s, %s FROM users WHERE org_id = %s",
            (new_id(), tracker_id, f"{days}", made_at, made_at, org_id),
        )
    assert await _removed(connections) == {"commands": 1}
    left = await world.admin.execute("SELECT text FROM commands")
    assert await left.fetchall() == [("29",)]


async def test_nothing_is_kept_of_the_attempts_of_a_deleted_organization(
    world: World, connections: Pool
) -> None:
    org_id, other = new_id(), await world.organization()
    endpoint = await world.endpoint(other, "https://example.com/")
    at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    claims = [
        ClaimedDelivery(
            ClaimedEndpoint(each, endpoint.id, "https://example.com/", b""),
            new_id(), new_id(), 0, "stock.low", 1, 0, 0, "{}",
        )
        for each in (org_id, other)
    ]  # fmt: skip
    async with connections.connection() as conn:
        marks = [Mark(claim, "pending", None, "no answer", 5.0, to_us(at)) for claim in claims]
        await webhook_deliveries.mark(conn, marks)
        durations = [0] * endpoint_hours.CLASSES
        await endpoint_hours.add(
            conn,
            [
                endpoint_hours.CountedHour(claim.endpoint.org_id, endpoint.id, at, 1, 0, durations)
                for claim in claims
            ],
        )
    for table in ("webhook_failures", "webhook_attempts", "webhook_endpoint_hours"):
        assert await world.rows(table, "1", "1", org_id) == [], table
        assert len(await world.rows(table, "1", "1", other)) == 1, table


async def test_notes_of_failures_that_were_written_beside_a_deletion_go(
    world: World, connections: Pool
) -> None:
    org_id, other = new_id(), await world.organization()
    for each in (org_id, other):
        await world.admin.execute(
            "INSERT INTO webhook_failures (org_id, endpoint_id) VALUES (%s, %s)", (each, new_id())
        )
    assert await _removed(connections) == {"orphan_failures": 1}
    assert await world.rows("webhook_failures", "1", "1", org_id) == []
    assert await world.rows("webhook_failures", "1", "1", other) == [(1,)]


async def test_claims_of_imeis_that_nothing_was_sent_by_end_after_30_days(
    world: World, connections: Pool
) -> None:
    tenant = await Tenant.create(world.database)
    trackers: dict[bool, set[UUID]] = {True: set(), False: set()}  # by whether they are to stay
    for days, column in ((31, None), (29, None), (31, "first_fix_at"), (31, "confirmed_at")):
        tracker_id = await tenant.loose_tracker()
        await claim(tenant, tracker_id, new_imei())
        more = "" if column is None else f", {column} = now()"
        await world.admin.execute(
            f"UPDATE imei_claims SET claimed_at = now() - {days} * interval '1 day'{more}"
            " WHERE tracker_id = %s".encode(),
            (tracker_id,),
        )
        trackers[days < 30 or column is not None].add(tracker_id)
    (ended,) = trackers[False]
    revision = "SELECT revision FROM trackers WHERE id = %s"
    before = await _one(world, revision, ended)
    assert (await _removed(connections))["imei_claims"] == 1
    cursor = await world.admin.execute(
        "SELECT tracker_id FROM imei_claims WHERE org_id = %s", (tenant.org_id,)
    )
    assert {row[0] for row in await cursor.fetchall()} == trackers[True]
    assert await _one(world, revision, ended) > before  # listeners hear of it
