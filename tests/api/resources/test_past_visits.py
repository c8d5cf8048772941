"""The visits that a zone would have told, through HTTP."""

import random
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from api.resources.zones import past_visits
from db.fixes import fix_hours
from tests.api.resources.test_zone_trials import FAR, INSIDE, OUTSIDE, ZONE, store
from tests.api.running import Answer, Organization, RunningApi
from tests.api.stored import carried, minute, text

pytestmark = pytest.mark.own_api
SPAN: dict[str, Any] = {"from_": text(minute(-60)), "to": text(minute(20_000))}


@pytest.fixture(autouse=True)
async def no_hours(api: RunningApi) -> AsyncIterator[None]:
    yield
    api.sql("TRUNCATE gps_events, fix_hours, fix_hours_changed")
    api.sql("UPDATE fix_hours_end SET until = '-infinity'")


async def zone_of(org: Organization, **fields: Any) -> str:
    answer = await org.admin.post("/v1/zones", ZONE | fields)
    assert answer.status == 201, answer.content
    return answer.json["id"]


async def asked(org: Organization, zone_id: str, **parameters: Any) -> Answer:
    answer = await org.viewer.get(f"/v1/zones/{zone_id}/past-visits", **SPAN | parameters)
    assert answer.status == 200, answer.content
    return answer


async def add_hours(api: RunningApi, until_minute: float) -> None:
    async with api.database.connection("opsc_ingest") as conn:
        await fix_hours.add(conn, minute(-10_000), minute(until_minute))


async def test_a_zone_that_is_new_tells_who_was_there(api: RunningApi, org: Organization) -> None:
    stays, passes = await carried(org, "Stays"), await carried(org, "Passes")
    store(api, org, stays, (0, OUTSIDE), (5, INSIDE), (6, INSIDE), (9, OUTSIDE), (10, OUTSIDE))
    store(api, org, passes, (20, (7.995, 47.005)), (21, OUTSIDE), (22, INSIDE))
    answer = await asked(org, await zone_of(org))
    told = [
        (visit["asset_id"], visit["entered_at"], visit["left_at"], visit["entry_inferred"])
        for visit in answer.json["data"]
    ]
    assert told[0] == (stays.asset_id, text(minute(5)), text(minute(9)), None)
    assert [visit[0] for visit in told[1:]] == [passes.asset_id] * 2
    assert told[1][3] == "segment"
    assert told[2][1:] == (text(minute(22)), None, None)
    assert answer.json["data"][0]["duration_s"] == 240.0
    assert answer.json["is_cut"] is False
    events = (await org.admin.get("/v1/events")).json["data"]
    assert not [event for event in events if event["type"].startswith("asset.")]


async def test_the_machines_are_chosen(api: RunningApi, org: Organization) -> None:
    first, second = await carried(org), await carried(org)
    for who in (first, second):
        store(api, org, who, (0, OUTSIDE), (5, INSIDE))
    answer = await asked(org, await zone_of(org), asset_id=second.asset_id)
    assert [visit["asset_id"] for visit in answer.json["data"]] == [second.asset_id]


async def test_of_the_fixes_of_a_machine_one_id_is_sorted(
    api: RunningApi, org: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To sort all rows of the longest answer would take a second, in which nobody is served."""
    for _ in range(2):
        store(api, org, await carried(org), *((at, INSIDE) for at in range(20)))
    sizes, unique = list[int](), np.unique

    def noted(values: Any, **options: Any) -> Any:
        sizes.append(np.size(values))
        return unique(values, **options)

    monkeypatch.setattr(np, "unique", noted)
    assert len((await asked(org, await zone_of(org))).json["data"]) == 2
    assert sizes == [2, 2]  # assets, trackers


async def test_a_zone_that_bears_on_others_has_a_past_of_all(
    api: RunningApi, org: Organization
) -> None:
    who, other = await carried(org), await carried(org)
    store(api, org, who, (0, OUTSIDE), (5, INSIDE))
    zone_id = await zone_of(org, assets={"ids": [other.asset_id], "tags": []})
    assert len((await asked(org, zone_id)).json["data"]) == 1


@pytest.mark.parametrize("seed", range(4))
async def test_hours_far_away_make_no_difference(
    api: RunningApi, org: Organization, seed: int
) -> None:
    """Machines come and go for days, with pauses; the end of what is added up lies anywhere."""
    chances = random.Random(seed)
    for _ in range(3):
        who, at, fixes = await carried(org), 0.0, []
        while at < 6_000:
            at += chances.choice([1, 5, 20, 90, 700])
            fixes.append((at, chances.choice([INSIDE, OUTSIDE, FAR, FAR, FAR])))
        store(api, org, who, *fixes)
    zone_id = await zone_of(org, dwell_seconds=600)
    before = (await asked(org, zone_id)).json
    assert len(before["data"]) > 2
    await add_hours(api, chances.uniform(0, 7_000))
    assert (await asked(org, zone_id)).json == before


async def test_hours_that_are_left_out_make_no_way_through(
    api: RunningApi, org: Organization
) -> None:
    """From the north it went to the south, and round the zone in an hour between."""
    who = await carried(org)
    north, south, east = (8.005, 48.0), (8.005, 46.0), (10.0, 47.0)
    ways = [(0, INSIDE), (60, north), (120, north), (180, north), (299, north)]
    ways += [(330, east), (360, south), (420, south), (480, south), (540, south), (660, INSIDE)]
    store(api, org, who, *ways)
    zone_id = await zone_of(org, max_gap_seconds=7_200)
    before = (await asked(org, zone_id)).json["data"]
    assert [visit["entered_at"] for visit in before] == [text(minute(0)), text(minute(660))]
    await add_hours(api, 10_000)
    assert (await asked(org, zone_id)).json["data"] == before


async def test_too_much_is_cut_and_said(
    api: RunningApi, org: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_visits, "MOST_FIXES", 3)
    who = await carried(org)
    store(api, org, who, (0, OUTSIDE), (5, INSIDE), (6, INSIDE), (9, OUTSIDE))
    answer = await asked(org, await zone_of(org))
    assert [visit["left_at"] for visit in answer.json["data"]] == [None]
    assert answer.json["is_cut"] is True


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"from_": "2026-01-01T00:00:00Z", "to": "2026-02-02T00:00:00Z"}, "to"),
        ({"from_": "2999-01-01T00:00:00Z", "to": "2999-01-02T00:00:00Z"}, "from"),
    ],
)
async def test_a_bad_time_is_refused(
    org: Organization, parameters: dict[str, Any], name: str
) -> None:
    path = f"/v1/zones/{await zone_of(org)}/past-visits"
    answer = await org.viewer.get(path, **parameters)
    assert (answer.status, answer.json["errors"][0]["parameter"]) == (400, name)


async def test_another_organizations_zone_has_no_past(
    org: Organization, south: Organization
) -> None:
    path = f"/v1/zones/{await zone_of(org)}/past-visits"
    assert (await south.admin.get(path)).status == 404
