"""Signing in, and who may do what."""

import pytest

from db.core.ids import new_id
from telemetry.ids import format_id
from tests.api.running import PASSWORD, Client, Organization, RunningApi

pytestmark = pytest.mark.own_api

SIGN_IN = "/v1/auth/token"


async def test_the_right_password_gives_a_token_that_works(
    api: RunningApi, north: Organization
) -> None:
    answer = await api.anonymous.post(
        SIGN_IN, {"email": north.email, "password": PASSWORD, "organization_id": north.id}
    )
    assert answer.status == 200
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["expires_in"] == 3600
    assert answer.headers["Cache-Control"] == "no-store"
    listed = await Client(api.url, answer.json["access_token"]).get("/v1/assets")
    assert listed.status == 200


async def test_an_address_counts_in_any_case(api: RunningApi, north: Organization) -> None:
    answer = await api.anonymous.post(
        SIGN_IN,
        {"email": north.email.upper(), "password": PASSWORD, "organization_id": north.id},
    )
    assert answer.status == 200


async def test_whatever_is_wrong_the_answer_is_the_same(
    api: RunningApi, north: Organization
) -> None:
    right = {"email": north.email, "password": PASSWORD, "organization_id": north.id}
    wrong = [
        {"password": "wrong"},
        {"email": "nobody@example.com"},
        {"email": "nul\x00@example.com"},
        {"organization_id": format_id("org", new_id())},
    ]
    answers = [await api.anonymous.post(SIGN_IN, right | change) for change in wrong]
    assert [answer.status for answer in answers] == [401] * len(wrong)
    assert all(answer.headers["WWW-Authenticate"].startswith("Bearer") for answer in answers)
    documents = [{**answer.json, "request_id": ""} for answer in answers]
    assert all(document == documents[0] for document in documents)
    assert (await api.anonymous.post(SIGN_IN, right)).status == 200


def _add_user(api: RunningApi, org: Organization, email: str) -> None:
    """Add a user who has the password of the others."""
    api.sql(
        "INSERT INTO users (org_id, id, email, password_hash, role)"
        " SELECT org_id, %s, %s, password_hash, 'viewer' FROM users WHERE org_id = %s"
        " AND email = 'boss@example.com'",
        new_id(),
        email,
        org.org_id,
    )


async def test_an_address_of_one_organization_needs_no_organization(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    body = {"email": "Only.Here@example.com", "password": PASSWORD}
    assert (await api.anonymous.post(SIGN_IN, body)).status == 401
    _add_user(api, north, "only.here@example.com")
    answer = await api.anonymous.post(SIGN_IN, body)
    assert answer.status == 200
    me = await Client(api.url, answer.json["access_token"]).get("/v1/users/me")
    assert me.json["organization_id"] == north.id
    session = await api.anonymous.post("/v1/auth/session", body)
    assert session.json["organization_id"] == north.id
    invited = {"email": "only.here@example.com", "role": "viewer"}
    assert (await south.admin.post("/v1/users", invited)).status == 201
    assert (await api.anonymous.post(SIGN_IN, body)).status == 200, "no invitation is in the way"


async def test_an_address_of_several_organizations_needs_the_organization(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    for org in (north, south):
        _add_user(api, org, "both@example.com")
    body = {"email": "both@example.com", "password": PASSWORD}
    refused = await api.anonymous.post(SIGN_IN, body)
    unknown = await api.anonymous.post(SIGN_IN, body | {"email": "nobody@example.com"})
    assert (refused.status, refused.json["detail"]) == (401, unknown.json["detail"])
    assert "organization_id" in refused.json["detail"]
    named = await api.anonymous.post(SIGN_IN, body | {"organization_id": south.id})
    assert named.status == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"email": "a@b.c", "password": "x", "organization_id": "org_1"}, "/organization_id"),
        ({"email": 3, "password": "x", "organization_id": format_id("org", new_id())}, "/email"),
        (
            {"email": "a@b.c", "password": "x" * 257, "organization_id": "ast_1"},
            "/password",
        ),
    ],
)
async def test_a_body_that_cannot_be_is_a_422_that_points_at_the_field(
    api: RunningApi, body: dict[str, object], pointer: str
) -> None:
    answer = await api.anonymous.post(SIGN_IN, body)
    assert answer.status == 422
    assert pointer in [fault["pointer"] for fault in answer.json["errors"]]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Token x"])
async def test_without_a_bearer_token_there_is_no_way_in(
    api: RunningApi, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = await api.anonymous.get("/v1/assets", headers=headers)
    assert answer.status == 401
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_who_asks_is_looked_at_before_the_body(api: RunningApi) -> None:
    answer = await api.anonymous.send("POST", "/v1/assets", data=b"not json")
    assert answer.status == 401


WRITES = [
    ("POST", "/v1/assets", {"name": "Excavator"}),
    ("PATCH", "/v1/assets/{asset}", {"name": "Excavator 2"}),
    ("POST", "/v1/trackers", {}),
    ("PATCH", "/v1/trackers/{tracker}", {"name": "Tracker 2"}),
    ("PATCH", "/v1/zones/{zone}", {"name": "Zone 2"}),
    ("DELETE", "/v1/zones/{zone}", None),
    ("POST", "/v1/zones", {"name": "Z", "geometry": {"type": "Point", "coordinates": [0, 1]}}),
]


async def test_viewers_and_technicians_read_and_do_not_write(north: Organization) -> None:
    ids = {
        "asset": format_id("ast", new_id()),
        "tracker": format_id("trk", new_id()),
        "zone": format_id("zon", new_id()),
    }
    for client in (north.viewer, north.technician):
        for path in ("assets", "trackers", "zones", "gps-events", "visits", "events"):
            assert (await client.get(f"/v1/{path}")).status == 200
        for method, path, body in WRITES:
            there = path.format(**ids)
            assert (await client.send(method, there, json=body)).status == 403, (method, there)


async def test_webhook_endpoints_are_the_admins(north: Organization) -> None:
    body = {"url": "https://example.com/hook", "types": ["*"]}
    for client in (north.viewer, north.technician, north.dispatcher):
        assert (await client.post("/v1/webhook-endpoints", body)).status == 403
        assert (await client.get("/v1/webhook-endpoints")).status == 200
    made = await north.admin.post("/v1/webhook-endpoints", body)
    assert made.status == 201
    path = f"/v1/webhook-endpoints/{made.json['id']}"
    assert (await north.dispatcher.delete(path)).status == 403
    assert (await north.admin.delete(path)).status == 204
