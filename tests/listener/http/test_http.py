"""Devices that send by HTTP, with real requests: stored before the answer, whatever happens."""

import asyncio
import json
import subprocess
from datetime import UTC, datetime
from typing import Any

import aiohttp
import aiomqtt
import pytest

from telemetry.formats.decoded import MAX_MESSAGE_BYTES
from tests.ingest.tenants import Tenant
from tests.listener.registering import registered, revoke
from tests.listener.running import System

STORED = "SELECT lat, lon, speed_mps FROM gps_events ORDER BY time"
QUARANTINE = "SELECT reason FROM quarantine"
NOW_S = int(datetime.now(UTC).timestamp())


LOCATION = {
    "location": {
        "timestamp": datetime.fromtimestamp(NOW_S, UTC).isoformat(),
        "coords": {"latitude": 52.5, "longitude": 13.4, "speed": 5.0},
    }
}
FEATURE = {
    "geometry": {"type": "Point", "coordinates": [13.4, 52.5]},
    "properties": {"timestamp": LOCATION["location"]["timestamp"], "speed": 5.0},
}
OWNTRACKS = {"_type": "location", "tst": NOW_S, "lat": 52.5, "lon": 13.4, "vel": 18}
FIX = {"time": NOW_S * 1000, "lat": 52.5, "lon": 13.4, "speed_mps": 5.0}
QUERY = {"lat": "52.5", "lon": "13.4", "timestamp": str(NOW_S), "speed_mps": "5.0"}
"""The body of each app's request, and what the app wants to read."""
APPS: dict[str, tuple[dict[str, Any], str]] = {
    "osmand": ({"params": QUERY}, ""),
    "osmand?": ({"data": QUERY}, ""),
    "osmand??": ({"json": LOCATION}, ""),
    "owntracks": ({"json": OWNTRACKS}, "[]"),
    "overland": ({"json": {"locations": [FEATURE]}}, '{"result":"ok"}'),
    "fixes": ({"json": FIX}, ""),
}
"""By door; question marks tell requests of one door apart."""


@pytest.mark.parametrize("app", APPS)
async def test_an_app_is_answered_as_it_wants_once_its_fix_is_stored(
    system: System, tenant: Tenant, http: aiohttp.ClientSession, app: str
) -> None:
    vehicle = await registered(tenant)
    request, answer = APPS[app]
    method = "GET" if "params" in request else "POST"
    url = f"{system.ingest_url}/{app.rstrip('?')}"
    basic = aiohttp.encode_basic_auth(vehicle.name, "secret")
    ways: tuple[tuple[str, dict[str, Any]], ...] = (
        (f"{url}/{vehicle.name}.secret", {}),
        (url, {"headers": {"authorization": basic}}),
        (url, {"headers": {"authorization": f"Bearer {vehicle.name}.secret"}}),
    )
    for place, more in ways:
        async with http.request(method, place, **request, **more) as answered:
            assert answered.status == 200
            assert await answered.text() == answer
            assert answered.headers["opsc-result"] == "stored"
            assert answered.headers["cache-control"] == "no-store"
        assert tenant.rows(STORED) == [(52.5, 13.4, 5.0)]  # the same fix each time


async def test_what_is_no_fix_is_answered_all_the_same(
    system: System, tenant: Tenant, http: aiohttp.ClientSession
) -> None:
    vehicle = await registered(tenant)
    url, key = system.ingest_url, f"{vehicle.name}.secret"
    for door, body, result in (
        ("owntracks", b'{"_type":"lwt","tst":1}', "stored"),
        ("owntracks", b"{", "undecodable"),
        ("osmand", b"cell=1,2,3", "stored"),
        ("fixes", b"[" + MAX_MESSAGE_BYTES * b" ", "oversize"),
        ("fixes", b"", "undecodable"),
    ):
        async with http.post(f"{url}/{door}/{key}", data=body) as answered:
            assert (answered.status, answered.headers["opsc-result"]) == (200, result)
    reasons = tenant.rows(QUARANTINE)
    assert sorted(reason for (reason,) in reasons) == ["oversize", "undecodable", "undecodable"]
    assert tenant.rows(STORED) == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("fixes", 401),
        ("fixes/trk_06bqt0k1vhd8f3z7n2mwx9c5ra.secret", 401),
        ("fixes/{name}.wrong", 401),
        ("fixes/{name}", 401),
        ("other/{name}.secret", 404),
        ("../assets", 404),
    ],
)
async def test_who_has_no_key_is_told(
    system: System, tenant: Tenant, http: aiohttp.ClientSession, path: str, status: int
) -> None:
    vehicle = await registered(tenant)
    url = f"{system.ingest_url}/{path.format(name=vehicle.name)}"
    async with http.post(url, json=FIX) as answered:
        assert answered.status == status
    assert tenant.rows(STORED) == []


