"""Many new things in one request, all or none."""

import asyncio
from typing import Any

import pytest

from api.resources.batches import MOST
from db.core.ids import new_id
from telemetry.ids import format_id
from tests.api.problems import is_problem
from tests.api.punching import employee
from tests.api.running import Answer, Organization, RunningApi
from tests.api.shapes import BOW_TIE, line, point, process_held, ring, square
from tests.api.stored import carried

BODIES: dict[str, dict[str, Any]] = {
    "assets": {"name": "Crane", "make": "CAT", "tags": ["b", "a"], "year": 2020},
    "trackers": {"name": "T", "receipts": True, "is_punch_terminal": True},
    "zones": {"name": "Yard", "geometry": square(), "exit_buffer_m": 5, "assets": {"tags": ["a"]}},
}
NOBODY = format_id("ast", new_id())


def _pointers(answer: Answer) -> list[str]:
    return [fault["pointer"] for fault in answer.json["errors"]]


@pytest.mark.parametrize("name", list(BODIES))
async def test_many_are_made_as_each_alone_would_be(api: RunningApi, name: str) -> None:
    org = api.organization("Many")
    body = BODIES[name]
    alone = (await org.dispatcher.post(f"/v1/{name}", body)).json
    many = [body | {"external_id": f"E-{number}"} for number in range(3)]
    answer = await org.dispatcher.post(f"/v1/{name}/batch", many)
    assert answer.status == 201
    made = answer.json["data"]
    assert [one["external_id"] for one in made] == ["E-0", "E-1", "E-2"]
    own = {"id", "external_id", "created_at", "updated_at", "valid_from", "judges_from", "secret"}
    for one in made:
        stored = (await org.viewer.get(f"/v1/{name}/{one['id']}")).json
        assert stored == {key: value for key, value in one.items() if key != "secret"}
        assert one.keys() == alone.keys()
        assert {key: one[key] for key in one.keys() - own} == {
            key: alone[key] for key in alone.keys() - own
        }
    assert (await org.viewer.get(f"/v1/{name}")).json["total"] == 4


async def test_the_rows_are_those_that_each_alone_would_have(api: RunningApi) -> None:
    """All columns but those that are each one's own."""
    org = api.organization("Rows")
    own = "'{id,asset_id,zone_id,tracker_id,revision,made_revision,created_at,updated_at,"
    own += "valid_from,secret_hash,assigned_from}'::text[]"
    for name, body in BODIES.items():
        await org.admin.post(f"/v1/{name}", body)
        await org.admin.post(f"/v1/{name}/batch", [body])
    for table in ("assets", "asset_tags", "trackers", "zones", "zone_versions"):
        kinds = api.sql(
            f"SELECT DISTINCT to_jsonb(t) - {own} FROM {table} t WHERE org_id = %s",
            org.org_id,
        )
        assert len(kinds) == 1, table
    assert api.sql("SELECT count(*) FROM zone_shapes WHERE org_id = %s", org.org_id) == [(1,)]


async def test_trackers_are_put_on_assets_and_sign_in_with_their_secrets(
    api: RunningApi, north: Organization
) -> None:
    since = "2020-01-01T00:00:00Z"
    assets = (await north.admin.post("/v1/assets/batch", [{"name": "x"}] * 2)).json["data"]
    body = [
        {"asset_id": assets[0]["id"], "assigned_from": since},
        {"asset_id": assets[1]["id"]},
        {},
    ]
    made = (await north.admin.post("/v1/trackers/batch", body)).json["data"]
    assert [one["asset_id"] for one in made] == [assets[0]["id"], assets[1]["id"], None]
    assert made[0]["assigned_from"] == since
    assert len({one["secret"] for one in made}) == 3
    for one in made:
        ((hit,),) = api.sql(
            "SELECT count(*) FROM trackers WHERE secret_hash = sha256(%s)",
            one["secret"].encode(),
        )
        assert hit == 1


@pytest.mark.parametrize(
    ("name", "bad", "pointer"),
    [
        ("assets", {"name": ""}, "/name"),
        ("assets", {"name": "x", "colour": "red"}, "/colour"),
        ("assets", {"name": "x", "odometer_at": "2020-01-01T00:00:00Z"}, "/odometer_at"),
        ("assets", {"name": "x", "client_id": format_id("cli", new_id())}, "/client_id"),
        ("assets", {"name": "x", "site_id": format_id("sit", new_id())}, "/site_id"),
        ("trackers", {"assigned_from": "2020-01-01T00:00:00Z"}, "/assigned_from"),
        ("trackers", {"asset_id": NOBODY}, "/asset_id"),
        ("trackers", {"employee_id": format_id("emp", new_id())}, "/employee_id"),
        ("zones", {"name": "x", "geometry": BOW_TIE}, "/geometry/coordinates/0"),
        ("zones", {"name": "x", "geometry": line(), "width_m": 0}, "/width_m"),
        (
            "zones",
            {"name": "x", "geometry": square(), "assets": {"ids": [NOBODY]}},
            "/assets/ids/0",
        ),
        (
            "zones",
            {"name": "x", "geometry": square(), "valid_from": "2999-01-01T00:00:00Z"},
            "/valid_from",
        ),
        ("zones", {"name": "x", "geometry": square(), "schedule": {}}, "/schedule"),
    ],
)
async def test_every_fault_is_named_with_its_place_and_nothing_is_made(
    north: Organization, name: str, bad: dict[str, Any], pointer: str
) -> None:
    before = (await north.viewer.get(f"/v1/{name}")).json["total"]
    good = BODIES[name]
    answer = await north.admin.post(f"/v1/{name}/batch", [good, bad, good, bad])
    assert is_problem(answer, 422, "invalid_body")
    found = _pointers(answer)
    assert [place.split("/")[1] for place in found] == ["1", "3"]
    assert all(place[2:].startswith(pointer) for place in found)
    assert (await north.viewer.get(f"/v1/{name}")).json["total"] == before


