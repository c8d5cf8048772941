"""What making a zone would say, without making it, through HTTP."""

from typing import Any

import pytest

from db.core.ids import new_id
from telemetry.ids import format_id
from tests.api.running import Organization
from tests.api.shapes import BOW_TIE, line, point, square


async def _said(org: Organization, **body: Any) -> dict[str, Any]:
    answer = await org.dispatcher.post("/v1/zones/validate", {"name": "Yard"} | body)
    assert answer.status == 200, answer.json
    return answer.json


async def test_a_good_zone_is_measured_and_not_made(north: Organization) -> None:
    before = (await north.viewer.get("/v1/zones")).json["total"]
    said = await _said(north, geometry=square(8, 47))
    assert said["area_m2"] == pytest.approx(1112 * 760, rel=0.01)
    assert said["bbox"] == [8, 47, 8.01, 47.01]
    assert (said["valid"], said["errors"], said["repaired"]) == (True, [], None)
    assert (await north.viewer.get("/v1/zones")).json["total"] == before


@pytest.mark.parametrize(
    "body",
    [{"geometry": point(), "radius_m": 100}, {"geometry": line(), "width_m": 10}],
)
async def test_circles_and_corridors_are_measured_too(
    north: Organization, body: dict[str, Any]
) -> None:
    said = await _said(north, **body)
    assert said["valid"]
    assert said["area_m2"] > 0


@pytest.mark.parametrize(
    "body",
    [
        {"geometry": BOW_TIE},
        {"geometry": point()},
        {"geometry": point(), "radius_m": 1e9},
        {"geometry": square(), "schedule": {"timezone": "Mars/Olympus", "windows": []}},
        {"geometry": square(), "valid_from": "2999-01-01T00:00:00Z"},
        {"geometry": square(), "assets": {"ids": [format_id("ast", new_id())]}},
    ],
)
async def test_what_making_would_refuse_is_told_in_the_same_words(
    north: Organization, body: dict[str, Any]
) -> None:
    said = await _said(north, **body)
    refused = await north.dispatcher.post("/v1/zones", {"name": "Yard"} | body)
    assert refused.status == 422
    assert not said["valid"]
    assert said["errors"] == refused.json["errors"]
    for name in ("ring", "vertex", "position", "repaired"):
        assert said[name] == refused.json.get(name)


async def test_a_repaired_shape_is_good(north: Organization) -> None:
    said = await _said(north, geometry=BOW_TIE)
    assert (await _said(north, geometry=said["repaired"]))["valid"]


async def test_everything_that_is_wrong_is_told_at_once(
    north: Organization, south: Organization
) -> None:
    taken = {"name": "x", "external_id": "Z-7", "geometry": square()}
    assert (await north.admin.post("/v1/zones", taken)).status == 201
    theirs = (await south.admin.post("/v1/assets", {"name": "x"})).json["id"]
    wrong = {
        "geometry": BOW_TIE,
        "external_id": "Z-7",
        "assets": {"ids": [theirs]},
        "schedule": {"timezone": "Europe/Zurich", "windows": []},
    }
    said = await _said(north, **wrong)
    pointers = [fault["pointer"] for fault in said["errors"]]
    assert pointers[0] == "/schedule/windows"
    assert pointers[1].startswith("/geometry")
    assert pointers[2:] == ["/assets/ids/0", "/external_id"]
    assert (await _said(south, geometry=square(), external_id="Z-7"))["valid"]


async def test_who_may_not_make_a_zone_is_not_told(north: Organization) -> None:
    for caller in (north.viewer, north.technician):
        body = {"name": "x", "geometry": square()}
        assert (await caller.post("/v1/zones/validate", body)).status == 403


async def test_a_body_that_is_no_zone_is_a_422(north: Organization) -> None:
    for body in ({}, {"name": "x"}, {"name": "x", "geometry": square(), "colour": "red"}):
        assert (await north.admin.post("/v1/zones/validate", body)).status == 422
