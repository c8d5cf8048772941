"""Assets, through HTTP."""

import asyncio

import pytest

from db.core.ids import new_id
from telemetry.ids import format_id, parse_id
from tests.api.running import Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import carried, minute, store_visit

METERS = [("odometer_m", "odometer_at"), ("engine_hours_h", "engine_hours_at")]


async def test_an_asset_is_made_read_and_changed(north: Organization) -> None:
    made = await north.dispatcher.post(
        "/v1/assets", {"name": " Excavator ", "make": "CAT", "external_id": "E-1"}
    )
    assert made.status == 201
    asset = made.json
    assert asset["id"].startswith("ast_")
    assert asset["name"] == "Excavator"
    assert asset["model"] is None
    assert asset["created_at"].endswith("Z")
    assert made.headers["Location"] == f"/v1/assets/{asset['id']}"
    assert (await north.viewer.get(made.headers["Location"])).json == asset

    changed = await north.dispatcher.patch(
        f"/v1/assets/{asset['id']}", {"model": "320", "make": None}
    )
    assert changed.status == 200
    assert changed.json == asset | {
        "model": "320",
        "make": None,
        "updated_at": changed.json["updated_at"],
    }
    assert changed.json["updated_at"] > asset["updated_at"]
    assert (await north.viewer.get(f"/v1/assets/{asset['id']}")).json == changed.json


async def test_a_change_of_nothing_changes_nothing(north: Organization) -> None:
    asset = (await north.admin.post("/v1/assets", {"name": "Crane"})).json
    for body in ({}, {"name": "Crane"}):
        assert (await north.admin.patch(f"/v1/assets/{asset['id']}", body)).json == asset


async def test_an_asset_has_a_class_and_tags_each_once_in_order(north: Organization) -> None:
    plain = (await north.admin.post("/v1/assets", {"name": "Crane"})).json
    assert (plain["asset_class"], plain["tags"]) == ("other", [])
    body = {"name": "Cessna", "asset_class": "aircraft", "tags": ["spare", "a-1_b.c", "spare"]}
    asset = (await north.dispatcher.post("/v1/assets", body)).json
    assert (asset["asset_class"], asset["tags"]) == ("aircraft", ["a-1_b.c", "spare"])
    assert (await north.viewer.get(f"/v1/assets/{asset['id']}")).json == asset
    assert asset in (await north.viewer.get("/v1/assets")).json["data"]


async def test_tags_are_kept_with_the_time_in_which_they_were_in_force(
    api: RunningApi, north: Organization
) -> None:
    def history() -> list[tuple[list[str], str, bool, int]]:
        return api.sql(
            "SELECT tags, valid_from::text, valid_to IS NULL, revision FROM asset_tags"
            " WHERE asset_id = %s ORDER BY valid_from",
            parse_id("ast", asset["id"]),
        )

    asset = (await north.admin.post("/v1/assets", {"name": "Truck", "tags": ["old"]})).json
    path = f"/v1/assets/{asset['id']}"
    assert [row[:3] for row in history()] == [(["old"], "-infinity", True)]
    await north.admin.patch(path, {"name": "Lorry", "asset_class": "vehicle"})
    await north.admin.patch(path, {"tags": ["old", "old"]})
    assert len(history()) == 1
    changed = (await north.admin.patch(path, {"tags": []})).json
    assert (changed["tags"], changed["name"], changed["asset_class"]) == ([], "Lorry", "vehicle")
    newest = api.sql("SELECT revision FROM zones_revision")[0][0]
    first, second = history()
    assert (first[0], first[2], first[3]) == (["old"], False, newest)
    assert (second[0], second[2], second[3]) == ([], True, newest)
    ((gap,),) = api.sql(
        "SELECT a.valid_to = b.valid_from AND b.valid_from = %s::timestamptz FROM asset_tags a,"
        " asset_tags b WHERE a.asset_id = b.asset_id AND a.valid_to IS NOT NULL"
        " AND b.valid_to IS NULL AND a.asset_id = %s",
        changed["updated_at"],
        parse_id("ast", asset["id"]),
    )
    assert gap


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"asset_class": "bicycle"}, "/asset_class"),
        ({"asset_class": None}, "/asset_class"),
        ({"tags": None}, "/tags"),
        ({"tags": "spare"}, "/tags"),
        ({"tags": ["Spare"]}, "/tags/0"),
        ({"tags": ["ok", "two words"]}, "/tags/1"),
        ({"tags": [""]}, "/tags/0"),
        ({"tags": ["ok\n"]}, "/tags/0"),
        ({"tags": ["x" * 51]}, "/tags/0"),
        ({"tags": [f"t{number}" for number in range(51)]}, "/tags"),
    ],
)
async def test_a_class_or_tag_that_cannot_be_is_a_422_that_points_at_it(
    north: Organization, change: dict[str, object], pointer: str
) -> None:
    asset = (await north.admin.post("/v1/assets", {"name": "Crane"})).json
    for answer in (
        await north.admin.post("/v1/assets", {"name": "x"} | change),
        await north.admin.patch(f"/v1/assets/{asset['id']}", change),
    ):
        assert answer.status == 422
        assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]


