"""Webhook endpoints, through HTTP."""

import base64
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from api.openapi.event_types import EVENT_TYPES
from db.core.ids import new_id
from db.core.secrets import SecretBox
from db.delivery.webhook_headers import open_headers
from telemetry.ids import format_id, parse_id
from tests.api.running import Client, Organization, RunningApi, running_api
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
    path = f"{PATH}/{endpoint['id']}"
    reading = (await north.admin.post("/v1/api-keys", {"name": "r", "scopes": ["*:read"]})).json
    reader = Client(api.url, reading["secret"])
    masked = endpoint | {"url": "https://hooks.example.com/***"}
    for caller, seen in (
        (north.admin, endpoint),
        (north.dispatcher, masked),
        (north.viewer, masked),
        (reader, masked),
    ):
        shown, listed = await caller.get(path), await caller.get(PATH)
        assert shown.json == seen
        assert seen in listed.json["data"]
        assert secret not in (shown.content + listed.content).decode()


async def test_the_secret_is_stored_sealed_for_its_endpoint(
    api: RunningApi, north: Organization
) -> None:
    made = (await north.admin.post(PATH, BODY)).json
    endpoint = parse_id("whe", made["id"])
    ((sealed,),) = api.sql("SELECT secret_encrypted FROM webhook_endpoints WHERE id = %s", endpoint)
    box = SecretBox(api.settings.secret_keys)
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


async def _made(org: Organization, **more: Any) -> dict[str, Any]:
    made = await org.admin.post(PATH, BODY | more)
    assert made.status == 201, made.json
    return made.json


async def test_a_new_endpoint_is_active_and_has_no_options(north: Organization) -> None:
    endpoint = await _made(north)
    shown = {name: endpoint[name] for name in ("state", "payload", "ordered", "headers", "tags")}
    assert shown == {
        "state": "active", "payload": "full", "ordered": False, "headers": {}, "tags": [],
    }  # fmt: skip
    assert endpoint["disabled_reason"] is endpoint["failing_since"] is None


async def test_the_given_fields_are_changed(north: Organization) -> None:
    path = f"{PATH}/{(await _made(north, description='ours'))['id']}"
    asset = (await north.admin.post("/v1/assets", {"name": "A"})).json["id"]
    change = {
        "url": "https://other.example.com/", "types": ["stock.low"], "description": None,
        "payload": "thin", "ordered": True, "asset_ids": [asset], "tags": ["crane"],
    }  # fmt: skip
    before = (await north.admin.get(path)).json
    changed = await north.admin.patch(path, change)
    assert changed.status == 200
    assert {name: changed.json[name] for name in change} == change
    assert changed.json["updated_at"] > before["updated_at"]
    assert changed.json["created_at"] == before["created_at"]
    assert (await north.admin.get(path)).json == changed.json
    assert (await north.admin.patch(path, {})).json == changed.json
    for client in (north.viewer, north.technician, north.dispatcher):
        assert (await client.patch(path, {"types": ["*"]})).status == 403


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"url": "https://10.0.0.1/"}, "/url"),
        ({"types": ["work_order.forgotten"]}, "/types/0"),
        ({"state": "gone"}, "/state"),
        ({"state": None}, "/state"),
        ({"tags": ["Crane 7"]}, "/tags/0"),
        ({"asset_ids": ["ast_01jd8x0k2m4n6p8q0r2s4t6v8w"]}, "/asset_ids/0"),
        ({"zone_ids": ["zon_01jd8x0k2m4n6p8q0r2s4t6v8w"] * 101}, "/zone_ids"),
        ({"headers": {"Host": "example.com"}}, "/headers/Host"),
        ({"headers": {"webhook-signature": "v1,x"}}, "/headers/webhook-signature"),
        ({"headers": {"X-Forwarded-For": "10.0.0.1"}}, "/headers/X-Forwarded-For"),
        ({"headers": {"Content-Length": "1"}}, "/headers/Content-Length"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "/headers/Transfer-Encoding"),
        ({"headers": {"Metadata-Flavor": "Google"}}, "/headers/Metadata-Flavor"),
        ({"headers": {"a b": "x"}}, "/headers/a b"),
        ({"headers": {"a/b": "x"}}, "/headers/a~1b"),
        ({"headers": {"x-a": "b\r\nx-c: d"}}, "/headers/x-a"),
        ({"headers": {"x-a": "ü"}}, "/headers/x-a"),
        ({"headers": {"x-a": ""}}, "/headers/x-a"),
        ({"headers": {"x-a": "***"}}, "/headers/x-a"),
        ({"headers": {"x-a": "1", "X-A": "2"}}, "/headers/X-A"),
        ({"headers": {f"x-{number}": "x" for number in range(11)}}, "/headers"),
        ({"headers": {"x-a": "x" * 501}}, "/headers/x-a"),
        ({"secret": "whsec_mine"}, "/secret"),
        ({"disabled_reason": None}, "/disabled_reason"),
    ],
)
async def test_a_bad_change_is_a_422_that_points_at_it(
    north: Organization, change: dict[str, Any], pointer: str
) -> None:
    path = f"{PATH}/{(await _made(north))['id']}"
    before = (await north.admin.get(path)).json
    answer = await north.admin.patch(path, change)
    assert answer.status == 422
    assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]
    assert (await north.admin.get(path)).json == before


