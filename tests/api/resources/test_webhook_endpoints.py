"""Webhook endpoints, through HTTP."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from api.openapi.event_types import EVENT_TYPES
from db.core.ids import new_id
from db.core.secrets import SecretBox
from telemetry.ids import format_id, parse_id
from tests.api.running import Organization, RunningApi, running_api
from tests.servers import DatabaseUnderTest

pytestmark = pytest.mark.own_api

PATH = "/v1/webhook-endpoints"
BODY = {"url": "https://hooks.example.com/a?b=c", "types": ["asset.*", "asset.visit_amended"]}


async def test_an_endpoint_gets_a_secret_that_is_shown_once(
    api: RunningApi, north: Organization
) -> None:
    made = await north.admin.post(PATH, BODY | {"description": "ours"})
    assert made.status == 201
    endpoint = made.json
    secret = endpoint.pop("secret")
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert endpoint["id"].startswith("whe_")
    assert {name: endpoint[name] for name in BODY} == BODY
    shown = await north.viewer.get(f"{PATH}/{endpoint['id']}")
    listed = await north.viewer.get(PATH)
    assert shown.json == endpoint
    assert endpoint in listed.json["data"]
    assert secret not in (shown.content + listed.content).decode()


async def test_the_secret_is_stored_sealed_for_its_endpoint(
    api: RunningApi, north: Organization
) -> None:
    made = (await north.admin.post(PATH, BODY)).json
    endpoint = parse_id("whe", made["id"])
    ((sealed,),) = api.sql("SELECT secret_encrypted FROM webhook_endpoints WHERE id = %s", endpoint)
    box = SecretBox(api.settings.secret_key_bytes)
    assert box.open(bytes(sealed), endpoint.bytes).decode() == made["secret"]


async def test_a_deleted_endpoint_is_gone(north: Organization) -> None:
    path = f"{PATH}/{(await north.admin.post(PATH, BODY)).json['id']}"
    assert (await north.admin.delete(path)).status == 204
    assert (await north.admin.delete(path)).status == 404
    assert (await north.viewer.get(path)).status == 404


async def test_an_endpoint_that_is_not_there_is_a_404(north: Organization) -> None:
    path = f"{PATH}/{format_id('whe', new_id())}"
    assert (await north.admin.get(path)).status == 404
    assert (await north.admin.delete(path)).status == 404


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"url": "http://example.com/"}, "/url"),
        ({"url": "https://127.0.0.1/"}, "/url"),
        ({"url": "https://localhost/"}, "/url"),
        ({"url": "https://10.0.0.1/"}, "/url"),
        ({"url": "https://[::1]/"}, "/url"),
        ({"url": "https://169.254.169.254/latest"}, "/url"),
        ({"url": "ftp://example.com/"}, "/url"),
        ({"url": "https://example.com/" + "x" * 2000}, "/url"),
        ({"url": "nothing"}, "/url"),
        ({"url": "https://exa\x00mple.com"}, "/url"),
        ({"types": []}, "/types"),
        ({"types": "*"}, "/types"),
        ({"types": ["asset.geofence_breech"]}, "/types/0"),
        ({"types": ["*", "work_order.forgotten"]}, "/types/1"),
        ({"types": ["invoice.*"]}, "/types/0"),
        ({"types": ["*"] * 51}, "/types"),
        ({"description": "a\x00b"}, "/description"),
        ({"secret": "whsec_mine"}, "/secret"),
    ],
)
async def test_a_bad_field_is_a_422_that_points_at_it(
    north: Organization, change: dict[str, Any], pointer: str
) -> None:
    answer = await north.admin.post(PATH, BODY | change)
    assert answer.status == 422
    assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]


async def test_a_type_that_nothing_emits_is_answered_by_those_that_exist(
    north: Organization,
) -> None:
    answer = await north.admin.post(PATH, BODY | {"types": ["work_order.forgotten"]})
    (fault,) = answer.json["errors"]
    groups = ", ".join(sorted({name.partition(".")[0] + ".*" for name in EVENT_TYPES}))
    types = ", ".join(EVENT_TYPES)
    assert fault["message"] == f"must be *, a group ({groups}) or a type: {types}"
    assert {"asset.geofence_breach", "quote.sent", "work_order.created"} <= set(EVENT_TYPES)


async def test_an_endpoint_that_has_types_of_before_is_shown_as_it_is(
    api: RunningApi, north: Organization
) -> None:
    made = (await north.admin.post(PATH, BODY)).json
    types = ["quote.*", "work_order.created"]
    endpoint_id = parse_id("whe", made["id"])
    api.sql("UPDATE webhook_endpoints SET types = %s WHERE id = %s", types, endpoint_id)
    shown = await north.viewer.get(f"{PATH}/{made['id']}")
    assert shown.json["types"] == types
    document = (await api.anonymous.get("/openapi.json")).json
    schema = document["components"]["schemas"]["EndpointItem"]["properties"]["types"]
    Draft202012Validator(schema).validate(types)


@pytest.fixture(scope="module")
def development(database: DatabaseUnderTest) -> Iterator[RunningApi]:
    """An API that lets webhooks go to loopback."""
    with running_api(database, webhook_allow_loopback=True) as running:
        yield running


async def test_loopback_is_for_development_only(development: RunningApi) -> None:
    org = development.organization("Local")
    local = await org.admin.post(PATH, BODY | {"url": "http://127.0.0.1:9000/hook"})
    assert local.status == 201
    private = await org.admin.post(PATH, BODY | {"url": "http://10.0.0.1/hook"})
    assert private.status == 422