async def test_as_many_and_as_long_tags_as_are_allowed_are_taken(north: Organization) -> None:
    tags = sorted(f"{number:050d}" for number in range(50))
    answer = await north.admin.post("/v1/assets", {"name": "x", "tags": tags})
    assert answer.json["tags"] == tags


async def test_a_name_cannot_be_taken_away(north: Organization) -> None:
    asset = (await north.admin.post("/v1/assets", {"name": "Crane"})).json
    answer = await north.admin.patch(f"/v1/assets/{asset['id']}", {"name": None})
    assert answer.status == 422
    assert answer.json["errors"][0]["pointer"] == "/name"


async def test_an_external_id_is_unique_within_its_organization(
    north: Organization, south: Organization
) -> None:
    body = {"name": "Truck", "external_id": "T-1"}
    first = await north.admin.post("/v1/assets", body)
    assert first.status == 201
    second = await north.admin.post("/v1/assets", body)
    assert (second.status, second.json["code"]) == (409, "external_id_taken")
    assert second.json["errors"][0]["pointer"] == "/external_id"
    other = await north.admin.post("/v1/assets", {"name": "Truck"})
    changed = await north.admin.patch(f"/v1/assets/{other.json['id']}", {"external_id": "T-1"})
    assert changed.status == 409
    assert (await south.admin.post("/v1/assets", body)).status == 201


async def test_an_asset_that_is_not_there_is_a_404(north: Organization) -> None:
    path = f"/v1/assets/{format_id('ast', new_id())}"
    assert (await north.admin.get(path)).status == 404
    assert (await north.admin.patch(path, {"name": "x"})).status == 404


async def test_assets_are_listed_newest_first(api: RunningApi) -> None:
    east = api.organization("East")
    names = [f"Asset {number}" for number in range(3)]
    for name in names:
        await east.admin.post("/v1/assets", {"name": name})
    listed = (await east.viewer.get("/v1/assets")).json
    assert [asset["name"] for asset in listed["data"]] == names[::-1]
    assert {key: listed[key] for key in listed if key != "data"} == {
        "total": 3,
        "total_is_estimate": False,
        "limit": 50,
        "offset": 0,
        "next_cursor": None,
    }


async def test_every_change_raises_the_revision_that_ingest_reads_and_a_new_asset_does_not(
    api: RunningApi, north: Organization
) -> None:
    def revision() -> int:
        return api.sql("SELECT revision FROM zones_revision")[0][0]

    before = revision()
    asset = (await north.admin.post("/v1/assets", {"name": "Loader"})).json
    assert (await north.admin.post("/v1/assets/batch", [{"name": "Crane"}])).status == 201
    assert revision() == before
    await north.admin.patch(f"/v1/assets/{asset['id']}", {"name": "Loader 2"})
    stamped = api.sql("SELECT max(revision) FROM assets")[0][0]
    assert revision() == stamped == before + 1


