"""One organization's dear pages do not take the database connections of all."""

import asyncio
from contextlib import nullcontext
from http import HTTPStatus
from uuid import UUID

import psycopg
import pytest

from api.auth.caller import Caller
from api.limits import connection_turns
from api.limits.last_used import Usage
from db.core.connect import Turn, pool
from db.core.errors import NoConnection
from tests.api.running import PATIENT, Client, Organization, RunningApi

pytestmark = pytest.mark.own_api

HOSTILE_CONNECTIONS = 40
USERS = 50
ORDINARY = (
    *("/v1/assets", "/v1/trackers", "/v1/zones", "/v1/work-orders", "/v1/organization"),
    *("/v1/clients", "/v1/sites", "/v1/employees"),
)


async def test_a_hostile_organization_is_refused_and_another_one_is_served(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    """Its pages wait for a lock that the test holds, and so each takes as long as it may."""
    asset_id = (await south.admin.post("/v1/assets", {"name": "Crane"})).json["id"]
    statuses: list[int] = []
    is_over = asyncio.Event()
    with psycopg.connect(api.database.url("admin")) as admin:
        admin.execute("LOCK TABLE visits IN ACCESS EXCLUSIVE MODE")
        hostile = [
            asyncio.create_task(ask_again(north.viewer, is_over, statuses))
            for _ in range(HOSTILE_CONNECTIONS)
        ]
        while not statuses:  # none of its pages is answered before the lock is gone
            answer = await south.viewer.get(f"/v1/assets/{asset_id}")
            assert answer.status == HTTPStatus.OK, answer.json
            await asyncio.sleep(0.05)
        is_over.set()
    await asyncio.gather(*hostile)
    assert set(statuses) == {HTTPStatus.OK, HTTPStatus.TOO_MANY_REQUESTS}


async def ask_again(client: Client, is_over: asyncio.Event, statuses: list[int]) -> None:
    """Ask for a dear page again and again. What is refused has a code, and says when to come."""
    while not is_over.is_set():
        answer = await client.get("/v1/visits")
        statuses.append(answer.status)
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            assert answer.json["code"] == "share_used"
            assert int(answer.headers["Retry-After"]) in range(1, 6)


async def test_fifty_dashboards_that_come_back_at_once_are_all_served(
    api: RunningApi, org: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_turns, "MOST_WAIT_S", PATIENT.lock_s)
    ids = api.sql(
        "INSERT INTO users (org_id, id, email, password_hash, role)"
        " SELECT %s, gen_random_uuid(), number || '@example.com', 'none', 'viewer'"
        " FROM generate_series(1, %s) AS number RETURNING id",
        org.org_id,
        USERS,
    )
    users = [api.client(org.org_id, user_id) for (user_id,) in ids]
    answers = await asyncio.gather(*(user.get(path) for user in users for path in ORDINARY))
    assert {answer.status for answer in answers} == {HTTPStatus.OK}


async def test_a_busy_organization_keeps_the_notes_of_no_other_one_from_being_written(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    def refused(org_id: UUID | None) -> Turn:
        if org_id == north.org_id:
            raise NoConnection(is_share_used=True)
        return nullcontext(lambda: None)

    async with pool(api.database.url("opsc_app"), "test", max_size=1) as connections:
        connections.turn = refused
        usage = Usage(connections)
        for org in (north, south):
            ((user_id,),) = api.sql("SELECT id FROM users WHERE org_id = %s LIMIT 1", org.org_id)
            grant = api.grant(org.org_id, user_id)
            api.sql("UPDATE sign_ins SET last_used_at = 'epoch' WHERE id = %s", grant.sign_in_id)
            usage.note(Caller(org.org_id, user_id, "viewer", "token", grant.sign_in_id))
        await usage.write()
    ((is_noted,),) = api.sql(
        "SELECT last_used_at > 'epoch' FROM sign_ins WHERE id = %s", grant.sign_in_id
    )
    assert is_noted
