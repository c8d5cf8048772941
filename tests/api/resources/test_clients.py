"""Clients and their sites, through HTTP."""

from typing import Any

import pytest

from db.core.ids import new_id
from telemetry.ids import format_id
from tests.api.running import Client, Organization, RunningApi
from tests.api.shapes import square


async def _made(client: Client, path: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(f"/v1/{path}", {"name": "Somebody"} | body)
    assert answer.status == 201, answer.json
    assert answer.headers["Location"] == f"/v1/{path}/{answer.json['id']}"
    return answer.json


async def _names(org: Organization, path: str, **filters: Any) -> list[str]:
    listed = (await org.viewer.get(f"/v1/{path}", **filters)).json
    assert listed["total"] == len(listed["data"])
    return [row["name"] for row in listed["data"]]


async def test_a_client_is_made_read_and_changed(north: Organization) -> None:
    client = await _made(
        north.dispatcher, "clients", name=" Acme ", email="info@acme.example", phone="+41 44 1"
    )
    assert (client["name"], client["notes"], client["deleted_at"]) == ("Acme", None, None)
    path = f"/v1/clients/{client['id']}"
    assert (await north.viewer.get(path)).json == client
    changed = (await north.dispatcher.patch(path, {"notes": "pays late", "phone": None})).json
    assert changed["updated_at"] > client["updated_at"]
    moved = {"notes": "pays late", "phone": None, "updated_at": changed["updated_at"]}
    assert changed == client | moved
    assert (await north.viewer.get(path)).json == changed
    assert (await north.dispatcher.patch(path, {"notes": "pays late"})).json == changed


async def test_a_site_is_made_read_and_changed(north: Organization) -> None:
    client = await _made(north.admin, "clients")
    zone = (await north.admin.post("/v1/zones", {"name": "Yard", "geometry": square()})).json
    ids = {"client_id": client["id"], "zone_id": zone["id"]}
    site = await _made(north.dispatcher, "sites", name="Pit", lat=47.4, lon=8.5, **ids)
    assert {name: site[name] for name in ids} == ids
    path = f"/v1/sites/{site['id']}"
    assert (await north.viewer.get(path)).json == site
    changed = (await north.dispatcher.patch(path, {"client_id": None, "lat": 47.5})).json
    assert (changed["client_id"], changed["lat"], changed["lon"]) == (None, 47.5, 8.5)
    assert (await north.viewer.get(path)).json == changed


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("clients", {"name": ""}, "/name"),
        ("clients", {"name": "x" * 201}, "/name"),
        ("clients", {"name": None}, "/name"),
        ("clients", {"email": "nobody"}, "/email"),
        ("clients", {"email": "two words@example.com"}, "/email"),
        ("clients", {"email": "foo,bar@example.com"}, "/email"),
        ("clients", {"email": "<a@example.com>"}, "/email"),
        ("clients", {"email": "é@exämple.com"}, "/email"),
        ("clients", {"email": "a@b\u200b.example"}, "/email"),
        ("clients", {"email": "x" * 251 + "@a.b"}, "/email"),
        ("clients", {"phone": "call me"}, "/phone"),
        ("clients", {"phone": ""}, "/phone"),
        ("clients", {"address": "x" * 501}, "/address"),
        ("clients", {"notes": "a\x00b"}, "/notes"),
        ("clients", {"notes": "x" * 10_001}, "/notes"),
        ("clients", {"id": "cli_1"}, "/id"),
        ("clients", {"deleted_at": None}, "/deleted_at"),
        ("sites", {"lat": 91, "lon": 0}, "/lat"),
        ("sites", {"lat": 0, "lon": -181}, "/lon"),
        ("sites", {"lat": 0}, "/lon"),
        ("sites", {"lon": 0}, "/lat"),
        ("sites", {"zone_id": "cli_06bqt0k1vhd8f3z7n2mwx9c5ra"}, "/zone_id"),
        ("sites", {"client_id": "nobody"}, "/client_id"),
    ],
)
async def test_what_cannot_be_is_a_422_that_points_at_it(
    north: Organization, path: str, body: dict[str, Any], pointer: str
) -> None:
    there = await _made(north.admin, path)
    for answer in (
        await north.admin.post(f"/v1/{path}", {"name": "x"} | body),
        await north.admin.patch(f"/v1/{path}/{there['id']}", body),
    ):
        assert answer.status == 422
        assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]


@pytest.mark.parametrize("field", ["client_id", "zone_id"])
async def test_a_site_of_what_is_not_there_is_a_404_that_points_at_it(
    north: Organization, field: str
) -> None:
    prefix = {"client_id": "cli", "zone_id": "zon"}[field]
    body = {"name": "x", field: format_id(prefix, new_id())}
    there = await _made(north.admin, "sites")
    for answer in (
        await north.admin.post("/v1/sites", body),
        await north.admin.patch(f"/v1/sites/{there['id']}", body),
    ):
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (404, f"/{field}")


async def test_a_deleted_client_cannot_be_given_a_site(north: Organization) -> None:
    client = await _made(north.admin, "clients")
    await north.admin.delete(f"/v1/clients/{client['id']}")
    answer = await north.admin.post("/v1/sites", {"name": "x", "client_id": client["id"]})
    assert answer.status == 404