async def test_an_asset_has_a_client_a_site_and_a_state(north: Organization) -> None:
    client = (await north.admin.post("/v1/clients", {"name": "Acme"})).json["id"]
    site = (await north.admin.post("/v1/sites", {"name": "Pit", "client_id": client})).json["id"]
    plain = (await north.admin.post("/v1/assets", {"name": "Crane"})).json
    assert plain["mechanical_state"] == "operational"
    assert (plain["client_id"], plain["site_id"], plain["tracker_id"]) == (None, None, None)
    change = {"client_id": client, "site_id": site, "mechanical_state": "in_repair"}
    more = {"serial": "S-1", "year": 2021}
    changed = (await north.dispatcher.patch(f"/v1/assets/{plain['id']}", change | more)).json
    assert {name: changed[name] for name in change | more} == change | more
    for path in (f"/v1/clients/{client}", f"/v1/sites/{site}"):
        refused = await north.admin.delete(path)
        assert (refused.status, refused.json["code"]) == (409, "in_use")


async def test_an_asset_shows_the_tracker_that_it_carries_now(north: Organization) -> None:
    who = await carried(north)
    path = f"/v1/assets/{who.asset_id}"
    assert (await north.viewer.get(path)).json["tracker_id"] == who.tracker_id
    await north.admin.patch(f"/v1/trackers/{who.tracker_id}", {"asset_id": None})
    assert (await north.viewer.get(path)).json["tracker_id"] is None


@pytest.mark.parametrize(("meter", "when"), METERS)
async def test_a_meter_is_a_reading_with_its_time(
    north: Organization, meter: str, when: str
) -> None:
    asset = (await north.admin.post("/v1/assets", {"name": "Crane", meter: 100})).json
    assert (asset[meter], asset[when]) == (100, asset["created_at"])
    path = f"/v1/assets/{asset['id']}"
    read = {meter: 120.5, when: "2026-01-01T08:00:00+01:00"}
    changed = (await north.admin.patch(path, read)).json
    assert (changed[meter], changed[when]) == (120.5, "2026-01-01T07:00:00Z")
    again = (await north.admin.patch(path, {meter: 130})).json
    assert again[when] == again["updated_at"]
    gone = (await north.admin.patch(path, {meter: None})).json
    assert (gone[meter], gone[when]) == (None, None)
    assert (await north.viewer.get(path)).json == gone


@pytest.mark.parametrize(("meter", "when"), METERS)
async def test_a_reading_that_cannot_be_is_a_422_that_points_at_it(
    north: Organization, meter: str, when: str
) -> None:
    asset = (await north.admin.post("/v1/assets", {"name": "Crane", meter: 1})).json
    for body, pointer in (
        ({meter: -1}, meter),
        ({meter: "far"}, meter),
        ({when: "2026-01-01T00:00:00Z"}, when),
        ({meter: None, when: "2026-01-01T00:00:00Z"}, when),
        ({meter: 1, when: "2999-01-01T00:00:00Z"}, when),
    ):
        for answer in (
            await north.admin.post("/v1/assets", {"name": "x"} | body),
            await north.admin.patch(f"/v1/assets/{asset['id']}", body),
        ):
            assert answer.status == 422
            assert [fault["pointer"] for fault in answer.json["errors"]] == [f"/{pointer}"]


async def test_what_fixes_are_not_judged_by_leaves_the_revision_as_it_is(
    api: RunningApi, north: Organization
) -> None:
    asset = (await north.admin.post("/v1/assets", {"name": "Loader"})).json
    before = api.sql("SELECT revision FROM zones_revision")
    body = {"mechanical_state": "down", "odometer_m": 1, "make": "CAT", "external_id": "L-9"}
    answer = await north.admin.patch(f"/v1/assets/{asset['id']}", body)
    assert answer.json["mechanical_state"] == "down"
    assert api.sql("SELECT revision FROM zones_revision") == before


