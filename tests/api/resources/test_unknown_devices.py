"""Devices that are not let in, from their messages to the list of their organization, and on."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from tests.api.problems import is_problem
from tests.api.running import Client, Organization, RunningApi
from tests.api.stored import minute, store_unknown
from tests.listener.running import System, running
from tests.listener.wire import Wire, connect
from tests.servers import DatabaseUnderTest
from tests.waiting import until

pytestmark = pytest.mark.own_api

PATH = "/v1/unknown-devices"
IMEI = "867060033461332"
NOW = datetime.now(UTC).replace(microsecond=0)
AT = NOW.isoformat().replace("+00:00", "Z")
FORWARDED: dict[str, dict[str, Any]] = {
    "traccar": {
        "position": {"latitude": 52.5, "longitude": 13.4, "fixTime": AT, "valid": True},
        "device": {"uniqueId": IMEI},
    },
    "chirpstack": {
        "time": AT,
        "deviceInfo": {"devEui": IMEI},
        "location": {"latitude": 52.5, "longitude": 13.4},
    },
    "tts": {
        "end_device_ids": {"dev_eui": IMEI},
        "uplink_message": {
            "received_at": AT,
            "locations": {"frm-payload": {"latitude": 52.5, "longitude": 13.4}},
        },
    },
}


@pytest.fixture(scope="module")
def system(database: DatabaseUnderTest, api: RunningApi) -> Iterator[System]:
    with running(database) as made:
        yield made


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def gateway(org: Organization, kind: str = "traccar") -> dict[str, Any]:
    """Return a new gateway with its secret."""
    answer = await org.admin.post("/v1/gateways", {"name": "Gate", "kind": kind})
    assert answer.status == 201, answer.json
    return answer.json


async def sent(http: aiohttp.ClientSession, url: str, body: object) -> tuple[int, str | None]:
    async with http.post(url, data=json.dumps(body)) as answered:
        return answered.status, answered.headers.get("opsc-result")


async def listed(org: Organization, **filters: Any) -> list[dict[str, Any]]:
    answer = await org.dispatcher.get(PATH, **filters)
    assert answer.status == 200, answer.json
    assert answer.json["total"] == len(answer.json["data"])
    return answer.json["data"]


async def first(org: Organization) -> dict[str, Any]:
    """Return the one device of the list, once it is there."""

    async def is_there() -> list[Any]:
        return (await org.dispatcher.get(PATH)).json["data"]  # its total may be of a moment before

    await until(is_there)
    (device,) = await listed(org)
    return device


@pytest.mark.parametrize("kind", FORWARDED)
async def test_a_device_of_a_gateway_is_listed_registered_and_then_stored(
    system: System, api: RunningApi, org: Organization, http: aiohttp.ClientSession, kind: str
) -> None:
    gate, asset = await gateway(org, kind), await org.admin.post("/v1/assets", {"name": "Truck 7"})
    url = f"{system.ingest_url}/gateways/{gate['id']}.{gate['secret']}"
    assert await sent(http, url, FORWARDED[kind]) == (200, "unknown_tracker")
    device = await first(org)
    assert device == {
        "id": device["id"],
        "external_id": IMEI,
        "tracker_id": None,
        "tracker_name": None,
        "reason": "not_registered",
        "gateway_id": gate["id"],
        "gateway_name": "Gate",
        "protocol": "http",
        "format": kind,
        "seen": 1,
        "lat": 52.5,
        "lon": 13.4,
        "position_time": AT,
        "first_seen_at": device["first_seen_at"],
        "last_seen_at": device["first_seen_at"],
    }
    path = f"{PATH}/{device['id']}"
    assert (await org.dispatcher.get(path)).json == device
    body = {"name": "Truck 7", "asset_id": asset.json["id"]}
    made = await org.dispatcher.post(f"{path}/register", body)
    assert made.status == 201, made.json
    tracker = made.json
    assert tracker.pop("secret")
    assert (tracker["external_id"], tracker["asset_id"]) == (IMEI, asset.json["id"])
    assert made.headers["Location"] == f"/v1/trackers/{tracker['id']}"
    assert (await org.viewer.get(made.headers["Location"])).json == tracker
    assert await listed(org) == []
    assert is_problem(await org.dispatcher.post(f"{path}/register", body), 404, "not_found")
    assert await sent(http, url, FORWARDED[kind]) == (200, "stored")
    (fix,) = (await org.viewer.get("/v1/gps-events", asset_id=asset.json["id"])).json["data"]
    assert (fix["tracker_id"], fix["lat"], fix["time"]) == (tracker["id"], 52.5, AT)


async def test_a_device_of_another_organization_is_unknown_here_and_nothing_is_said_of_it(
    system: System, api: RunningApi, org: Organization, http: aiohttp.ClientSession
) -> None:
    other, gate = api.organization("Other"), await gateway(org)
    theirs = {"name": "Theirs", "external_id": IMEI}
    assert (await other.admin.post("/v1/trackers", theirs)).status == 201
    url = f"{system.ingest_url}/gateways/{gate['id']}.{gate['secret']}"
    assert await sent(http, url, FORWARDED["traccar"]) == (200, "unknown_tracker")
    device = await first(org)
    assert (device["reason"], device["tracker_id"], device["tracker_name"]) == (
        "not_registered",
        None,
        None,
    )
    assert await listed(other) == []
    made = await org.dispatcher.post(f"{PATH}/{device['id']}/register", {})
    assert made.status == 201  # an external_id is the organization's own


async def tracker_of(org: Organization) -> dict[str, Any]:
    answer = await org.admin.post("/v1/trackers", {"name": "Phone", "external_id": IMEI})
    assert answer.status == 201
    return answer.json


def signed_in(system: System, name: str, secret: str) -> int | None:
    """Return what CONNACK says."""
    with Wire(system.port) as wire:
        wire.send(connect(name, secret))
        return wire.connack()


async def test_a_failed_sign_in_is_listed_for_the_organization_of_its_tracker_alone(
    system: System, api: RunningApi, org: Organization, http: aiohttp.ClientSession
) -> None:
    other, tracker = api.organization("Other"), await tracker_of(org)
    assert signed_in(system, tracker["id"], "wrong") != 0
    device = await first(org)
    found = (device["tracker_id"], device["tracker_name"], device["external_id"], device["reason"])
    assert found == (tracker["id"], "Phone", IMEI, "wrong_secret")
    known = (device["protocol"], device["format"], device["gateway_id"], device["lat"])
    assert known == ("mqtt", None, None, None)
    url = f"{system.ingest_url}/osmand/{tracker['id']}"
    assert (await sent(http, f"{url}.wrong", {}))[0] == 401

    async def seen_twice() -> bool:
        return (await first(org))["seen"] == 2

    await until(seen_twice)
    device = await first(org)
    assert (device["protocol"], device["format"]) == ("http", "osmand")
    assert (await org.admin.send("POST", f"/v1/trackers/{tracker['id']}/revoke")).status == 200

    async def is_revoked() -> bool:  # a sign-in may be refused for another reason, such as its pace
        signed_in(system, tracker["id"], tracker["secret"])
        await asyncio.sleep(0.5)
        return (await first(org))["reason"] == "revoked"

    await until(is_revoked)
    assert await listed(other) == []
    path = f"{PATH}/{device['id']}"
    refused = await org.dispatcher.post(f"{path}/register", {})
    assert is_problem(refused, 409, "already_registered")
    assert (await org.dispatcher.send("DELETE", path)).status == 204
    assert await listed(org) == []
    assert is_problem(await org.dispatcher.send("DELETE", path), 404, "not_found")


async def test_names_that_are_no_trackers_are_nobodys(
    system: System, api: RunningApi, org: Organization, http: aiohttp.ClientSession
) -> None:
    gate, tracker = await gateway(org), await tracker_of(org)
    before = api.sql("SELECT count(*) FROM unknown_devices")
    nobody = "trk_01jd8x0k2m4n6p8q0r2s4t6v8w"
    for name in (nobody, gate["id"], "", "x" * 500):
        assert signed_in(system, name, "wrong") != 0
    for key in (nobody, gate["id"], "x"):
        for door in ("gateways", "osmand"):
            url = f"{system.ingest_url}/{door}/{key}.wrong"
            assert (await sent(http, url, FORWARDED["traccar"]))[0] == 401
    assert signed_in(system, tracker["id"], "wrong") != 0  # written after the others
    await first(org)
    assert api.sql("SELECT count(*) FROM unknown_devices") == [(before[0][0] + 1,)]


async def test_a_tracker_with_its_id_ends_a_device_however_it_came_to_be(
    api: RunningApi, org: Organization
) -> None:
    for device in ("a", "b", "c", "d"):
        store_unknown(api, org, device)
    assert (await org.admin.post("/v1/trackers", {"external_id": "a"})).status == 201
    made = await org.admin.post("/v1/trackers/batch", [{"external_id": "b"}, {}])
    last = made.json["data"][1]["id"]
    assert (await org.admin.patch(f"/v1/trackers/{last}", {"external_id": "c"})).status == 200
    assert [device["external_id"] for device in await listed(org)] == ["d"]


async def test_the_last_seen_come_first_and_filters_go_together(
    api: RunningApi, org: Organization
) -> None:
    tracker, gate = (await tracker_of(org))["id"], (await gateway(org))["id"]
    store_unknown(api, org, "old", at=minute(1))
    store_unknown(api, org, "new", at=minute(3), gateway_id=gate)
    store_unknown(api, org, tracker_id=tracker, reason="revoked", at=minute(2))
    cases: list[tuple[dict[str, str], list[str]]] = [
        ({}, ["new", IMEI, "old"]),
        ({"sort": "last_seen_at"}, ["old", IMEI, "new"]),
        ({"reason": "not_registered"}, ["new", "old"]),
        ({"gateway_id": gate}, ["new"]),
        ({"tracker_id": tracker}, [IMEI]),
        ({"tracker_id": tracker, "reason": "wrong_secret"}, []),
    ]
    for filters, names in cases:
        assert [row["external_id"] for row in await listed(org, **filters)] == names, filters
    walked = await org.dispatcher.walk(PATH, limit=1)
    assert [row["external_id"] for row in walked] == ["new", IMEI, "old"]


async def test_registering_says_what_a_new_tracker_cannot_be(
    api: RunningApi, org: Organization
) -> None:
    path = f"{PATH}/{store_unknown(api, org, IMEI)}"
    asset = "ast_01jd8x0k2m4n6p8q0r2s4t6v8w"
    for body, status in (
        ({"external_id": "other"}, 422),
        ({"asset_id": asset}, 404),
        ({"assigned_from": AT}, 422),
    ):
        assert (await org.admin.post(f"{path}/register", body)).status == status
        assert len(await listed(org)) == 1
    refused = await org.admin.send("POST", f"{path}/register", json={}, headers={"If-Match": '"x"'})
    assert is_problem(refused, 412, "precondition_failed")
    limit = "INSERT INTO organization_quotas VALUES (%s, 'trackers', 0) RETURNING 1"
    api.sql(limit, org.org_id)
    full = await org.admin.post(f"{path}/register", {})
    assert is_problem(full, 403, "quota_exceeded")
    assert len(await listed(org)) == 1


async def test_they_are_for_dispatchers_and_admins(api: RunningApi, org: Organization) -> None:
    device = store_unknown(api, org, IMEI)

    async def answers(caller: Client) -> set[int]:
        path = f"{PATH}/{device}"
        return {
            (await caller.get(PATH)).status,
            (await caller.get(path)).status,
            (await caller.post(f"{path}/register", {})).status,
            (await caller.send("DELETE", path)).status,
        }

    assert [await answers(each) for each in (org.viewer, org.technician)] == [{403}, {403}]
    assert (await org.dispatcher.get(f"{PATH}/{device}")).status == 200
    assert (await org.admin.get(PATH)).status == 200


async def test_a_key_that_registers_needs_the_right_to_make_trackers(
    api: RunningApi, org: Organization
) -> None:
    path = f"{PATH}/{store_unknown(api, org, IMEI)}"
    for scopes, status in (
        (["unknown-devices:read"], 403),
        (["unknown-devices:write"], 403),
        (["unknown-devices:write", "trackers:write"], 201),
    ):
        key = await org.admin.post("/v1/api-keys", {"name": "x", "scopes": scopes})
        caller = Client(api.url, key.json["secret"])
        assert (await caller.post(f"{path}/register", {})).status == status
    rows = api.sql("SELECT external_id FROM trackers WHERE org_id = %s", org.org_id)
    assert rows == [(IMEI,)]
