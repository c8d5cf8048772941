"""What the broker drops, ingest tells: in its log, in its metrics and on its page."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from ingest.broker_metrics import BrokerMetrics
from ingest.broker_watch import DROPPED, WARNS_FOR, BrokerWatch, listen, watch_options
from ingest.owner import Ownership
from mqtt import BrokerAddress, Message, Session
from service.health import serving
from stack.broker import MONITOR_USER, WATCH_USER
from stack.servers import free_port
from tests.ingest.conftest import Device, fix, ownership, running, until
from tests.ingest.tenants import Tenant, soon
from tests.ingest.test_identities import options
from tests.servers import BrokerUnderTest, DatabaseUnderTest, Servers

HOME = (13.4, 52.5)
SENT = 200


@contextlib.asynccontextmanager
async def watched(owner: Ownership, watch: BrokerWatch) -> AsyncIterator[None]:
    """`owner` at work, and listening."""
    async with running(owner), asyncio.TaskGroup() as tasks:
        tasks.create_task(listen(owner, watch, watch_options("watch", None, None)))
        yield
        owner.stopping.set()


async def test_what_was_dropped_while_ingest_was_away_is_told_when_it_is_back(
    database: DatabaseUnderTest,
    private_broker: Callable[..., BrokerUnderTest],
    tenant: Tenant,
) -> None:
    broker = private_broker(max_queued_bytes="5000", sys_interval="1")
    url, client_id = database.url("opsc_ingest"), f"ingest-{secrets.token_hex(4)}"
    async with running(ownership(url, broker.url, client_id)):
        vehicle = await tenant.vehicle()
    async with Session(BrokerAddress.parse(broker.url), options("device", None)) as session:
        device, at = Device(session), soon(-SENT)
        for number in range(SENT):
            await device.send(vehicle, fix(at + timedelta(seconds=number), *HOME))
    owner = ownership(url, broker.url, client_id)
    watch, port = BrokerWatch(owner.metrics.broker), free_port(0)
    pages = (owner.trouble, owner.metrics.page, watch.warnings)
    with capture_logs() as logs:
        async with serving(("127.0.0.1", port), *pages), watched(owner, watch):
            await until(lambda: bool(watch.warnings()))
            async with aiohttp.ClientSession() as client:
                answer = await client.get(f"http://127.0.0.1:{port}/readyz")
                assert (answer.status, (await answer.json())["status"]) == (200, "ok")
                assert (await answer.json())["warnings"] == watch.warnings()
            (dropped,) = [log["dropped"] for log in logs if log["log_level"] == "error"]
            assert 0 < dropped < SENT
            await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == SENT - dropped)
    told = f"opsc_ingest_broker_dropped_messages {dropped:.1f}"
    assert told in owner.metrics.page().decode().splitlines()


@pytest.mark.parametrize("user", [WATCH_USER, MONITOR_USER])
async def test_a_guarded_broker_tells_its_counts_to_those_who_may_know(
    servers: Servers, user: str
) -> None:
    broker = servers.start_guarded_broker()
    sign_in = watch_options(user, user, broker.services[user].encode())
    async with Session(BrokerAddress.parse(broker.url), sign_in) as session:
        async with asyncio.timeout(30):
            topics = {message.topic for message in await session.receive()}
    assert DROPPED in topics
    broker.stop()


def told(count: int) -> list[Message]:
    return [Message(DROPPED, str(count).encode(), 0, 0, True, False, None, None)]


def test_the_warning_lasts_an_hour_and_a_broker_started_again_counts_anew() -> None:
    now = [datetime(2026, 3, 2, tzinfo=UTC)]
    watch = BrokerWatch(BrokerMetrics(CollectorRegistry()), lambda: now[0])
    with capture_logs() as logs:
        watch.take(told(0))
        assert not watch.warnings()
        watch.take(told(7))
        watch.take(told(7))
        assert "7 messages" in watch.warnings()[0]
        now[0] += WARNS_FOR
        assert watch.warnings()
        now[0] += timedelta(seconds=1)
        assert not watch.warnings()
        watch.take(told(0))
        watch.take(told(2))
        assert "2 messages" in watch.warnings()[0]
    assert [log["dropped"] for log in logs] == [7, 2]


def test_a_count_that_is_none_is_left_out() -> None:
    watch = BrokerWatch(BrokerMetrics(CollectorRegistry()))
    watch.take([Message(DROPPED, b"many", 0, 0, True, False, None, None)])
    assert not watch.warnings()