async def test_headers_are_sealed_and_shown_without_their_values(
    api: RunningApi, north: Organization
) -> None:
    value = "a-token-that-nobody-may-see"
    endpoint = await _made(north, headers={"X-Api-Key": value})
    assert endpoint["headers"] == {"x-api-key": "***"}
    path = f"{PATH}/{endpoint['id']}"
    changed = await north.admin.patch(path, {"headers": {"authorization": f"Bearer {value}"}})
    assert changed.json["headers"] == {"authorization": "***"}
    answers = [
        await north.viewer.get(path),
        await north.viewer.get(PATH),
        await north.admin.get("/v1/audit-events", resource_id=endpoint["id"]),
    ]
    assert value not in "".join(answer.content.decode() for answer in [changed, *answers])
    endpoint_id = parse_id("whe", endpoint["id"])
    ((sealed,),) = api.sql(
        "SELECT headers_encrypted FROM webhook_endpoints WHERE id = %s", endpoint_id
    )
    box = SecretBox(api.settings.secret_keys)
    assert open_headers(box, endpoint_id, bytes(sealed)) == {"authorization": f"Bearer {value}"}
    gone = await north.admin.patch(path, {"headers": {}})
    assert gone.json["headers"] == {}


HERE = "https://hooks.example.com/ops"
ORIGINS = [
    ("https://hooks.example.com/other?a=b", True),
    ("https://HOOKS.example.com:443/", True),
    ("https://hooks.example.com:8443/ops", False),
    ("https://hooks.example.org/ops", False),
    ("https://example.com/ops", False),
]


@pytest.mark.parametrize(("url", "is_same"), ORIGINS)
async def test_hidden_headers_go_to_no_other_origin(
    api: RunningApi, north: Organization, url: str, is_same: bool
) -> None:
    endpoint = await _made(north, url=HERE, headers={"X-Api-Key": "a-secret"})
    path = f"{PATH}/{endpoint['id']}"
    before = (await north.admin.get(path)).json
    answer = await north.admin.patch(path, {"url": url})
    if is_same:
        assert (answer.status, answer.json["headers"]) == (200, {"x-api-key": "***"})
        return
    assert answer.status == 422
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/headers"]
    assert (await north.admin.get(path)).json == before
    again = await north.admin.patch(path, {"url": url, "headers": {"x-api-key": "another"}})
    assert (again.status, again.json["headers"]) == (200, {"x-api-key": "***"})
    gone = await north.admin.patch(path, {"url": HERE, "headers": {}})
    assert (gone.status, gone.json["headers"]) == (200, {})
    assert (await north.admin.patch(path, {"url": url})).status == 200, "nothing is hidden"