async def test_a_key_that_was_revoked_is_good_for_nothing(
    system: System, tenant: Tenant, http: aiohttp.ClientSession
) -> None:
    vehicle = await registered(tenant)
    url = f"{system.ingest_url}/fixes/{vehicle.name}.secret"
    async with http.post(url, json=FIX) as answered:
        assert answered.status == 200
    await revoke(tenant, vehicle.tracker_id)
    await asyncio.sleep(1)
    async with http.post(url, json=FIX | {"lat": 50}) as answered:
        assert answered.status == 401


async def test_wrong_keys_are_counted_by_the_address_that_a_proxy_names(
    system: System, tenant: Tenant, http: aiohttp.ClientSession
) -> None:
    vehicle = await registered(tenant)
    stranger = {"x-forwarded-for": "203.0.113.7"}
    url = f"{system.ingest_url}/fixes/{vehicle.name}"
    statuses = [await _status(http, f"{url}.wrong", headers=stranger) for _ in range(32)]
    assert (statuses[0], statuses[-1]) == (401, 429)
    assert await _status(http, f"{url}.secret", headers=stranger) == 200  # its key is right
    assert await _status(http, f"{url}.wrong") == 401  # another address


async def _status(http: aiohttp.ClientSession, url: str, **more: Any) -> int:
    async with http.post(url, json=FIX, **more) as answered:
        return answered.status


async def test_a_session_by_mqtt_goes_on_beside_requests(
    system: System, tenant: Tenant, http: aiohttp.ClientSession
) -> None:
    vehicle = await registered(tenant)
    async with aiomqtt.Client(
        system.host, system.port, username=vehicle.name, password="secret"
    ) as device:
        for number in range(3):
            fix = FIX | {"time": (NOW_S + number) * 1000}
            await device.publish(f"trackers/{vehicle.name}/fixes", json.dumps(fix), qos=1)
            async with http.post(
                f"{system.ingest_url}/fixes/{vehicle.name}.secret",
                json=fix | {"seq": 1, "lat": 52.6},
            ) as answered:
                assert answered.status == 200
    assert len(tenant.rows(STORED)) == 6


async def test_curl_that_asks_before_a_long_body_and_one_that_pipelines(
    system: System, tenant: Tenant
) -> None:
    vehicle = await registered(tenant)
    url = f"{system.ingest_url}/fixes/{vehicle.name}.secret"
    fixes = json.dumps([FIX | {"time": NOW_S * 1000 + number} for number in range(1_000)])
    told = await asyncio.to_thread(
        subprocess.run,
        ["curl", "-sS", "-w", "%{http_code}", "-H", "expect: 100-continue", "--data", "@-", url],
        input=fixes.encode(),
        capture_output=True,
        check=True,
    )
    assert told.stdout == b"200"
    assert len(tenant.rows(STORED)) == 1_000
    reader, writer = await _opened(system)
    get = f"GET /v1/ingest/osmand/{vehicle.name}.secret?lat=1&lon=2 HTTP/1.1\r\nHost: x\r\n\r\n"
    writer.write(2 * get.encode())
    answer = await reader.read()
    assert answer.count(b"HTTP/1.1 200 OK") == 1
    assert b"connection: close" in answer
    writer.close()


async def test_a_slow_head_and_a_silent_connection_keep_nobody_out(
    system: System, tenant: Tenant, http: aiohttp.ClientSession
) -> None:
    vehicle = await registered(tenant)
    slow = [await _opened(system) for _ in range(60)]
    for _, writer in slow:
        writer.write(b"POST /v1/ingest/fixes HTTP/1.1\r\nA: ")
    assert await _status(http, f"{system.ingest_url}/fixes/{vehicle.name}.secret") == 200
    for _, writer in slow:
        writer.close()


async def _opened(system: System) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = system.ingest_url.split("/")[2].split(":")
    return await asyncio.open_connection(address[0], int(address[1]))
