"""Whatever goes wrong, the answer is a problem document that says what and where."""

import asyncio
import json
from importlib.metadata import version
from typing import Annotated, Any

import psycopg
import pytest
from fastapi import Body
from fastapi.dependencies.utils import get_dependant
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError, model_validator
from starlette.responses import Response

from api.http import fields
from api.limits.json_body import _keys_within, _keys_written
from api.request.handler_arguments import body_check
from api.resources.sign_in import Credentials
from db.core.connect import Limits
from db.core.ids import new_id
from telemetry.ids import format_id
from tests.api.problems import is_problem
from tests.api.running import Client, Organization, RunningApi, running_api
from tests.api.shapes import square
from tests.waiting import until

pytestmark = pytest.mark.own_api


_TEXTS = st.text(st.sampled_from('a\\":, {}\n\u00e9'))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner),
)


async def test_a_websocket_wants_an_upgrade(north: Organization) -> None:
    answer = await north.viewer.get("/v1/ws")
    assert is_problem(answer, 426, "upgrade_required")
    assert answer.headers["Upgrade"] == "websocket"


async def test_a_path_that_is_not_there_is_a_404(north: Organization) -> None:
    for path in ("/v1/nothing", "/v1/assets/x/y", "/redoc", "/%00", "//", "/v1//"):
        answer = await north.admin.get(path)
        assert is_problem(answer, 404, "not_found"), path
        assert answer.json["documentation"] == "/docs"


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/v1/assets/", "/v1/assets"),
        ("/assets", "/v1/assets"),
        ("/assets/", "/v1/assets"),
        ("//v1/assets", "/v1/assets"),
        ("/zones/zon_01jd8x0k2m4n6p8q0r2s4t6v8w", "/v1/zones/zon_01jd8x0k2m4n6p8q0r2s4t6v8w"),
        ("/auth/token/", "/v1/auth/token"),
        ("/docs/", "/docs"),
        ("/nothing", None),
        ("/v1/nothing/", None),
    ],
)
async def test_a_path_that_is_nearly_right_is_told_the_one_that_was_meant(
    north: Organization, path: str, meant: str | None
) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = await north.admin.send(method, path)
        assert is_problem(answer, 404, "not_found")
        assert answer.json.get("did_you_mean") == meant
        assert (meant or "/docs") in answer.json["detail"]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/v1/assets/123", "the id of an asset, like ast_"),
        ("/assets/123", "the id of an asset, like ast_"),
        ("/v1/zones/c4a760a8-dbcf-5254-a0d9-6a4474bd1b62/restore", "the id of a zone, like zon_"),
        ("/v1/work-orders/7/parts/8/consume", "the id of a work order, like wo_"),
    ],
)
async def test_a_word_in_the_place_of_an_id_is_told_what_an_id_looks_like(
    north: Organization, path: str, wanted: str
) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = await north.admin.send(method, path)
        assert is_problem(answer, 404, "not_found")
        assert wanted in answer.json["detail"]
        assert [fault["parameter"] for fault in answer.json["errors"]] == ["id"]
        assert answer.json["documentation"] == "/docs"


async def test_every_resource_says_what_its_ids_look_like(north: Organization) -> None:
    shown = (await north.admin.get("/openapi.json")).json
    paths = [path for path in shown["paths"] if path.endswith("/{id}")]
    assert len(paths) > 20
    for path in paths:
        answer = await north.admin.get(path.replace("{id}", "123"))
        assert is_problem(answer, 404, "not_found")
        assert "must be the id of" in answer.json["detail"], path


async def test_the_root_says_what_this_is_and_where_to_read_on(north: Organization) -> None:
    for path in ("/", "/v1"):
        shown = (await north.admin.get(path)).json
        assert (shown["name"], shown["version"]) == ("OPS Companion", version("ops-companion"))
        for name in ("documentation", "openapi", "api"):
            assert (await north.admin.get(shown[name])).status == 200


