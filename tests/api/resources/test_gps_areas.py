"""Stored fixes in a box, near a place and in a zone, through HTTP."""

from typing import Any

import pytest

from api.resources import gps_areas
from db.fixes import gps_history
from tests.api.running import Answer, Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import Carried, carried, minute, store_fixes, store_visit, text

pytestmark = pytest.mark.own_api
LON, LAT = 15.4, 48.5  # the corner of the zone


def shown(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.content
    return [row["time"] for row in answer.json["data"]]


async def on_its_way(api: RunningApi, org: Organization, *lons: float) -> Carried:
    """Return a machine with a fix each minute, at these longitudes."""
    who = await carried(org)
    for number, lon in enumerate(lons):
        store_fixes(api, org, who.tracker_id, [minute(number)], lon=lon, lat=LAT)
    return who


async def made_zone(org: Organization, **fields: Any) -> str:
    body = {"name": "Yard", "geometry": square(LON, LAT), **fields}
    answer = await org.admin.post("/v1/zones", body)
    assert answer.status == 201, answer.content
    return answer.json["id"]


async def test_fixes_in_a_box_are_listed_and_counted(api: RunningApi, north: Organization) -> None:
    who = await on_its_way(api, north, 13.0, 13.1, 13.2, 13.3)
    wanted = {"asset_id": who.asset_id, "bbox": "13.1,48.4,13.2,48.6"}
    answer = await north.viewer.get("/v1/gps-events", **wanted)
    assert shown(answer) == [text(minute(2)), text(minute(1))]
    assert (answer.json["total"], answer.json["total_is_estimate"]) == (2, False)
    assert "zone_by" not in answer.json


async def test_a_box_may_lie_over_the_180th_meridian(api: RunningApi, north: Organization) -> None:
    who = await on_its_way(api, north, 178.0, 179.5, -179.5, -178.0)
    wanted = {"asset_id": who.asset_id, "bbox": "179,48,-179,49"}
    answer = await north.viewer.get("/v1/gps-events", **wanted)
    assert shown(answer) == [text(minute(2)), text(minute(1))]


async def test_fixes_near_a_place_are_listed_and_counted(
    api: RunningApi, north: Organization
) -> None:
    who = await on_its_way(api, north, 13.4, 13.401, 13.41, 13.4)  # 68 m, 680 m
    wanted = {"asset_id": who.asset_id, "near": f"{LAT},13.4,100"}
    answer = await north.viewer.get("/v1/gps-events", **wanted)
    assert shown(answer) == [text(minute(3)), text(minute(1)), text(minute(0))]
    assert answer.json["total"] == 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bbox", "13,52,14"),
        ("bbox", "13,53,14,52"),
        ("bbox", "-181,52,14,53"),
        ("bbox", "a,b,c,d"),
        ("near", "52.5,13.4"),
        ("near", "91,13.4,100"),
        ("near", "52.5,13.4,0"),
        ("near", "52.5,13.4,100001"),
        ("zone_by", "shape"),
        ("zone_by", "visit"),
    ],
)
async def test_a_bad_area_is_refused_by_name(north: Organization, name: str, value: str) -> None:
    answer = await north.viewer.get("/v1/gps-events", **{name: value})
    assert answer.status == 400
    assert [error["parameter"] for error in answer.json["errors"]] == [name]


async def test_one_area_is_enough(north: Organization) -> None:
    zone_id = await made_zone(north)
    areas = {"bbox": "13,52,14,53", "near": "52.5,13.4,100", "zone_id": zone_id}
    for first, second in (("bbox", "near"), ("bbox", "zone_id"), ("near", "zone_id")):
        both = {first: areas[first], second: areas[second]}
        answer = await north.viewer.get("/v1/gps-events", **both)
        assert answer.status == 400
        assert "Name one area" in answer.json["errors"][0]["message"]


async def test_a_zone_that_was_drawn_later_has_a_past(api: RunningApi, org: Organization) -> None:
    await on_its_way(api, org, 13.0, LON, LON, 14.0)
    zone_id = await made_zone(org)
    answer = await org.viewer.get("/v1/gps-events", zone_id=zone_id, to=text(minute(60)))
    assert shown(answer) == [text(minute(2)), text(minute(1))]
    assert (answer.json["total"], answer.json["zone_by"]) == (2, "shape")


async def test_since_a_zone_is_there_its_visits_say_who_was_in_it(
    api: RunningApi, org: Organization
) -> None:
    """One machine was within before and after; in a visit, a fix outside counts, too."""
    who = await on_its_way(api, org, LON, 13.0, 14.0, LON)
    zone_id = await made_zone(org, valid_from=text(minute(1)))
    store_visit(api, org, who, zone_id, minute(1), minute(3))
    for sort in ("-time", "time"):
        walked = await org.viewer.walk("/v1/gps-events", limit=1, zone_id=zone_id, sort=sort)
        numbers = [0, 1, 2] if sort == "time" else [2, 1, 0]
        assert [row["time"] for row in walked] == [text(minute(number)) for number in numbers]
    answer = await org.viewer.get("/v1/gps-events", zone_id=zone_id, offset="1", limit="1")
    assert shown(answer) == [text(minute(1))]
    assert (answer.json["total"], answer.json["zone_by"]) == (3, "visits_and_shape")
    since = {"zone_id": zone_id, "from_": text(minute(1))}
    assert (await org.viewer.get("/v1/gps-events", **since)).json["zone_by"] == "visits"
    by_shape = await org.viewer.get("/v1/gps-events", zone_id=zone_id, zone_by="shape")
    assert shown(by_shape) == [text(minute(3)), text(minute(0))]
    by_visits = await org.viewer.get("/v1/gps-events", zone_id=zone_id, zone_by="visits")
    assert shown(by_visits) == [text(minute(2)), text(minute(1))]


