"""Every way of live data for every role: what is of its own organization, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from unittest.mock import ANY

import pytest

from db.history.events import ABOUT_HOURS
from geofence.punches.claim import PUNCHED_IN
from telemetry.ids import parse_id
from tests.api.live.positions import made, places, put, watch
from tests.api.live.reading import BREACH, emit, signed_in, streaming, subscribed
from tests.api.punching import employee, user_of, worker
from tests.api.running import Client, Organization, RunningApi
from tests.api.waiting import until_answered

ROLES = ("admin", "dispatcher", "technician", "viewer")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("way", ["socket", "stream"])
async def test_each_role_sees_the_events_that_the_list_shows(
    api: RunningApi, north: Organization, south: Organization, way: str, role: str
) -> None:
    client: Client = getattr(north, role)
    ours = emit(api, north, 2)
    emit(api, south, 2)
    listed = await client.get("/v1/events", after=ours[0] - 1)
    assert listed.status == 200
    async with _events(api, client, way, ours[0] - 1) as next_event:
        emit(api, south, 3)
        ours += emit(api, north, 1)
        events = [await next_event() for _ in ours]
        assert events[:2] == listed.json["data"]
        await _nothing_more(next_event())
    assert [event["seq"] for event in events] == ours
    assert {event["organization_id"] for event in events} == {north.id}


@pytest.mark.parametrize("role", ROLES)
async def test_a_socket_shows_each_role_the_positions_of_its_own_assets(
    api: RunningApi, north: Organization, south: Organization, role: str
) -> None:
    theirs, ours = await made(south, "Theirs"), await made(north, "Ours")
    put(api, south, theirs, 5.0, 6.0)
    put(api, north, ours, 7.0, 8.0)
    async with signed_in(api.url, getattr(north, role)) as reader:
        await watch(reader, bbox=[-180, -90, 180, 90])
        shown: dict[str, Any] = {}
        while ours not in shown:
            shown |= await places(reader)
        put(api, south, theirs, 5.5, 6.5)
        put(api, north, ours, 7.5, 8.5)
        while shown[ours] != (7.5, 8.5):
            shown |= await places(reader)
    assert theirs not in shown


async def test_the_place_of_another_organization_opens_nothing(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    """A seq counts within an organization, so another's is only a number."""
    far = emit(api, south, 50)[-1]
    newest = emit(api, north, 1)[-1]
    async with signed_in(api.url, north.viewer) as reader:
        answer = await reader.ask("subscribe", id=1, channel="events", after=max(far, newest) + 1)
        assert (answer["op"], answer["code"]) == ("error", "bad_message")
        answer = await reader.ask("subscribe", id=1, channel="events", types=[BREACH])
        assert answer["op"] == "subscribed"
        emit(api, south, 1)
        wanted = emit(api, north, 1)
        assert await reader.seqs(1) == wanted


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("way", ["socket", "stream"])
async def test_a_viewer_or_technician_sees_events_about_their_own_hours_alone(
    api: RunningApi, org: Organization, way: str, role: str
) -> None:
    client: Client = getattr(org, role)
    own, other = (await worker(api, org, role)).id, await employee(org)
    sees_all = role in ("admin", "dispatcher")

    def all_of_both() -> list[int]:
        """Emit events, and return those that the reader sees."""
        seqs: list[int] = []
        for kind in (*sorted(ABOUT_HOURS), BREACH):
            seqs += emit(api, org, 1, kind, employee_id=own)
            theirs = emit(api, org, 1, kind, employee_id=other)
            seqs += theirs if sees_all or kind == BREACH else []
        return seqs

    seen = all_of_both()
    listed = await client.get("/v1/events", after=seen[0] - 1)
    assert [event["seq"] for event in listed.json["data"]] == seen
    assert listed.json["total"] == len(seen)
    async with _events(api, client, way, seen[0] - 1) as next_event:  # a backlog, then live
        seen += all_of_both()
        assert [(await next_event())["seq"] for _ in seen] == seen
        await _nothing_more(next_event())


async def test_who_loses_the_right_to_the_hours_of_others_is_cut_off(
    api: RunningApi, org: Organization
) -> None:
    async with subscribed(api.url, org.dispatcher) as reader:
        dispatcher = user_of(api, org, "dispatcher")
        answer = await org.admin.patch(f"/v1/users/{dispatcher}", {"role": "viewer"})
        assert answer.status == 200
        assert await reader.closed() == (4003, {"code": "forbidden", "seq": ANY})
        emit(api, org, 1, PUNCHED_IN, employee_id=await employee(org))
    await until_answered(lambda: org.dispatcher.post("/v1/clients", {"name": "x"}), 403)
    async with subscribed(api.url, org.dispatcher) as reader:  # and comes back as a viewer
        emit(api, org, 1, PUNCHED_IN, employee_id=await employee(org))
        wanted = emit(api, org, 1)
        assert await reader.seqs(1) == wanted


async def _nothing_more(message: Any) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.3):
            raise AssertionError(await message)


@asynccontextmanager
async def _events(
    api: RunningApi, client: Client, way: str, after: int
) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """Provide what returns the next event."""
    if way == "socket":
        async with subscribed(api.url, client, after=after) as reader:

            async def next_event() -> Any:
                return (await reader.next())["event"]

            yield next_event
    else:
        async with streaming(api, client, after) as stream:

            async def next_event() -> Any:
                return (await stream.next())[2]

            yield next_event


async def test_a_token_of_a_lower_role_does_not_go_on_with_the_hours_of_others(
    api: RunningApi, org: Organization
) -> None:
    async with subscribed(api.url, org.dispatcher) as reader:
        dispatcher = user_of(api, org, "dispatcher")
        lower = api.client(org.org_id, parse_id("usr", dispatcher))
        api.sql("UPDATE users SET role = 'viewer' WHERE id = %s", parse_id("usr", dispatcher))
        await reader.say("authenticate", id=2, token=lower.token)
        assert (await reader.closed())[0] == 4003
