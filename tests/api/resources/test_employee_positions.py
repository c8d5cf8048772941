"""Where employees were last, through HTTP: where the organization shows them, and to whom."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.punching import employee, phone, show, user_of, worker
from tests.api.running import Client, Organization, RunningApi
from tests.api.stored import carried, store_fixes

NOW = datetime.now(UTC).replace(microsecond=0)
MINUTE = timedelta(minutes=1)
PATH = "/v1/employees/positions"


async def positions(caller: Client, **query: Any) -> dict[str, Any]:
    """Return the position of each employee who is listed."""
    answer = await caller.get(PATH, **query)
    assert answer.status == 200, answer.json
    return {each["id"]: each["position"] for each in answer.json["data"]}


async def test_an_employee_is_where_the_newest_fix_of_their_trackers_is(api: RunningApi) -> None:
    org = api.organization("Acme")
    await show(org)
    anna, boris = await employee(org), await employee(org, name="Boris")
    first, second = await phone(org, anna), await phone(org, anna)
    store_fixes(api, org, first, [NOW - 120 * MINUTE], lat=9)  # before it was hers
    store_fixes(api, org, first, [NOW - 9 * MINUTE], lat=1, lon=2)
    store_fixes(api, org, second, [NOW - MINUTE], lat=3, lon=4, speed_mps=5)
    shown = {
        "tracker_id": second,
        "time": (NOW - MINUTE).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lat": 3,
        "lon": 4,
        "speed_mps": 5,
        "course_deg": None,
        "accuracy_m": None,
    }
    assert await positions(org.dispatcher) == {boris: None, anna: shown}
    assert await positions(org.dispatcher, q="anna") == {anna: shown}
    collection = await org.admin.get(PATH, headers={"Accept": "application/geo+json"}, sort="name")
    with_place, without = collection.json["features"]
    assert (with_place["id"], with_place["geometry"]["coordinates"]) == (anna, [4, 3])
    assert (without["id"], without["geometry"]) == (boris, None)


@pytest.mark.parametrize("role", ["viewer", "technician", "dispatcher", "admin"])
async def test_who_sees_employees(api: RunningApi, role: str) -> None:
    org = api.organization("Acme")
    caller: Client = getattr(org, role)
    is_lead = role in ("dispatcher", "admin")
    answer = await caller.get(PATH)  # an organization shows nobody at first
    assert answer.status == 403
    assert answer.json["code"] == ("employees_not_shown" if is_lead else "forbidden")
    await show(org)
    assert (await caller.get(PATH)).status == (200 if is_lead else 403)
    await show(org, False)
    assert (await caller.get(PATH)).status == 403


async def test_a_key_needs_the_scope_of_employees(api: RunningApi, org: Organization) -> None:
    await show(org)
    for scopes, status in ((["asset-positions:read"], 403), (["employee-positions:read"], 200)):
        key = await org.admin.post("/v1/api-keys", {"name": "map", "scopes": scopes})
        answer = await Client(api.url, key.json["secret"]).get(PATH)
        assert answer.status == status, answer.json


async def test_who_has_left_or_is_deleted_is_not_shown(api: RunningApi, org: Organization) -> None:
    await show(org)
    anna, boris, clara = [await employee(org) for _ in range(3)]
    for each in (anna, boris, clara):
        store_fixes(api, org, await phone(org, each), [NOW - MINUTE])
    yesterday = (NOW - timedelta(days=1)).date()
    assert (
        await org.admin.patch(f"/v1/employees/{anna}", {"left_on": f"{yesterday}"})
    ).status == 200
    assert (await org.admin.delete(f"/v1/employees/{boris}")).status == 204
    shown = await positions(org.admin)
    assert shown.keys() & {anna, boris, clara} == {clara}


async def test_nobody_sees_the_employees_of_another_organization(api: RunningApi) -> None:
    north, south = api.organization("North"), api.organization("South")
    await show(south)
    theirs = await employee(south)
    store_fixes(api, south, await phone(south, theirs), [NOW - MINUTE])
    assert (await north.admin.get(PATH)).status == 403  # theirs is not ours
    await show(north)
    assert await positions(north.admin) == {}
    assert theirs in await positions(south.admin)


async def test_only_admins_turn_it_on_and_the_audit_says_who(api: RunningApi) -> None:
    org = api.organization("Acme")
    for caller in (org.viewer, org.technician, org.dispatcher):
        refused = await caller.patch("/v1/organization", {"shows_employees": True})
        assert refused.status == 403
    assert (await org.viewer.get("/v1/organization")).json["shows_employees"] is False
    refused = await org.admin.patch("/v1/organization", {"shows_employees": None})
    assert refused.status == 422
    await show(org)
    audit = await org.admin.get("/v1/audit-events", resource_type="organization")
    newest = audit.json["data"][0]
    assert newest["user_id"] == user_of(api, org, "admin")
    assert newest["changes"]["shows_employees"] == {"old": False, "new": True}


async def test_turning_it_off_removes_the_newest_positions_of_this_organization_alone(
    api: RunningApi,
) -> None:
    north, south = api.organization("North"), api.organization("South")
    for org in (north, south):
        await show(org)
        anna = await employee(org)
        api.sql(
            "INSERT INTO latest_employee_positions (org_id, employee_id)"
            " SELECT org_id, id FROM employees WHERE org_id = %s AND %s <> ''",
            org.org_id,
            anna,
        )
    await north.admin.patch("/v1/organization", {"name": "North Ltd"})  # something else
    assert len(_kept(api, north)) == 1
    await show(north, False)
    assert (len(_kept(api, north)), len(_kept(api, south))) == (0, 1)


def _kept(api: RunningApi, org: Organization) -> list[Any]:
    return api.sql("SELECT FROM latest_employee_positions WHERE org_id = %s", org.org_id)


async def test_stored_fixes_of_others_are_for_dispatchers_and_admins(api: RunningApi) -> None:
    org = api.organization("Acme")
    anna = await worker(api, org)  # who signs in as the technician
    hers, his = await phone(org, anna.id), await phone(org, await employee(org, name="Boris"))
    truck = (await carried(org)).tracker_id
    for tracker in (hers, his, truck):
        store_fixes(api, org, tracker, [NOW - MINUTE])
    store_fixes(api, org, his, [NOW - 120 * MINUTE])  # nobody had it yet

    async def read(caller: Client, **query: Any) -> list[str]:
        answer = await caller.get("/v1/gps-events", **query)
        assert answer.json["total"] == len(answer.json["data"])
        return sorted(each["tracker_id"] for each in answer.json["data"])

    everything = sorted([hers, his, his, truck])
    assert await read(org.dispatcher) == await read(org.admin) == everything
    assert await read(org.viewer) == sorted([his, truck])
    assert await read(anna.client) == sorted([hers, his, truck])
    assert await read(org.viewer, tracker_id=hers) == []
    assert await read(org.viewer, tracker_id=his, sort="time") == [his]
    assert await read(anna.client, tracker_id=hers) == [hers]
