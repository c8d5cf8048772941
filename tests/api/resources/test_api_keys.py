"""API keys: what they may, and how they end."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from telemetry.ids import parse_id
from tests.api.mailbox import Mailbox
from tests.api.punching import by_hand, user_of, worker
from tests.api.running import Answer, Client, Organization, RunningApi
from tests.api.waiting import until_refused

pytestmark = pytest.mark.own_api

KEYS = "/v1/api-keys"
ACCEPT = {"decision": "accept"}


async def _made(org: Organization, **fields: Any) -> Any:
    answer = await org.admin.post(KEYS, {"name": "Script"} | fields)
    assert answer.status == 201, answer.json
    return answer.json


async def _key(api: RunningApi, org: Organization, **fields: Any) -> Client:
    return Client(api.url, (await _made(org, **fields))["secret"])


async def _user_id(client: Client) -> str:
    return (await client.get("/v1/users/me")).json["id"]


async def test_the_secret_is_shown_once_and_kept_as_a_hash(
    api: RunningApi, north: Organization
) -> None:
    made = await _made(north)
    secret = made["secret"]
    assert secret.startswith("opsk_")
    assert secret.endswith(made["last4"])
    shown = await north.admin.get(f"{KEYS}/{made['id']}")
    assert shown.json == {name: made[name] for name in made.keys() - {"secret"}}
    listed = await north.admin.get(KEYS)
    assert secret not in listed.content.decode()
    assert not any(secret in row for (row,) in api.sql("SELECT k::text FROM api_keys k"))


async def test_a_key_acts_as_its_owner(api: RunningApi, north: Organization) -> None:
    client = await _key(api, north)
    assert await _user_id(client) == await _user_id(north.admin)
    assert (await client.post("/v1/assets", {"name": "By key"})).status == 201
    assert (await client.get(KEYS)).status == 200


async def test_a_key_sees_its_own_organization_alone(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    theirs = (await south.admin.post("/v1/assets", {"name": "Theirs"})).json["id"]
    client = await _key(api, north)
    assert (await client.get(f"/v1/assets/{theirs}")).status == 404
    assert (await client.get("/v1/users/me")).json["organization_id"] == north.id


async def test_a_key_for_another_user_has_that_users_role(
    api: RunningApi, north: Organization
) -> None:
    client = await _key(api, north, user_id=await _user_id(north.viewer))
    assert (await client.get("/v1/assets")).status == 200
    assert (await client.post("/v1/assets", {"name": "No"})).status == 403


async def test_a_key_cannot_be_made_for_a_user_of_another_organization(
    north: Organization, south: Organization
) -> None:
    body = {"name": "Script", "user_id": await _user_id(south.viewer)}
    answer = await north.admin.post(KEYS, body)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (404, "/user_id")


async def test_only_admins_see_and_make_keys(north: Organization) -> None:
    made = await _made(north)
    for client in (north.viewer, north.technician, north.dispatcher):
        assert (await client.get(KEYS)).status == 403
        assert (await client.post(KEYS, {"name": "Mine"})).status == 403
        assert (await client.send("POST", f"{KEYS}/{made['id']}/revoke")).status == 403
        assert (await client.post(f"{KEYS}/{made['id']}/rotate", {})).status == 403


SCOPES = [
    (["assets:read"], "GET", "/v1/assets", 200),
    (["assets:read"], "POST", "/v1/assets", 403),
    (["assets:read"], "GET", "/v1/zones", 403),
    (["assets:write"], "POST", "/v1/assets", 201),
    (["assets:write"], "GET", "/v1/assets", 200),
    (["assets:write"], "GET", "/v1/trackers", 403),
    (["*:read"], "GET", "/v1/zones", 200),
    (["*:read"], "GET", "/v1/users", 200),
    (["*:read"], "POST", "/v1/assets", 403),
    (["*:write"], "POST", "/v1/assets", 201),
    (["*:write"], "POST", "/v1/users", 403),
    (["*:write"], "POST", KEYS, 403),
    (["*:write"], "GET", KEYS, 200),
    (["zones:read", "assets:write"], "POST", "/v1/assets", 201),
    (["zones:read", "assets:write"], "POST", "/v1/zones", 403),
]


@pytest.mark.parametrize(("scopes", "method", "path", "status"), SCOPES)
async def test_scopes_narrow_a_key(
    api: RunningApi, north: Organization, scopes: list[str], method: str, path: str, status: int
) -> None:
    client = await _key(api, north, scopes=scopes)
    body = {"name": "Scoped"} if method == "POST" else None
    answer = await client.send(method, path, json=body)
    assert answer.status == status
    if status == 403:
        assert answer.json["code"] == "scope_missing"


async def test_scopes_give_no_more_than_the_owners_role(
    api: RunningApi, north: Organization
) -> None:
    owner = await _user_id(north.viewer)
    client = await _key(api, north, user_id=owner, scopes=["assets:write"])
    assert (await client.post("/v1/assets", {"name": "No"})).json["code"] == "forbidden"


@pytest.mark.parametrize(
    "scope", ["assets", "assets:delete", "nothing:read", "auth:write", "api-keys:write", "*:*", ""]
)
async def test_a_scope_that_there_is_not_is_a_422(north: Organization, scope: str) -> None:
    answer = await north.admin.post(KEYS, {"name": "Script", "scopes": ["zones:read", scope]})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/scopes/1")


async def test_the_scopes_that_there_are_are_listed(north: Organization) -> None:
    scopes = (await north.admin.get("/v1/api-keys/scopes")).json["scopes"]
    assert {"*:read", "assets:read", "work-orders:write"} < set(scopes)
    assert "api-keys:write" not in scopes
    made = await north.admin.post("/v1/api-keys", {"name": "All", "scopes": scopes})
    assert made.status == 201, made.json
    assert (await north.dispatcher.get("/v1/api-keys/scopes")).status == 403


@pytest.mark.parametrize(("method", "ending"), [("POST", "/revoke"), ("DELETE", "")])
async def test_a_revoked_key_is_refused_and_gone(
    api: RunningApi, north: Organization, method: str, ending: str
) -> None:
    """DELETE is the former way."""
    made = await _made(north)
    path, client = f"{KEYS}/{made['id']}", Client(api.url, made["secret"])
    assert (await client.get("/v1/assets")).status == 200
    assert (await north.admin.send(method, path + ending)).status == 204
    await until_refused(client)
    assert (await north.admin.get(path)).status == 404
    assert (await north.admin.send(method, path + ending)).status == 404


async def test_whoever_finds_a_key_can_revoke_it(api: RunningApi, north: Organization) -> None:
    client = await _key(api, north)
    answer = await api.anonymous.post("/v1/auth/revoke", {"token": client.token})
    assert answer.status == 200
    await until_refused(client)


async def test_rotating_ends_the_secret_before(api: RunningApi, north: Organization) -> None:
    made = await _made(north)
    old = Client(api.url, made["secret"])
    rotated = await north.admin.post(f"{KEYS}/{made['id']}/rotate", {})
    assert rotated.json["secret"] != made["secret"]
    assert (await Client(api.url, rotated.json["secret"]).get("/v1/assets")).status == 200
    await until_refused(old)


async def test_an_overlap_keeps_the_secret_before_for_a_while(
    api: RunningApi, north: Organization
) -> None:
    made = await _made(north)
    path = f"{KEYS}/{made['id']}/rotate"
    rotated = (await north.admin.post(path, {"expires_previous_in_s": 3600})).json
    for secret in (made["secret"], rotated["secret"]):
        assert (await Client(api.url, secret).get("/v1/assets")).status == 200
    api.sql("UPDATE api_keys SET previous_expires_at = now() WHERE last4 = %s", rotated["last4"])
    await until_refused(Client(api.url, made["secret"]))
    assert (await Client(api.url, rotated["secret"]).get("/v1/assets")).status == 200


async def test_a_key_ends_when_it_expires(api: RunningApi, north: Organization) -> None:
    end = datetime.now(UTC) + timedelta(seconds=2)
    client = await _key(api, north, expires_at=end.isoformat())
    assert (await client.get("/v1/assets")).status == 200
    await until_refused(client)


async def test_an_end_in_the_past_is_a_422(north: Organization) -> None:
    answer = await north.admin.post(KEYS, {"name": "x", "expires_at": "2020-01-01T00:00:00Z"})
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/expires_at")


async def test_a_key_dies_with_its_owner_and_does_not_come_back(api: RunningApi) -> None:
    org = api.organization("Acme")
    owner = await _user_id(org.technician)
    client = await _key(api, org, user_id=owner)
    assert (await client.get("/v1/assets")).status == 200
    assert (await org.admin.patch(f"/v1/users/{owner}", {"active": False})).status == 200
    await until_refused(client)
    assert (await org.admin.patch(f"/v1/users/{owner}", {"active": True})).status == 200
    await until_refused(client)
    refused = await org.technician.get("/v1/assets")
    assert refused.status == 401


@pytest.mark.parametrize("secret", ["opsk_", "opsk_" + "A" * 43, "opsk_" + "x" * 5000])
async def test_what_never_was_a_key_is_a_401(api: RunningApi, secret: str) -> None:
    assert (await Client(api.url, secret).get("/v1/assets")).status == 401


async def test_when_a_key_was_used_is_written_beside_the_requests(
    api: RunningApi, north: Organization
) -> None:
    made = await _made(north)
    assert made["last_used_at"] is None
    await Client(api.url, made["secret"]).get("/v1/assets")
    deadline_s = time.monotonic() + 20
    while (await _used(north, made["id"])) is None:
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.2)


async def _used(org: Organization, key_id: str) -> Any:
    answer: Answer = await org.admin.get(f"{KEYS}/{key_id}")
    return answer.json["last_used_at"]


# Makers -------------------------------------------------------------------------------------------


async def _key_of(api: RunningApi, org: Organization, role: str, maker: Client) -> Client:
    """Return a caller by a new key that acts as the user of a role."""
    body = {"name": "Payroll", "user_id": user_of(api, org, role)}
    made = await maker.post("/v1/api-keys", body)
    assert made.status == 201, made.json
    return Client(api.url, made.json["secret"])


async def test_nobody_judges_their_own_hours_by_a_key_of_somebody_else(
    api: RunningApi, org: Organization
) -> None:
    boss = await worker(api, org, "admin")
    key = await _key_of(api, org, "dispatcher", org.admin)
    entered = await key.post("/v1/punches", boss.claim(ago_s=90_000) | {"reason": "forgotten"})
    assert entered.status == 201, entered.json
    (sheet, *_) = (await org.admin.get("/v1/timesheets", employee_id=boss.id)).json["data"]
    path = f"/v1/timesheets/{sheet['id']}"
    shown = (await org.admin.get(path)).json
    settled = {flag["name"]: flag["settled"] for each in shown["shifts"] for flag in each["flags"]}
    assert settled["unverified" if "unverified" in settled else "failed"] is False
    review = await key.post(f"/v1/punches/{entered.json['id']}/review", ACCEPT)
    leave = await key.patch(f"/v1/employees/{boss.id}", {"left_on": "2099-12-31"})
    adjusted = await key.post(
        f"{path}/adjustments", {"day": sheet["first_day"], "seconds": 60, "reason": "x"}
    )
    assert (review.status, leave.status) == (403, 403)
    assert adjusted.json["adjustments"][-1]["own"] is True
    assert (await org.dispatcher.post(f"{path}/submit", None)).status in (200, 409)
    # The dispatcher themselves may.
    path = f"/v1/punches/{entered.json['id']}/review"
    assert (await org.dispatcher.post(path, ACCEPT)).status == 200


async def test_hours_are_not_approved_by_a_key_of_ones_own(
    api: RunningApi, org: Organization
) -> None:
    boss = await worker(api, org, "admin")
    for kind, hour in (("in", 7), ("out", 15)):
        time = f"2020-01-06T{hour:02}:00:00Z"
        await by_hand(org, boss.id, kind=kind, time=time)
    (sheet,) = (await org.admin.get("/v1/timesheets", employee_id=boss.id)).json["data"]
    path = f"/v1/timesheets/{sheet['id']}"
    key = await _key_of(api, org, "dispatcher", org.admin)
    assert (await key.post(f"{path}/submit", None)).status == 200
    answer = await key.post(f"{path}/approve", None)
    assert (answer.status, answer.json["code"]) == (403, "forbidden")
    assert (await org.dispatcher.post(f"{path}/approve", None)).status == 200


async def test_whoever_rotates_a_key_knows_it_and_the_one_before_is_its_makers(
    api: RunningApi, org: Organization
) -> None:
    made = (await org.admin.post("/v1/api-keys", {"name": "x"})).json
    admin = user_of(api, org, "admin")
    assert made["made_by"] == admin
    second = (await org.admin.post("/v1/users", {"email": "b@x.org", "role": "admin"})).json["id"]
    other = api.client(org.org_id, parse_id("usr", second))
    rotation = {"expires_previous_in_s": 3600}
    rotated = (await other.post(f"/v1/api-keys/{made['id']}/rotate", rotation)).json
    assert rotated["made_by"] == second
    rows = api.sql(
        "SELECT made_by, previous_made_by FROM api_keys WHERE id = %s", parse_id("key", made["id"])
    )
    assert rows == [(parse_id("usr", second), parse_id("usr", admin))]


async def test_the_audit_names_who_made_the_key(api: RunningApi, org: Organization) -> None:
    key = await _key_of(api, org, "dispatcher", org.admin)
    made = (await key.post("/v1/clients", {"name": "Keller"})).json
    (event,) = (await org.admin.get("/v1/audit-events", resource_id=made["id"])).json["data"]
    assert event["user_id"] == user_of(api, org, "dispatcher")
    assert event["key_made_by"] == user_of(api, org, "admin")
    other = (await org.dispatcher.post("/v1/clients", {"name": "Frei"})).json
    (event,) = (await org.admin.get("/v1/audit-events", resource_id=other["id"])).json["data"]
    assert event["key_made_by"] is None


async def test_a_user_of_programs_has_keys_and_no_password(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    body = {"email": "export@acme.example", "role": "viewer", "service": True}
    made = (await org.admin.post("/v1/users", body)).json
    assert (made["service"], made["invited"], made["active"]) == (True, False, True)
    key = await org.admin.post("/v1/api-keys", {"name": "Export", "user_id": made["id"]})
    program = Client(api.url, key.json["secret"])
    assert (await program.get("/v1/assets")).status == 200
    assert (await program.post("/v1/clients", {"name": "x"})).status == 403
    again = await org.admin.post(f"/v1/users/{made['id']}/invitation", None)
    assert (again.status, again.json["code"]) == (409, "not_invited")
    reset = {"email": "export@acme.example", "organization_id": org.id}
    assert (await api.anonymous.post("/v1/auth/password-reset", reset)).status == 202
    assert [one for one in await mailbox.letters() if one["To"] == body["email"]] == []