async def test_each_fix_is_looked_for_in_the_shape_of_its_time(
    api: RunningApi, org: Organization
) -> None:
    zone_id = await made_zone(org, valid_from=text(minute(0)))
    moved = await org.admin.patch(f"/v1/zones/{zone_id}", {"geometry": square(15.0, LAT)})
    assert moved.status == 200
    store_fixes(
        api, org, (await carried(org)).tracker_id, [minute(-1), minute(1)], lon=LON, lat=LAT
    )
    store_fixes(
        api, org, (await carried(org)).tracker_id, [minute(-1), minute(1)], lon=15.0, lat=LAT
    )
    answer = await org.viewer.get("/v1/gps-events", zone_id=zone_id, zone_by="shape")
    assert [(row["time"], row["lon"]) for row in answer.json["data"]] == [
        (text(minute(1)), LON),
        (text(minute(-1)), 15.0),
    ]


async def test_a_machine_that_a_zone_does_not_bear_on_is_found_by_shape(
    api: RunningApi, north: Organization
) -> None:
    other, who = await carried(north), await on_its_way(api, north, LON, 13.0)
    chosen = {"ids": [other.asset_id], "tags": []}
    zone_id = await made_zone(north, valid_from="2020-01-01T00:00:00Z", assets=chosen)
    answer = await north.viewer.get("/v1/gps-events", zone_id=zone_id, asset_id=who.asset_id)
    assert (shown(answer), answer.json["zone_by"]) == ([text(minute(0))], "shape")
    borne_on = await north.viewer.get("/v1/gps-events", zone_id=zone_id, asset_id=other.asset_id)
    assert (shown(borne_on), borne_on.json["zone_by"]) == ([], "visits_and_shape")


async def test_phones_of_employees_are_found_by_shape(api: RunningApi, north: Organization) -> None:
    employee = (await north.admin.post("/v1/employees", {"name": "Eva"})).json["id"]
    phone = await north.admin.post(
        "/v1/trackers", {"employee_id": employee, "assigned_from": "2020-01-01T00:00:00Z"}
    )
    assert phone.status == 201, phone.content
    store_fixes(api, north, phone.json["id"], [minute(0)], lon=LON, lat=LAT)
    store_fixes(api, north, phone.json["id"], [minute(1)], lon=14.0, lat=LAT)
    wanted = {"zone_id": await made_zone(north), "employee_id": employee}
    assert shown(await north.dispatcher.get("/v1/gps-events", **wanted)) == [text(minute(0))]
    assert shown(await north.viewer.get("/v1/gps-events", **wanted)) == []
    refused = await north.dispatcher.get("/v1/gps-events", zone_by="visits", **wanted)
    assert refused.status == 400


async def test_a_page_that_looked_at_too_many_places_goes_on_behind_them(
    api: RunningApi, org: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The corners of a circle's box: in it, but not in the circle."""
    monkeypatch.setattr(gps_history, "MOST_PLACES", 4)
    monkeypatch.setattr(gps_history, "_FIRST_PLACES", 2)
    corner = [LON + 0.00132] * 9
    who = await carried(org)
    for number, lon in enumerate([LON, *corner, LON]):
        lat = LAT if lon == LON else LAT + 0.00088
        store_fixes(api, org, who.tracker_id, [minute(number)], lon=lon, lat=lat)
    near = {"near": f"{LAT},{LON},100", "asset_id": who.asset_id}
    first = await org.viewer.get("/v1/gps-events", **near, limit="2")
    assert shown(first) == [text(minute(10))]
    assert first.json["next_cursor"] is not None
    assert first.json["total_is_estimate"] is True
    walked = await org.viewer.walk("/v1/gps-events", limit=2, **near)
    assert [row["time"] for row in walked] == [text(minute(10)), text(minute(0))]
    file = await org.viewer.get("/v1/gps-events", **near, headers={"Accept": "text/csv"})
    assert file.content.count(b"\r\n") == 3
    refused = await org.viewer.get("/v1/gps-events", **near, limit="2", offset="0")
    assert refused.status == 400
    assert refused.json["errors"][0]["parameter"] == "offset"


async def test_several_things_are_named_with_commas(api: RunningApi, north: Organization) -> None:
    first, second, third = [await on_its_way(api, north, 13.0) for _ in range(3)]
    both = {"asset_id": f"{first.asset_id},{second.asset_id}"}
    answer = await north.viewer.get("/v1/gps-events", **both)
    assert {row["asset_id"] for row in answer.json["data"]} == {first.asset_id, second.asset_id}
    assert answer.json["total"] == 2
    trackers = {"tracker_id": f"{third.tracker_id},{second.tracker_id}"}
    listed = (await north.viewer.get("/v1/gps-events", **trackers)).json["data"]
    assert {row["tracker_id"] for row in listed} == {third.tracker_id, second.tracker_id}
    crossed = await north.viewer.get("/v1/gps-events", **both, **trackers)
    assert [row["asset_id"] for row in crossed.json["data"]] == [second.asset_id]


async def test_each_of_several_things_has_to_be_there(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    mine, theirs = await carried(north), await carried(south)
    answer = await north.viewer.get("/v1/gps-events", asset_id=f"{mine.asset_id},{theirs.asset_id}")
    assert answer.status == 404
    for text_of_ids in ("", ",", f"{mine.asset_id},", ",".join([mine.asset_id] * 101)):
        answer = await north.viewer.get("/v1/gps-events", asset_id=text_of_ids)
        assert answer.status == 400, text_of_ids


def test_the_bound_of_near_is_told() -> None:
    assert f"{gps_areas.MAX_NEAR_M:,}" in str(gps_areas.AreaQuery.model_fields["near"].description)
