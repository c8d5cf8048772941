"""What a credential is good for: asked once for many, and never older than is said."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import pytest_asyncio

from api.auth.credential_cache import FRESH_S, Principals
from db.core.connect import Connection, Pool, pool
from db.core.ids import new_id
from db.identity.credentials import Principal
from tests.api.running import Client, Organization, RunningApi, running_api
from tests.api.waiting import until_refused
from tests.servers import DatabaseUnderTest

pytestmark = pytest.mark.own_api

GOOD = Principal(new_id(), new_id(), new_id(), "viewer", None, None)


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
