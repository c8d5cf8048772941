"""The channel `positions` over a WebSocket: a snapshot, and then what changes. Employees are shown
to dispatchers and admins, where the organization allows it, and no longer than that.
"""

import asyncio
from typing import Any
from unittest.mock import ANY

import pytest
from websockets import ConnectionClosed

from api.live.connection import LiveConnection
from telemetry.ids import parse_id
from tests.api.live.positions import made, places, put, put_employee, watch
from tests.api.live.reading import signed_in
from tests.api.punching import employee, show, user_of
from tests.api.running import Client, Organization, RunningApi
from tests.waiting import PATIENCE_S, until


async def test_all_positions_come_at_first_and_then_those_that_change(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    truck, crane, theirs = [
        await made(org, name) for org, name in ((north, "T"), (north, "C"), (south, "X"))
    ]
    for org, asset_id in ((north, truck), (north, crane), (south, theirs)):
        put(api, org, asset_id, 47.0, 8.0)
    async with signed_in(api.url, north.viewer) as reader:
        await watch(reader, asset_ids=[truck, crane])
        assert await places(reader) == {truck: (47.0, 8.0), crane: (47.0, 8.0)}
        put(api, south, theirs, 47.5, 8.5)
        put(api, north, crane, 47.1, 8.1)
        assert await places(reader) == {crane: (47.1, 8.1)}
        assert (await reader.ask("unsubscribe", id=1))["op"] == "unsubscribed"
        put(api, north, truck, 47.2, 8.2)
        await watch(reader, bbox=[8.0, 47.15, 9.0, 48.0])
        assert await places(reader) == {truck: (47.2, 8.2)}


@pytest.mark.parametrize("wanted", ["bbox", "filter"])
async def test_a_viewer_gets_what_lies_in_its_box_or_belongs_to_its_client(
    api: RunningApi, wanted: str
) -> None:
    org = api.organization("Acme")
    client_id = (await org.admin.post("/v1/clients", {"name": "Frei"})).json["id"]
    near = await made(org, "Near", client_id=client_id)
    far = await made(org, "Far")
    put(api, org, near, 10.5, 20.5)
    put(api, org, far, 50.5, 20.5)
    one_of = {"bbox": [20.0, 10.0, 21.0, 11.0], "filter": {"client_id": client_id}}
    async with signed_in(api.url, org.viewer) as reader:
        await watch(reader, **{wanted: one_of[wanted]})
        assert await places(reader) == {near: (10.5, 20.5)}


_PUT_MANY = """
WITH made AS (
    INSERT INTO assets (org_id, id, name, revision)
    SELECT %(org)s, gen_random_uuid(), repeat('A', 100), 1 FROM generate_series(1, %(count)s)
    RETURNING id
)
INSERT INTO latest_positions (org_id, asset_id, tracker_id, time, seq, lat, lon)
SELECT %(org)s, id, id, now(), 0, 47, 8 FROM made RETURNING lat
"""


async def test_subscriptions_of_a_connection_take_turns(api: RunningApi) -> None:
    org, count = api.organization("Fleet"), 8_000  # some twenty times what waits in buffers
    api.sql_named(_PUT_MANY, {"org": org.org_id, "count": count})
    async with signed_in(api.url, org.viewer) as reader:
        (connection,) = [
            each for each in api.live.streams.all() if each.credential.caller.org_id == org.org_id
        ]
        assert isinstance(connection, LiveConnection)
        reader.socket.transport.pause_reading()  # else the first may be done before the second
        for number in (1, 2):
            await reader.say("subscribe", id=number, channel="positions")
        await until(lambda: len(connection._positions) == 2)
        reader.socket.transport.resume_reading()
        left, turns = {1: count, 2: count}, list[int]()
        while any(left.values()):
            message = await asyncio.wait_for(reader.next(), PATIENCE_S)
            if message["op"] == "positions":
                left[message["id"]] -= len(message["positions"])
                turns.append(message["id"])
        assert 1 in turns[turns.index(2) :]
        assert reader.socket.close_code is None


async def test_an_organization_has_a_number_of_subscriptions_to_positions(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.live.feeds.position_board.MOST_SUBSCRIPTIONS", 1)
    org = api.organization("Many maps")
    async with signed_in(api.url, org.viewer) as one, signed_in(api.url, org.admin) as other:
        await watch(one)
        answer = await other.ask("subscribe", id=2, channel="positions")
        assert (answer["op"], answer["id"]) == ("error", 2)
        assert answer["code"] == "too_many_subscriptions"
        assert (await one.ask("unsubscribe", id=1))["op"] == "unsubscribed"
        await watch(other)


async def test_an_asset_of_another_organization_is_never_shown(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    theirs, ours = await made(south, "Theirs"), await made(north, "Ours")
    put(api, south, theirs, 1.0, 2.0)
    async with signed_in(api.url, north.viewer) as reader:
        await watch(reader, asset_ids=[theirs, ours])
        put(api, south, theirs, 1.1, 2.1)
        put(api, north, ours, 3.0, 4.0)
        assert await places(reader) == {ours: (3.0, 4.0)}


# Employees ----------------------------------------------------------------------------------------


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
