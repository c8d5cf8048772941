"""Assets, through HTTP."""

from db.ids import new_id
from telemetry.ids import format_id
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
