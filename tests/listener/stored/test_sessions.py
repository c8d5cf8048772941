"""A device finds its session again, on any listener, and whatever the database does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from db.core.connect import connect
from db.core.ids import new_id
from db.listener import device_sessions
from db.listener.device_sessions import MOST_CLIENT_ID_BYTES, MOST_OF_TRACKER, SessionKey
from listener.stored.sessions import LONGEST_S, Sessions
from listener.stored.writes import keep_written
from tests.ingest.tenants import Tenant
from tests.listener.registering import rows
from tests.servers import DatabaseUnderTest, PostgresUnderTest
from tests.waiting import until

HOUR_S = 3600.0


@asynccontextmanager
async def at_work(database: DatabaseUnderTest) -> AsyncIterator[Sessions]:
    """Provide the sessions of a listener that is connected to the database; all is written at the
    end.
    """
    sessions, stopping, url = Sessions(), asyncio.Event(), database.url("opsc_listen")
    async with asyncio.TaskGroup() as tasks:
        looking_up = tasks.create_task(sessions.look_up(url))
        tasks.create_task(keep_written(url, [sessions.write], stopping))
        await until(lambda: sessions._is_connected)
        try:
            yield sessions
        finally:
            stopping.set()
            looking_up.cancel()


async def key_of(tenant: Tenant, client_id: str = "box") -> SessionKey:
    return SessionKey(tenant.org_id, await tenant.loose_tracker(), client_id)


async def test_a_client_finds_its_session_on_another_listener(tenant: Tenant) -> None:
    key = await key_of(tenant)
    async with at_work(tenant.database) as first:
        assert await first.find(key) is None
        first.opened(key, 1, wants_receipts=False)
        first.opened(key, 1, wants_receipts=True)
        first.closed(key, 1, expiry_s=HOUR_S)
    async with at_work(tenant.database) as second:
        found = await second.find(key)
        assert found is not None
        assert found.wants_receipts
        assert found.expires_at < datetime.now(UTC) + timedelta(seconds=HOUR_S)
        assert await second.find(key._replace(client_id="Box")) is None
        assert await second.find(await key_of(tenant)) is None


async def test_a_session_is_found_before_it_is_written() -> None:
    sessions, key = Sessions(), SessionKey(new_id(), new_id(), "box")
    sessions.opened(key, 1, wants_receipts=True)
    assert await sessions.find(key) is not None
    sessions.closed(key, 1, expiry_s=0)
    assert await sessions.find(key) is None


@pytest.mark.parametrize("end", ["no expiry", "clean start", "expired"])
async def test_a_session_that_has_ended_is_not_found(tenant: Tenant, end: str) -> None:
    key = await key_of(tenant)
    async with at_work(tenant.database) as first:
        first.opened(key, 1, wants_receipts=True)
    async with at_work(tenant.database) as second:
        assert await second.find(key) is not None
        second.opened(key, 1, wants_receipts=True)
        if end == "clean start":
            second.removed(key)
        else:
            second.closed(key, 1, expiry_s=0 if end == "no expiry" else 0.001)
    async with at_work(tenant.database) as third:
        assert await third.find(key) is None
    kept = rows(tenant, "SELECT client_id FROM device_sessions WHERE tracker_id = %s", key[1])
    assert kept == []


async def test_a_connection_that_was_taken_over_does_not_end_the_session(tenant: Tenant) -> None:
    key = await key_of(tenant)
    async with at_work(tenant.database) as sessions:
        sessions.opened(key, 1, wants_receipts=False)
        sessions.opened(key, 2, wants_receipts=True)
        sessions.closed(key, 1, expiry_s=0)
        assert await sessions.find(key) is not None


async def test_the_session_of_an_open_connection_is_renewed(tenant: Tenant) -> None:
    key = await key_of(tenant)
    expiry = "SELECT expires_at > now() + interval '6 days' FROM device_sessions"
    soon = "UPDATE device_sessions SET expires_at = now() + interval '1 day' RETURNING true"
    async with at_work(tenant.database) as sessions:
        sessions.opened(key, 1, wants_receipts=True)
        await until(lambda: not sessions._notes)
        assert rows(tenant, f"{soon}, tracker_id") != []
        sessions._renewed_at_s = float("-inf")  # as if a day had passed
        await until(lambda: rows(tenant, f"{expiry} WHERE tracker_id = %s", key[1]) == [(True,)])


async def test_no_session_is_kept_longer_than_a_week(tenant: Tenant) -> None:
    key = await key_of(tenant)
    async with at_work(tenant.database) as sessions:
        sessions.opened(key, 1, wants_receipts=False)
        sessions.closed(key, 1, expiry_s=2**32 - 1)
        found = await sessions.find(key)
        assert found is not None
        assert found.expires_at <= datetime.now(UTC) + timedelta(seconds=LONGEST_S)


async def test_a_tracker_keeps_some_sessions_and_the_oldest_goes(tenant: Tenant) -> None:
    key, other = await key_of(tenant), await key_of(tenant)
    async with at_work(tenant.database) as sessions:
        sessions.opened(other, 0, wants_receipts=False)
        for number in range(MOST_OF_TRACKER + 3):
            sessions.opened(key._replace(client_id=f"{number:02}"), number, wants_receipts=False)
    kept = rows(
        tenant,
        "SELECT client_id FROM device_sessions WHERE tracker_id = %s ORDER BY 1",
        key.tracker_id,
    )
    assert kept == [(f"{number:02}",) for number in range(3, MOST_OF_TRACKER + 3)]
    async with at_work(tenant.database) as sessions:
        assert await sessions.find(other) is not None


@pytest.mark.parametrize("client_id", ["x" * (MOST_CLIENT_ID_BYTES + 1), "a\0b"])
async def test_a_client_id_that_cannot_be_kept_holds_nobody_up(
    tenant: Tenant, client_id: str
) -> None:
    key, good = await key_of(tenant, client_id), await key_of(tenant)
    async with at_work(tenant.database) as sessions:
        assert await sessions.find(key) is None
        sessions.opened(key, 1, wants_receipts=False)
        sessions.closed(key, 1, expiry_s=HOUR_S)
        sessions.removed(key)
        sessions.opened(good, 2, wants_receipts=False)
    async with at_work(tenant.database) as sessions:
        assert await sessions.find(good) is not None


async def test_a_tracker_that_was_removed_holds_nobody_up(tenant: Tenant) -> None:
    gone, good = SessionKey(tenant.org_id, new_id(), "box"), await key_of(tenant)
    async with at_work(tenant.database) as sessions:
        sessions.opened(gone, 1, wants_receipts=False)
        sessions.opened(good, 2, wants_receipts=False)
    async with at_work(tenant.database) as sessions:
        assert await sessions.find(gone) is None
        assert await sessions.find(good) is not None


async def test_while_the_database_is_away_what_is_remembered_counts(
    private_postgres: Callable[[], PostgresUnderTest],
) -> None:
    postgres = private_postgres()
    tenant = await Tenant.create(postgres.migrated_database())
    known, unknown = await key_of(tenant), await key_of(tenant)
    async with at_work(tenant.database) as sessions:
        sessions.opened(known, 1, wants_receipts=True)
        await until(lambda: not sessions._notes)
        postgres.kill()
        assert await sessions.find(known) is not None
        assert await sessions.find(unknown) is None
        sessions.opened(unknown, 2, wants_receipts=False)
        postgres.start()
        await until(lambda: sessions._is_connected and not sessions._notes)
    async with await connect(tenant.database.url("opsc_listen"), "test") as conn:
        assert (await device_sessions.find(conn, [known, unknown])).keys() == {known, unknown}


async def test_each_of_many_that_sign_in_at_once_is_answered(tenant: Tenant) -> None:
    key = await key_of(tenant)
    async with at_work(tenant.database) as first:
        first.opened(key, 1, wants_receipts=True)
    strangers = [key._replace(client_id=str(number)) for number in range(3_000)]
    async with at_work(tenant.database) as second:
        found = await asyncio.gather(*map(second.find, [*strangers, key]))
        assert [session for session in found[:-1] if session] == []
        assert found[-1] is not None
