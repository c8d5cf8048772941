"""Each transaction has a time of receipt of its own, later than those of all before it: whoever
reads what was received since misses nothing.
"""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from db.core.connect import Connection
from db.core.errors import UniqueViolation
from db.fixes import feed
from db.fixes.feed import FeedKey
from db.fixes.fix_filters import FixFilter
from db.ingest import restore
from ingest.planning.decoded_batch import decode_batch
from ingest.splitting import store_in_parts
from telemetry.topics import fixes_topic
from tests.ingest.conftest import fix
from tests.ingest.seam import ClockAhead, DeviceMessage, now_us, settle, term_of
from tests.ingest.tenants import Tenant, Vehicle, soon
from tests.servers import DatabaseUnderTest

BEGIN = datetime(2000, 1, 1, tzinfo=UTC)


def message(vehicle: Vehicle, minutes: float) -> DeviceMessage:
    payload = json.dumps([fix(soon(-60 * minutes), 13.4, 52.5)]).encode()
    return DeviceMessage(None, fixes_topic(vehicle.name), payload)


def receipts(tenant: Tenant) -> list[datetime]:
    rows = tenant.rows("SELECT received_at FROM gps_events ORDER BY received_at")
    return [received_at for (received_at,) in rows]


async def test_each_batch_is_received_later_whatever_the_clock_says(
    database: DatabaseUnderTest,
) -> None:
    tenant = await Tenant.create(database)
    truck = await tenant.vehicle()
    async with term_of(database) as term:
        term.memory.newest_feed_us = 0
        for minutes in (3, 2, 1):
            arrivals = decode_batch([message(truck, minutes)], 1_000_000)
            term.memory.in_order(arrivals)
        times = [term.memory.in_order(arrivals).feed_us for _ in range(3)]
        assert times == sorted(set(times))
        later = decode_batch([message(truck, 1)], 2_000_000_000)
        assert term.memory.in_order(later).feed_us == 2_000_000_000


async def test_a_leader_whose_clock_is_behind_goes_on_after_the_one_before(
    database: DatabaseUnderTest,
) -> None:
    tenant = await Tenant.create(database)
    truck = await tenant.vehicle()
    async with term_of(database) as first:
        await settle(first, [message(truck, 2)])
    (newest,) = receipts(tenant)
    async with term_of(database) as second:
        behind = newest - timedelta(minutes=10)
        assert await restore.newest_receipt(second.conn, behind) >= newest
        ahead = newest + timedelta(days=1)
        assert await restore.newest_receipt(second.conn, ahead) == ahead


async def test_the_parts_of_a_batch_are_received_one_after_the_other(
    database: DatabaseUnderTest,
) -> None:
    tenant = await Tenant.create(database)
    trucks = [await tenant.vehicle() for _ in range(4)]
    async with term_of(database) as term:
        arrivals = decode_batch([message(truck, 1) for truck in trucks], now_us())
        refused = UniqueViolation("as if the database had said so")
        await store_in_parts(term, arrivals, [], refused, lambda stored: None)
        assert len(set(receipts(tenant))) > 1
        await settle(term, [message(trucks[0], 0.5)])
    times = receipts(tenant)
    assert times[-1] > max(times[:-1])


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_who_polls_meanwhile_gets_each_fix_once(
    database: DatabaseUnderTest, limit: int
) -> None:
    """Late fixes come in no order of their times, and the leader changes twice; for a while its
    clock is an hour ahead.
    """
    tenant = await Tenant.create(database)
    trucks = [await tenant.vehicle() for _ in range(3)]
    is_over = asyncio.Event()

    async def send() -> None:
        clock = ClockAhead()
        for turn in range(3):
            async with term_of(database, clock) as term:
                for number in range(8):
                    clock.ahead_s = 3600 * (turn == 1 and 2 < number < 6)
                    minutes = (number * 7919 + turn * 131) % 300 + 1 + 0.01 * turn
                    await settle(term, [message(truck, minutes) for truck in trucks])
        is_over.set()

    sending = asyncio.create_task(send())
    read = await _poll(tenant, limit, is_over)
    await sending
    assert len(read) == len(set(read)) == 3 * 8 * 3
    assert [key.received_at for key in read] == sorted(key.received_at for key in read)


async def _poll(tenant: Tenant, limit: int, is_over: asyncio.Event) -> list[FeedKey]:
    """Read as a program does: to the end by cursor, and then again from the last receipt on."""
    read, received_after = list[FeedKey](), BEGIN
    async with tenant.database.connection("opsc_app") as conn:
        while True:
            was_over = is_over.is_set()
            rows = await _all_after(conn, tenant, received_after, limit)
            if rows:
                read += rows
                received_after = rows[-1].received_at
            elif was_over:
                return read
            await asyncio.sleep(0.01)


async def _all_after(
    conn: Connection, tenant: Tenant, received_after: datetime, limit: int
) -> list[FeedKey]:
    read, after = list[FeedKey](), None
    while True:
        async with conn.transaction():
            await conn.execute("CALL act_for(%s, '')", (tenant.org_id,))
            rows = await feed.listing(conn, FixFilter(), received_after, after, limit)
        read += [FeedKey(row.received_at, row.tracker_id, row.time, row.seq) for row in rows]
        if len(rows) < limit:
            return read
        after = read[-1]
