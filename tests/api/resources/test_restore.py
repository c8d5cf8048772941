"""What is deleted is kept, and can be there again."""

from typing import Any

import pytest

from db.core.ids import new_id
from telemetry.ids import format_id, parse_id
from tests.api.problems import is_problem
from tests.api.running import Organization, RunningApi
from tests.api.shapes import square
from tests.api.stored import carried

BODIES: dict[str, Any] = {
    "assets": {"name": "Crane", "external_id": "X-1", "tags": ["a"]},
    "zones": {"name": "Yard", "external_id": "X-1", "geometry": square()},
    "webhook-endpoints": {"url": "https://example.com/", "types": ["*"]},
    "work-orders": {"title": "Grease the crane", "checklist": [{"text": "x"}]},
}


async def _ids(org: Organization, name: str, **parameters: str) -> list[str]:
    return [row["id"] for row in await org.viewer.walk(f"/v1/{name}", **parameters)]


@pytest.mark.parametrize("name", list(BODIES))
async def test_what_is_deleted_is_listed_apart_and_can_be_restored(
    api: RunningApi, name: str
) -> None:
    org = api.organization("Deleting")
    made = await org.admin.post(f"/v1/{name}", BODIES[name])
    path, one = made.headers["Location"], made.json["id"]
    assert made.json["deleted_at"] is None
    assert (await org.admin.delete(path)).status == 204
    assert is_problem(await org.admin.get(path), 404, "not_found")
    assert is_problem(await org.admin.delete(path), 404, "not_found")
    assert await _ids(org, name) == []
    (gone,) = (await org.viewer.get(f"/v1/{name}", deleted="true")).json["data"]
    assert gone["id"] == one
    assert gone["deleted_at"] is not None
    restored = await org.admin.post(f"{path}/restore", None)
    assert (restored.status, restored.json["deleted_at"]) == (200, None)
    assert (await org.admin.get(path)).json == restored.json
    changing = {"updated_at", "version", "valid_from", "judges_from", "created_at"}
    for key in made.json.keys() - changing - {"secret"}:
        assert restored.json[key] == made.json[key]
    assert await _ids(org, name) == [one]
    assert await _ids(org, name, deleted="true") == []
    again = await org.admin.post(f"{path}/restore", None)
    assert (again.status, again.json) == (200, restored.json)


@pytest.mark.parametrize("name", list(BODIES))
async def test_only_who_may_delete_may_restore(north: Organization, name: str) -> None:
    prefix = {"assets": "ast", "zones": "zon", "webhook-endpoints": "whe", "work-orders": "wo"}[
        name
    ]
    path = f"/v1/{name}/{format_id(prefix, new_id())}/restore"
    assert (await north.viewer.post(path, None)).status == 403
    assert (await north.admin.post(path, None)).status == 404


@pytest.mark.parametrize("name", ["assets", "zones"])
async def test_an_external_id_is_free_once_its_thing_is_deleted(api: RunningApi, name: str) -> None:
    org = api.organization("Freeing")
    first = (await org.admin.post(f"/v1/{name}", BODIES[name])).headers["Location"]
    assert (await org.admin.post(f"/v1/{name}", BODIES[name])).status == 409
    await org.admin.delete(first)
    second = await org.admin.post(f"/v1/{name}", BODIES[name])
    assert second.status == 201
    answer = await org.admin.post(f"{first}/restore", None)
    assert is_problem(answer, 409, "external_id_taken")
    await org.admin.delete(second.headers["Location"])
    assert (await org.admin.post(f"{first}/restore", None)).status == 200


async def test_a_deleted_asset_is_off_its_tracker_and_gets_none(
    api: RunningApi, north: Organization
) -> None:
    who = await carried(north)
    before = api.sql("SELECT revision FROM zones_revision")[0][0]
    await north.dispatcher.delete(f"/v1/assets/{who.asset_id}")
    tracker = (await north.viewer.get(f"/v1/trackers/{who.tracker_id}")).json
    assert tracker["asset_id"] is None
    ((ended, revision),) = api.sql(
        "SELECT assigned_to IS NOT NULL, revision FROM tracker_assignments WHERE asset_id = %s",
        parse_id("ast", who.asset_id),
    )
    assert (ended, revision) == (True, before + 1)  # ingest reads what has a later revision
    put_on = await north.admin.patch(f"/v1/trackers/{who.tracker_id}", {"asset_id": who.asset_id})
    assert is_problem(put_on, 404, "not_found")
    chosen = {"name": "x", "geometry": square(), "assets": {"ids": [who.asset_id]}}
    assert (await north.admin.post("/v1/zones", chosen)).status == 422
    await north.admin.post(f"/v1/assets/{who.asset_id}/restore", None)
    put_on = await north.admin.patch(f"/v1/trackers/{who.tracker_id}", {"asset_id": who.asset_id})
    assert put_on.json["asset_id"] == who.asset_id


async def test_the_past_of_a_deleted_asset_can_still_be_read(north: Organization) -> None:
    who = await carried(north)
    await north.admin.delete(f"/v1/assets/{who.asset_id}")
    for path in ("/v1/visits", "/v1/gps-events"):
        assert (await north.viewer.get(path, asset_id=who.asset_id)).status == 200


@pytest.mark.parametrize(("owner", "field"), [("clients", "client_id"), ("sites", "site_id")])
async def test_an_asset_is_not_restored_before_what_it_belongs_to(
    north: Organization, owner: str, field: str
) -> None:
    belongs = await north.admin.post(f"/v1/{owner}", {"name": "Acme"})
    body = {"name": "x", field: belongs.json["id"]}
    asset = (await north.admin.post("/v1/assets", body)).headers["Location"]
    await north.admin.delete(asset)
    assert (await north.admin.delete(belongs.headers["Location"])).status == 204
    code = field.replace("_id", "_deleted")
    assert is_problem(await north.admin.post(f"{asset}/restore", None), 409, code)
    await north.admin.post(f"{belongs.headers['Location']}/restore", None)
    assert (await north.admin.post(f"{asset}/restore", None)).status == 200


async def test_a_zone_is_restored_as_a_version_from_then_on(north: Organization) -> None:
    zone = await north.admin.post("/v1/zones", {"name": "Yard", "geometry": square()})
    path = zone.headers["Location"]
    await north.admin.patch(path, {"name": "Yard 2"})
    await north.admin.delete(path)
    restored = (await north.admin.post(f"{path}/restore", None)).json
    assert (restored["version"], restored["name"]) == (3, "Yard 2")
    newest, before_it, _ = (await north.admin.get(f"{path}/versions")).json["data"]
    assert newest["valid_to"] is None
    assert newest["valid_from"] > before_it["valid_to"]
