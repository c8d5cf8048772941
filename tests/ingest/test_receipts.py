"""Receipts: every message of a tracker that wants them is answered, once it is committed."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from ingest.leader import run
from ingest.metrics import IngestMetrics
from ingest.receipts import WaysBack, send
from ingest.runtime import IngestRuntime
from mqtt import BrokerAddress, Session, SessionOptions, Subscription
from telemetry.link import Receipt
from telemetry.rollover import ROUND_US
from telemetry.times import format_time
from telemetry.topics import ack_topic
from tests.ingest.conftest import Device, fix, running, runtime
from tests.ingest.tenants import Tenant, Vehicle, soon
from tests.servers import BrokerUnderTest, DatabaseUnderTest
from tests.waiting import PATIENCE_S, until

PLACE = (13.4, 52.5)


@asynccontextmanager
async def listening(broker: BrokerUnderTest, vehicle: Vehicle) -> AsyncIterator[Session]:
    """Provide a tracker's own connection, subscribed to its receipts."""
    options = SessionOptions(
        client_id=f"listener-{secrets.token_hex(4)}",
        clean_start=True,
        subscriptions=(Subscription(ack_topic(vehicle.name)),),
    )
    async with Session(BrokerAddress.parse(broker.url), options) as session:
        await session.connected.wait()
        yield session


async def heard(session: Session, count: int) -> list[tuple[bytes | None, dict[str, Any]]]:
    """Return the next receipts: correlation data and content."""
    found: list[tuple[bytes | None, dict[str, Any]]] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(found) < count:
            messages = await session.receive()
            session.acknowledge(messages)
            assert not any(message.retain for message in messages)
            found += [(one.correlation_data, json.loads(one.payload)) for one in messages]
    return found


async def asking(tenant: Tenant) -> Vehicle:
    """Return a vehicle whose tracker wants receipts."""
    vehicle = await tenant.vehicle()
    await tenant.wants_receipts(vehicle)
    return vehicle


async def test_every_message_is_answered_refused_ones_included(
    tenant: Tenant, broker: BrokerUnderTest, ingest: object
) -> None:
    vehicle = await asking(tenant)
    topic, at = f"trackers/{vehicle.name}/fixes", soon(-10)
    time = format_time(round(at.timestamp() * 1000) * 1000)
    rolled_over = format_time(round(at.timestamp()) * 1_000_000 - ROUND_US)
    good = fix(at, *PLACE, seq=7)
    sent = [
        (good, {"time": time, "seq": 7, "count": 1, "rejected": [], "unassigned": 0}),
        (good, {"time": time, "seq": 7, "count": 1, "rejected": [], "unassigned": 0}),
        (
            [good, good | {"lat": 95, "seq": 8}],
            {"time": time, "seq": 8, "count": 1, "rejected": ["bad_coordinate"], "unassigned": 0},
        ),
        (
            [good, good | {"time": rolled_over, "seq": 9}],
            {"time": rolled_over, "seq": 9, "count": 2, "rejected": [], "unassigned": 0},
        ),
        (
            good | {"time": "1980-01-06T00:00:00Z"},
            {
                "time": "1980-01-06T00:00:00Z",
                "seq": 7,
                "count": 0,
                "rejected": ["ancient"],
                "unassigned": 0,
            },
        ),
        (
            "hello",
            {"time": None, "seq": None, "count": 0, "rejected": ["undecodable"], "unassigned": 0},
        ),
    ]
    async with listening(broker, vehicle) as session:
        for is_one_by_one in (True, False):  # batches of one message, then of several
            found: list[tuple[bytes | None, dict[str, Any]]] = []
            for number, (body, _) in enumerate(sent):
                content = json.dumps(body).encode()
                await session.publish(topic, content, correlation_data=bytes([number]))
                if is_one_by_one:
                    found += await heard(session, 1)
            found += await heard(session, len(sent) - len(found))
            assert found == [(bytes([number]), told) for number, (_, told) in enumerate(sent)]


async def test_a_receipt_says_how_many_fixes_belong_to_no_asset(
    tenant: Tenant, broker: BrokerUnderTest, device: Device, ingest: IngestRuntime
) -> None:
    vehicle = await asking(tenant)
    off = await tenant.take_off(vehicle.tracker_id, soon(-60))
    async with listening(broker, vehicle) as session:
        for _ in range(2):  # also where they are known
            fixes = [fix(off + timedelta(seconds=after), *PLACE) for after in (-1, 1, 2)]
            await device.send(vehicle, *fixes)
            [(_, content)] = await heard(session, 1)
            assert (content["count"], content["unassigned"]) == (3, 2)


async def test_who_does_not_want_receipts_gets_none(
    tenant: Tenant, broker: BrokerUnderTest, device: Device, ingest: IngestRuntime
) -> None:
    quiet, curious = await tenant.vehicle(), await asking(tenant)
    async with listening(broker, quiet) as ignored, listening(broker, curious) as session:
        await device.send(quiet, fix(soon(-2), *PLACE))
        await device.send(curious, fix(soon(-1), *PLACE))
        [(correlation_data, content)] = await heard(session, 1)
        assert correlation_data is None
        assert content["count"] == 1
        await until(lambda: b'receipts_total{result="sent"} 1.0' in ingest.metrics.page())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ignored.receive(), 0.1)


async def test_what_was_not_committed_when_ingest_died_is_answered_by_its_successor(
    tenant: Tenant, broker: BrokerUnderTest, database: DatabaseUnderTest
) -> None:
    """A receipt means a commit: with the database locked there is none, dead or alive."""
    vehicle = await asking(tenant)
    client_id = f"ingest-{secrets.token_hex(4)}"
    url = database.url("opsc_ingest")
    async with listening(broker, vehicle) as session:
        dying = runtime(url, broker.url, client_id)
        task = asyncio.create_task(run(dying))
        await until(lambda: dying.trouble() is None)
        with psycopg.connect(database.url("admin")) as locking:
            locking.execute("LOCK TABLE gps_events")
            body = json.dumps(fix(soon(-1), *PLACE)).encode()
            await session.publish(f"trackers/{vehicle.name}/fixes", body, correlation_data=b"1")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(session.receive(), 0.5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            locking.rollback()
        assert tenant.rows("SELECT FROM gps_events") == []
        async with running(runtime(url, broker.url, client_id)):
            [(correlation_data, content)] = await heard(session, 1)
        assert (correlation_data, content["count"]) == (b"1", 1)
        assert len(tenant.rows("SELECT FROM gps_events")) == 1


async def test_receipts_beyond_the_bound_are_given_up_and_counted(broker: BrokerUnderTest) -> None:
    options = SessionOptions(client_id=f"slow-{secrets.token_hex(4)}", max_pending_publishes=2)
    session, metrics = Session(BrokerAddress.parse(broker.url), options), IngestMetrics()
    send(
        WaysBack([], session),
        [Receipt(UUID(int=1), b"{}")] * 5,
        metrics,
    )
    assert b'receipts_total{result="given up"} 3.0' in metrics.page()
