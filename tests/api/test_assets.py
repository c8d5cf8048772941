"""Assets, through HTTP."""

import pytest

from db.ids import new_id
from telemetry.ids import format_id, parse_id
from tests.api.running import Organization, RunningApi


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


async def test_every_write_raises_the_revision_that_ingest_reads(
    api: RunningApi, north: Organization
) -> None:
    def revision() -> int:
        return api.sql("SELECT revision FROM zones_revision")[0][0]

    before = revision()
    asset = (await north.admin.post("/v1/assets", {"name": "Loader"})).json
    assert revision() == before + 1
    await north.admin.patch(f"/v1/assets/{asset['id']}", {"name": "Loader 2"})
    stamped = api.sql("SELECT max(revision) FROM assets")[0][0]
    assert revision() == stamped == before + 2
