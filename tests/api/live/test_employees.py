"""Where employees are, over a WebSocket: to dispatchers and admins, where the organization shows
them, and no longer than that.
"""

from datetime import UTC, datetime
from typing import Any
from unittest.mock import ANY

import pytest
from websockets import ConnectionClosed

from db.core.ids import new_id
from telemetry.ids import parse_id
from tests.api.live.positions import made, places, put, watch
from tests.api.live.reading import signed_in
from tests.api.punching import employee, user_of
from tests.api.resources.test_employee_positions import show
from tests.api.running import Client, Organization, RunningApi

_PUT = """
INSERT INTO latest_employee_positions AS known
       (org_id, employee_id, tracker_id, time, seq, lat, lon)
VALUES (%(org)s, %(employee)s, %(tracker)s, %(time)s, 0, %(lat)s, %(lon)s)
    ON CONFLICT (org_id, employee_id) DO UPDATE
   SET lat = excluded.lat, lon = excluded.lon, changed_by = pg_current_xact_id()
RETURNING lat
"""


def put_employee(
    api: RunningApi,
    org: Organization,
    employee_id: str,
    lat: float,
    lon: float,
    tracker_id: str | None = None,
) -> None:
    """Write a position, as ingest does."""
    tracker = new_id() if tracker_id is None else parse_id("trk", tracker_id)
    employee = parse_id("emp", employee_id)
    values = {"org": org.org_id, "employee": employee, "tracker": tracker}
    api.sql_named(_PUT, values | {"time": datetime.now(UTC), "lat": lat, "lon": lon})


@pytest.fixture
async def showing(api: RunningApi) -> Organization:
    org = api.organization("Shows")
    await show(org)
    return org


@pytest.mark.parametrize("role", ["dispatcher", "admin"])
async def test_leads_see_all_employees_and_then_those_who_move(
    api: RunningApi, showing: Organization, role: str
) -> None:
    anna, boris = await employee(showing), await employee(showing, name="Boris")
    truck = await made(showing, "Truck")
    put_employee(api, showing, anna, 47.0, 8.0)
    put_employee(api, showing, boris, 47.1, 8.1)
    put(api, showing, truck, 1.0, 2.0)
    async with signed_in(api.url, getattr(showing, role)) as reader:
        await watch(reader, of="employees")
        assert await places(reader) == {anna: (47.0, 8.0), boris: (47.1, 8.1)}
        put_employee(api, showing, anna, 47.2, 8.2)
        assert await places(reader) == {anna: (47.2, 8.2)}


async def test_employees_are_chosen_by_id_or_box_and_assets_are_another_subscription(
    api: RunningApi, showing: Organization
) -> None:
    anna, boris = await employee(showing), await employee(showing)
    truck = await made(showing, "Truck")
    put_employee(api, showing, anna, 47.0, 8.0)
    put_employee(api, showing, boris, 10.5, 20.5)
    put(api, showing, truck, 10.6, 20.6)
    async with signed_in(api.url, showing.dispatcher) as reader:
        await watch(reader, employee_ids=[anna, truck.replace("ast_", "emp_")])
        assert await places(reader) == {anna: (47.0, 8.0)}
        assert (await reader.ask("unsubscribe", id=1))["op"] == "unsubscribed"
        box = [20.0, 10.0, 21.0, 11.0]
        await watch(reader, of="employees", bbox=box)
        assert await places(reader) == {boris: (10.5, 20.5)}
        answer = await reader.ask("subscribe", id=2, channel="positions", bbox=box)
        assert answer["op"] == "subscribed"
        assert await places(reader, 2) == {truck: (10.6, 20.6)}


@pytest.mark.parametrize("role", ["viewer", "technician"])
@pytest.mark.parametrize("wanted", ["of", "employee_ids"])
async def test_viewers_and_technicians_never_see_employees(
    api: RunningApi, showing: Organization, role: str, wanted: str
) -> None:
    anna, truck = await employee(showing), await made(showing, "Truck")
    put_employee(api, showing, anna, 47.0, 8.0)
    put(api, showing, truck, 1.0, 2.0)
    fields = {"of": "employees", "employee_ids": [anna]}
    async with signed_in(api.url, getattr(showing, role)) as reader:
        answer = await reader.ask(
            "subscribe", id=2, channel="positions", **{wanted: fields[wanted]}
        )
        assert (answer["op"], answer["id"], answer["code"]) == ("error", 2, "forbidden")
        await watch(reader)  # all that they may
        assert await places(reader) == {truck: (1.0, 2.0)}


async def test_nobody_sees_employees_whom_the_organization_does_not_show(
    api: RunningApi, org: Organization
) -> None:
    async with signed_in(api.url, org.admin) as reader:
        answer = await reader.ask("subscribe", id=1, channel="positions", of="employees")
        assert (answer["op"], answer["code"]) == ("error", "employees_not_shown")
        await show(org)
        await watch(reader, of="employees")
    await show(org, False)


