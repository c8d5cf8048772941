"""What a run made is taken away again, and nothing else."""

import asyncio
from collections.abc import Iterator

import pytest

from stack.scenario.api_client import ApiError
from stack.scenario.cleanup import NotingClient, clean_up
from stack.scenario.registration import register
from stack.scenario.scenario import Scenario
from stack.scenario.zones import SimZone
from tests.api.running import RunningApi, running_api
from tests.servers import DatabaseUnderTest

POINT = {"type": "Point", "coordinates": [13.4, 52.5]}
SCENARIO = Scenario(
    ["sim-1", "sim-2"],
    [SimZone("z-1", "One", POINT, radius_m=50), SimZone("z-2", "Two", POINT, radius_m=50)],
    lambda _start: iter(()),
    oldest_us=1_700_000_000_000_000,
    fixes=0,
)
ENDPOINT = {"url": "https://hooks.example.com/", "types": ["*"]}


@pytest.fixture(scope="module")
def api(database: DatabaseUnderTest) -> Iterator[RunningApi]:
    with running_api(database) as running:
        yield running


async def test_the_same_run_can_be_made_again_after_everything_was_taken_away(
    api: RunningApi,
) -> None:
    org = api.organization("Acme")
    others = await org.admin.post("/v1/assets", {"name": "theirs", "external_id": "theirs"})
    for _ in range(2):
        async with NotingClient(api.url, org.admin.token) as client:
            registered = await register(client, SCENARIO)
            await client.post("/v1/webhook-endpoints", ENDPOINT)
            await client.delete(f"/v1/zones/{registered.zone_ids[0]}")  # as an edit does
            assert await clean_up(client) == []
    for place in ("assets", "zones", "webhook-endpoints"):
        rows = (await org.admin.get(f"/v1/{place}")).json["data"]
        assert [row["id"] for row in rows] == ([others.json["id"]] if place == "assets" else [])
    trackers = (await org.admin.get("/v1/trackers")).json["data"]
    assert len(trackers) == 4
    assert all(row["revoked_at"] and row["asset_id"] is None for row in trackers)


async def test_what_was_made_before_an_error_is_taken_away_too(api: RunningApi) -> None:
    org = api.organization("Acme")
    await org.admin.post("/v1/assets", {"name": "theirs", "external_id": "sim-2"})
    async with NotingClient(api.url, org.admin.token) as client:
        with pytest.raises(ExceptionGroup) as raised:
            await register(client, SCENARIO)
        assert isinstance(raised.value.exceptions[0], ApiError)
        assert await clean_up(client) == []
    assert (await org.admin.get("/v1/zones")).json["total"] == 0
    assert (await org.admin.get("/v1/assets")).json["total"] == 1


async def test_what_was_made_while_its_maker_was_broken_off_is_taken_away_too(
    api: RunningApi,
) -> None:
    org = api.organization("Acme")
    async with NotingClient(api.url, org.admin.token) as client:
        for number in range(20):
            making = asyncio.create_task(client.post("/v1/assets", {"name": f"a{number}"}))
            await asyncio.sleep(number / 1000)
            making.cancel()
        assert await clean_up(client) == []
        assert len(client.made["/v1/assets"]) == 20
    assert (await org.admin.get("/v1/assets")).json["total"] == 0


async def test_what_cannot_be_taken_away_is_said(api: RunningApi) -> None:
    org = api.organization("Acme")
    async with NotingClient(api.url, org.admin.token) as client:
        await client.post("/v1/webhook-endpoints", ENDPOINT)
    async with NotingClient(api.url, org.viewer.token) as client_without_rights:
        client_without_rights.made = client.made
        (trouble,) = await clean_up(client_without_rights)
    assert "DELETE /v1/webhook-endpoints/" in trouble
    assert "403" in trouble
