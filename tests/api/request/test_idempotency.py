"""A POST that is repeated with its Idempotency-Key is done once."""

import asyncio
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from db.requests import expired, idempotency
from tests.api.problems import is_problem
from tests.api.running import Answer, Client, Organization, RunningApi
from tests.api.shapes import square
from tests.api.stocked import move, stocked
from tests.db import rows
from tests.waiting import until

pytestmark = pytest.mark.own_api

BODIES: dict[str, Any] = {
    "/v1/assets": {"name": "Crane", "tags": ["a"]},
    "/v1/trackers": {"name": "T"},
    "/v1/zones": {"name": "Yard", "geometry": square()},
    "/v1/webhook-endpoints": {"url": "https://example.com/", "types": ["*"]},
}


async def _post(client: Client, path: str, key: str, body: Any = None) -> Answer:
    return await client.send("POST", path, headers={"Idempotency-Key": key}, json=body)


def _key() -> str:
    return uuid4().hex


def _is_replay_of(answer: Answer, first: Answer) -> bool:
    same = ("Content-Type", "Location", "ETag")
    return (
        answer.headers.get("Idempotency-Replayed") == "true"
        and "Idempotency-Replayed" not in first.headers
        and (answer.status, answer.content) == (first.status, first.content)
        and all(answer.headers.get(name) == first.headers.get(name) for name in same)
    )


@pytest.mark.parametrize("path", list(BODIES))
async def test_a_repeated_request_gets_the_same_answer_and_is_done_once(
    north: Organization, path: str
) -> None:
    key, body = _key(), BODIES[path]
    before = (await north.viewer.get(path)).json["total"]
    first = await _post(north.admin, path, key, body)
    assert first.status == 201
    for _ in range(2):
        assert _is_replay_of(await _post(north.admin, path, key, body), first)
    assert (await north.viewer.get(path)).json["total"] == before + 1


async def test_an_answer_that_opens_no_more_is_a_409_and_nothing_is_done_again(
    api: RunningApi, north: Organization
) -> None:
    key = _key()
    assert (await _post(north.admin, "/v1/assets", key, {"name": "x"})).status == 201
    before = (await north.viewer.get("/v1/assets")).json["total"]
    api.sql(
        "UPDATE idempotency_keys SET answer_encrypted ="
        " set_byte(answer_encrypted, 20, get_byte(answer_encrypted, 20) # 1) WHERE key = %s",
        key,
    )
    again = await _post(north.admin, "/v1/assets", key, {"name": "x"})
    assert is_problem(again, 409, "idempotency_answer_lost")
    assert (await north.viewer.get("/v1/assets")).json["total"] == before


async def test_a_quoted_key_is_the_same_as_a_plain_one(north: Organization) -> None:
    key = _key()
    first = await _post(north.admin, "/v1/assets", f'"{key}"', {"name": "x"})
    assert _is_replay_of(await _post(north.admin, "/v1/assets", key, {"name": "x"}), first)


@pytest.mark.parametrize("key", ["", " ", "a b", '"', '"a', 'a"b', "a,b", "x" * 256, '"\x80"'])
async def test_a_key_that_is_none_is_a_400(north: Organization, key: str) -> None:
    answer = await _post(north.admin, "/v1/assets", key, {"name": "x"})
    assert is_problem(answer, 400, "invalid_idempotency_key")


async def test_blanks_and_the_order_of_fields_say_nothing(north: Organization) -> None:
    headers = {"Idempotency-Key": _key(), "Content-Type": "application/json"}
    texts = ('{"name":"x","make":"y"}', '{ "make": "y", "name": "x" }')
    first, second = [
        await north.admin.send("POST", "/v1/assets", headers=headers, data=text) for text in texts
    ]
    assert _is_replay_of(second, first)


async def test_the_same_key_with_another_request_is_a_422(north: Organization) -> None:
    key = _key()
    assert (await _post(north.admin, "/v1/assets", key, {"name": "x"})).status == 201
    other = await _post(north.admin, "/v1/assets", key, {"name": "y"})
    assert is_problem(other, 422, "idempotency_mismatch")
    of_another_user = await _post(north.dispatcher, "/v1/assets", key, {"name": "x"})
    assert is_problem(of_another_user, 422, "idempotency_mismatch")


async def test_a_key_is_one_operations_of_one_organization(
    north: Organization, south: Organization
) -> None:
    key = _key()
    answers = [
        await _post(north.admin, "/v1/assets", key, {"name": "x"}),
        await _post(north.admin, "/v1/trackers", key, {"name": "x"}),
        await _post(south.admin, "/v1/assets", key, {"name": "x"}),
    ]
    assert [answer.status for answer in answers] == [201] * 3
    assert not any("Idempotency-Replayed" in answer.headers for answer in answers)
    assert len({answer.json["id"] for answer in answers}) == 3