async def test_employees_of_another_organization_are_never_shown(
    api: RunningApi, showing: Organization
) -> None:
    south = api.organization("South")
    await show(south)
    theirs, ours = await employee(south), await employee(showing)
    put_employee(api, south, theirs, 1.0, 2.0)
    async with signed_in(api.url, showing.admin) as reader:
        await watch(reader, employee_ids=[theirs, ours])
        put_employee(api, south, theirs, 1.1, 2.1)
        put_employee(api, showing, ours, 3.0, 4.0)
        assert await places(reader) == {ours: (3.0, 4.0)}


@pytest.mark.parametrize("wakes", [True, False])
async def test_a_setting_that_is_turned_off_cuts_off_readers_of_employees_alone(
    api: RunningApi, showing: Organization, wakes: bool
) -> None:
    async with (
        signed_in(api.url, showing.admin) as people,
        signed_in(api.url, showing.admin) as things,
    ):
        await watch(people, of="employees")
        await watch(things)
        if wakes:
            await show(showing, False)
        else:
            api.sql(
                "UPDATE organizations SET shows_employees = false WHERE org_id = %s RETURNING 1",
                showing.org_id,
            )
        assert await people.closed() == (4003, {"code": "employees_not_shown"})
        truck = await made(showing, "Truck")
        put(api, showing, truck, 1.0, 2.0)
        assert await places(things) == {truck: (1.0, 2.0)}


async def test_who_gets_a_lower_role_is_cut_off(api: RunningApi, showing: Organization) -> None:
    async with signed_in(api.url, showing.dispatcher) as reader:
        await watch(reader, of="employees")
        dispatcher = user_of(api, showing, "dispatcher")
        answer = await showing.admin.patch(f"/v1/users/{dispatcher}", {"role": "technician"})
        assert answer.status == 200
        assert await reader.closed() == (4003, {"code": "forbidden"})


async def test_a_token_of_a_lower_role_does_not_go_on_with_employees(
    api: RunningApi, showing: Organization
) -> None:
    async with signed_in(api.url, showing.dispatcher) as reader:
        await watch(reader, of="employees")
        dispatcher = parse_id("usr", user_of(api, showing, "dispatcher"))
        lower = api.client(showing.org_id, dispatcher)
        api.sql("UPDATE users SET role = 'viewer' WHERE id = %s", dispatcher)
        await reader.say("authenticate", id=2, token=lower.token)
        with pytest.raises(ConnectionClosed):  # at once: it is not told that it is authenticated
            await reader.next()
        assert await reader.closed() == (4003, {"code": "forbidden"})


async def test_a_key_needs_the_scope_of_employees_and_loses_it(
    api: RunningApi, showing: Organization
) -> None:
    async def key_of(*scopes: str) -> Any:
        body = {"name": "map", "scopes": list(scopes)}
        return (await showing.admin.post("/v1/api-keys", body)).json

    key = await key_of("asset-positions:read")
    async with signed_in(api.url, Client(api.url, key["secret"])) as reader:
        answer = await reader.ask("subscribe", id=1, channel="positions", of="employees")
        assert answer == {"op": "error", "id": 1, "code": "scope_missing", "detail": ANY}
        await watch(reader)
    key = await key_of("employee-positions:read")
    async with signed_in(api.url, Client(api.url, key["secret"])) as reader:
        await watch(reader, of="employees")
        api.sql(
            "UPDATE api_keys SET scopes = '{asset-positions:read}' WHERE id = %s",
            parse_id("key", key["id"]),
        )
        assert await reader.closed() == (4003, {"code": "forbidden"})


@pytest.mark.parametrize("change", [{"left_on": "2026-01-31"}, None])
async def test_who_leaves_or_is_deleted_is_no_longer_shown(
    api: RunningApi, showing: Organization, change: dict[str, Any] | None
) -> None:
    anna = await employee(showing)
    put_employee(api, showing, anna, 47.0, 8.0)
    async with signed_in(api.url, showing.admin) as reader:
        await watch(reader, of="employees")
        assert await places(reader) == {anna: (47.0, 8.0)}
        path = f"/v1/employees/{anna}"
        answer = (
            await showing.admin.delete(path)
            if change is None
            else await showing.admin.patch(path, change)
        )
        assert answer.status in (200, 204)
        message = await reader.next()  # within 15 s
        assert [(each["id"], each["position"]) for each in message["positions"]] == [(anna, None)]


@pytest.mark.parametrize(
    "wanted",
    [
        {"of": "employees", "asset_ids": ["ast_01jd8x0k2m4n6p8q0r2s4t6v8w"]},
        {"of": "assets", "employee_ids": ["emp_01jd8x0k2m4n6p8q0r2s4t6v8w"]},
        {"of": "employees", "filter": {"client_id": "cli_01jd8x0k2m4n6p8q0r2s4t6v8w"}},
        {"employee_ids": ["ast_01jd8x0k2m4n6p8q0r2s4t6v8w"]},
        {"employee_ids": []},
        {"of": "everybody"},
    ],
)
async def test_what_does_not_go_together_is_refused(
    api: RunningApi, showing: Organization, wanted: dict[str, Any]
) -> None:
    async with signed_in(api.url, showing.admin) as reader:
        answer = await reader.ask("subscribe", id=1, channel="positions", **wanted)
        assert (answer["op"], answer["code"]) == ("error", "bad_message")