async def test_a_method_that_a_path_does_not_have_is_a_405_with_those_it_has(
    north: Organization,
) -> None:
    answer = await north.admin.send("PUT", "/v1/zones")
    assert is_problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    one = await north.admin.send("POST", f"/v1/zones/{format_id('zon', new_id())}")
    assert one.headers["Allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH"


@pytest.mark.parametrize("bad_id", ["x", "ast_", "trk_" + "0" * 26, "ast_" + "u" * 26, "ast_%00"])
async def test_an_id_that_cannot_be_is_a_404(north: Organization, bad_id: str) -> None:
    assert is_problem(await north.admin.get(f"/v1/assets/{bad_id}"), 404, "not_found")


async def test_an_unknown_parameter_is_a_400_that_lists_the_known_ones(
    north: Organization,
) -> None:
    answer = await north.viewer.get("/v1/visits", asset="x", frm="y")
    assert is_problem(answer, 400, "unknown_parameter")
    assert [fault["parameter"] for fault in answer.json["errors"]] == ["asset", "frm"]
    known = [
        "asset_id",
        "cursor",
        "cursors",
        "fields",
        "from",
        "limit",
        "offset",
        "open",
        "retracted",
    ]
    known += ["sort", "to", "total", "zone_id"]
    assert answer.json["known_parameters"] == known
    assert ", ".join(known) in answer.json["detail"]
    for path in (f"/v1/assets/{format_id('ast', new_id())}", "/v1/zones"):
        assert (await north.viewer.get(path, verbose=1)).json["code"] == "unknown_parameter"
    written = await north.admin.send("POST", "/v1/assets?dry=1", json={"name": "x"})
    assert written.json["code"] == "unknown_parameter"


@pytest.mark.parametrize(
    ("path", "parameter", "value"),
    [
        ("/v1/assets", "limit", "0"),
        ("/v1/assets", "limit", "1001"),
        ("/v1/assets", "limit", "ten"),
        ("/v1/assets", "limit", ""),
        ("/v1/assets", "limit", "1_0"),
        ("/v1/assets", "limit", " 5"),
        ("/v1/assets", "offset", "+1"),
        ("/v1/assets", "offset", "-1"),
        ("/v1/assets", "offset", "9" * 30),
        ("/v1/assets", "cursor", "x"),
        ("/v1/assets", "cursor", ""),
        ("/v1/assets", "cursor", "%C3%A4" * 10),
        ("/v1/assets", "cursor", "A" * 600),
        ("/v1/gps-events", "from", "yesterday"),
        ("/v1/gps-events", "from", "2026-01-01T00:00:00"),
        ("/v1/gps-events", "to", "2026-13-01T00:00:00Z"),
        ("/v1/gps-events", "asset_id", "1"),
        ("/v1/gps-events", "tracker_id", "ast_01jd8x0k2m4n6p8q0r2s4t6v8w"),
        ("/v1/visits", "zone_id", ""),
        ("/v1/events", "after", "-1"),
        ("/v1/events", "after", "9" * 30),
        ("/v1/events", "type", "nothing.*"),
    ],
)
async def test_a_value_that_a_parameter_cannot_have_is_a_400_that_names_it(
    north: Organization, path: str, parameter: str, value: str
) -> None:
    answer = await north.viewer.send("GET", path, params={parameter: value})
    assert is_problem(answer, 400, "invalid_parameter")
    assert [fault["parameter"] for fault in answer.json["errors"]] == [parameter]


async def test_a_parameter_given_twice_is_a_400(north: Organization) -> None:
    answer = await north.viewer.get("/v1/assets?limit=1&limit=2")
    assert is_problem(answer, 400, "invalid_parameter")


async def test_a_cursor_and_an_offset_do_not_go_together(north: Organization) -> None:
    answer = await north.viewer.get("/v1/assets", cursor="x", offset=0)
    assert is_problem(answer, 400, "invalid_parameter")


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"{'name': 'x'}",
        b'{"name": NaN}',
        b'{"name": Infinity}',
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'{"name": 1e999}',
        b'{"name": "x"} {}',
        b'{"name": "a", "name": "b"}',
        b'{"name": "a", "mechanical_state": {"a": 1, "\\u0061" : 2}}',
        b'{"name": ' + b"[" * 40 + b"]" * 40 + b"}",
        b"[" * 10_000,
        b'{"a":' * 10_000,
    ],
)
async def test_a_body_that_is_not_json_is_a_400(north: Organization, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await north.admin.send("POST", "/v1/assets", data=content, headers=headers)
    assert is_problem(answer, 400, "invalid_json")
    assert (await north.admin.post("/v1/assets", {"name": "good"})).status == 201


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_that_is_not_called_json_is_a_415(
    north: Organization, media_type: str
) -> None:
    headers = {"Content-Type": media_type}
    answer = await north.admin.send("POST", "/v1/assets", data=b"{}", headers=headers)
    assert is_problem(answer, 415, "not_json")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_a_body_of_another_charset_or_coding_is_a_415(
    north: Organization, headers: dict[str, str]
) -> None:
    answer = await north.admin.send("POST", "/v1/assets", data=b'{"name":"x"}', headers=headers)
    assert is_problem(answer, 415, "not_json")


@given(_VALUES)
def test_every_name_of_a_text_is_counted_once(value: Any) -> None:
    for content in (json.dumps(value), json.dumps(value, indent=1, separators=(" ,", "\t:\n"))):
        assert _keys_written(content.encode()) == _keys_within(value, 32)


async def test_a_body_may_say_its_charset(north: Organization) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    content = json.dumps({"name": "x"}).encode()
    answer = await north.admin.send("POST", "/v1/assets", data=content, headers=headers)
    assert answer.status == 201


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "   "}, "/name"),
        ({"name": None}, "/name"),
        ({"name": 3}, "/name"),
        ({"name": "x" * 201}, "/name"),
        ({"name": "a\x00b"}, "/name"),
        ({"name": "x", "colour": "red"}, "/colour"),
        ({"name": "x", "id": "ast_1"}, "/id"),
        ({"name": "x", "created_at": "2026-01-01T00:00:00Z"}, "/created_at"),
        ({"name": "x", "a/b~c": 1}, "/a~1b~0c"),
        ([], ""),
        ("x", ""),
        (None, ""),
    ],
)
async def test_a_body_with_a_bad_field_is_a_422_that_points_at_it(
    north: Organization, body: object, pointer: str
) -> None:
    answer = await north.admin.post("/v1/assets", body)
    assert is_problem(answer, 422, "invalid_body")
    assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]


