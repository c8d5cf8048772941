"""Ingest in this process, as its database role, between a real broker and a real database."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest

from ingest.leader import run
from ingest.metrics import IngestMetrics
from ingest.runtime import IngestRuntime
from ingest.saved_states import checkpoints
from ingest.sources.batching import BatchLimits
from mqtt import BrokerAddress, Session, SessionOptions, Subscription
from telemetry.formats.decode import SUBSCRIPTIONS
from tests.ingest.tenants import Tenant, Vehicle
from tests.servers import BrokerUnderTest, DatabaseUnderTest
from tests.waiting import until


def runtime(
    database_url: str, broker_url: str, client_id: str, lease_s: float = 1.0
) -> IngestRuntime:
    """Return what `ingest.__main__` puts together, with a short lease."""
    return IngestRuntime(
        database_url=database_url,
        broker=BrokerAddress.parse(broker_url),
        session_options=SessionOptions(
            client_id=client_id,
            subscriptions=tuple(Subscription(topic) for topic in SUBSCRIPTIONS),
        ),
        limits=BatchLimits(messages=1_000, bytes=1_000_000, latency_ms=2),
        batch_fixes=40_000,
        batch_transitions=10_000,
        lease_s=lease_s,
        metrics=IngestMetrics(),
    )


@asynccontextmanager
async def running(leader: IngestRuntime) -> AsyncIterator[IngestRuntime]:
    """Return `leader` at work, connected; stopped in order at the end."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run(leader))
        try:
            await until(lambda: leader.trouble() is None)
            yield leader
        finally:
            leader.stopping.set()


class Device:
    """A device that publishes for any tracker and waits for the broker's word."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def send(self, vehicle: Vehicle, *fixes: dict[str, Any]) -> None:
        """Send one message: a fix, or an array of them."""
        body = fixes[0] if len(fixes) == 1 else list(fixes)
        await self.send_raw(f"trackers/{vehicle.name}/fixes", json.dumps(body).encode())

    async def send_raw(self, topic: str, payload: bytes) -> None:
        await self._session.publish(topic, payload, qos=1)


def fix(at: datetime, lon: float, lat: float, **more: Any) -> dict[str, Any]:
    return {"time": at.isoformat(), "lat": lat, "lon": lon, **more}


@pytest.fixture
async def tenant(database: DatabaseUnderTest) -> Tenant:
    return await Tenant.create(database)


@pytest.fixture
async def device(broker: BrokerUnderTest) -> AsyncIterator[Device]:
    options = SessionOptions(client_id=f"device-{secrets.token_hex(4)}", clean_start=True)
    async with Session(BrokerAddress.parse(broker.url), options) as session:
        yield Device(session)


@pytest.fixture
async def ingest(
    database: DatabaseUnderTest, broker: BrokerUnderTest
) -> AsyncIterator[IngestRuntime]:
    leader = runtime(database.url("opsc_ingest"), broker.url, f"ingest-{secrets.token_hex(4)}")
    async with running(leader):
        yield leader


@pytest.fixture
def checkpoints_lie_a_minute_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints as close as tests of minutes need them."""
    monkeypatch.setattr(checkpoints, "SPACING_US", 60_000_000)
