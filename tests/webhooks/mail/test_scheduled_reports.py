"""Reports by mail: each period once, with several processes, and whatever dies."""

import asyncio
from collections.abc import AsyncIterator
from email.message import EmailMessage
from uuid import UUID

import pytest_asyncio

from db.core.connect import Pool, pool
from db.core.ids import new_id
from tests.servers import DatabaseUnderTest
from tests.waiting import until
from tests.webhooks.delivering_process import process
from tests.webhooks.poison.guards import guard_of
from tests.webhooks.world import World
from webhooks.mail.mailing import Mailing
from webhooks.mail.senders import SendError
from webhooks.metrics import WebhookMetrics
from webhooks.scheduled_reports import ScheduledReports

LETTERS = "SELECT schedule_id, count(*) FROM mail_outbox WHERE purpose = 'report' GROUP BY 1"
DUE = "SELECT count(*) FROM report_schedule_runs WHERE next_run_at <= now()"
SLOW = """
CREATE FUNCTION slow_run() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
CREATE TRIGGER slow BEFORE UPDATE ON report_schedule_runs FOR EACH ROW EXECUTE FUNCTION slow_run();
"""
SLEEPS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE wait_event = 'PgSleep' AND datname = current_database()"
)


@pytest_asyncio.fixture
async def connections(database: DatabaseUnderTest) -> AsyncIterator[Pool]:
    """The connections of the delivering role."""
    async with pool(database.url("opsc_deliver"), "test", max_size=4) as opened:
        yield opened


async def schedules(world: World, count: int) -> list[UUID]:
    """Store schedules that are due, for the organization's admin."""
    org_id = await world.organization()
    await world.admin.execute("DELETE FROM report_schedules")
    await world.admin.execute("TRUNCATE mail_outbox")
    made = [new_id() for _ in range(count)]
    for schedule_id in made:
        await world.admin.execute(
            """
            INSERT INTO report_schedules
                   (org_id, id, name, report, filters, cadence, weekday, month_day, local_time,
                    time_zone, recipient_ids, enabled, created_at, updated_at)
            SELECT org_id, %s, 'x', 'day', '{}', 'daily', 1, 1, '06:00', 'UTC', ARRAY[id], true,
                   now(), now()
              FROM users WHERE org_id = %s
            """,
            (schedule_id, org_id),
        )
        await world.admin.execute(
            "INSERT INTO report_schedule_runs (org_id, schedule_id, next_run_at)"
            " VALUES (%s, %s, now() - interval '9 days')",
            (org_id, schedule_id),
        )
    return made


async def letters(world: World) -> dict[UUID, int]:
    return dict(await (await world.admin.execute(LETTERS)).fetchall())


async def due(world: World) -> int:
    cursor = await world.admin.execute(DUE)
    return (await cursor.fetchall())[0][0]


async def test_several_processes_write_each_letter_once(world: World, connections: Pool) -> None:
    made = await schedules(world, 20)
    await asyncio.gather(
        *(ScheduledReports(connections, guard_of(connections)).mail_due() for _ in range(4))
    )
    assert await letters(world) == dict.fromkeys(made, 1)
    assert await due(world) == 0


async def test_a_process_that_is_killed_on_the_way_has_written_nothing(
    world: World, connections: Pool, database: DatabaseUnderTest
) -> None:
    (made,) = await schedules(world, 1)
    await world.admin.execute(SLOW)

    async def is_at_it() -> bool:
        cursor = await world.admin.execute(SLEEPS.replace("pg_terminate_backend(pid)", "pid"))
        return await cursor.fetchone() is not None

    async with process(database.url("opsc_deliver")) as victim:
        await until(is_at_it)
        victim.kill()
        await victim.wait()
    await world.admin.execute(SLEEPS)  # what the server would notice in the end
    await world.admin.execute("DROP TRIGGER slow ON report_schedule_runs; DROP FUNCTION slow_run")
    assert (await letters(world), await due(world)) == ({}, 1)
    await ScheduledReports(connections, guard_of(connections)).mail_due()
    assert await letters(world) == {made: 1}
    await ScheduledReports(connections, guard_of(connections)).mail_due()
    assert await letters(world) == {made: 1}


async def test_a_letter_that_is_not_taken_says_so_to_its_schedule(
    world: World, connections: Pool
) -> None:
    (made,) = await schedules(world, 1)
    await ScheduledReports(connections, guard_of(connections)).mail_due()
    refusing = Mailing(
        connections,
        _Refusing(),
        guard_of(connections),
        WebhookMetrics(),
        mail_from="OPS <ops@example.com>",
        public_url="https://ops.example.com",
    )
    assert await refusing.send_next()
    cursor = await world.admin.execute("SELECT last_error FROM report_schedule_runs")
    assert await cursor.fetchall() == [("550 no such mailbox",)]
    assert await letters(world) == {made: 1}  # it is tried again


class _Refusing:
    """A mail server that is away."""

    async def send(self, letter: EmailMessage) -> None:
        raise SendError("550 no such mailbox", is_final=False)


async def test_a_time_zone_that_is_not_known_here_holds_nobody_else_up(
    world: World, connections: Pool
) -> None:
    lost, made = await schedules(world, 2)
    await world.admin.execute(
        "UPDATE report_schedules SET time_zone = 'Moon/Base' WHERE id = %s", (lost,)
    )
    await ScheduledReports(connections, guard_of(connections)).mail_due()
    assert await letters(world) == {made: 1}
    assert await due(world) == 0  # it is looked at again a day later
