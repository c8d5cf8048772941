"""Employees, through HTTP."""

from typing import Any

import pytest

from db.core.ids import new_id
from telemetry.ids import format_id
from tests.api.punching import by_hand, worker
from tests.api.running import Organization, RunningApi

CRANE = {"name": "Crane", "number": "C-1", "issued_on": "2020-02-29", "expires_on": "2026-06-30"}


def _user(api: RunningApi, org: Organization, role: str = "technician") -> str:
    rows = api.sql("SELECT id FROM users WHERE org_id = %s AND role = %s", org.org_id, role)
    return format_id("usr", rows[0][0])


async def _made(org: Organization, **body: Any) -> dict[str, Any]:
    answer = await org.admin.post("/v1/employees", {"name": "Eve"} | body)
    assert answer.status == 201, answer.json
    return answer.json


async def _site(org: Organization) -> str:
    return (await org.admin.post("/v1/sites", {"name": "Pit"})).json["id"]


async def test_an_employee_is_made_read_and_changed(api: RunningApi, org: Organization) -> None:
    user = _user(api, org)
    site = await _site(org)
    made = await _made(
        org,
        role="Crane operator",
        email="eve@example.com",
        user_id=user,
        certifications=[CRANE, {"name": "First aid"}],
        punch_rights={"by": ["phone", "terminal", "phone"], "site_ids": [site, site]},
    )
    assert made["certifications"] == [
        CRANE,
        {"name": "First aid", "number": None, "issued_on": None, "expires_on": None},
    ]
    assert made["punch_rights"] == {"by": ["phone", "terminal"], "site_ids": [site]}
    assert (made["user_id"], made["active"], made["deleted_at"]) == (user, True, None)
    path = f"/v1/employees/{made['id']}"
    assert (await org.viewer.get(path)).json == made
    changed = (await org.dispatcher.patch(path, {"active": False, "certifications": []})).json
    assert changed == made | {
        "active": False,
        "left_on": changed["left_on"],
        "certifications": [],
        "updated_at": changed["updated_at"],
    }
    rights = {"by": ["tracker"], "site_ids": None}
    anywhere = await org.dispatcher.patch(path, {"punch_rights": {"by": ["tracker"]}})
    assert anywhere.json["punch_rights"] == rights
    assert (await org.viewer.get(path)).json == anywhere.json
    same = await org.dispatcher.patch(path, {"punch_rights": rights, "certifications": []})
    assert same.json == anywhere.json


async def test_a_new_employee_may_not_punch(north: Organization) -> None:
    made = await _made(north)
    assert made["punch_rights"] == {"by": [], "site_ids": None}


async def test_a_user_is_one_employee_s_until_that_one_is_deleted(
    api: RunningApi, south: Organization
) -> None:
    user = _user(api, south)
    first = await _made(south, user_id=user)
    again = await south.admin.post("/v1/employees", {"name": "x", "user_id": user})
    assert (again.status, again.json["code"]) == (409, "user_taken")
    await south.admin.delete(f"/v1/employees/{first['id']}")
    await _made(south, user_id=user)
    back = await south.admin.send("POST", f"/v1/employees/{first['id']}/restore")
    assert (back.status, back.json["code"]) == (409, "user_taken")


