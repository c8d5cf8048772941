"""An organization may have a quota of zones over one place, and no more."""

import asyncio
import math
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.running import Organization, RunningApi, running_api
from tests.servers import DatabaseUnderTest

MOST = 3


@pytest.fixture(scope="module")
def api(database: DatabaseUnderTest) -> Iterator[RunningApi]:
    """An API where zones over one place are few."""
    with running_api(database, zones_over_one_place=MOST) as running:
        yield running


def circle(lon: float, lat: float = 47.0, radius_m: float = 200.0) -> dict[str, Any]:
    point = {"type": "Point", "coordinates": [lon, lat]}
    return {"name": "circle", "geometry": point, "radius_m": radius_m}


def corner(size: float, lon: float = 8.0) -> dict[str, Any]:
    """Return an angle along the west and south of a square: its box is nearly empty."""
    thin = size / 20
    line = [(0, 0), (size, 0), (size, thin), (thin, thin), (thin, size), (0, size), (0, 0)]
    ring = [[lon + x, 47.0 + y] for x, y in line]
    return {"name": "corner", "geometry": {"type": "Polygon", "coordinates": [ring]}}


def line(lon: float) -> dict[str, Any]:
    geometry = {"type": "LineString", "coordinates": [[lon - 0.1, 47.0], [lon + 0.1, 47.0]]}
    return {"name": "line", "geometry": geometry, "width_m": 20}


async def made(org: Organization, *zones: dict[str, Any]) -> list[str]:
    answers = [await org.admin.post("/v1/zones", zone) for zone in zones]
    assert {answer.status for answer in answers} == {201}
    return [answer.json["id"] for answer in answers]


def is_refused(answer: Any, place: str = "") -> bool:
    problem = answer.json
    return (
        (answer.status, problem["code"]) == (403, "quota_exceeded")
        and (problem["quota"], problem["limit"]) == ("zones_over_one_place", MOST)
        and problem["used"] >= MOST
        and problem["errors"][0]["pointer"] == f"{place}/geometry"
        and len(problem["position"]) == 2
    )


@pytest.mark.parametrize("lon", [8.0, 180.0, -179.9995])
async def test_one_more_than_may_is_refused_and_says_where(org: Organization, lon: float) -> None:
    shifted = lon - 0.001 if lon > 0 else lon + 0.001
    await made(org, circle(lon), circle(shifted), line(lon) if lon == 8.0 else circle(lon))
    answer = await org.admin.post("/v1/zones", circle(lon))
    assert is_refused(answer)
    west, lat = answer.json["position"]
    assert abs((west - lon + 180) % 360 - 180) < 0.01
    assert abs(lat - 47) < 0.01
    await made(org, circle(lon - 1))
    validated = (await org.admin.post("/v1/zones/validate", circle(lon))).json
    assert not validated["valid"]
    assert "zones over one place" in validated["errors"][0]["message"]


async def test_boxes_that_overlap_are_no_crowd(org: Organization) -> None:
    await made(org, *(corner(0.01 * 2**n) for n in range(MOST)))
    away = corner(0.01, 8.0)
    away["geometry"]["coordinates"] = [
        [[x + 0.005, y + 0.005] for x, y in away["geometry"]["coordinates"][0]]
    ]
    await made(org, away)


async def test_what_is_deleted_or_another_organizations_does_not_count(
    org: Organization, api: RunningApi
) -> None:
    ids = await made(org, *[circle(8.0)] * MOST)
    assert (await org.admin.delete(f"/v1/zones/{ids[0]}")).status == 204
    await made(org, circle(8.0))
    assert is_refused(await org.admin.post(f"/v1/zones/{ids[0]}/restore", {}))
    await made(api.organization("Another"), circle(8.0))


