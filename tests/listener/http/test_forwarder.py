"""A Traccar server with 500 devices, through the real door: each is on the map, once stored."""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from tests.api.running import RunningApi, running_api
from tests.ingest.tenants import Tenant
from tests.listener.http.test_gateways import sent
from tests.listener.registering import change
from tests.listener.running import System
from tests.servers import DatabaseUnderTest
from tests.waiting import until

DEVICES = 500
CONNECTIONS = 8


@pytest.fixture(scope="module")
def api(database: DatabaseUnderTest) -> Iterator[RunningApi]:
    with running_api(database, api_address_requests_per_minute=1_000_000) as running:
        yield running


def forwarded(number: int, after_s: int, **more: Any) -> dict[str, Any]:
    """Return what Traccar makes of a position: its fields, and those that mean nothing here."""
    at = (
        datetime.now(UTC).replace(microsecond=0)
        - timedelta(minutes=10)
        + timedelta(seconds=after_s)
    )
    position = {
        "id": 0,
        "deviceId": number,
        "protocol": "teltonika",
        "serverTime": datetime.now(UTC).isoformat(),
        "fixTime": at.strftime("%Y-%m-%dT%H:%M:%S.000+00:00"),
        "valid": True,
        "latitude": 47 + number / 1_000,
        "longitude": 8 + after_s / 1_000,
        "speed": 10.0,
        "course": 0.0,
        "accuracy": 0.0,
        "attributes": {"sat": 9, "ignition": True},
        **more,
    }
    device = {"id": number, "name": f"Truck {number}", "uniqueId": f"{number:015}"}
    return {"position": position, "device": device}


async def test_each_device_of_a_forwarder_is_on_the_map(
    api: RunningApi, database: DatabaseUnderTest, system: System, http: aiohttp.ClientSession
) -> None:
    org = api.organization("Forwarded")
    tenant = Tenant(database, org.org_id)
    assets: dict[int, Any] = {}
    for number in range(DEVICES):
        vehicle = await tenant.vehicle(name=f"Truck {number}")
        await change(tenant, vehicle.tracker_id, external_id=f"{number:015}")
        assets[number] = vehicle.asset_id
    made = (await org.admin.post("/v1/gateways", {"name": "Traccar", "kind": "traccar"})).json
    url = f"{system.ingest_url}/gateways/{made['id']}.{made['secret']}"

    messages = [forwarded(number, after_s) for number in range(DEVICES) for after_s in (0, 30, 60)]
    messages += random.Random(7).sample(messages, 200)  # what its retries send again
    messages += [forwarded(number, 90, valid=False) for number in range(0, DEVICES, 10)]
    messages += [{"position": None, "device": {"uniqueId": f"{1:015}"}}, {"device": {}}]
    messages += [forwarded(DEVICES + number, 0) for number in range(20)]  # not registered
    random.Random(8).shuffle(messages)
    waiting, results = iter(messages), dict[str, int]()

    async def forward() -> None:
        for message in waiting:
            status, result = await sent(http, url, message)
            assert status == 200
            assert result is not None
            results[result] = results.get(result, 0) + 1

    await asyncio.gather(*(forward() for _ in range(CONNECTIONS)))
    assert results == {"stored": len(messages) - 21, "unknown_tracker": 20, "undecodable": 1}
    assert len(tenant.rows("SELECT FROM gps_events")) == 3 * DEVICES

    async def shown() -> int:
        return sum(place["position"] is not None for place in await _places(org))

    await until(lambda: _all_are(shown))
    lats = sorted(place["position"]["lat"] for place in await _places(org))
    assert lats == pytest.approx([47 + number / 1_000 for number in range(DEVICES)])
    unknown = (await org.admin.get("/v1/unknown-devices", limit="100")).json
    assert len(unknown["data"]) == 20


async def _all_are(shown: Any) -> bool:
    return await shown() == DEVICES


async def _places(org: Any) -> list[dict[str, Any]]:
    return (await org.viewer.get("/v1/assets/positions", limit="1000")).json["data"]
