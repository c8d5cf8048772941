"""Who is connected is in the database soon, and of a listener that is gone not for long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from db.core.connect import connect
from db.core.ids import new_id
from listener.stored.presence import ConnectedDevice, Presence
from listener.stored.writes import keep_written
from tests.ingest.tenants import Tenant
from tests.listener.registering import rows
from tests.waiting import until

NOW = datetime.now(UTC).replace(microsecond=0)
LATER = NOW + timedelta(minutes=1)


@asynccontextmanager
async def at_work(tenant: Tenant, presence: Presence) -> AsyncIterator[Presence]:
    """Provide a listener that writes who is connected; all is written at the end."""
    stopping = asyncio.Event()
    url = tenant.database.url("opsc_listen")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keep_written(url, [presence.write], stopping))
        try:
            yield presence
        finally:
            stopping.set()


async def device(tenant: Tenant, at: datetime = NOW, address: str = "192.0.2.7") -> ConnectedDevice:
    return ConnectedDevice(tenant.org_id, await tenant.loose_tracker(), address, 4, at)


def entry(tenant: Tenant, connected: ConnectedDevice) -> Any:
    """Read listener, times of connect and disconnect; None where there is no entry."""
    found = rows(
        tenant,
        "SELECT listener_id, connected_at, disconnected_at FROM device_connections"
        " WHERE tracker_id = %s",
        connected.tracker_id,
    )
    return found[0] if found else None


async def test_a_connection_is_written_when_it_opens_and_when_it_closes(tenant: Tenant) -> None:
    connected = await device(tenant)
    async with at_work(tenant, Presence()) as presence:
        presence.opened(connected)
        open_entry = (presence.listener_id, NOW, None)
        await until(lambda: entry(tenant, connected) == open_entry)
        presence.closed(connected, LATER)
    assert entry(tenant, connected) == (None, NOW, LATER)


async def test_a_device_that_comes_back_keeps_when_it_was_gone(tenant: Tenant) -> None:
    connected = await device(tenant)
    async with at_work(tenant, Presence()) as presence:
        presence.opened(connected)
        presence.closed(connected, LATER)
    async with at_work(tenant, Presence()) as presence:
        presence.opened(connected._replace(connected_at=LATER))
    assert entry(tenant, connected) == (presence.listener_id, LATER, LATER)


async def test_the_end_of_a_connection_that_was_taken_over_ends_nothing(tenant: Tenant) -> None:
    old = await device(tenant)
    new = old._replace(connected_at=LATER)
    first, second = Presence(), Presence()
    async with at_work(tenant, first), at_work(tenant, second):
        first.opened(old)
        await until(lambda: entry(tenant, old) == (first.listener_id, NOW, None))
        second.opened(new)
        await until(lambda: entry(tenant, old) == (second.listener_id, LATER, None))
        first.closed(old, LATER + timedelta(seconds=1))
        second.opened(new._replace(connected_at=LATER + timedelta(seconds=2)))
        second.closed(new, LATER + timedelta(seconds=3))
    assert entry(tenant, old) == (second.listener_id, LATER + timedelta(seconds=2), None)


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("fe80::1%eth0", "fe80::1/128"),
    ],
)
async def test_the_address_is_written_as_people_know_it(
    tenant: Tenant, address: str, written: str
) -> None:
    connected = await device(tenant, address=address)
    async with at_work(tenant, Presence()) as presence:
        presence.opened(connected)
    query = "SELECT address::inet::text FROM device_connections WHERE tracker_id = %s"
    assert rows(tenant, query, connected.tracker_id) == [(written,)]


async def test_the_entries_of_a_killed_listener_are_ended_by_another(tenant: Tenant) -> None:
    connected = await device(tenant)
    killed, other = Presence(lease_s=0.2), Presence(lease_s=0.3)
    async with at_work(tenant, killed):
        killed.opened(connected)
    assert entry(tenant, connected) == (killed.listener_id, NOW, None)
    async with at_work(tenant, other):
        await until(lambda: entry(tenant, connected)[0] is None)
    ended_at = entry(tenant, connected)[2]
    assert ended_at > NOW
    left = rows(tenant, "SELECT id FROM listeners WHERE id = %s", killed.listener_id)
    assert left == []


async def test_a_listener_that_was_taken_for_dead_writes_its_entries_again(
    tenant: Tenant,
) -> None:
    connected = await device(tenant)
    frozen = Presence(lease_s=0.2)
    async with at_work(tenant, frozen):
        frozen.opened(connected)
    async with at_work(tenant, Presence(lease_s=0.3)):
        await until(lambda: entry(tenant, connected)[0] is None)
    async with at_work(tenant, frozen):
        await until(lambda: entry(tenant, connected)[0] == frozen.listener_id)


async def test_a_listener_that_stops_ends_its_lease(tenant: Tenant) -> None:
    async with at_work(tenant, Presence(lease_s=60)) as presence:
        pass
    async with await connect(tenant.database.url("opsc_listen"), "test") as conn:
        await presence.release(conn)
    query = "SELECT expires_at < clock_timestamp() FROM listeners WHERE id = %s"
    assert rows(tenant, query, presence.listener_id) == [(True,)]


async def test_a_shared_secret_is_written_down(tenant: Tenant) -> None:
    connected = await device(tenant)
    async with at_work(tenant, Presence()) as presence:
        presence.credential_shared(connected, LATER)
        presence.opened(connected)
    query = "SELECT credential_shared_at FROM device_connections WHERE tracker_id = %s"
    assert rows(tenant, query, connected.tracker_id) == [(LATER,)]


async def test_a_tracker_that_was_removed_holds_nobody_up(tenant: Tenant) -> None:
    connected = await device(tenant)
    async with at_work(tenant, Presence()) as presence:
        presence.opened(connected._replace(tracker_id=new_id()))
        presence.opened(connected)
    assert entry(tenant, connected) is not None
