"""The channel `positions` over a WebSocket: a snapshot, and then what changes."""

import asyncio

import pytest

from api.live.connection import LiveConnection
from tests.api.live.positions import made, places, put, watch
from tests.api.live.reading import signed_in
from tests.api.running import Organization, RunningApi
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
