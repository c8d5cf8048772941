"""Two processes of the API over one database: a limit holds over both, and each hears of changes of
rights at once.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

import pytest

from api.limits import plans
from api.live.limits import LiveLimits
from api.live.slots import DEAD_ROUNDS, LiveSlots
from db.core.connect import pool
from db.core.ids import new_id
from tests.api.live.reading import UNAUTHORIZED, key_of, signed_in, stranger, streaming, subscribed
from tests.api.running import Client, Organization, RunningApi, running_api
from tests.waiting import until

NEVER_S = 3_600.0
SHARE_S = LiveLimits().share_s


@pytest.fixture(scope="module")
def other(live_api: RunningApi) -> Iterator[RunningApi]:
    """Another process, which looks at rights only when it is woken."""
    with running_api(
        live_api.database,
        secret_key=live_api.settings.secret_key,
        live_limits=LiveLimits(rights_s=NEVER_S),
    ) as running:
        yield running


async def test_a_key_that_is_revoked_ends_connections_elsewhere_at_once(
    api: RunningApi, other: RunningApi, north: Organization, south: Organization
) -> None:
    revoked, rotated, kept = [await key_of(north) for _ in range(3)]
    async with (
        signed_in(other.url, Client(other.url, revoked["secret"])) as first,
        signed_in(other.url, Client(other.url, rotated["secret"])) as second,
        signed_in(other.url, Client(other.url, kept["secret"])) as third,
        signed_in(other.url, south.viewer) as fourth,
    ):
        await north.admin.send("POST", f"/v1/api-keys/{revoked['id']}/revoke")
        assert await first.closed() == UNAUTHORIZED
        await north.admin.post(f"/v1/api-keys/{rotated['id']}/rotate", {})
        assert await second.closed() == UNAUTHORIZED
        for reader in (third, fourth):
            assert await reader.ask("ping", id=1) == {"op": "pong", "id": 1}


async def test_another_role_or_none_is_known_at_once(
    api: RunningApi, other: RunningApi, north: Organization
) -> None:
    user_id = new_id()
    api.sql(
        "INSERT INTO users (org_id, id, email, password_hash, role)"
        " VALUES (%s, %s, 'changes@example.com', '', 'dispatcher')",
        north.org_id,
        user_id,
    )
    client = other.client(north.org_id, user_id)
    (mine,) = (await north.admin.get("/v1/users", limit=1)).json["data"]
    path = f"/v1/users/{mine['id']}"
    async with signed_in(other.url, client) as reader, streaming(other, client) as stream:
        (live,) = {
            each
            for each in other.live.streams.all()
            if each.credential.caller.user_id == user_id and not each.scopes
        }
        assert (await north.admin.patch(path, {"role": "viewer"})).status == 200
        await until(lambda: live.credential.caller.role == "viewer")
        kind, _, end = await stream.next()  # which reads the hours of others
        assert (kind, end["code"]) == ("end", "forbidden")
        assert (await north.admin.patch(path, {"active": False})).status == 200
        assert await reader.closed() == UNAUTHORIZED


async def test_who_signs_out_is_gone_everywhere_at_once(
    api: RunningApi, other: RunningApi, south: Organization
) -> None:
    async with signed_in(other.url, south.dispatcher) as reader:
        assert (await south.dispatcher.post("/v1/users/me/sign-out", None)).status == 204
        assert await reader.closed() == UNAUTHORIZED
    async with signed_in(other.url, south.technician) as reader:
        body = {"token": south.technician.token}
        assert (await api.anonymous.post("/v1/auth/revoke", body)).status == 200
        assert await reader.closed() == UNAUTHORIZED


async def test_a_limit_holds_over_both_processes(
    api: RunningApi, other: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    org, most = api.organization("Both"), 20
    few: Mapping[str, int] = {**plans.LIVE_CONNECTIONS, "unlimited": most}
    monkeypatch.setattr("api.live.streams.LIVE_CONNECTIONS", few)
    async with AsyncExitStack() as opened:
        for number in range(most):
            url = (api.url, other.url)[number % 2]
            await opened.enter_async_context(subscribed(url, org.viewer))
        for url in (api.url, other.url):
            async with stranger(url) as beyond:
                await beyond.say("authenticate", token=org.viewer.token)
                assert await beyond.closed() == (4009, {"code": "too_many_connections"})


@asynccontextmanager
async def two_processes(
    api: RunningApi, first_share_s: float = SHARE_S
) -> AsyncIterator[tuple[LiveSlots, LiveSlots]]:
    async with pool(api.database.url("opsc_app"), "test", max_size=2) as connections:
        first, second = LiveSlots(connections, first_share_s), LiveSlots(connections, SHARE_S)
        yield first, second
        await first.leave()
        await second.leave()


async def taken(slots: LiveSlots, org_id: UUID, most: int) -> None:
    """Take a place as soon as one is free."""
    for _ in range(400):
        if await slots.acquire(org_id, most):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("no place comes free")


async def test_places_are_given_back(api: RunningApi) -> None:
    org_id = new_id()
    async with two_processes(api) as (first, second):
        assert [await first.acquire(org_id, 4) for _ in range(5)] == [True] * 4 + [False]
        assert not await second.acquire(org_id, 4)
        first.give_back(org_id)
        assert await first.acquire(org_id, 4)
        await first.leave()
        await taken(second, org_id, 4)
    assert api.sql("SELECT FROM live_slots WHERE %s = ANY (org_ids)", org_id) == []


async def test_places_that_are_not_used_are_given_back_every_round(
    api: RunningApi,
) -> None:
    org_id = new_id()
    async with two_processes(api, 0.1) as (first, second):
        assert await first.acquire(org_id, 16)  # and two more places for later
        running = asyncio.create_task(first.run(asyncio.Event()))
        for _ in range(15):
            await taken(second, org_id, 16)
        assert not await second.acquire(org_id, 16)
        running.cancel()


async def test_places_of_a_killed_process_are_free_soon(api: RunningApi) -> None:
    org_id = new_id()
    async with two_processes(api) as (killed, second):
        assert await killed.acquire(org_id, 1)
        assert not await second.acquire(org_id, 1)
        api.sql(
            "UPDATE live_slots SET seen_at = seen_at - make_interval(secs => %s)"
            " WHERE %s = ANY (org_ids)",
            DEAD_ROUNDS * SHARE_S,
            org_id,
        )
        await taken(second, org_id, 1)