async def test_a_user_of_another_organization_is_a_404(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    for user in (_user(api, south), format_id("usr", new_id())):
        answer = await north.admin.post("/v1/employees", {"name": "x", "user_id": user})
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (404, "/user_id")


async def test_sites_that_are_not_there_are_a_422_that_points_at_each(
    north: Organization, south: Organization
) -> None:
    ids = [await _site(north), await _site(south), format_id("sit", new_id())]
    body = {"punch_rights": {"by": ["phone"], "site_ids": ids}}
    made = await _made(north)
    for answer in (
        await north.admin.post("/v1/employees", {"name": "x"} | body),
        await north.admin.patch(f"/v1/employees/{made['id']}", body),
    ):
        assert answer.status == 422
        assert [fault["pointer"] for fault in answer.json["errors"]] == [
            "/punch_rights/site_ids/1",
            "/punch_rights/site_ids/2",
        ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"active": "yes"}, "/active"),
        ({"active": None}, "/active"),
        ({"email": "x"}, "/email"),
        ({"user_id": "eve"}, "/user_id"),
        ({"certifications": None}, "/certifications"),
        ({"certifications": [{}]}, "/certifications/0/name"),
        ({"certifications": [{"name": "x", "issued_on": "2026-02-30"}]}, "/issued_on"),
        ({"certifications": [{"name": "x", "expires_on": 1_700_000_000}]}, "/expires_on"),
        ({"certifications": [{"name": "x", "expires_on": "2026-01-01T00:00"}]}, "/expires_on"),
        (
            {"certifications": [CRANE | {"expires_on": "2020-02-28"}]},
            "/certifications/0",
        ),
        ({"certifications": [CRANE | {"level": 3}]}, "/certifications/0/level"),
        ({"certifications": [CRANE] * 101}, "/certifications"),
        ({"punch_rights": None}, "/punch_rights"),
        ({"punch_rights": {"by": ["telepathy"]}}, "/punch_rights/by/0"),
        ({"punch_rights": {"by": ["phone"], "site_ids": []}}, "/punch_rights/site_ids"),
        ({"punch_rights": {"anywhere": True}}, "/punch_rights/anywhere"),
        ({"first_expires_on": "2026-01-01"}, "/first_expires_on"),
    ],
)
async def test_what_cannot_be_is_a_422_that_points_at_it(
    north: Organization, body: dict[str, Any], pointer: str
) -> None:
    made = await _made(north)
    for answer in (
        await north.admin.post("/v1/employees", {"name": "x"} | body),
        await north.admin.patch(f"/v1/employees/{made['id']}", body),
    ):
        assert answer.status == 422
        (fault,) = answer.json["errors"]
        assert fault["pointer"].endswith(pointer)


async def test_filters_go_together(api: RunningApi) -> None:
    org = api.organization("Filtered")
    user = _user(api, org)
    await _made(org, name="Ann", role="Driver", certifications=[CRANE, {"name": "First aid"}])
    await _made(org, name="Bob", role="Driver", active=False, external_id="B", user_id=user)
    late = [CRANE | {"expires_on": "2027-01-01"}, CRANE | {"expires_on": "2026-07-01"}]
    await _made(org, name="Anton", role="Foreman", certifications=late)
    gone = await _made(org, name="Zoe", role="Driver", certifications=[CRANE])
    await org.admin.delete(f"/v1/employees/{gone['id']}")
    cases: list[tuple[dict[str, str], list[str]]] = [
        ({}, ["Anton", "Bob", "Ann"]),
        ({"expiring_before": "2026-06-30"}, []),
        ({"expiring_before": "2026-07-01"}, ["Ann"]),
        ({"expiring_before": "2026-07-02"}, ["Anton", "Ann"]),
        ({"expiring_before": "2026-07-02", "role": "Driver"}, ["Ann"]),
        ({"active": "false"}, ["Bob"]),
        ({"active": "true", "q": "an"}, ["Anton", "Ann"]),
        ({"user_id": user}, ["Bob"]),
        ({"external_id": "B", "active": "true"}, []),
        ({"deleted": "true"}, ["Zoe"]),
        ({"deleted": "true", "expiring_before": "2026-07-01"}, ["Zoe"]),
    ]
    for filters, names in cases:
        listed = (await org.viewer.get("/v1/employees", **filters)).json
        assert [row["name"] for row in listed["data"]] == names, filters
        assert listed["total"] == len(names), filters
        walked = await org.viewer.walk("/v1/employees", limit=1, **filters)
        assert [row["name"] for row in walked] == names, filters


