"""Wake-ups are heard by other processes after COMMIT, few of them, and again after an outage."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
import pytest_asyncio
from structlog.typing import EventDict

from db.core.connect import Connection, Pool, connect, pool
from db.core.errors import UniqueViolation
from db.core.ids import new_id
from db.core.wakeups import Channel, WakeUp, WakeUpLimits, WakeUps
from db.history import events
from db.history.events import Event
from tests.db.core.hearing import Heard, listening, wake_ups_at
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest, beside
from tests.waiting import until

EVENTS = WakeUp(Channel.EVENTS)


@pytest_asyncio.fixture
async def sender(database: DatabaseUnderTest) -> AsyncIterator[WakeUps]:
    """The wake-ups of a process that only sends."""
    wake_ups = wake_ups_at(database.url("opsc_app"))
    async with wake_ups.running():
        yield wake_ups


async def test_another_process_hears_the_organizations_of_its_channels(
    database: DatabaseUnderTest, sender: WakeUps
) -> None:
    first, second = new_id(), new_id()
    async with listening(database.url("opsc_deliver"), Channel.SEQUENCED) as heard:
        sender.send([EVENTS, WakeUp(Channel.SEQUENCED, first), WakeUp(Channel.SEQUENCED, second)])
        await until(lambda: heard)
        assert set(heard) == {first, second}


async def test_more_organizations_than_a_payload_holds_are_any(
    database: DatabaseUnderTest, sender: WakeUps
) -> None:
    async with listening(database.url("opsc_deliver"), Channel.SEQUENCED) as heard:
        sender.send(WakeUp(Channel.SEQUENCED, new_id()) for _ in range(10))
        await until(lambda: heard)
        assert heard == [None]


async def test_a_burst_is_few_wake_ups(database: DatabaseUnderTest, sender: WakeUps) -> None:
    async with listening(database.url("opsc_deliver"), Channel.EVENTS) as heard:
        clock = asyncio.get_running_loop()
        began_s, wake_ups = clock.time(), 0
        while sender.sent < 11:
            sender.send([EVENTS])
            wake_ups += 1
            await asyncio.sleep(0)
        assert clock.time() - began_s >= 10 * WakeUpLimits().interval_s
        assert wake_ups > 100
        await until(lambda: len(heard) == sender.sent)


async def test_a_process_wakes_itself_up_at_once_and_only_once(database: DatabaseUnderTest) -> None:
    wake_ups, heard = wake_ups_at(database.url("opsc_app")), Heard()
    wake_ups.on(Channel.EVENTS, heard.append)
    async with listening(database.url("opsc_deliver"), Channel.EVENTS) as elsewhere:
        async with wake_ups.running():
            await until(lambda: wake_ups.is_listening)
            heard.clear()
            wake_ups.send([EVENTS])
            assert heard == [None]
            await until(lambda: elsewhere)
            org_id = new_id()
            async with await connect(database.url("opsc_app"), "test") as conn:
                await _notify(conn, Channel.EVENTS, str(org_id))  # comes behind its own
            await until(lambda: org_id in heard)
        assert heard == [None, org_id]


async def test_a_payload_that_nobody_can_read_means_any(database: DatabaseUnderTest) -> None:
    async with (
        listening(database.url("opsc_deliver"), Channel.EVENTS) as heard,
        await connect(database.url("opsc_app"), "test") as conn,
    ):
        await _notify(conn, Channel.EVENTS, "a,b")
        await until(lambda: heard)
        assert heard == [None]


async def test_a_pool_sends_what_is_committed_and_nothing_else(database: DatabaseUnderTest) -> None:
    tenant = await Tenant.create(database)
    sent = list[tuple[set[WakeUp], int]]()
    async with pool(database.url("opsc_ingest"), "test", max_size=1) as connections:
        connections.on_committed = lambda wake_ups: sent.append(
            (set(wake_ups), len(tenant.rows("SELECT FROM events")))
        )
        event = _event(tenant.org_id)
        with pytest.raises(UniqueViolation):
            await _insert_one_by_one(connections, [event, event])
        await _insert_one_by_one(connections, [])
        assert sent == []
        await _insert_one_by_one(connections, [event])
        assert sent == [({EVENTS}, 1)]


async def test_sessions_that_are_ended_are_opened_again(database: DatabaseUnderTest) -> None:
    sender = wake_ups_at(database.url("opsc_app"))
    async with (
        listening(database.url("opsc_deliver"), Channel.EVENTS) as heard,
        sender.running(),
        await connect(database.url("admin"), "test") as admin,
    ):
        await _end_sessions(admin)
        await until(lambda: heard)  # what may have been lost
        heard.clear()
        await until(lambda: _sent_and_heard(sender, heard))


async def test_sessions_that_do_nothing_are_opened_ever_less_often(
    database: DatabaseUnderTest, logged: list[EventDict]
) -> None:
    opened_s: list[float] = []
    clock = asyncio.get_running_loop()

    async def closed() -> Connection:
        conn = await connect(database.url("opsc_app"), "test-wakeups")
        await conn.close()
        opened_s.append(clock.time())
        return conn

    wake_ups = WakeUps(closed, WakeUpLimits(retry_min_s=0.01, retry_max_s=0.3))
    wake_ups.on(Channel.EVENTS, Heard().append)
    async with wake_ups.running():
        await until(lambda: opened_s and opened_s[-1] - opened_s[0] > 1.5)
    assert len(opened_s) < 40  # of two tasks, together
    assert [one["event"] for one in logged] == ["no wake-ups, polling meanwhile"] * 2


async def test_while_no_session_listens_all_are_woken_up_again_and_again(
    database: DatabaseUnderTest,
) -> None:
    sessions, woken = asyncio.Event(), Heard()

    async def connected() -> Connection:
        await sessions.wait()
        return await connect(database.url("opsc_app"), "test-wakeups")

    wake_ups = WakeUps(connected, WakeUpLimits(unheard_s=0.01))
    wake_ups.on(Channel.EVENTS, woken.append)
    async with wake_ups.running():
        await until(lambda: len(woken) > 3)
        sessions.set()
        await until(lambda: wake_ups.is_listening)
        await asyncio.sleep(0.1)
        woken.clear()
        await asyncio.sleep(0.1)
        assert not woken


async def test_a_failure_that_no_session_mends_is_shown(
    database: DatabaseUnderTest, logged: list[EventDict]
) -> None:
    wake_ups = wake_ups_at(database.url("opsc_app"))
    wake_ups.on(Channel.EVENTS, lambda _: 1 // 0)
    async with wake_ups.running():
        await until(lambda: logged)
    assert [(one["event"], one["log_level"]) for one in logged] == [
        ("wake-ups failed, polling from now on", "critical")
    ]


async def test_a_database_that_is_killed_wakes_up_again(private_postgres) -> None:
    postgres = await beside(private_postgres)
    database = await asyncio.to_thread(postgres.migrated_database)
    sender = wake_ups_at(database.url("opsc_app"))
    async with (
        listening(database.url("opsc_deliver"), Channel.EVENTS) as heard,
        sender.running(),
    ):
        await until(lambda: _sent_and_heard(sender, heard))
        heard.clear()
        await asyncio.to_thread(postgres.kill)
        sender.send([EVENTS])
        await beside(postgres.start)
        await until(lambda: heard)
        heard.clear()
        await until(lambda: _sent_and_heard(sender, heard))


def _sent_and_heard(sender: WakeUps, heard: Heard) -> bool:
    sender.send([EVENTS])
    return bool(heard)


async def _insert_one_by_one(connections: Pool, written: list[Event]) -> None:
    async with connections.connection() as conn:
        await conn.execute("BEGIN")
        for event in written:
            await events.insert(conn, [event])


def _event(org_id: UUID) -> Event:
    return Event(org_id, new_id(), "work_order.created", datetime.now(UTC), "{}")


async def _notify(conn: Connection, channel: Channel, payload: str) -> None:
    await conn.execute("SELECT pg_notify(%s, %s)", (channel, payload))


async def _end_sessions(admin: Connection) -> None:
    await admin.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'test-wakeups' AND datname = current_database()"
    )