async def test_no_body_is_a_422(north: Organization) -> None:
    assert is_problem(await north.admin.send("POST", "/v1/assets"), 422, "invalid_body")


async def test_a_body_beyond_the_limit_is_a_413(north: Organization) -> None:
    headers = {"Content-Type": "application/json"}
    too_much = b" " * (1024 * 1024 + 1)
    answer = await north.admin.send("POST", "/v1/assets", data=too_much, headers=headers)
    assert is_problem(answer, 413, "body_too_large")


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(north: Organization) -> None:
    async def endless() -> Any:
        for _ in range(64):
            yield b" " * 65_536

    headers = {"Content-Type": "application/json"}
    answer = await north.admin.send("POST", "/v1/assets", data=endless(), headers=headers)
    assert is_problem(answer, 413, "body_too_large")


@pytest.mark.parametrize("path", ["/v1/auth/token", "/v1/auth/session", "/v1/auth/refresh"])
async def test_a_body_of_nobody_in_particular_may_have_16_kib(api: RunningApi, path: str) -> None:
    headers = {"Content-Type": "application/json"}
    for size, code in ((16 * 1024, "invalid_body"), (16 * 1024 + 1, "body_too_large")):
        content = b"{" + b" " * (size - 2) + b"}"
        answer = await api.anonymous.send("POST", path, data=content, headers=headers)
        assert answer.json["code"] == code
    assert "16384" in answer.json["detail"]


@pytest.mark.parametrize(("path", "most"), [("/v1/assets", 20_000), ("/v1/zones", 400_000)])
async def test_a_body_of_too_many_values_is_a_413(
    north: Organization, path: str, most: int
) -> None:
    answer = await north.admin.post(path, [[]] * (most // 2 + 1))
    assert is_problem(answer, 413, "body_too_large")
    assert str(most) in answer.json["detail"]


UNKNOWN = {f"unknown{number}": 0 for number in range(5_000)}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/assets", UNKNOWN),
        ("/v1/zones", {"name": "x", "geometry": square(), "assets": UNKNOWN}),
        ("/v1/employees", {"first_name": 1, "certifications": [UNKNOWN] * 3}),
        ("/v1/assets/batch", [UNKNOWN] * 20),
        ("/v1/assets/batch", [{}] * 1_000),
        ("/v1/zones", {"name": "x", "geometry": square(), "assets": {"ids": [0] * 1_000}}),
    ],
)
async def test_a_hundred_faults_are_named_and_that_there_are_more(
    north: Organization, path: str, body: object
) -> None:
    answer = await north.admin.post(path, body)
    assert is_problem(answer, 422, "invalid_body")
    assert len(answer.json["errors"]) == 100
    assert answer.json["detail"].endswith("Only the first 100 errors are listed.")


def test_of_unknown_fields_no_more_are_looked_at_than_are_named() -> None:
    with pytest.raises(ValidationError) as caught:
        Credentials.model_validate(UNKNOWN | {"email": 1})
    assert caught.value.error_count() == 103  # 101 unknown, one bad, one missing


def test_of_an_array_no_more_items_are_checked_than_have_faults_that_are_named() -> None:
    seen: list[object] = []

    class Item(fields.Body):
        @model_validator(mode="before")
        @classmethod
        def _note(cls, value: object) -> object:
            seen.append(value)
            return value

    async def handler(body: Annotated[list[Item], Body(max_length=1_000)]) -> Response: ...

    (reads,) = get_dependant(path="/", call=handler).body_params
    _, faults = body_check(reads)([{"unknown": 0}] * 1_000)
    assert (len(seen), len(faults)) == (101, 101)
    assert faults[100]["loc"] == ("body", 100, "unknown")