async def test_an_action_on_one_thing_is_done_once(north: Organization) -> None:
    one, other = [
        (await north.admin.post("/v1/trackers", {})).headers["Location"] for _ in range(2)
    ]
    key = _key()
    first = await _post(north.admin, f"{one}/rotate", key)
    again = await _post(north.admin, f"{one}/rotate", key)
    assert _is_replay_of(again, first)
    elsewhere = await _post(north.admin, f"{other}/rotate", key)
    assert is_problem(elsewhere, 422, "idempotency_mismatch")


async def test_who_may_not_gets_no_answer_of_who_may(north: Organization) -> None:
    key = _key()
    await _post(north.admin, "/v1/trackers", key, {})
    assert is_problem(await _post(north.viewer, "/v1/trackers", key, {}), 403, "forbidden")


async def test_a_refusal_is_kept_once_the_request_was_begun(north: Organization) -> None:
    external_id, key = _key(), _key()
    body = {"name": "x", "external_id": external_id}
    taken = await north.admin.post("/v1/assets", body)
    first = await _post(north.admin, "/v1/assets", key, body)
    assert first.status == 409
    await north.admin.patch(taken.headers["Location"], {"external_id": None})
    assert _is_replay_of(await _post(north.admin, "/v1/assets", key, body), first)
    assert (await _post(north.admin, "/v1/assets", _key(), body)).status == 201


async def test_refusals_of_the_rules_are_kept_as_well(north: Organization) -> None:
    ids, key = await stocked(north, quantity=1), _key()
    issue = {"kind": "issue", "quantity": 3, "part_id": ids["parts"]}
    issue["warehouse_id"] = ids["warehouses"]
    first = await _post(north.admin, "/v1/stock-movements", key, issue)
    assert is_problem(first, 409, "insufficient_stock")
    assert (await move(north.admin, ids, "receive", 5)).status == 201
    assert _is_replay_of(await _post(north.admin, "/v1/stock-movements", key, issue), first)

    order = (await north.admin.post("/v1/work-orders", {"title": "Grease"})).json
    path, key = f"/v1/work-orders/{order['id']}/complete", _key()
    first = await _post(north.admin, path, key, {"signer_name": "Peter Frei"})
    assert is_problem(first, 409, "illegal_move")
    await north.admin.post(f"/v1/work-orders/{order['id']}/cancel", {"reason": "Nobody wants it."})
    again = await _post(north.admin, path, key, {"signer_name": "Peter Frei"})
    assert _is_replay_of(again, first)  # with the verbs that were legal then


async def test_what_a_refused_request_had_done_is_undone(north: Organization) -> None:
    taken = _key()
    await north.admin.post("/v1/assets", {"name": "x", "external_id": taken})
    before = (await north.admin.get("/v1/trackers")).json["total"]
    body = {"asset_id": "ast_" + "0" * 26}
    answer = await _post(north.admin, "/v1/trackers", _key(), body)
    assert is_problem(answer, 404, "not_found")
    assert (await north.admin.get("/v1/trackers")).json["total"] == before


async def test_a_request_that_was_not_begun_may_be_mended(north: Organization) -> None:
    key = _key()
    assert (await _post(north.admin, "/v1/assets", key, {"name": ""})).status == 422
    made = await _post(north.admin, "/v1/assets", key, {"name": "x"})
    assert (made.status, "Idempotency-Replayed" in made.headers) == (201, False)


async def test_while_one_runs_another_is_a_409_and_then_gets_its_answer(
    api: RunningApi, north: Organization
) -> None:
    key, body = _key(), {"name": "x"}
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"
    with psycopg.connect(api.database.url("admin")) as conn:
        conn.execute("LOCK TABLE assets IN ACCESS EXCLUSIVE MODE")
        running = asyncio.create_task(_post(north.admin, "/v1/assets", key, body))
        await until(lambda: api.sql(waiting, api.database.name))
        second = await _post(north.admin, "/v1/assets", key, body)
        assert is_problem(second, 409, "idempotency_in_flight")
    first = await running
    assert first.status == 201
    assert _is_replay_of(await _post(north.admin, "/v1/assets", key, body), first)


async def test_of_many_at_once_one_is_done(north: Organization) -> None:
    key, name = _key(), _key()
    answers = await asyncio.gather(
        *(_post(north.admin, "/v1/assets", key, {"name": name}) for _ in range(12))
    )
    assert {answer.status for answer in answers} <= {201, 409}
    made = {answer.json["id"] for answer in answers if answer.status == 201}
    assert len(made) == 1
    listed = (await north.admin.get("/v1/assets", limit=1000)).json["data"]
    assert [row["id"] for row in listed if row["name"] == name] == list(made)


