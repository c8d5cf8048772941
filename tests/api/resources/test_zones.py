"""Zones and their versions, through HTTP."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from db.core import listing
from telemetry.ids import parse_id
from tests.api.running import Organization, RunningApi
from tests.api.shapes import BOW_TIE, line, point, square
from tests.waiting import until


async def new_zone(org: Organization, **fields: Any) -> dict[str, Any]:
    made = await org.dispatcher.post("/v1/zones", {"name": "Yard", "geometry": square()} | fields)
    assert made.status == 201, made.content
    return made.json


async def versions_of(org: Organization, zone: dict[str, Any]) -> list[dict[str, Any]]:
    return (await org.viewer.get(f"/v1/zones/{zone['id']}/versions")).json["data"]


async def test_a_zone_is_made_and_read(north: Organization) -> None:
    zone = await new_zone(north, kind="allowed", alert_on=["exit"], external_id="Z-1")
    assert zone["id"].startswith("zon_")
    assert zone["geometry"] == square()
    assert (zone["version"], zone["kind"], zone["alert_on"]) == (1, "allowed", ["exit"])
    assert zone["valid_from"] == zone["judges_from"] == zone["created_at"]
    assert (await north.viewer.get(f"/v1/zones/{zone['id']}")).json == zone
    assert zone in (await north.viewer.get("/v1/zones")).json["data"]


async def test_a_zone_is_restricted_unless_it_says_otherwise(north: Organization) -> None:
    zone = await new_zone(north)
    assert (zone["kind"], zone["alert_on"], zone["radius_m"]) == ("restricted", None, None)


async def test_a_circle_keeps_its_radius(north: Organization) -> None:
    zone = await new_zone(north, geometry=point(13.4, 52.5), radius_m=150)
    assert zone["radius_m"] == 150
    assert zone["geometry"] == point(13.4, 52.5)


async def test_a_corridor_keeps_its_width(north: Organization) -> None:
    zone = await new_zone(north, geometry=line(13.4, 52.5), width_m=40)
    assert (zone["width_m"], zone["radius_m"]) == (40, None)
    assert zone["geometry"] == line(13.4, 52.5)
    path = f"/v1/zones/{zone['id']}"
    assert (await north.viewer.get(path)).json == zone
    wider = (await north.dispatcher.patch(path, {"width_m": 60})).json
    assert (wider["version"], wider["width_m"], wider["geometry"]) == (2, 60, zone["geometry"])
    longer = (await north.dispatcher.patch(path, {"geometry": line(13.4, 52.5, 0.02)})).json
    assert (longer["version"], longer["width_m"]) == (3, 60)
    assert [version["width_m"] for version in await versions_of(north, zone)] == [60, 60, 40]


async def test_a_first_version_may_be_in_force_earlier_and_says_what_it_judges(
    north: Organization,
) -> None:
    zone = await new_zone(north, valid_from="2020-01-01T00:00:00Z")
    assert zone["valid_from"] == "2020-01-01T00:00:00Z"
    assert zone["judges_from"] == zone["created_at"]
    later = (await north.dispatcher.patch(f"/v1/zones/{zone['id']}", {"name": "Depot"})).json
    assert later["judges_from"] == later["valid_from"] > zone["judges_from"]
    of_versions = [one["judges_from"] for one in await versions_of(north, zone)]
    assert of_versions == [later["judges_from"], zone["judges_from"]]


async def test_an_edit_closes_the_version_in_force_and_opens_the_next(
    api: RunningApi, north: Organization
) -> None:
    zone = await new_zone(north)
    path = f"/v1/zones/{zone['id']}"
    moved = await north.dispatcher.patch(path, {"geometry": square(1.0, 1.0)})
    renamed = await north.dispatcher.patch(path, {"name": "New yard", "kind": "yard"})
    assert (moved.json["version"], renamed.json["version"]) == (2, 3)
    assert renamed.json["geometry"] == square(1.0, 1.0)
    third, second, first = await versions_of(north, zone)
    assert first["valid_to"] == second["valid_from"] == moved.json["valid_from"]
    assert second["valid_to"] == third["valid_from"] == renamed.json["valid_from"]
    assert third["valid_to"] is None
    assert (first["geometry"], second["geometry"]) == (square(), square(1.0, 1.0))
    assert [version["name"] for version in (first, second, third)] == ["Yard", "Yard", "New yard"]
    stamps = api.sql(
        "SELECT revision FROM zone_versions WHERE zone_id = %s ORDER BY version",
        parse_id("zon", zone["id"]),
    )
    newest = api.sql("SELECT revision FROM zones_revision")
    assert [stamp[0] for stamp in stamps] == [newest[0][0] - 1, newest[0][0], newest[0][0]]


async def test_an_external_id_makes_no_version(north: Organization) -> None:
    zone = await new_zone(north)
    answer = await north.dispatcher.patch(f"/v1/zones/{zone['id']}", {"external_id": "Z-2"})
    assert (answer.json["external_id"], answer.json["version"]) == ("Z-2", 1)
    assert (await north.viewer.get(f"/v1/zones/{zone['id']}")).json == answer.json
    assert len(await versions_of(north, zone)) == 1


async def test_a_change_of_nothing_makes_no_version(north: Organization) -> None:
    zone = await new_zone(north)
    path = f"/v1/zones/{zone['id']}"
    for body in ({}, {"name": "Yard"}, {"geometry": square()}, {"alert_on": None}):
        assert (await north.dispatcher.patch(path, body)).json == zone


async def test_a_circle_becomes_a_polygon_and_a_polygon_a_circle(north: Organization) -> None:
    zone = await new_zone(north, geometry=point(), radius_m=100)
    path = f"/v1/zones/{zone['id']}"
    polygon = (await north.dispatcher.patch(path, {"geometry": square()})).json
    assert polygon["radius_m"] is None
    without = await north.dispatcher.patch(path, {"geometry": point()})
    assert without.status == 422
    circle = await north.dispatcher.patch(path, {"geometry": point(), "radius_m": 50})
    assert circle.json["radius_m"] == 50
    wider = await north.dispatcher.patch(path, {"radius_m": 60})
    assert (wider.json["radius_m"], wider.json["geometry"]) == (60, point())


async def test_a_circle_becomes_a_corridor_and_a_corridor_an_area(north: Organization) -> None:
    zone = await new_zone(north, geometry=point(), radius_m=100)
    path = f"/v1/zones/{zone['id']}"
    assert (await north.dispatcher.patch(path, {"geometry": line()})).status == 422
    corridor = (await north.dispatcher.patch(path, {"geometry": line(), "width_m": 30})).json
    assert (corridor["radius_m"], corridor["width_m"]) == (None, 30)
    area = (await north.dispatcher.patch(path, {"geometry": square()})).json
    assert (area["radius_m"], area["width_m"]) == (None, None)


async def test_a_deleted_zone_is_gone_and_its_versions_stay(
    api: RunningApi, north: Organization
) -> None:
    zone = await new_zone(north, external_id="Z-3")
    path = f"/v1/zones/{zone['id']}"
    assert (await north.dispatcher.delete(path)).status == 204
    assert (await north.dispatcher.delete(path)).status == 404
    assert (await north.viewer.get(path)).status == 404
    assert (await north.dispatcher.patch(path, {"name": "x"})).status == 404
    listed = (await north.viewer.get("/v1/zones", limit=1000)).json["data"]
    assert zone["id"] not in [item["id"] for item in listed]
    (version,) = await versions_of(north, zone)
    assert version["valid_to"] is not None
    await new_zone(north, external_id="Z-3")


async def test_a_bow_tie_is_refused_with_its_place_and_a_repaired_shape(
    north: Organization,
) -> None:
    answer = await north.dispatcher.post("/v1/zones", {"name": "x", "geometry": BOW_TIE})
    assert answer.status == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json
    assert problem["errors"][0]["pointer"].startswith("/geometry/coordinates")
    assert problem["ring"] == 0
    assert isinstance(problem["vertex"], int)
    assert problem["repaired"]["type"] == "MultiPolygon"
    assert (await new_zone(north, geometry=problem["repaired"]))["version"] == 1


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"geometry": point()}, "/geometry/type"),
        ({"radius_m": 5}, "/geometry/type"),
        ({"radius_m": 0}, "/radius_m"),
        ({"geometry": point(), "radius_m": 1e12}, "/radius_m"),
        ({"radius_m": "5"}, "/radius_m"),
        ({"geometry": line()}, "/geometry/type"),
        ({"geometry": line(), "width_m": 1e12}, "/width_m"),
        ({"geometry": line(), "width_m": 0}, "/width_m"),
        ({"geometry": line(), "width_m": 5, "radius_m": 5}, "/geometry/type"),
        (
            {"geometry": {"type": "LineString", "coordinates": [[0, 0]]}, "width_m": 5},
            "/geometry/coordinates",
        ),
        ({"width_m": 10}, "/geometry/type"),
        ({"geometry": {}}, "/geometry/type"),
        ({"geometry": {"type": "Polygon"}}, "/geometry/coordinates"),
        ({"geometry": {"type": ["Polygon"], "coordinates": []}}, "/geometry/type"),
        (
            {"geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1, 91], [1, 0], [0, 0]]]}},
            "/geometry/coordinates/0/1",
        ),
        ({"geometry": []}, "/geometry"),
        ({"geometry": None}, "/geometry"),
        ({"kind": "forbidden"}, "/kind"),
        ({"alert_on": ["leave"]}, "/alert_on/0"),
        ({"name": None}, "/name"),
        ({"version": 3}, "/version"),
    ],
)
async def test_a_bad_field_is_a_422_that_points_at_it(
    north: Organization, change: dict[str, object], pointer: str
) -> None:
    body = {"name": "x", "geometry": square()} | change
    zone = await new_zone(north)
    for answer in (
        await north.dispatcher.post("/v1/zones", body),
        await north.dispatcher.patch(f"/v1/zones/{zone['id']}", change),
    ):
        assert answer.status == 422
        assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]
    assert (await north.viewer.get(f"/v1/zones/{zone['id']}")).json == zone


async def test_a_zone_cannot_begin_in_the_future_nor_be_moved_in_time(north: Organization) -> None:
    future = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = {"name": "x", "geometry": square(), "valid_from": future}
    assert (await north.dispatcher.post("/v1/zones", body)).status == 422
    zone = await new_zone(north)
    past = {"valid_from": "2020-01-01T00:00:00Z"}
    assert (await north.dispatcher.patch(f"/v1/zones/{zone['id']}", past)).status == 422


async def test_foreign_members_of_a_geometry_are_left_out(north: Organization) -> None:
    zone = await new_zone(
        north, geometry=square() | {"crs": {"type": "name"}, "bbox": [0, 0, 1, 1]}
    )
    assert zone["geometry"] == square()


async def test_geometries_and_long_choices_of_assets_count_for_the_size_of_a_page(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    west = api.organization("West")
    tags = [f"tag-{number:030}" for number in range(50)]
    await new_zone(west)
    long, zone = await new_zone(west, assets={"tags": tags}), await new_zone(west)
    path = f"/v1/zones/{zone['id']}/versions"
    for assets in ({"tags": tags}, None):
        await west.dispatcher.patch(f"/v1/zones/{zone['id']}", {"assets": assets})
    versions = await west.viewer.walk(path)
    assert [len((each["assets"] or {"tags": []})["tags"]) for each in versions] == [0, 50, 0]
    monkeypatch.setattr(listing, "MAX_PAGE_BYTES", 2_000)
    for each in ("/v1/zones", path):
        assert len((await west.viewer.get(each)).json["data"]) == 2
    assert await west.viewer.walk(path) == versions
    await west.dispatcher.patch(f"/v1/zones/{long['id']}", {"assets": None})
    assert len((await west.viewer.get("/v1/zones")).json["data"]) == 3


async def test_of_two_edits_at_once_the_second_is_told(
    api: RunningApi, north: Organization
) -> None:
    zone = await new_zone(north)
    with psycopg.connect(api.database.url("admin")) as other:
        other.execute("SELECT FROM zones_revision FOR UPDATE")
        edit = asyncio.create_task(
            north.dispatcher.patch(f"/v1/zones/{zone['id']}", {"name": "Second"})
        )
        await _waits_for_a_lock(api)
        other.execute("UPDATE zone_versions SET name = 'First' WHERE zone_id = %s", (_uuid(zone),))
    answer = await edit
    assert (answer.status, answer.json["code"]) == (409, "changed_meanwhile")
    assert (await north.viewer.get(f"/v1/zones/{zone['id']}")).json["name"] == "First"


async def test_a_change_waits_for_the_transaction_that_judges_by_the_old_state(
    api: RunningApi, north: Organization
) -> None:
    with psycopg.connect(api.database.url("opsc_ingest")) as ingest:
        ingest.execute("SELECT FROM zones_revision FOR SHARE")
        creation = asyncio.create_task(new_zone(north))
        await _waits_for_a_lock(api)
        ((committed_at,),) = ingest.execute("SELECT clock_timestamp()").fetchall()
    zone = await creation
    assert datetime.fromisoformat(zone["valid_from"]) > committed_at


async def _waits_for_a_lock(api: RunningApi) -> None:
    waiting = (
        "SELECT pid FROM pg_stat_activity"
        " WHERE application_name = 'test-api' AND wait_event_type = 'Lock'"
    )
    await until(lambda: api.sql(waiting))


def _uuid(zone: dict[str, Any]) -> UUID:
    return parse_id("zon", zone["id"])


async def test_filters_go_together(api: RunningApi) -> None:
    org = api.organization("Filtered")
    for body in (
        {"name": "Yard 1", "kind": "yard", "external_id": "Y-1"},
        {"name": "yard 2", "kind": "yard"},
        {"name": "Pit", "kind": "jobsite"},
        {"name": "Gone", "kind": "yard"},
    ):
        made = await org.admin.post("/v1/zones", body | {"geometry": square()})
    await org.admin.delete(f"/v1/zones/{made.json['id']}")
    pit = (await org.viewer.get("/v1/zones", q="pi")).json["data"][0]["id"]
    await org.admin.patch(f"/v1/zones/{pit}", {"name": "Quarry"})
    cases: list[tuple[dict[str, str], list[str]]] = [
        ({}, ["Quarry", "yard 2", "Yard 1"]),
        ({"kind": "yard"}, ["yard 2", "Yard 1"]),
        ({"kind": "yard", "q": "YARD 2"}, ["yard 2"]),
        ({"external_id": "Y-1"}, ["Yard 1"]),
        ({"external_id": "Y-1", "kind": "jobsite"}, []),
        ({"q": "pi"}, []),
        ({"q": "qu"}, ["Quarry"]),
        ({"deleted": "true", "kind": "yard"}, ["Gone"]),
        ({"deleted": "true", "q": "go"}, ["Gone"]),
    ]
    for filters, names in cases:
        listed = (await org.viewer.get("/v1/zones", **filters)).json
        assert [row["name"] for row in listed["data"]] == names, filters
        assert listed["total"] == len(names), filters
        walked = await org.viewer.walk("/v1/zones", limit=1, **filters)
        assert [row["name"] for row in walked] == names, filters
    assert (await org.viewer.get("/v1/zones", kind="castle")).status == 400


async def test_zones_are_features_where_geojson_is_accepted(api: RunningApi) -> None:
    org = api.organization("Mapped")
    body = {"name": "Well", "geometry": point(8, 47), "radius_m": 50}
    zone = (await org.admin.post("/v1/zones", body)).json
    accepted = {"Accept": "application/geo+json"}
    one = await org.viewer.get(f"/v1/zones/{zone['id']}", headers=accepted)
    assert one.headers["Content-Type"] == "application/geo+json"
    feature = one.json
    assert (feature["type"], feature["id"]) == ("Feature", zone["id"])
    assert feature["geometry"] == zone["geometry"]
    assert feature["properties"] == {
        name: zone[name] for name in zone if name not in ("id", "geometry")
    }
    listed = (await org.viewer.get("/v1/zones", headers=accepted)).json
    assert (listed["type"], listed["total"]) == ("FeatureCollection", 1)
    assert listed["features"] == [feature]
    plain = await org.viewer.get(f"/v1/zones/{zone['id']}")
    assert (plain.json, plain.headers["Vary"]) == (zone, one.headers["Vary"])
