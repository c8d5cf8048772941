"""Audit events, through HTTP."""

from api.resources.audit_events import _AUDITED
from db.core.ids import new_id
from telemetry.ids import format_id
from tests.api.problems import is_problem
from tests.api.running import Organization, RunningApi


async def test_a_change_is_listed_with_who_made_it_in_which_request(api: RunningApi) -> None:
    org = api.organization("Audited")
    made = await org.dispatcher.post("/v1/assets", {"name": "Crane"})
    changed = await org.admin.patch(made.headers["Location"], {"name": "Excavator"})
    newest, *_ = (await org.admin.get("/v1/audit-events")).json["data"]
    assert newest["changes"] == {"name": {"old": "Crane", "new": "Excavator"}}
    assert newest["request_id"] == changed.headers["X-Request-Id"]
    assert (newest["resource_type"], newest["resource_id"]) == ("asset", made.json["id"])
    assert (newest["table"], newest["action"], newest["via"]) == ("assets", "update", "token")
    of_asset = await org.admin.walk("/v1/audit-events", resource_id=made.json["id"], limit=1)
    assert [event["action"] for event in of_asset] == ["update", "insert", "insert"]
    assert of_asset[0]["user_id"] != of_asset[1]["user_id"]
    by_user = await org.admin.walk("/v1/audit-events", user_id=newest["user_id"])
    assert [event["seq"] for event in by_user] == [newest["seq"]]


async def test_filters_choose(api: RunningApi) -> None:
    org = api.organization("Chosen")
    await org.admin.post("/v1/trackers", {})
    await org.admin.post("/v1/assets", {"name": "x"})

    async def types(**parameters: str) -> set[str]:
        rows = await org.admin.walk("/v1/audit-events", **parameters)
        return {row["resource_type"] for row in rows}

    assert await types() >= {"organization", "user", "tracker", "asset"}
    assert await types(resource_type="tracker") == {"tracker"}
    assert await types(from_="2100-01-01T00:00:00Z") == set()
    assert await types(to="2000-01-01T00:00:00Z") == set()
    nobody = await org.admin.get("/v1/audit-events", user_id=format_id("usr", new_id()))
    assert is_problem(nobody, 404, "not_found")
    nothing = await org.admin.get("/v1/audit-events", resource_id=format_id("ast", new_id()))
    assert is_problem(nothing, 404, "not_found")
    for bad in ("x", "ast_1", "xyz_" + "0" * 26):
        answer = await org.admin.get("/v1/audit-events", resource_id=bad)
        assert is_problem(answer, 400, "invalid_parameter")


async def test_administrators_alone_read_them(north: Organization) -> None:
    for client in (north.dispatcher, north.technician, north.viewer):
        assert (await client.get("/v1/audit-events")).status == 403


async def test_no_secret_is_shown(north: Organization) -> None:
    made = (await north.admin.post("/v1/trackers", {})).json
    rows = (await north.admin.get("/v1/audit-events", resource_id=made["id"])).json["data"]
    assert rows[0]["changes"]["secret_hash"] == {"secret": True}


async def test_every_type_that_a_migration_names_has_a_prefix(api: RunningApi) -> None:
    named = api.sql(
        "SELECT DISTINCT convert_from(split_part(encode(tgargs, 'escape'), '\\000', 1)::bytea,"
        " 'utf8') FROM pg_trigger WHERE tgname = 'audit'"
    )
    assert {name for (name,) in named} <= set(_AUDITED)
