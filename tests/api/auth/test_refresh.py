"""Refresh tokens and revocation: a sign-in that goes on, and one that ends."""

import asyncio
from typing import Any

import pytest

from db.core.secrets import secret_hash
from db.identity.sign_ins import MOST_OF_A_USER
from tests.api.running import PASSWORD, Answer, Client, Organization, RunningApi
from tests.api.waiting import until_refused

pytestmark = pytest.mark.own_api


async def _signed_in(api: RunningApi, org: Organization) -> Any:
    body = {"email": org.email, "password": PASSWORD, "organization_id": org.id}
    answer = await api.anonymous.post("/v1/auth/token", body)
    assert answer.status == 200
    return answer.json


async def _refresh(api: RunningApi, token: str) -> Answer:
    return await api.anonymous.post("/v1/auth/refresh", {"refresh_token": token})


def _make_old(api: RunningApi, token: str) -> None:
    """Make the token as old as if it had been used a minute ago."""
    api.sql(
        "UPDATE refresh_tokens SET used_at = used_at - interval '1 minute' WHERE token_hash = %s",
        secret_hash(token),
    )


async def test_a_refresh_token_gives_another_pair(api: RunningApi, north: Organization) -> None:
    first = await _signed_in(api, north)
    answer = await _refresh(api, first["refresh_token"])
    assert answer.status == 200
    assert answer.json.keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert answer.json["refresh_token"] != first["refresh_token"]
    for token in (first["access_token"], answer.json["access_token"]):
        assert (await Client(api.url, token).get("/v1/assets")).status == 200


async def test_no_token_is_stored_as_it_is(api: RunningApi, north: Organization) -> None:
    token = (await _signed_in(api, north))["refresh_token"]
    rows = api.sql("SELECT t::text FROM refresh_tokens t")
    assert rows
    assert not any(token in row or token[5:] in row for (row,) in rows)


async def test_whoever_brings_a_used_token_ends_the_whole_sign_in(
    api: RunningApi, north: Organization
) -> None:
    first = await _signed_in(api, north)
    second = (await _refresh(api, first["refresh_token"])).json
    _make_old(api, first["refresh_token"])
    stolen = await _refresh(api, first["refresh_token"])
    assert stolen.status == 401
    assert (await _refresh(api, second["refresh_token"])).status == 401
    await until_refused(Client(api.url, second["access_token"]))


async def test_another_sign_in_of_the_same_user_goes_on(
    api: RunningApi, north: Organization
) -> None:
    first, other = await _signed_in(api, north), await _signed_in(api, north)
    await _refresh(api, first["refresh_token"])
    _make_old(api, first["refresh_token"])
    assert (await _refresh(api, first["refresh_token"])).status == 401
    assert (await _refresh(api, other["refresh_token"])).status == 200


async def test_an_answer_that_was_lost_is_given_again_for_a_moment(
    api: RunningApi, north: Organization
) -> None:
    first = await _signed_in(api, north)
    answers = [await _refresh(api, first["refresh_token"]) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].json["refresh_token"] == answers[1].json["refresh_token"]


async def test_that_moment_ends_when_the_next_token_is_used(
    api: RunningApi, north: Organization
) -> None:
    first = await _signed_in(api, north)
    second = (await _refresh(api, first["refresh_token"])).json
    third = (await _refresh(api, second["refresh_token"])).json
    assert (await _refresh(api, first["refresh_token"])).status == 401
    assert (await _refresh(api, third["refresh_token"])).status == 401


async def test_two_at_the_same_time_get_one_successor(api: RunningApi, north: Organization) -> None:
    first = await _signed_in(api, north)
    answers = await asyncio.gather(*(_refresh(api, first["refresh_token"]) for _ in range(8)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["refresh_token"] for answer in answers}) == 1


async def test_a_refresh_token_that_has_expired_is_refused(
    api: RunningApi, north: Organization
) -> None:
    token = (await _signed_in(api, north))["refresh_token"]
    api.sql(
        "UPDATE refresh_tokens SET expires_at = now() WHERE token_hash = %s", secret_hash(token)
    )
    assert (await _refresh(api, token)).status == 401


@pytest.mark.parametrize("token", ["opsr_", "garbage", "opsr_" + "A" * 43, "\u00e9\ud83d\ude00"])
async def test_what_never_was_a_refresh_token_is_a_401(api: RunningApi, token: str) -> None:
    assert (await _refresh(api, token)).status == 401


async def test_an_access_token_and_a_refresh_token_cannot_stand_for_each_other(
    api: RunningApi, north: Organization
) -> None:
    pair = await _signed_in(api, north)
    assert (await Client(api.url, pair["refresh_token"]).get("/v1/assets")).status == 401
    assert (await _refresh(api, pair["access_token"][:128])).status == 401


@pytest.mark.parametrize("which", ["refresh_token", "access_token"])
async def test_revoking_either_token_ends_both(
    api: RunningApi, north: Organization, which: str
) -> None:
    pair = await _signed_in(api, north)
    revoked = await api.anonymous.post("/v1/auth/revoke", {"token": pair[which]})
    assert (revoked.status, revoked.json) == (200, {})
    assert (await _refresh(api, pair["refresh_token"])).status == 401
    await until_refused(Client(api.url, pair["access_token"]))


@pytest.mark.parametrize("token", ["garbage", "opsr_garbage", "opsk_garbage", "a.b.c", "x" * 4096])
async def test_revoking_what_never_was_is_a_200_too(api: RunningApi, token: str) -> None:
    answer = await api.anonymous.post("/v1/auth/revoke", {"token": token})
    assert (answer.status, answer.json) == (200, {})


async def test_a_user_who_signs_in_again_and_again_keeps_so_many_sign_ins(
    api: RunningApi, south: Organization
) -> None:
    first = await _signed_in(api, south)
    api.sql(
        "INSERT INTO sign_ins (org_id, id, user_id, kind, expires_at)"
        " SELECT org_id, gen_random_uuid(), user_id, 'token', expires_at"
        "   FROM sign_ins, generate_series(1, %s) WHERE org_id = %s"
        "  ORDER BY sign_ins.created_at DESC LIMIT %s",
        MOST_OF_A_USER,
        south.org_id,
        MOST_OF_A_USER,
    )
    last = await _signed_in(api, south)
    assert (await _refresh(api, first["refresh_token"])).status == 401
    assert (await _refresh(api, last["refresh_token"])).status == 200
