"""What a credential is good for: asked once for many, and never older than is said."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias

import psycopg
import pytest
import pytest_asyncio

from api.auth.credential_cache import FRESH_S, Principals
from db.core.connect import Connection, Pool, pool
from db.core.ids import new_id
from db.identity.credentials import Principal
from telemetry.ids import parse_id
from tests.api.running import PASSWORD, Answer, Client, Organization, RunningApi, running_api
from tests.api.waiting import until_refused
from tests.servers import DatabaseUnderTest

pytestmark = pytest.mark.own_api

GOOD = Principal(new_id(), new_id(), new_id(), "viewer", None, None)


class _Ended(NamedTuple):
    """The user and the API key whose credential ends, and who can end it."""

    api: RunningApi
    org: Organization
    user: str
    key: str


_End: TypeAlias = Callable[[Client, _Ended], Awaitable[Answer]]


class _LookUp:
    """Counts how often it is asked."""

    def __init__(self, answer: Principal | None) -> None:
        self.answer = answer
        self.asked = 0

    async def __call__(self, conn: Connection) -> Principal | None:
        self.asked += 1
        await conn.execute("SELECT 1")
        return self.answer


@pytest_asyncio.fixture
async def connections(database: DatabaseUnderTest) -> AsyncIterator[Pool]:
    """The connections of the application."""
    async with pool(database.url("opsc_app"), "test", max_size=2) as opened:
        yield opened


async def test_many_at_once_share_one_question(connections: Pool) -> None:
    look_up, principals = _LookUp(GOOD), Principals(connections)
    found = await asyncio.gather(*(principals.find(b"key", look_up) for _ in range(50)))
    assert found == [GOOD] * 50
    assert await principals.find(b"key", look_up) == GOOD
    assert look_up.asked == 1


async def test_an_answer_is_not_kept_for_longer_than_is_said(connections: Pool) -> None:
    now_s = 1000.0
    look_up, principals = _LookUp(GOOD), Principals(connections, lambda: now_s)
    assert await principals.find(b"key", look_up) == GOOD
    look_up.answer = None
    now_s += FRESH_S - 0.1
    assert await principals.find(b"key", look_up) == GOOD
    now_s += 0.1
    assert await principals.find(b"key", look_up) is None


async def test_what_ends_while_it_is_remembered_ends(connections: Pool) -> None:
    ended = GOOD._replace(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert await Principals(connections).find(b"key", _LookUp(ended)) is None


async def test_a_question_that_failed_is_asked_again(connections: Pool) -> None:
    async def fail(conn: Connection) -> Principal | None:
        raise psycopg.OperationalError

    principals = Principals(connections)
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            await principals.find(b"key", fail)
    assert await principals.find(b"key", _LookUp(GOOD)) == GOOD


async def test_who_waits_for_anothers_question_goes_on_when_that_one_leaves(
    connections: Pool,
) -> None:
    look_up, principals = _LookUp(GOOD), Principals(connections)
    first = asyncio.create_task(principals.find(b"key", look_up))
    second = asyncio.create_task(principals.find(b"key", look_up))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == GOOD


async def test_what_has_changed_is_asked_again_of_its_organization_alone(
    connections: Pool,
) -> None:
    principals, other = Principals(connections), GOOD._replace(org_id=new_id())
    ours, theirs = _LookUp(GOOD), _LookUp(other)
    for changed, asked in ((None, 1), (other.org_id, 1), (GOOD.org_id, 2)):
        for key, look_up in ((b"ours", ours), (b"theirs", theirs)):
            await principals.find(key, look_up)
        principals.forget(changed)
        await principals.find(b"ours", ours)
        assert ours.asked == asked
    assert theirs.asked == 2


async def _sign_out(caller: Client, _: _Ended) -> Answer:
    return await caller.post("/v1/auth/revoke", {"token": caller.token})


async def _sign_out_everywhere(caller: Client, _: _Ended) -> Answer:
    return await caller.post("/v1/users/me/sign-out", None)


async def _be_signed_out(_: Client, ended: _Ended) -> Answer:
    return await ended.org.admin.post(f"/v1/users/{ended.user}/sign-out", None)


async def _be_deactivated(_: Client, ended: _Ended) -> Answer:
    return await ended.org.admin.patch(f"/v1/users/{ended.user}", {"active": False})


async def _change_the_password_elsewhere(_: Client, ended: _Ended) -> Answer:
    elsewhere = ended.api.client(ended.org.org_id, parse_id("usr", ended.user))
    change = {"password": "another horse and battery", "current_password": PASSWORD}
    return await elsewhere.patch("/v1/users/me", change)


async def _revoke_the_key(_: Client, ended: _Ended) -> Answer:
    return await ended.org.admin.send("POST", f"/v1/api-keys/{ended.key}/revoke")


async def _rotate_the_key(_: Client, ended: _Ended) -> Answer:
    return await ended.org.admin.post(f"/v1/api-keys/{ended.key}/rotate", {})


TOKEN_ENDS = [
    _sign_out,
    _sign_out_everywhere,
    _be_signed_out,
    _be_deactivated,
    _change_the_password_elsewhere,
]
KEY_ENDS = [_revoke_the_key, _rotate_the_key, _be_deactivated]


@pytest.mark.parametrize(
    ("end", "has_key"), [*((end, False) for end in TOKEN_ENDS), *((end, True) for end in KEY_ENDS)]
)
async def test_what_a_process_ends_it_refuses_at_once(
    api: RunningApi, org: Organization, end: _End, has_key: bool
) -> None:
    user = (await org.viewer.get("/v1/users/me")).json["id"]
    key = (await org.admin.post("/v1/api-keys", {"name": "Script", "user_id": user})).json
    caller = Client(api.url, key["secret"]) if has_key else org.viewer
    assert (await caller.get("/v1/assets")).status == 200
    ended = await end(caller, _Ended(api, org, user, key["id"]))
    assert ended.status in (200, 204)
    assert (await caller.get("/v1/assets")).status == 401


@pytest.fixture(scope="module")
def second(api: RunningApi, database: DatabaseUnderTest) -> Iterator[RunningApi]:
    """Another process of the same installation."""
    with running_api(database, secret_key=api.settings.secret_key.get_secret_value()) as running:
        yield running


async def test_what_one_process_revokes_another_refuses_soon(
    api: RunningApi, second: RunningApi, north: Organization
) -> None:
    made = (await north.admin.post("/v1/api-keys", {"name": "Script"})).json
    there = Client(second.url, made["secret"])
    assert (await there.get("/v1/assets")).status == 200
    await north.admin.send("POST", f"/v1/api-keys/{made['id']}/revoke")
    await until_refused(there)


async def test_a_token_of_one_process_ends_in_another(
    api: RunningApi, second: RunningApi, south: Organization
) -> None:
    there = Client(second.url, south.viewer.token)
    assert (await there.get("/v1/assets")).status == 200
    assert (await south.viewer.post("/v1/users/me/sign-out", None)).status == 204
    await until_refused(there)