async def test_a_zone_that_moves_counts_where_it_comes_and_not_where_it_was(
    org: Organization,
) -> None:
    ids = await made(org, *[circle(8.0)] * MOST, circle(9.0))
    changed = {"geometry": circle(8.0)["geometry"]}
    assert is_refused(await org.admin.patch(f"/v1/zones/{ids[-1]}", changed))
    assert (await org.admin.patch(f"/v1/zones/{ids[0]}", {"radius_m": 300.0})).status == 200
    assert (await org.admin.patch(f"/v1/zones/{ids[0]}", {"name": "moved"})).status == 200


async def test_a_batch_counts_its_own(org: Organization) -> None:
    fits = [circle(8.0)] * MOST
    answer = await org.admin.post("/v1/zones/batch", [circle(1.0), *fits, circle(8.0)])
    assert is_refused(answer, "/1")
    assert (await org.admin.post("/v1/zones/batch", fits)).status == 201
    assert is_refused(await org.admin.post("/v1/zones/batch", [circle(1.0), circle(8.0)]), "/1")


def angles(number: int) -> list[dict[str, Any]]:
    """Return thin angles in whose boxes others lie, each south-west of the one
    before: no two meet.
    """
    line = [(0, 0), (50, 0), (50, 1), (1, 1), (1, 50), (0, 50), (0, 0)]
    return [
        {
            "name": "angle",
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    [[8 + (x - 2 * n) / 2500, 47 + (y - 2 * n) / 2500] for x, y in line]
                ],
            },
        }
        for n in range(number)
    ]


def wheel(vertices: int) -> dict[str, Any]:
    turns = [2 * math.pi * (n % vertices) / vertices for n in range(vertices + 1)]
    ring = [[8 + 0.01 * math.cos(turn), 47 + 0.01 * math.sin(turn)] for turn in turns]
    return {"name": "wheel", "geometry": {"type": "Polygon", "coordinates": [ring]}}


async def test_large_shapes_are_counted_too(
    org: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each is as much as is read at once."""
    monkeypatch.setattr("db.resources.zones.MAX_SHAPES_BYTES", 2_000)
    statuses = [(await org.admin.post("/v1/zones", wheel(900))).status for _ in range(MOST + 3)]
    assert statuses == [201] * MOST + [403] * 3


async def test_decoys_before_it_in_a_batch_hide_no_crowd(org: Organization) -> None:
    """Zones whose boxes are as many as may be, or more, and that are no crowd themselves."""
    await made(org, *[circle(9.0)] * MOST)
    for decoys in (angles(MOST + 1), angles(4 * MOST)):
        answer = await org.admin.post("/v1/zones/batch", [*decoys, circle(9.0)])
        assert is_refused(answer, f"/{len(decoys)}")
    assert (await org.admin.post("/v1/zones/batch", angles(4 * MOST))).status == 201


async def test_what_cannot_be_looked_at_is_refused_where_far_too_many_boxes_overlap(
    org: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.resources.zones.crowds._SECONDS", 0.0)
    for _ in range(5 * MOST + 1):
        await made(org, circle(8.0))
    answer = await org.admin.post("/v1/zones", circle(8.0))
    assert is_refused(answer)
    assert "too many to look at exactly" in answer.json["errors"][0]["message"]
    assert answer.json["used"] == 5 * MOST + 1


async def test_zones_that_are_made_at_once_are_no_more_than_may(org: Organization) -> None:
    await asyncio.gather(*(org.admin.post("/v1/zones", circle(8.0)) for _ in range(10)))
    total = (await org.admin.get("/v1/zones", limit=1)).json["total"]
    assert 1 <= total <= MOST


async def test_a_surplus_of_before_stays_and_may_be_changed_in_other_ways(
    org: Organization, api: RunningApi
) -> None:
    ids = await made(org, *[circle(8.0)] * MOST)
    api.sql("UPDATE zone_versions SET box = NULL WHERE org_id = %s", org.org_id)
    ids += await made(org, *[circle(8.0)] * MOST)
    assert is_refused(await org.admin.post("/v1/zones", circle(8.0)))
    for zone_id in ids:
        answer = await org.admin.patch(f"/v1/zones/{zone_id}", {"name": "still here"})
        assert answer.status == 200