@pytest.mark.parametrize(
    "filters",
    [{"expiring_before": "soon"}, {"expiring_before": "20260101"}, {"active": "maybe"}, {"q": ""}],
)
async def test_a_filter_with_a_value_that_cannot_be_is_a_400(
    north: Organization, filters: dict[str, str]
) -> None:
    answer = await north.viewer.get("/v1/employees", **filters)
    assert (answer.status, answer.json["code"]) == (400, "invalid_parameter")


async def test_what_is_deleted_is_not_there_until_it_is_restored(north: Organization) -> None:
    made = await _made(north, certifications=[CRANE])
    path = f"/v1/employees/{made['id']}"
    assert (await north.dispatcher.delete(path)).status == 204
    assert (await north.viewer.get(path)).status == 404
    assert (await north.dispatcher.delete(path)).status == 404
    back = (await north.dispatcher.send("POST", f"{path}/restore")).json
    assert back == made | {"updated_at": back["updated_at"]}


async def test_a_viewer_and_a_technician_only_read(north: Organization) -> None:
    path = f"/v1/employees/{(await _made(north))['id']}"
    for caller in (north.viewer, north.technician):
        for answer in (
            await caller.post("/v1/employees", {"name": "x"}),
            await caller.patch(path, {"name": "x"}),
            await caller.delete(path),
            await caller.send("POST", f"{path}/restore"),
        ):
            assert answer.status == 403
        assert (await caller.get(path)).status == 200


async def test_hours_that_somebody_entered_for_themselves_wait_for_another_whoever_they_are_later(
    api: RunningApi,
) -> None:
    org = api.organization("Unlinked")
    who = await worker(api, org, "dispatcher")
    await by_hand(org, who.id, ago_s=7_200)
    assert (await org.admin.patch(f"/v1/employees/{who.id}", {"user_id": None})).status == 200
    await by_hand(org, who.id, kind="out", ago_s=3_600)
    ((flags,),) = api.sql("SELECT flags FROM shifts WHERE org_id = %s", org.org_id)
    unverified = [flag["is_settled"] for flag in flags if flag["name"] == "unverified"]
    assert unverified == [False, True]  # of the second nobody was the employee any more


async def test_home_and_emergency_contact_are_for_those_who_lead_and_the_employee(
    api: RunningApi,
) -> None:
    org = api.organization("Homes")
    private = {
        "address": "Hafenstrasse 1, 8000 Zurich",
        "emergency_contact_name": "Peter Keller (husband)",
        "emergency_contact_phone": "+41 44 123 45 67",
    }
    hidden = dict.fromkeys(private)
    anna = await _made(org, user_id=_user(api, org), **private)
    eve = await _made(org, user_id=_user(api, org, "viewer"), **private)
    nobody = await _made(org)
    assert {name: anna[name] for name in private} == private
    assert {name: nobody[name] for name in private} == hidden
    own = {org.technician: anna["id"], org.viewer: eve["id"]}
    for caller in (org.viewer, org.technician, org.dispatcher, org.admin):
        listed = (await caller.get("/v1/employees", sort="created_at")).json["data"]
        for row in listed[:2]:
            sees = own.get(caller, row["id"]) == row["id"]
            assert {name: row[name] for name in private} == (private if sees else hidden)
            path = f"/v1/employees/{row['id']}"
            assert (await caller.get(path)).json == row
        found = await caller.get("/v1/search", q="hafen")
        assert found.json["data"] == []
    path = f"/v1/employees/{anna['id']}"
    changed = await org.dispatcher.patch(path, {"address": "Pilatusstrasse 3"})
    assert changed.json["address"] == "Pilatusstrasse 3"
    assert changed.json["emergency_contact_name"] == private["emergency_contact_name"]
    refused = await org.dispatcher.patch(path, {"emergency_contact_phone": "call him"})
    assert refused.status == 422
    told = api.sql(
        "SELECT count(*) FROM events WHERE org_id = %s AND data::text LIKE '%%Hafen%%'", org.org_id
    )
    assert told == [(0,)]
