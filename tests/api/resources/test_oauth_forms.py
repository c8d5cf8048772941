"""Signing in by the forms of OAuth 2.0, as Swagger UI on `/docs` and other tools send them."""

import base64
from typing import Any

import pytest

from tests.api.running import PASSWORD, Answer, Client, Organization, RunningApi

pytestmark = pytest.mark.own_api

TOKEN = "/v1/auth/token"


def basic(client_id: str) -> dict[str, str]:
    """Return the authentication of a client that has no secret."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:".encode()).decode()}


async def sent(
    api: RunningApi, form: dict[str, str], headers: dict[str, str] | None = None
) -> Answer:
    """Return the answer to a form."""
    asked = {"Accept": "application/json, text/plain, */*", "X-Requested-With": "XMLHttpRequest"}
    return await api.anonymous.send("POST", TOKEN, headers=asked | (headers or {}), data=form)


def password(org: Organization, **more: str) -> dict[str, str]:
    """Return the form of Swagger UI."""
    return {
        "grant_type": "password",
        "scope": "",
        "username": org.email,
        "password": PASSWORD,
    } | more


async def test_the_way_of_the_reference_page_leads_from_the_document_to_an_answer(
    api: RunningApi,
) -> None:
    """What Authorize does with an email, a password and the organization as client_id."""
    north = api.organization("Acme")
    document = (await api.anonymous.get("/openapi.json")).json
    flow = document["components"]["securitySchemes"]["password"]["flows"]["password"]
    assert flow["tokenUrl"] == TOKEN
    answer = await sent(api, password(north), basic(north.id))
    assert answer.status == 200
    assert answer.json["token_type"] == "Bearer"
    assert {"password": []} in document["paths"]["/v1/users/me"]["get"]["security"]
    me = await Client(api.url, answer.json["access_token"]).get("/v1/users/me")
    assert me.json["email"] == north.email


async def test_an_organization_is_named_in_the_form_by_basic_or_not_at_all(
    api: RunningApi, north: Organization, south: Organization
) -> None:
    assert (await sent(api, password(north, client_id=north.id))).status == 200
    assert (await sent(api, password(north), basic(""))).status == 401
    other = await sent(api, password(north, client_id=south.id), basic(north.id))
    me = await Client(api.url, other.json["access_token"]).get("/v1/users/me")
    assert me.json["organization_id"] == south.id, "the form counts"
    body = {"email": "one@example.com", "role": "viewer"}
    assert (await north.admin.post("/v1/users", body)).status == 201
    hashed = "(SELECT max(password_hash) FROM users WHERE email = 'boss@example.com')"
    api.sql(f"UPDATE users SET password_hash = {hashed} WHERE email = 'one@example.com'")
    alone = password(north) | {"username": "one@example.com"}
    assert (await sent(api, alone, basic(""))).status == 200


async def test_a_refresh_token_is_exchanged_by_a_form(api: RunningApi, north: Organization) -> None:
    pair = (await sent(api, password(north, client_id=north.id))).json
    form = {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
    answer = await api.anonymous.send("POST", "/v1/auth/refresh", data=form)
    assert answer.status == 200
    assert answer.json["refresh_token"] != pair["refresh_token"]


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"username": "a@b.c", "password": "x"}, 400, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, 400, "unsupported_grant_type"),
        ({"grant_type": "password", "username": "a@b.c"}, 422, "invalid_body"),
        ({"grant_type": "password", "username": "a@b.c", "password": ""}, 422, "invalid_body"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 422, "invalid_body"),
        ({f"p{number}": "x" for number in range(30)}, 400, "invalid_form"),
        (b"grant_type=%ff", 400, "invalid_form"),
    ],
)
async def test_a_form_that_is_none_is_refused(
    api: RunningApi, form: Any, status: int, code: str
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await api.anonymous.send("POST", TOKEN, headers=headers, data=form)
    assert (answer.status, answer.json["code"]) == (status, code)


@pytest.mark.parametrize("header", ["Basic", "Basic %%%", "Basic /w==", "Bearer x"])
async def test_authentication_that_cannot_be_read_names_no_organization(
    api: RunningApi, header: str
) -> None:
    form = {"grant_type": "password", "username": "nobody@example.com", "password": "x"}
    assert (await sent(api, form, {"Authorization": header})).status == 401
