"""Audit events, through HTTP."""

import json
import re

from api.resources.audit_changes import column_prefix
from api.resources.audit_events import _AUDITED
from db.core.ids import new_id
from db.resources.kinds import KINDS
from telemetry.ids import format_id
from tests.api.problems import is_problem
from tests.api.punching import by_hand, employee, user_of
from tests.api.resources.dispatching import made_order, moved
from tests.api.resources.quoting import LINE
from tests.api.running import Organization, RunningApi

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# Their rows have no ids that the API shows.
_WITHOUT_IDS = {("tracker_assignments", "id"), ("work_order_parts", "id")} | {
    ("jobs", name) for name in ("claim", "credential_id", "object_id")
}


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
        " 'utf8') FROM pg_trigger WHERE tgname IN ('audit', 'audit_insert')"
    )
    assert {name for (name,) in named} <= set(_AUDITED)


async def test_changes_have_the_ids_of_the_api(api: RunningApi) -> None:
    org = api.organization("Ids")
    text = str(new_id())  # of a person: no id of anything
    client = (await org.admin.post("/v1/clients", {"name": text})).json["id"]
    site = (await org.admin.post("/v1/sites", {"name": "Lot 4", "client_id": client})).json["id"]
    asset = (await org.admin.post("/v1/assets", {"name": "Crane", "client_id": client})).json["id"]
    rights = {"by": ["phone"], "site_ids": [site]}
    anna = await employee(org, punch_rights=rights, hourly_cost_cents=100, currency="CHF")
    parent = await made_order(org)
    order = await made_order(
        org,
        title=text,
        client_id=client,
        parent_id=parent["id"],
        assignee_ids=[anna],
        asset_ids=[asset],
        checklist=[{"text": text, "done": True}],
    )
    await moved(org, order, "start", "complete", "close")
    part = {"number": "F-1", "name": "Filter", "unit": "piece", "currency": "CHF"}
    part_id = (await org.admin.post("/v1/parts", part | {"fits": [{"asset_id": asset}]})).json["id"]
    lines = [LINE | {"part_id": part_id}]
    quote = {"title": "x", "client_id": client, "currency": "CHF", "valid_until": "2099-01-01"}
    assert (await org.dispatcher.post("/v1/quotes", quote | {"lines": lines})).status == 201
    circle = {"type": "Point", "coordinates": [8.5, 47.4]}
    zone = {"name": "Yard", "geometry": circle, "radius_m": 50}
    zone |= {"assets": {"ids": [asset], "tags": [text]}}
    assert (await org.admin.post("/v1/zones", zone)).status == 201
    punch = await by_hand(org, anna)
    events = await org.admin.walk("/v1/audit-events")
    new: dict[tuple[str, str], object] = {}
    for event in reversed(events):
        for column, change in event["changes"].items():
            new.setdefault((event["table"], column), change.get("new"))
        has_id = "id" in event["changes"] and (event["table"], "id") not in _WITHOUT_IDS
        if event["action"] == "insert" and has_id:
            assert event["changes"]["id"]["new"] == event["resource_id"]
    by = user_of(api, org, "dispatcher")
    assert new["sites", "client_id"] == client
    assert new["employees", "punch_site_ids"] == [site]
    assert new["work_order_assignees", "employee_id"] == anna
    assert new["work_order_assets", "asset_id"] == asset
    assert new["parts", "fits"] == [{"make": None, "model": None, "asset_id": asset}]
    assert new["quotes", "lines"][0]["part_id"] == part_id
    assert new["zone_versions", "assets"] == {"ids": [asset], "tags": [text]}
    assert new["punches", "entered_by"] == by
    assert new["punches", "id"] == punch.json["id"]
    of_order = [e["changes"] for e in events if e["resource_id"] == order["id"]]
    made = next(changes for changes in of_order if "checklist" in changes)
    assert (made["parent_id"]["new"], made["title"]["new"]) == (parent["id"], text)
    assert (made["checklist"]["new"][0]["by"], made["checklist"]["new"][0]["text"]) == (by, text)
    rates = next(changes for changes in of_order if "labour_rates" in changes)
    assert rates["labour_rates"]["new"] == {anna: [100, "CHF"]}
    found = _UUID.findall(json.dumps([event["changes"] for event in events]))
    assert set(found) == {text}


async def test_every_uuid_of_an_audited_table_has_the_prefix_of_its_kind(api: RunningApi) -> None:
    """Columns that refer to a row of a kind, and those without a foreign key by their names."""
    columns = api.sql(
        """
        SELECT DISTINCT
               convert_from(split_part(encode(tgargs, 'escape'), '\\000', 1)::bytea, 'utf8'),
               class.relname, attribute.attname, target.relname
          FROM pg_trigger JOIN pg_class AS class ON class.oid = tgrelid
          JOIN pg_attribute AS attribute ON attrelid = class.oid AND attnum > 0
          LEFT JOIN pg_constraint AS link
            ON conrelid = class.oid AND contype = 'f' AND conkey[cardinality(conkey)] = attnum
          LEFT JOIN pg_class AS target ON target.oid = confrelid
         WHERE tgname IN ('audit', 'audit_insert')
           AND atttypid IN ('uuid'::regtype, 'uuid[]'::regtype) AND attname <> 'org_id'
        """
    )
    prefixes = {kind.table: kind.prefix for kind in KINDS.values() if kind.table}
    prefixes |= {"timesheets": "tms", "webhook_endpoints": "whe"}
    for resource_type, table, column, target in columns:
        if (table, column) in _WITHOUT_IDS:
            continue
        prefix = column_prefix(resource_type, table, column)
        assert prefix is not None, (table, column)
        assert target is None or prefix == prefixes[target], (table, column)
