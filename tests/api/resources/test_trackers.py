"""Trackers and their assignments, through HTTP."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from db.core.ids import new_id
from telemetry.ids import format_id, parse_id
from tests.api.punching import employee
from tests.api.running import Organization, RunningApi
from tests.api.stored import START, carried, store_connection, store_fixes, text


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


async def new_asset(org: Organization) -> str:
    return (await org.admin.post("/v1/assets", {"name": "Truck"})).json["id"]


async def new_tracker(org: Organization, **fields: Any) -> dict[str, Any]:
    made = await org.admin.post("/v1/trackers", fields)
    assert made.status == 201, made.content
    return made.json


def store_fix(api: RunningApi, org: Organization, tracker_id: str, time: datetime) -> None:
    api.sql(
        "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon)"
        " VALUES (%s, %s, %s, 0, now(), 0.5, 0.5)",
        org.org_id,
        parse_id("trk", tracker_id),
        time,
    )


async def test_a_tracker_gets_a_secret_that_is_shown_once(
    api: RunningApi, north: Organization
) -> None:
    made = await new_tracker(north, name="Box 7", external_id="IMEI-1", receipts=True)
    secret = made.pop("secret")
    assert len(secret) >= 43
    assert made["id"].startswith("trk_")
    assert made["asset_id"] is made["revoked_at"] is None
    shown = await north.admin.get(f"/v1/trackers/{made['id']}")
    assert shown.json == made
    listed = await north.admin.get("/v1/trackers")
    assert made in listed.json["data"]
    assert secret not in (shown.content + listed.content).decode()
    stored = api.sql("SELECT secret_hash FROM trackers WHERE id = %s", parse_id("trk", made["id"]))
    assert stored == [(sha256(secret.encode()).digest(),)]


async def test_secrets_differ(north: Organization) -> None:
    secrets = {(await new_tracker(north))["secret"] for _ in range(5)}
    assert len(secrets) == 5


async def test_a_tracker_may_be_put_on_an_asset_at_once(north: Organization) -> None:
    asset_id = await new_asset(north)
    tracker = await new_tracker(north, asset_id=asset_id, assigned_from="2020-01-01T00:00:00+01:00")
    assert tracker["asset_id"] == asset_id
    assert tracker["assigned_from"] == "2019-12-31T23:00:00Z"


async def test_without_a_time_the_first_assignment_holds_since_ever_a_later_one_from_now_on(
    north: Organization,
) -> None:
    first, second = await new_asset(north), await new_asset(north)
    tracker = await new_tracker(north, asset_id=first)
    assert tracker["assigned_from"] == "2000-01-01T00:00:00Z"
    before = ago(seconds=0)
    moved = await north.admin.patch(f"/v1/trackers/{tracker['id']}", {"asset_id": second})
    assert before < datetime.fromisoformat(moved.json["assigned_from"]) < ago(seconds=0)
    assert moved.json["reaches_back_to"] is None


async def test_a_first_assignment_reaches_back_to_the_end_of_the_tracker_before(
    north: Organization,
) -> None:
    asset_id = await new_asset(north)
    tracker = await new_tracker(north, asset_id=asset_id)
    off = await north.admin.patch(f"/v1/trackers/{tracker['id']}", {"asset_id": None})
    one = await new_tracker(north, asset_id=asset_id)
    await north.admin.patch(f"/v1/trackers/{one['id']}", {"asset_id": None})
    many = await north.admin.post("/v1/trackers/batch", [{"asset_id": asset_id}])
    since = [one["assigned_from"], many.json["data"][0]["assigned_from"]]
    assert off.json["updated_at"] < since[0] < since[1]


async def test_an_assignment_reaches_back_to_stored_fixes_that_belong_to_no_asset(
    api: RunningApi, north: Organization
) -> None:
    tracker, asset_id = await new_tracker(north), await new_asset(north)
    path, oldest = f"/v1/trackers/{tracker['id']}", ago(hours=3).replace(microsecond=0)
    for hours in range(3):
        store_fix(api, north, tracker["id"], oldest + timedelta(hours=hours))
    listed = await north.viewer.get("/v1/gps-events", asset_id=asset_id)
    assert listed.json["data"] == []
    since = (oldest + timedelta(minutes=30)).isoformat()
    put_on = await north.admin.patch(path, {"asset_id": asset_id, "assigned_from": since})
    first = oldest + timedelta(hours=1)
    assert datetime.fromisoformat(put_on.json["reaches_back_to"]) == first
    assert len((await north.viewer.get("/v1/gps-events", asset_id=asset_id)).json["data"]) == 2
    assert "reaches_back_to" not in (await north.viewer.get(path)).json
    further = await north.admin.patch(
        path, {"asset_id": asset_id, "assigned_from": ago(days=9).isoformat()}
    )
    assert datetime.fromisoformat(further.json["reaches_back_to"]) == oldest
    assert further.json["assigned_from"] < put_on.json["assigned_from"]
    assert len((await north.viewer.get("/v1/gps-events", asset_id=asset_id)).json["data"]) == 3
    waiting = "SELECT time, seq, state FROM asset_backlogs WHERE asset_id = %s"
    [(time, seq, state)] = api.sql(waiting, parse_id("ast", asset_id))
    assert time == datetime.fromisoformat(further.json["assigned_from"])
    assert (seq, state) == (-1, None)


async def test_a_tracker_moves_to_another_asset_and_its_history_stays(
    api: RunningApi, north: Organization
) -> None:
    first, second = await new_asset(north), await new_asset(north)
    tracker = await new_tracker(north, asset_id=first, assigned_from="2020-01-01T00:00:00Z")
    path = f"/v1/trackers/{tracker['id']}"
    moved = await north.admin.patch(path, {"asset_id": second})
    assert moved.json["asset_id"] == second
    off = await north.admin.patch(path, {"asset_id": None})
    assert off.json["asset_id"] is off.json["assigned_from"] is None
    spans = api.sql(
        "SELECT asset_id, assigned_from, assigned_to FROM tracker_assignments"
        " WHERE tracker_id = %s ORDER BY assigned_from",
        parse_id("trk", tracker["id"]),
    )
    assert [format_id("ast", span[0]) for span in spans] == [first, second]
    assert spans[0][2] == spans[1][1]
    assert spans[1][2] is not None


async def test_the_same_asset_again_changes_nothing(api: RunningApi, north: Organization) -> None:
    asset_id = await new_asset(north)
    tracker = await new_tracker(north, asset_id=asset_id)
    again = await north.admin.patch(f"/v1/trackers/{tracker['id']}", {"asset_id": asset_id})
    assert again.json["assigned_from"] == tracker["assigned_from"]


async def test_an_assignment_may_begin_in_a_past_without_fixes_of_an_asset(
    api: RunningApi, north: Organization
) -> None:
    tracker = await new_tracker(north, asset_id=await new_asset(north))
    path = f"/v1/trackers/{tracker['id']}"
    store_fix(api, north, tracker["id"], ago(hours=2))
    asset_id = await new_asset(north)
    early = ago(hours=3).isoformat()
    refused = await north.admin.patch(path, {"asset_id": asset_id, "assigned_from": early})
    assert (refused.status, refused.json["code"]) == (409, "fixes_stored")
    assert (await north.admin.get(path)).json["asset_id"] == tracker["asset_id"]
    late = ago(hours=1).isoformat()
    taken = await north.admin.patch(path, {"asset_id": asset_id, "assigned_from": late})
    assert taken.status == 200
    assert (await north.admin.patch(path, {"asset_id": None})).status == 200
    refused = await north.admin.patch(path, {"asset_id": asset_id, "assigned_from": early})
    assert (refused.status, refused.json["code"]) == (409, "fixes_stored")


async def test_an_assignment_cannot_begin_before_the_one_it_ends(north: Organization) -> None:
    tracker = await new_tracker(
        north, asset_id=await new_asset(north), assigned_from="2020-01-02T00:00:00Z"
    )
    body = {"asset_id": await new_asset(north), "assigned_from": "2020-01-01T00:00:00Z"}
    refused = await north.admin.patch(f"/v1/trackers/{tracker['id']}", body)
    assert (refused.status, refused.json["code"]) == (409, "assignment_overlaps")


async def test_an_asset_has_one_tracker_at_a_time(north: Organization) -> None:
    asset_id = await new_asset(north)
    await new_tracker(north, asset_id=asset_id)
    refused = await north.admin.post("/v1/trackers", {"asset_id": asset_id})
    assert (refused.status, refused.json["code"]) == (409, "assignment_overlaps")
    assert refused.json["errors"][0]["pointer"] == "/asset_id"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"assigned_from": "2020-01-01T00:00:00Z"}, "/assigned_from"),
        ({"asset_id": "asset", "assigned_from": "2099-01-01T00:00:00Z"}, "/assigned_from"),
        ({"asset_id": "asset", "assigned_from": "2020-01-01"}, "/assigned_from"),
        ({"asset_id": "asset", "assigned_from": 1577836800}, "/assigned_from"),
        ({"asset_id": "trk_1"}, "/asset_id"),
        ({"receipts": "yes"}, "/receipts"),
        ({"receipts": None}, "/receipts"),
        ({"is_punch_terminal": None}, "/is_punch_terminal"),
        ({"employee_id": "ast_1"}, "/employee_id"),
        ({"asset_id": "asset", "employee_id": "employee"}, "/employee_id"),
        ({"employee_id": "employee", "assigned_from": "2099-01-01T00:00:00Z"}, "/assigned_from"),
        ({"secret": "mine"}, "/secret"),
        ({"revoked_at": None}, "/revoked_at"),
    ],
)
async def test_a_bad_field_is_a_422_that_points_at_it(
    north: Organization, body: dict[str, object], pointer: str
) -> None:
    if body.get("asset_id") == "asset":
        body = body | {"asset_id": await new_asset(north)}
    if body.get("employee_id") == "employee":
        body = body | {"employee_id": await employee(north)}
    tracker = await new_tracker(north)
    for answer in (
        await north.admin.post("/v1/trackers", body),
        await north.admin.patch(f"/v1/trackers/{tracker['id']}", body),
    ):
        assert answer.status == 422
        assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]


async def test_an_asset_that_is_not_there_is_a_404(north: Organization) -> None:
    body = {"asset_id": format_id("ast", new_id())}
    answer = await north.admin.post("/v1/trackers", body)
    assert answer.status == 404
    assert answer.json["errors"][0]["pointer"] == "/asset_id"
    tracker = await new_tracker(north)
    assert (await north.admin.patch(f"/v1/trackers/{tracker['id']}", body)).status == 404


# Trackers of employees ----------------------------------------------------------------------------


async def test_a_tracker_is_given_to_an_employee_and_taken_away(north: Organization) -> None:
    anna, bob = await employee(north), await employee(north)
    tracker = await new_tracker(north, employee_id=anna, is_punch_terminal=True)
    assert (tracker["employee_id"], tracker["asset_id"]) == (anna, None)
    assert (tracker["assigned_from"], tracker["is_punch_terminal"]) == (
        "2000-01-01T00:00:00Z",
        True,
    )
    path = f"/v1/trackers/{tracker['id']}"
    since = ago(hours=1).replace(microsecond=0)
    body = {"employee_id": bob, "assigned_from": since.isoformat(), "is_punch_terminal": False}
    given = (await north.dispatcher.patch(path, body)).json
    assert (given["employee_id"], given["is_punch_terminal"]) == (bob, False)
    assert (given["assigned_from"], given["reaches_back_to"]) == (text(since), None)
    for body in ({"asset_id": None}, {"employee_id": bob}, {"asset_id": None, "employee_id": bob}):
        same = (await north.dispatcher.patch(path, body)).json
        assert same == given
    taken = (await north.dispatcher.patch(path, {"employee_id": None})).json
    assert taken["employee_id"] is taken["assigned_from"] is None


async def test_a_tracker_moves_between_assets_and_employees_and_its_history_stays(
    api: RunningApi, north: Organization
) -> None:
    asset_id, anna = await new_asset(north), await employee(north)
    tracker = await new_tracker(north, asset_id=asset_id)
    path = f"/v1/trackers/{tracker['id']}"
    for body in (
        {"employee_id": anna},
        {"asset_id": asset_id, "employee_id": None},
        {"asset_id": None, "employee_id": anna},
    ):
        moved = (await north.dispatcher.patch(path, body)).json
        owner = {"asset_id": None, "employee_id": None} | body
        assert {name: moved[name] for name in owner} == owner
        listed = (await north.viewer.get(f"/v1/assets/{asset_id}")).json["tracker_id"]
        assert listed == (tracker["id"] if owner["asset_id"] else None)
    spans = api.sql(
        "SELECT asset_id IS NULL, assigned_to, lead(assigned_from) OVER (ORDER BY assigned_from)"
        " FROM tracker_assignments WHERE tracker_id = %s ORDER BY assigned_from",
        parse_id("trk", tracker["id"]),
    )
    assert [is_employees for is_employees, *_ in spans] == [False, True, False, True]
    assert all(ended == begun for _, ended, begun in spans)


async def test_an_employee_may_have_several_trackers_until_they_are_deleted(
    api: RunningApi,
) -> None:
    org = api.organization("Many")
    anna, asset_id = await employee(org), await new_asset(org)
    own = [(await new_tracker(org, employee_id=anna))["id"] for _ in range(2)]
    other = (await new_tracker(org, asset_id=asset_id))["id"]
    spare = (await new_tracker(org))["id"]
    cases: list[tuple[dict[str, str], list[str]]] = [
        ({"employee_id": anna}, own[::-1]),
        ({"employee_id": anna, "asset_id": asset_id}, []),
        ({"assigned": "true"}, [other, *own[::-1]]),
        ({"assigned": "false"}, [spare]),
    ]
    for filters, ids in cases:
        listed = (await org.viewer.get("/v1/trackers", **filters)).json
        assert [row["id"] for row in listed["data"]] == ids, filters
        assert listed["total"] == len(ids), filters
    assert (await org.admin.delete(f"/v1/employees/{anna}")).status == 204
    free = (await org.viewer.get("/v1/trackers", assigned="false")).json["data"]
    assert {row["id"] for row in free} == {spare, *own}


async def test_fixes_of_an_employee_may_become_those_of_an_asset_but_not_the_other_way(
    api: RunningApi, north: Organization
) -> None:
    anna, asset_id = await employee(north), await new_asset(north)
    tracker = await new_tracker(north, employee_id=anna)
    path, at = f"/v1/trackers/{tracker['id']}", ago(hours=1).replace(microsecond=0)
    store_fix(api, north, tracker["id"], at)
    early = ago(hours=2).isoformat()
    listed = await north.dispatcher.get("/v1/gps-events", tracker_id=tracker["id"])
    assert [row["asset_id"] for row in listed.json["data"]] == [None]
    put_on = await north.admin.patch(path, {"asset_id": asset_id, "assigned_from": early})
    assert put_on.json["reaches_back_to"] == text(at)
    refused = await north.admin.patch(path, {"employee_id": anna, "assigned_from": early})
    assert (refused.status, refused.json["code"]) == (409, "fixes_stored")


async def test_an_employee_who_is_not_there_is_a_404(north: Organization) -> None:
    body = {"employee_id": format_id("emp", new_id())}
    answer = await north.admin.post("/v1/trackers", body)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (404, "/employee_id")


async def test_an_external_id_is_taken_once(north: Organization) -> None:
    await new_tracker(north, external_id="IMEI-2")
    second = await north.admin.post("/v1/trackers", {"external_id": "IMEI-2"})
    assert (second.status, second.json["code"]) == (409, "external_id_taken")


async def test_a_rotated_secret_is_another_one(api: RunningApi, north: Organization) -> None:
    tracker = await new_tracker(north, name="Box 8")
    path = f"/v1/trackers/{tracker['id']}"
    assert (await north.technician.post(f"{path}/rotate", {})).status == 403
    rotated = (await north.dispatcher.post(f"{path}/rotate", {})).json
    assert rotated["name"] == "Box 8"
    assert rotated["secret"] != tracker["secret"]
    stored = api.sql(
        "SELECT secret_hash FROM trackers WHERE id = %s", parse_id("trk", rotated["id"])
    )
    assert stored == [(sha256(rotated["secret"].encode()).digest(),)]


async def test_a_tracker_is_revoked_once_and_for_good(north: Organization) -> None:
    tracker = await new_tracker(north)
    path = f"/v1/trackers/{tracker['id']}"
    revoked = await north.dispatcher.post(f"{path}/revoke", {})
    assert revoked.status == 200
    assert revoked.json["revoked_at"] is not None
    assert (await north.dispatcher.post(f"{path}/revoke", {})).json == revoked.json
    refused = await north.dispatcher.post(f"{path}/rotate", {})
    assert (refused.status, refused.json["code"]) == (409, "tracker_revoked")


@pytest.mark.parametrize("what", ["rotate", "revoke"])
async def test_another_organizations_tracker_is_not_there(
    north: Organization, south: Organization, what: str
) -> None:
    tracker = await new_tracker(north)
    assert (await south.admin.post(f"/v1/trackers/{tracker['id']}/{what}", {})).status == 404
    assert (await north.admin.get(f"/v1/trackers/{tracker['id']}")).json["revoked_at"] is None


async def test_filters_go_together(api: RunningApi) -> None:
    org = api.organization("Filtered")
    who = await carried(org, "On")
    for body in ({"name": "Off", "external_id": "X-1"}, {"name": "Gone", "external_id": "X-2"}):
        made = await org.admin.post("/v1/trackers", body)
    await org.admin.send("POST", f"/v1/trackers/{made.json['id']}/revoke")
    cases: list[tuple[dict[str, str], list[str]]] = [
        ({}, ["Gone", "Off", "On"]),
        ({"external_id": "X-1"}, ["Off"]),
        ({"asset_id": who.asset_id}, ["On"]),
        ({"assigned": "true"}, ["On"]),
        ({"assigned": "false"}, ["Gone", "Off"]),
        ({"assigned": "false", "revoked": "false"}, ["Off"]),
        ({"revoked": "true"}, ["Gone"]),
        ({"revoked": "true", "external_id": "X-1"}, []),
    ]
    for filters, names in cases:
        listed = (await org.viewer.get("/v1/trackers", **filters)).json
        assert [row["name"] for row in listed["data"]] == names, filters
        assert listed["total"] == len(names), filters
        walked = await org.viewer.walk("/v1/trackers", limit=1, **filters)
        assert [row["name"] for row in walked] == names, filters


async def test_a_tracker_was_last_seen_at_its_newest_fix(
    api: RunningApi, north: Organization
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    who, silent = await carried(north), await carried(north)
    newest = now - timedelta(days=5)
    store_fixes(api, north, who.tracker_id, [newest - timedelta(days=1), newest], flags=1)
    path = f"/v1/trackers/{who.tracker_id}"
    assert "last_seen_at" not in (await north.viewer.get(path)).json
    one = (await north.viewer.get(path, include="last_seen_at")).json
    assert one["last_seen_at"] == newest.strftime("%Y-%m-%dT%H:%M:%SZ")
    listed = (await north.viewer.get("/v1/trackers", include="last_seen_at")).json["data"]
    seen = {row["id"]: row["last_seen_at"] for row in listed}
    assert (seen[who.tracker_id], seen[silent.tracker_id]) == (one["last_seen_at"], None)
    assert (await north.viewer.get(path, include="asset")).status == 400


async def test_a_tracker_is_connected_while_its_listener_lives(api: RunningApi) -> None:
    org = api.organization("Connected")
    ids = {name: (await new_tracker(org, name=name))["id"] for name in ("on", "dead", "off", "new")}
    store_connection(api, org, ids["on"], lease_s=60, address="2001:db8::7", shared_at=ago(hours=1))
    store_connection(api, org, ids["dead"], lease_s=-1, shared_at=ago(days=2))
    store_connection(api, org, ids["off"], lease_s=None)
    listed = (await org.viewer.get("/v1/trackers", include="connection")).json["data"]
    names = ("connected", "connected_since", "connected_from", "last_connected_at")
    shown = {row["name"]: tuple(row[name] for name in names) for row in listed}
    assert shown == {
        "on": (True, text(START), "2001:db8::7", text(START)),
        "dead": (False, None, None, text(START)),
        "off": (False, None, None, text(START)),
        "new": (False, None, None, None),
    }
    assert [row["name"] for row in listed if row["credential_shared"]] == ["on"]
    for connected, expected in (("true", ["on"]), ("false", ["new", "off", "dead"])):
        found = (await org.viewer.get("/v1/trackers", connected=connected)).json
        assert [row["name"] for row in found["data"]] == expected
        assert found["total"] == len(expected)


async def test_a_connection_changes_no_etag_and_is_shown_where_it_is_asked_for(
    api: RunningApi, north: Organization
) -> None:
    made = await new_tracker(north)
    path = f"/v1/trackers/{made['id']}"
    before = await north.viewer.get(path)
    store_connection(api, north, made["id"], lease_s=60)
    after = await north.viewer.get(path)
    assert after.headers["etag"] == before.headers["etag"]
    both = (await north.viewer.get(path, include="connection,last_seen_at")).json
    assert both.keys() - after.json.keys() == {
        "connected",
        "connected_from",
        "connected_since",
        "credential_shared",
        "last_connected_at",
        "last_seen_at",
    }
    assert (both["connected"], both["connected_from"]) == (True, "192.0.2.7")