@pytest.mark.parametrize("name", list(BODIES))
async def test_an_external_id_that_is_taken_or_comes_twice_is_a_409(
    north: Organization, name: str
) -> None:
    body = BODIES[name]
    taken = f"taken-{name}"
    await north.admin.post(f"/v1/{name}", body | {"external_id": taken})
    many = [body | {"external_id": each} for each in (taken, "new", "new", taken)]
    answer = await north.admin.post(f"/v1/{name}/batch", many)
    assert is_problem(answer, 409, "external_id_taken")
    assert _pointers(answer) == [f"/{place}/external_id" for place in (0, 2, 3)]
    assert (await north.viewer.get(f"/v1/{name}")).json["data"][0]["external_id"] == taken


async def test_trackers_of_a_batch_are_given_to_employees(north: Organization) -> None:
    body = [{"employee_id": await employee(north)}] * 2
    made = (await north.admin.post("/v1/trackers/batch", body)).json["data"]
    assert [one["employee_id"] for one in made] == [body[0]["employee_id"]] * 2
    assert {one["assigned_from"] for one in made} == {"2000-01-01T00:00:00Z"}
    one = (await north.viewer.get(f"/v1/trackers/{made[1]['id']}")).json
    assert one == {name: value for name, value in made[1].items() if name != "secret"}


async def test_an_asset_takes_one_tracker_of_a_batch(north: Organization) -> None:
    taken = (await carried(north)).asset_id
    free = (await north.admin.post("/v1/assets", {"name": "x"})).json["id"]
    body = [{"asset_id": each} for each in (taken, free, free)]
    answer = await north.admin.post("/v1/trackers/batch", body)
    assert is_problem(answer, 409, "assignment_overlaps")
    assert _pointers(answer) == ["/0/asset_id", "/2/asset_id"]


@pytest.mark.parametrize("body", [[], {}, {"name": "x"}, "x", None, [None], [[]]])
async def test_a_body_that_is_no_array_of_them_is_a_422(north: Organization, body: Any) -> None:
    assert is_problem(await north.admin.post("/v1/assets/batch", body), 422, "invalid_body")


async def test_as_many_as_are_allowed_are_taken_and_no_more(api: RunningApi) -> None:
    org = api.organization("Most")
    body = [{"name": f"Asset {number}", "external_id": str(number)} for number in range(MOST)]
    answer = await org.admin.post("/v1/assets/batch", body)
    assert (answer.status, len(answer.json["data"])) == (201, MOST)
    more = await org.admin.post("/v1/assets/batch", [{"name": "x"}] * (MOST + 1))
    assert is_problem(more, 422, "invalid_body")
    walked = await org.viewer.walk("/v1/assets", limit=300)
    assert {one["id"] for one in walked} == {one["id"] for one in answer.json["data"]}
    circles = [{"name": "x", "geometry": point(lon / 10), "radius_m": 5} for lon in range(100)]
    assert (await org.admin.post("/v1/zones/batch", circles)).status == 201


async def test_a_batch_is_done_once_for_a_key(north: Organization) -> None:
    async def send() -> Answer:
        headers = {"Idempotency-Key": "batch-1"}
        return await north.admin.send(
            "POST", "/v1/trackers/batch", headers=headers, json=[{}, {"name": "x"}]
        )

    first, second = await send(), await send()
    assert (first.status, second.content) == (201, first.content)
    assert second.headers["Idempotency-Replayed"] == "true"


async def test_of_each_row_of_a_batch_it_is_written_down_who_made_it(north: Organization) -> None:
    made = (await north.admin.post("/v1/assets/batch", [{"name": "x"}] * 2)).json["data"]
    for one in made:
        events = await north.admin.walk("/v1/audit-events", resource_id=one["id"])
        assert {event["via"] for event in events} == {"token"}


@pytest.mark.parametrize("name", list(BODIES))
async def test_who_may_not_make_one_may_not_make_many(north: Organization, name: str) -> None:
    answer = await north.viewer.post(f"/v1/{name}/batch", [BODIES[name]])
    assert is_problem(answer, 403, "forbidden")


async def test_the_third_import_of_zones_that_waits_is_refused_at_once(
    api: RunningApi, org: Organization, south: Organization
) -> None:
    """Others are not: neither what another organization imports, nor what comes later."""
    path, zones = "/v1/zones/batch", [{"name": "x", "geometry": ring(400)}] * 2
    assert (await org.admin.post(path, zones)).status == 201
    with process_held(api.live.state.shapes):
        sent = [asyncio.create_task(org.admin.post(path, zones)) for _ in range(4)]
        done, waiting = await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
        (refused,) = [task.result() for task in done]
        assert (refused.status, refused.json["code"]) == (429, "too_many_imports")
        assert refused.headers["Retry-After"] == "1"
        unread = await org.admin.post(path, "no zones")  # which would be a 422
        assert (unread.status, unread.json["code"]) == (429, "too_many_imports")
        assert (await south.admin.post(path, [BODIES["zones"]] * 2)).status == 201
        assert not any(task.done() for task in waiting)
    assert [(await task).status for task in waiting] == [201] * 3
    assert (await org.admin.post(path, zones)).status == 201
    assert (await org.admin.get("/v1/zones", limit=1)).json["total"] == 10