async def test_an_array_is_as_long_as_it_may_be(north: Organization) -> None:
    for body, pointer in (([], ""), ([{}] * 1_001, ""), ({}, "")):
        answer = await north.admin.post("/v1/assets/batch", body)
        assert is_problem(answer, 422, "invalid_body")
        assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]


async def test_a_zone_may_be_larger_than_other_bodies(north: Organization) -> None:
    body = json.dumps({"name": "x", "geometry": square()}).encode() + b" " * 2_000_000
    headers = {"Content-Type": "application/json"}
    assert (await north.admin.send("POST", "/v1/zones", data=body, headers=headers)).status == 201


@pytest.mark.parametrize("given", ["abc", "0f-1_2.Z", "x" * 64])
async def test_a_plain_request_id_comes_back(north: Organization, given: str) -> None:
    answer = await north.viewer.get("/v1/assets", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", "ä"])
async def test_any_other_request_id_is_replaced(north: Organization, given: str) -> None:
    answer = await north.viewer.get("/v1/nothing", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] not in ("", given)
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]


async def test_a_question_that_takes_too_long_is_a_503(
    api: RunningApi, north: Organization
) -> None:
    with (
        running_api(
            api.database, limits=Limits(statement_s=1), secret_key=api.settings.secret_key
        ) as hasty,
        psycopg.connect(api.database.url("admin")) as conn,
    ):
        conn.execute("LOCK TABLE assets IN ACCESS EXCLUSIVE MODE")
        answer = await Client(hasty.url, north.viewer.token).get("/v1/assets")
    assert is_problem(answer, 503, "unavailable")
    assert "Retry-After" in answer.headers


async def test_a_connection_that_the_database_ends_is_a_503_and_the_next_request_works(
    api: RunningApi, north: Organization
) -> None:
    lock = psycopg.connect(api.database.url("admin"))
    lock.execute("LOCK TABLE assets IN ACCESS EXCLUSIVE MODE")
    pending = asyncio.create_task(north.viewer.get("/v1/assets"))
    terminate = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'test-api' AND wait_event_type = 'Lock'"
    )
    await until(lambda: api.sql(terminate))
    answer = await pending
    lock.close()
    assert is_problem(answer, 503, "unavailable")
    assert "terminat" not in answer.content.decode()
    assert (await north.viewer.get("/v1/assets")).status == 200


@pytest.mark.parametrize(
    ("path", "body", "code", "limit"),
    [
        ("/v1/users", {"role": "viewer"}, "required", None),
        ("/v1/users", {"role": "viewer", "email": "nobody"}, "email", None),
        ("/v1/clients", {"name": ""}, "min_length", 1),
        ("/v1/clients", {"name": "x" * 201}, "max_length", 200),
        ("/v1/clients", {"name": "x", "email": "nobody"}, "email", None),
        ("/v1/sites", {"name": "x", "lat": 91, "lon": 8}, "maximum", 90),
        ("/v1/sites", {"name": "x", "lat": -91, "lon": 8}, "minimum", -90),
        ("/v1/employees", {"name": "x", "timezone": "Middle/Earth"}, "timezone", None),
        ("/v1/assets", {"name": "x", "tags": ["t"] * 51}, "max_items", 50),
        ("/v1/zones", {"name": "x", "radius_m": 0}, "exclusive_minimum", 0),
        ("/v1/assets", {"name": "x", "tags": ["T"]}, None, None),
    ],
)
async def test_what_people_often_get_wrong_has_a_code(
    north: Organization, path: str, body: Any, code: str | None, limit: float | None
) -> None:
    answer = await north.admin.post(path, body)
    assert is_problem(answer, 422, "invalid_body")
    found = {(fault.get("code"), fault.get("limit")) for fault in answer.json["errors"]}
    assert (code, limit) in found
    assert all(fault["message"] for fault in answer.json["errors"])


async def test_a_fault_of_ours_is_a_500_that_tells_nothing(
    api: RunningApi, north: Organization
) -> None:
    api.sql("ALTER TABLE assets RENAME COLUMN make TO maker")
    answer = await north.viewer.get("/v1/assets")
    api.sql("ALTER TABLE assets RENAME COLUMN maker TO make")
    assert is_problem(answer, 500, "internal_error")
    assert "make" not in answer.content.decode()
    assert (await north.viewer.get("/v1/assets")).status == 200


async def test_health_needs_no_token(api: RunningApi) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await api.anonymous.get(path)).json == {"status": "ok"}