async def test_an_endpoint_is_disabled_and_enabled(api: RunningApi, north: Organization) -> None:
    endpoint = await _made(north)
    path = f"{PATH}/{endpoint['id']}"
    api.sql(
        "INSERT INTO webhook_failures (org_id, endpoint_id) VALUES (%s, %s)",
        parse_id("org", north.id),
        parse_id("whe", endpoint["id"]),
    )
    assert (await north.viewer.get(path)).json["failing_since"] is not None
    off = (await north.admin.patch(path, {"state": "disabled"})).json
    assert (off["state"], off["disabled_reason"]) == ("disabled", "user")
    assert off["disabled_at"] is not None
    assert (await north.admin.patch(path, {"state": "disabled"})).json == off
    listed = (await north.viewer.get(PATH, state="disabled")).json["data"]
    assert [each["id"] for each in listed] == [endpoint["id"]]
    on = (await north.admin.patch(path, {"state": "active"})).json
    assert on["state"] == "active"
    assert on["disabled_reason"] is on["disabled_at"] is on["failing_since"] is None
    assert (await north.admin.get(path)).json == on


async def test_a_restored_endpoint_begins_without_failures(
    api: RunningApi, north: Organization
) -> None:
    made = await _made(north)
    path = f"{PATH}/{made['id']}"
    api.sql(
        "INSERT INTO webhook_failures (org_id, endpoint_id) VALUES (%s, %s)",
        parse_id("org", north.id),
        parse_id("whe", made["id"]),
    )
    assert (await north.admin.delete(path)).status == 204
    restored = (await north.admin.send("POST", f"{path}/restore")).json
    assert restored["failing_since"] is None
    assert (await north.admin.get(path)).json == restored


async def test_a_rotated_secret_is_shown_once_and_the_old_one_signs_for_a_while(
    api: RunningApi, north: Organization
) -> None:
    made = await _made(north)
    path = f"{PATH}/{made['id']}"
    for client in (north.viewer, north.technician, north.dispatcher):
        assert (await client.post(f"{path}/rotate", {})).status == 403
    answer = await north.admin.post(f"{path}/rotate", {})
    assert answer.status == 200
    rotated = answer.json
    secret = rotated.pop("secret")
    assert secret != made["secret"]
    shown = await north.admin.get(path)
    assert shown.json == rotated
    assert shown.json["previous_secret_until"] is not None
    columns = "secret_encrypted, previous_secret_encrypted"
    endpoint_id = parse_id("whe", made["id"])
    box = SecretBox(api.settings.secret_keys)

    def stored() -> list[str | None]:
        (row,) = api.sql(f"SELECT {columns} FROM webhook_endpoints WHERE id = %s", endpoint_id)
        return [one and box.open(bytes(one), endpoint_id.bytes).decode() for one in row]

    assert stored() == [secret, made["secret"]]
    at_once = await north.admin.post(f"{path}/rotate", {"expires_previous_in_s": 0})
    assert stored() == [at_once.json["secret"], None]
    audit = await north.admin.get("/v1/audit-events", resource_id=made["id"])
    assert "whsec_" not in audit.content.decode()
    assert '"secret": true' in audit.content.decode().replace('":true', '": true')


@pytest.mark.parametrize(
    ("path", "body", "overlap_s"),
    [
        ("rotate", {}, 86_400),
        ("rotate", {"expires_previous_in_s": 60}, 60),
        ("rotate", {"overlap_hours": 2}, 7_200),
        ("rotate", {"expires_previous_in_s": 60, "overlap_hours": 2}, 60),
        ("rotate-secret", {"overlap_hours": 2}, 7_200),
    ],
)
async def test_the_former_path_and_field_of_a_rotation_still_work(
    north: Organization, path: str, body: dict[str, int], overlap_s: int
) -> None:
    made = await _made(north)
    rotated = (await north.admin.post(f"{PATH}/{made['id']}/{path}", body)).json
    until, at = (
        datetime.fromisoformat(rotated[name]) for name in ("previous_secret_until", "updated_at")
    )
    assert abs((until - at).total_seconds() - overlap_s) < 30