async def test_trouble_of_ours_is_not_kept_and_nothing_is_done(
    api: RunningApi, north: Organization
) -> None:
    key, body = _key(), {"name": "x"}
    api.sql("ALTER TABLE asset_tags RENAME TO asset_tags_gone")
    failed = await _post(north.admin, "/v1/assets", key, body)
    api.sql("ALTER TABLE asset_tags_gone RENAME TO asset_tags")
    assert failed.status == 500
    made = await _post(north.admin, "/v1/assets", key, body)
    assert (made.status, "Idempotency-Replayed" in made.headers) == (201, False)


async def test_an_answer_is_kept_sealed(api: RunningApi, north: Organization) -> None:
    key = _key()
    secret = (await _post(north.admin, "/v1/trackers", key, {})).json["secret"]
    ((sealed,),) = api.sql("SELECT answer_encrypted FROM idempotency_keys WHERE key = %s", key)
    assert secret.encode() not in sealed
    assert (await _post(north.admin, "/v1/trackers", key, {})).json["secret"] == secret


async def test_a_key_can_be_used_again_after_a_day(api: RunningApi, north: Organization) -> None:
    key = _key()
    first = await _post(north.admin, "/v1/assets", key, {"name": "x"})
    ((hours,),) = api.sql(
        "SELECT extract(epoch FROM expires_at - now()) / 3600 FROM idempotency_keys WHERE key = %s",
        key,
    )
    assert 23.9 < hours <= 24
    api.sql("UPDATE idempotency_keys SET expires_at = now() WHERE key = %s", key)
    second = await _post(north.admin, "/v1/assets", key, {"name": "x"})
    assert second.json["id"] != first.json["id"]
    assert _is_replay_of(await _post(north.admin, "/v1/assets", key, {"name": "x"}), second)


async def test_what_is_kept_of_an_organization_is_bounded(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = api.organization("Much")
    for number in range(6):
        await _post(org.admin, "/v1/assets", f"k{number}", {"name": "x"})
    api.sql("UPDATE idempotency_keys SET expires_at = now() WHERE key = 'k5'")

    async def left() -> set[str]:
        async with rows.transaction(api.database, "opsc_app", org.org_id) as conn:
            await idempotency.trim(conn)
        found = api.sql("SELECT key FROM idempotency_keys WHERE org_id = %s", org.org_id)
        return {key for (key,) in found}

    assert await left() == {"k0", "k1", "k2", "k3", "k4"}
    monkeypatch.setattr(idempotency, "MOST_ANSWERS", 3)
    assert await left() == {"k2", "k3", "k4"}
    ((most,),) = api.sql(
        "SELECT sum(octet_length(answer_encrypted)) FROM idempotency_keys WHERE key IN ('k3', 'k4')"
        " AND org_id = %s",
        org.org_id,
    )
    monkeypatch.setattr(idempotency, "MOST_BYTES", int(most))
    assert await left() == {"k3", "k4"}


async def test_now_and_then_a_request_trims(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = api.organization("Trimmed")
    await _post(org.admin, "/v1/assets", "old", {"name": "x"})
    api.sql("UPDATE idempotency_keys SET expires_at = now() WHERE org_id = %s", org.org_id)
    monkeypatch.setattr("api.request.idempotency._TRIM_EVERY", 1)
    await _post(org.admin, "/v1/assets", "new", {"name": "x"})
    left = api.sql("SELECT key FROM idempotency_keys WHERE org_id = %s", org.org_id)
    assert left == [("new",)]


async def test_what_has_expired_is_taken_away_for_all_organizations(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    old, new = _key(), _key()
    for org in (north, south):
        for key in (old, new):
            await _post(org.admin, "/v1/assets", key, {"name": "x"})
    ended = "UPDATE idempotency_keys SET expires_at = now() - interval '1 s' WHERE key = %s"
    api.sql(ended, old)
    async with rows.transaction(api.database, "opsc_deliver") as conn:
        assert await expired.remove(conn, limit=1000) >= 2
    left = api.sql("SELECT key FROM idempotency_keys WHERE key = ANY (%s)", [old, new])
    assert left == [(new,), (new,)]


async def test_other_methods_do_not_look_at_the_key(north: Organization) -> None:
    headers = {"Idempotency-Key": "no good key"}
    assert (await north.viewer.get("/v1/assets", headers=headers)).status == 200