@pytest.mark.parametrize("path", ["clients", "sites"])
async def test_what_is_deleted_is_not_there_until_it_is_restored(
    api: RunningApi, path: str
) -> None:
    org = api.organization("Deleting")
    one = await _made(org.admin, path, name="One")
    await _made(org.admin, path, name="Two")
    at = f"/v1/{path}/{one['id']}"
    assert (await org.dispatcher.delete(at)).status == 204
    for answer in (
        await org.viewer.get(at),
        await org.admin.patch(at, {"name": "x"}),
        await org.admin.delete(at),
    ):
        assert answer.status == 404
    assert await _names(org, path) == ["Two"]
    assert await _names(org, path, deleted="true") == ["One"]
    back = await org.dispatcher.send("POST", f"{at}/restore")
    assert back.status == 200
    assert back.json == one | {"updated_at": back.json["updated_at"]}
    assert (await org.admin.send("POST", f"{at}/restore")).json == back.json
    assert await _names(org, path) == ["Two", "One"]
    assert await _names(org, path, deleted="true") == []


@pytest.mark.parametrize("path", ["clients", "sites"])
async def test_an_external_id_is_one_s_alone_until_it_is_deleted(
    north: Organization, south: Organization, path: str
) -> None:
    first = await _made(north.admin, path, external_id="X-1")
    again = await north.admin.post(f"/v1/{path}", {"name": "x", "external_id": "X-1"})
    assert (again.status, again.json["code"]) == (409, "external_id_taken")
    assert again.json["errors"][0]["pointer"] == "/external_id"
    await _made(south.admin, path, external_id="X-1")
    await north.admin.delete(f"/v1/{path}/{first['id']}")
    await _made(north.admin, path, external_id="X-1")
    back = await north.admin.send("POST", f"/v1/{path}/{first['id']}/restore")
    assert (back.status, back.json["code"]) == (409, "external_id_taken")


async def test_a_client_with_sites_cannot_be_deleted(north: Organization) -> None:
    client = await _made(north.admin, "clients")
    site = await _made(north.admin, "sites", client_id=client["id"])
    refused = await north.admin.delete(f"/v1/clients/{client['id']}")
    assert (refused.status, refused.json["code"]) == (409, "in_use")
    assert (await north.admin.delete(f"/v1/sites/{site['id']}")).status == 204
    assert (await north.admin.delete(f"/v1/clients/{client['id']}")).status == 204
    back = await north.admin.send("POST", f"/v1/sites/{site['id']}/restore")
    assert (back.status, back.json["code"]) == (409, "client_deleted")
    await north.admin.send("POST", f"/v1/clients/{client['id']}/restore")
    assert (await north.admin.send("POST", f"/v1/sites/{site['id']}/restore")).status == 200


async def test_filters_go_together(api: RunningApi) -> None:
    org = api.organization("Filtered")
    acme = await _made(org.admin, "clients", name="Acme", external_id="A")
    await _made(org.admin, "clients", name="ÄCME 100%")
    await _made(org.admin, "clients", name="acme_2", external_id="B")
    zone = (await org.admin.post("/v1/zones", {"name": "Yard", "geometry": square()})).json["id"]
    await _made(org.admin, "sites", name="Pit", client_id=acme["id"], zone_id=zone)
    await _made(org.admin, "sites", name="Pile", client_id=acme["id"], external_id="P")
    await _made(org.admin, "sites", name="Pier", zone_id=zone)
    cases: list[tuple[str, dict[str, str], list[str]]] = [
        ("clients", {"q": "ac"}, ["acme_2", "Acme"]),
        ("clients", {"q": "ACME"}, ["acme_2", "Acme"]),
        ("clients", {"q": "acme_"}, ["acme_2"]),
        ("clients", {"q": "äc"}, ["ÄCME 100%"]),
        ("clients", {"q": "%"}, []),
        ("clients", {"q": "ac", "external_id": "A"}, ["Acme"]),
        ("clients", {"external_id": "B"}, ["acme_2"]),
        ("sites", {"client_id": acme["id"]}, ["Pile", "Pit"]),
        ("sites", {"client_id": acme["id"], "zone_id": zone}, ["Pit"]),
        ("sites", {"zone_id": zone}, ["Pier", "Pit"]),
        ("sites", {"zone_id": zone, "q": "pie"}, ["Pier"]),
        ("sites", {"external_id": "P"}, ["Pile"]),
        ("sites", {"external_id": "P", "q": "x"}, []),
    ]
    for path, filters, names in cases:
        assert await _names(org, path, **filters) == names, filters
        walked = await org.viewer.walk(f"/v1/{path}", limit=1, **filters)
        assert [row["name"] for row in walked] == names, filters


@pytest.mark.parametrize("path", ["clients", "sites"])
async def test_a_viewer_and_a_technician_only_read(north: Organization, path: str) -> None:
    one = f"/v1/{path}/{(await _made(north.admin, path))['id']}"
    for caller in (north.viewer, north.technician):
        for answer in (
            await caller.post(f"/v1/{path}", {"name": "x"}),
            await caller.patch(one, {"name": "x"}),
            await caller.delete(one),
            await caller.send("POST", f"{one}/restore"),
        ):
            assert (answer.status, answer.json["code"]) == (403, "forbidden")
        assert (await caller.get(one)).status == 200
