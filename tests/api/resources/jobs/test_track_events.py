"""Events of an upload, from the file to the endpoints, with ingest as a process that is killed."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from telemetry.ids import parse_id
from tests.api.resources.jobs.doing import doing_jobs, ended, made
from tests.api.resources.jobs.test_tracks import Point, as_csv, drive
from tests.api.running import Organization, RunningApi
from tests.api.stored import Carried, carried
from tests.listener.running import System, running
from tests.waiting import until
from tests.webhooks import receivers
from tests.webhooks.world import World, delivering, world_in

pytestmark = pytest.mark.own_api
RING = [[13.05, 52.49], [13.1, 52.49], [13.1, 52.51], [13.05, 52.51], [13.05, 52.49]]


@pytest.fixture
def system(api: RunningApi) -> Iterator[System]:
    with running(api.database) as made:
        yield made


async def has_judged_all(api: RunningApi, org: Organization, points: int) -> None:
    count = "SELECT count(*) FROM gps_events WHERE org_id = %s"
    await until(lambda: api.sql(count, org.org_id) == [(points,)])
    await until(lambda: api.sql("SELECT FROM inbox") == api.sql("SELECT FROM asset_backlogs") == [])


async def events_of(org: Organization, who: Carried) -> list[dict[str, Any]]:
    return await org.viewer.walk("/v1/events", asset_id=who.asset_id, limit=1000)


async def test_endpoints_get_the_events_of_an_upload_only_where_it_asks(
    api: RunningApi, org: Organization, system: System
) -> None:
    silent, loud = await carried(org, "Silent"), await carried(org, "Loud")
    zone = {
        "name": "Yard",
        "geometry": {"type": "Polygon", "coordinates": [RING]},
        "valid_from": "2020-01-01T00:00:00Z",
    }
    assert (await org.admin.post("/v1/zones", zone)).status == 201
    points = drive(6_000, step=0.00002)
    async with (
        world_in(api.database) as world,
        receivers.well_behaved() as receiver,
        delivering(api.database),
        doing_jobs(api.database),
    ):
        await world.endpoint(org.org_id, receiver.url)
        # The later half first, so that the other half comes late.
        for number, part in enumerate((points[3_000:], points[:3_000]), start=1):
            await _uploaded(api, org, system, silent, part, 3_000 * number)
        await _delivered(world, org)
        told = await events_of(org, silent)
        assert {(one["data"]["source"], one["data"]["late"]) for one in told} == {("upload", True)}
        assert {one["type"] for one in told} >= {"asset.geofence_breach"}
        assert [dict(request.headers) for request in receiver.requests] == []

        path = f"/v1/assets/{loud.asset_id}/tracks?webhooks=true"
        await ended(org, await made(org.dispatcher, path, as_csv(points)))
        await has_judged_all(api, org, 12_000)
        await _delivered(world, org)
        told = await events_of(org, loud)
        assert [one["data"]["source"] for one in told] == ["upload"] * 2
        assert set(receiver.ids) == {one["id"] for one in told}
        count = len(api.sql("SELECT FROM events WHERE org_id = %s", org.org_id))
        again = await ended(org, await made(org.dispatcher, path, as_csv(points)))
        assert again["result"]["known"] == 6_000
        assert len(api.sql("SELECT FROM events WHERE org_id = %s", org.org_id)) == count
    visits = api.sql("SELECT entered_at, left_at, retracted FROM visits ORDER BY asset_id")
    assert len([visit for visit in visits if not visit[2]]) == 2
    assert len({visit for visit in visits if not visit[2]}) == 1


async def _uploaded(
    api: RunningApi,
    org: Organization,
    system: System,
    who: Carried,
    points: list[Point],
    stored: int,
) -> None:
    """Upload a track while ingest is killed: once with points in the inbox, once behind some."""
    count = "SELECT count(*) FROM gps_events WHERE tracker_id = %s"
    tracker_id = parse_id("trk", who.tracker_id)
    before = api.sql(count, tracker_id)
    system.ingest.kill()
    job_id = await made(org.dispatcher, f"/v1/assets/{who.asset_id}/tracks", as_csv(points))
    await until(lambda: api.sql("SELECT FROM inbox") != [])
    await asyncio.to_thread(system.ingest.start)
    await until(lambda: api.sql(count, tracker_id) > before)
    system.ingest.kill()
    await asyncio.to_thread(system.ingest.start)
    await ended(org, job_id)
    await has_judged_all(api, org, stored)


async def _delivered(world: World, org: Organization) -> None:
    """Wait until all events have their numbers, and endpoints have what is meant for them."""

    async def nothing_waits() -> bool:
        return set(await world.states(org.org_id)) <= {"delivered"}

    await until(lambda: world.all_are_made(org.org_id))
    await until(nothing_waits)