async def test_of_two_changes_at_once_none_is_lost(north: Organization) -> None:
    path = (await north.admin.post("/v1/assets", {"name": "Loader"})).headers["Location"]
    bodies = [
        {"make": "CAT"},
        {"model": "320"},
        {"name": "Digger"},
        {"tags": ["a"]},
        {"year": 2020},
    ]
    await asyncio.gather(*(north.admin.patch(path, body) for body in bodies))
    asset = (await north.viewer.get(path)).json
    for body in bodies:
        assert asset | body == asset


async def test_filters_go_together(api: RunningApi) -> None:
    org = api.organization("Filtered")
    client = (await org.admin.post("/v1/clients", {"name": "Acme"})).json["id"]
    site = (await org.admin.post("/v1/sites", {"name": "Pit"})).json["id"]
    zone = (await org.admin.post("/v1/zones", {"name": "Yard", "geometry": square()})).json["id"]
    for body in (
        {"name": "Truck 1", "make": "Volvo", "model": "FH", "tags": ["red", "big"]},
        {"name": "truck 2", "make": "Volvo", "model": "FM", "tags": ["red"], "client_id": client},
        {"name": "Digger", "make": "CAT", "model": "FM", "mechanical_state": "down"},
        {"name": "Dozer", "make": "CAT", "external_id": "D-1", "site_id": site, "tags": ["big"]},
    ):
        await org.admin.post("/v1/assets", body)
    for name, left_at in (("In", None), ("Out", minute(9))):
        who = await carried(org, name)
        store_visit(api, org, who, zone, minute(0), left_at)
        store_visit(api, org, who, zone, minute(-9), minute(-5))
    cases: list[tuple[dict[str, str], list[str]]] = [
        ({"make": "Volvo"}, ["truck 2", "Truck 1"]),
        ({"make": "volvo"}, []),
        ({"make": "Volvo", "model": "FM"}, ["truck 2"]),
        ({"model": "FM"}, ["Digger", "truck 2"]),
        ({"client_id": client}, ["truck 2"]),
        ({"site_id": site}, ["Dozer"]),
        ({"mechanical_state": "down"}, ["Digger"]),
        ({"mechanical_state": "operational", "make": "CAT"}, ["Dozer"]),
        ({"external_id": "D-1"}, ["Dozer"]),
        ({"tag": "red"}, ["truck 2", "Truck 1"]),
        ({"tag": "big", "q": "TR"}, ["Truck 1"]),
        ({"q": "d"}, ["Dozer", "Digger"]),
        ({"zone_id": zone}, ["In"]),
        ({"zone_id": zone, "q": "out"}, []),
    ]
    for filters, names in cases:
        for path in ("/v1/assets", "/v1/assets/positions"):
            listed = (await org.viewer.get(path, **filters)).json
            assert [row["name"] for row in listed["data"]] == names, filters
            assert listed["total"] == len(names), filters
            walked = await org.viewer.walk(path, limit=1, **filters)
            assert [row["name"] for row in walked] == names, filters


@pytest.mark.parametrize(
    "filters",
    [{"mechanical_state": "fine"}, {"tag": "Red"}, {"q": ""}, {"zone_id": "x"}, {"include": "all"}],
)
async def test_a_filter_with_a_value_that_cannot_be_is_a_400(
    north: Organization, filters: dict[str, str]
) -> None:
    answer = await north.viewer.get("/v1/assets", **filters)
    assert (answer.status, answer.json["code"]) == (400, "invalid_parameter")


async def test_a_whole_number_may_be_written_with_a_point(
    api: RunningApi, north: Organization
) -> None:
    made = await north.admin.post("/v1/assets", {"name": "Crane", "year": 2021.0})
    assert (made.status, made.json["year"]) == (201, 2021)
    refused = await north.admin.post("/v1/assets", {"name": "Crane", "year": 2021.5})
    assert refused.status == 422
    assert [fault["pointer"] for fault in refused.json["errors"]] == ["/year"]
