"""What every request meets, whatever its resource: methods, headers, compression, bounds."""

import asyncio
import gzip
import json
from typing import Any

import aiohttp
import brotli
import psycopg
import pytest
from multidict import CIMultiDict

from api.http import server
from api.http.answers import compression
from telemetry.ids import parse_id
from tests.api.problems import is_problem
from tests.api.running import Answer, Organization, RunningApi, running_api
from tests.servers import DatabaseUnderTest

pytestmark = pytest.mark.own_api

ORIGIN = "https://app.example.com"


async def _raw(api: RunningApi, *parts: bytes, pause_s: float = 0) -> Answer:
    """Return what a server says to these bytes, until it ends the connection."""
    port = int(api.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
    except ConnectionError:
        pass  # it has answered already
    head, _, content = (await asyncio.wait_for(reader.read(), 20)).partition(b"\r\n\r\n")
    writer.close()
    first, *lines = head.decode().split("\r\n")
    headers = CIMultiDict(line.split(": ", 1) for line in lines)
    return Answer(int(first.split()[1]), headers, content)


async def test_a_head_is_a_get_without_content(north: Organization) -> None:
    for path in ("/v1/assets", "/openapi.json", "/v1/nothing"):
        got = await north.viewer.get(path)
        head = await north.viewer.send("HEAD", path)
        assert (head.status, head.content) == (got.status, b"")
        for name in ("Content-Type", "ETag", "Content-Length"):
            if path != "/v1/nothing":  # whose problem has an id that is as long as any
                assert head.headers.get(name) == got.headers.get(name)


async def test_options_tells_the_methods_without_a_token(api: RunningApi) -> None:
    answer = await api.anonymous.send("OPTIONS", "/v1/zones")
    assert (answer.status, answer.content) == (204, b"")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"
    assert is_problem(await api.anonymous.send("OPTIONS", "/v1/nothing"), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/auth/session", "DELETE, GET, HEAD, OPTIONS, POST"),
        ("/v1/organization", "GET, HEAD, OPTIONS, PATCH"),
        ("/v1/zones/batch", "OPTIONS, POST"),
    ],
)
async def test_the_methods_of_routers_that_were_included_are_told(
    api: RunningApi, path: str, methods: str
) -> None:
    answer = await api.anonymous.send("OPTIONS", path)
    assert (answer.status, answer.headers["Allow"]) == (204, methods)


@pytest.mark.parametrize("method", ["PUT", "TRACE", "CONNECT", "PROPFIND", "DELETE"])
async def test_any_other_method_is_a_405(api: RunningApi, method: str) -> None:
    request = f"{method} /v1/assets HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = await _raw(api, request.encode())
    assert is_problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


async def test_every_answer_has_security_headers(api: RunningApi, north: Organization) -> None:
    for answer in (
        await north.viewer.get("/v1/assets"),
        await north.viewer.get("/v1/nothing"),
        await api.anonymous.get("/v1/assets"),
        await api.anonymous.get("/healthz"),
        await _raw(api, b"nonsense\r\n\r\n"),
    ):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Strict-Transport-Security" not in answer.headers
    csp = (await north.viewer.get("/v1/assets")).headers["Content-Security-Policy"]
    assert csp == "default-src 'none'; frame-ancestors 'none'"


# Compression


async def _coded(north: Organization, accepted: str, path: str, **headers: str) -> tuple[Any, ...]:
    """Return status, coding and tag; the content must be good."""
    token = {"Authorization": f"Bearer {north.viewer.token}", "Accept-Encoding": accepted}
    url = north.viewer._url + path
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(url, headers={**token, **headers}) as response,
    ):
        content = await response.read()
        coding = response.headers.get("Content-Encoding")
        unpack = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}[coding]
        if response.status == 200:
            json.loads(unpack(content))
        assert response.headers["Vary"] == "Accept-Encoding"
        return response.status, coding, response.headers["ETag"]


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip, deflate, br", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("*", "br"),
        ("br;q=0, *", "gzip"),
        ("GZIP", "gzip"),
        ("identity", None),
        ("gzip;q=0", None),
        ("gzip;q=x", None),
        ("deflate", None),
        ("", None),
    ],
)
async def test_a_large_answer_is_coded_as_the_client_likes_best(
    north: Organization, accepted: str, coding: str | None
) -> None:
    while len((await north.viewer.get("/v1/assets")).content) < compression.LEAST_BYTES:
        await north.admin.post("/v1/assets", {"name": "x" * 200})
    status, found, tag = await _coded(north, accepted, "/v1/assets")
    assert (status, found) == (200, coding)
    assert tag.endswith(f'.{coding}"') == (coding is not None)
    again = await _coded(north, accepted, "/v1/assets", **{"If-None-Match": tag})
    assert again == (304, None, tag)


async def test_a_small_answer_is_not_compressed(north: Organization) -> None:
    path = (await north.admin.post("/v1/assets", {"name": "x"})).headers["Location"]
    assert (await _coded(north, "br, gzip", path))[1] is None


async def test_a_compressed_answers_tag_is_good_for_a_change(north: Organization) -> None:
    made = await north.admin.post("/v1/assets", {"name": "x"})
    tag = made.headers["ETag"][:-1] + '.br"'
    changed = await north.admin.send(
        "PATCH", made.headers["Location"], headers={"If-Match": tag}, json={"name": "y"}
    )
    assert changed.status == 200


async def test_an_answer_to_a_post_is_never_compressed(north: Organization) -> None:
    body = {"name": "Yard", "geometry": {"type": "Point", "coordinates": [0, 0]}, "radius_m": 5}
    large = body | {"assets": {"tags": [f"tag-{number:03}-{'x' * 40}" for number in range(50)]}}
    answer = await north.admin.post("/v1/zones", large)
    assert answer.status == 201
    assert len(answer.content) > compression.LEAST_BYTES
    assert "Content-Encoding" not in answer.headers


# Pages of other origins


@pytest.fixture(scope="module")
def open_api(database: DatabaseUnderTest, api: RunningApi) -> Any:
    """An API that pages of ORIGIN may read."""
    with running_api(database, api_allowed_origins=f"{ORIGIN}, http://localhost:5173") as running:
        yield running


async def test_a_page_of_an_origin_that_is_set_may_read(open_api: RunningApi) -> None:
    for path in ("/healthz", "/v1/assets", "/v1/nothing", "/v1/assets?cursor=" + "x" * 9000):
        answer = await open_api.anonymous.get(path, headers={"Origin": ORIGIN})
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "Origin" in answer.headers["Vary"]
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
        assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_a_preflight_tells_methods_and_headers(open_api: RunningApi) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    answer = await open_api.anonymous.send("OPTIONS", "/v1/zones", headers=asked)
    assert answer.status == 200
    assert "X-Request-Id" in answer.headers
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "POST" in answer.headers["Access-Control-Allow-Methods"].split(", ")
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert answer.headers["Access-Control-Max-Age"] == "600"


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", ORIGIN + ":8443", ""])
async def test_a_page_of_another_origin_may_not(open_api: RunningApi, origin: str) -> None:
    for method in ("GET", "OPTIONS"):
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        answer = await open_api.anonymous.send(method, "/v1/assets", headers=asked)
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Origin" in answer.headers["Vary"]


async def test_a_preflight_allows_every_method_there_is(open_api: RunningApi) -> None:
    document = (await open_api.anonymous.get("/openapi.json")).json
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET"}
    answer = await open_api.anonymous.send("OPTIONS", "/v1/zones", headers=asked)
    methods = {method.upper() for path in document["paths"].values() for method in path}
    assert methods <= set(answer.headers["Access-Control-Allow-Methods"].split(", "))


async def test_a_page_may_read_what_failed_through_a_fault_of_ours(
    open_api: RunningApi,
) -> None:
    org = open_api.organization("Faulty")
    open_api.sql("ALTER TABLE assets RENAME COLUMN make TO maker")
    answer = await org.viewer.get("/v1/assets", headers={"Origin": ORIGIN})
    open_api.sql("ALTER TABLE assets RENAME COLUMN maker TO make")
    assert is_problem(answer, 500, "internal_error")
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_without_origins_that_are_set_nobody_elsewhere_may(api: RunningApi) -> None:
    answer = await api.anonymous.get("/healthz", headers={"Origin": ORIGIN})
    assert "Access-Control-Allow-Origin" not in answer.headers


# Bounds


async def test_what_is_no_http_is_a_problem(api: RunningApi) -> None:
    for nonsense in (
        b"hello\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET /healthz\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ):
        assert is_problem(await _raw(api, nonsense), 400, "invalid_http")


async def test_a_url_that_is_too_long_is_a_414(api: RunningApi) -> None:
    answer = await api.anonymous.get("/v1/assets?cursor=" + "x" * 9000)
    assert is_problem(answer, 414, "target_too_long")


@pytest.mark.parametrize("header", ["Authorization: Bearer x", "Host: y", "host: x"])
async def test_a_header_that_is_said_once_and_comes_twice_is_a_400(
    api: RunningApi, header: str
) -> None:
    both = f"Host: x\r\nAuthorization: Bearer y\r\n{header}\r\nConnection: close\r\n\r\n"
    answer = await _raw(api, b"GET /v1/assets HTTP/1.1\r\n" + both.encode())
    assert is_problem(answer, 400, "header_repeated")


UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


@pytest.mark.parametrize("others", ["Connection: close\r\n", UPGRADE], ids=["plain", "websocket"])
@pytest.mark.parametrize(
    "host", ["", "Host:\r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: a:b\r\n", "Host: b@a\r\n"]
)
async def test_a_request_without_a_good_host_is_a_400(
    api: RunningApi, host: str, others: str
) -> None:
    path = "/healthz" if others != UPGRADE else "/v1/ws"
    answer = await _raw(api, f"GET {path} HTTP/1.1\r\n{host}{others}\r\n".encode())
    assert is_problem(answer, 400, "invalid_host")


async def test_a_host_that_is_said_twice_opens_no_websocket(api: RunningApi) -> None:
    answer = await _raw(api, f"GET /v1/ws HTTP/1.1\r\nHost: a\r\nHost: a\r\n{UPGRADE}\r\n".encode())
    assert is_problem(answer, 400, "header_repeated")


@pytest.mark.parametrize(
    "host",
    ["ops.example.com", "ops_1:8000", "127.0.0.1:80", "[::1]:8000", "[fe80::1%25eth0]", "a:"],
)
async def test_a_name_or_an_address_is_a_good_host(api: RunningApi, host: str) -> None:
    request = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    assert (await _raw(api, request.encode())).status == 200


async def test_http_1_0_needs_no_host(api: RunningApi) -> None:
    assert (await _raw(api, b"GET /healthz HTTP/1.0\r\n\r\n")).status == 200


async def test_headers_that_are_too_large_are_a_431(api: RunningApi) -> None:
    answer = await api.anonymous.get("/v1/assets", headers={"X-Filler": "x" * 40_000})
    assert is_problem(answer, 431, "headers_too_large")


async def test_a_head_that_never_ends_is_cut_off(api: RunningApi) -> None:
    lines = [b"X-Filler: " + b"x" * 1000 + b"\r\n"] * 1000
    answer = await _raw(api, b"GET / HTTP/1.1\r\nHost: x\r\n", *lines)
    assert is_problem(answer, 431, "headers_too_large")


async def test_a_head_that_does_not_come_is_a_408(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_S", 0.1)
    answer = await _raw(api, b"GET / HTTP/1.1\r\nHost: x\r\n")
    assert is_problem(answer, 408, "request_timeout")
    port = int(api.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await asyncio.wait_for(reader.read(), 20) == b""  # who says nothing hears nothing
    writer.close()


async def test_a_connection_is_kept_for_the_next_request(api: RunningApi) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = await _raw(api, one, one, last, pause_s=0.05)
    assert answer.content.count(b"HTTP/1.1 200 OK") == 2  # behind the first head


async def test_more_connections_than_are_let_in_are_a_503(
    api: RunningApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 0)
    answer = await _raw(api, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert is_problem(answer, 503, "unavailable")
    assert "Retry-After" in answer.headers


async def test_a_client_that_takes_nothing_is_cut_off(
    api: RunningApi, north: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "TAKING_S", 0.2)
    body = {"name": "x", "geometry": {"type": "Point", "coordinates": [0, 0]}, "radius_m": 1}
    path = (await north.admin.post("/v1/zones", body)).headers["Location"]
    api.sql(
        "UPDATE zone_shapes AS shape SET geometry = json_build_array(repeat('x', 20000000))"
        " FROM zone_versions AS version WHERE version.org_id = shape.org_id"
        " AND version.geometry_sha256 = shape.geometry_sha256 AND zone_id = %s",
        parse_id("zon", path.rpartition("/")[2]),
    )
    port = int(api.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    asked = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {north.viewer.token}\r\n\r\n"
    writer.write(asked.encode())
    await asyncio.sleep(2)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(20_000_000), 20)
    writer.close()
    assert (await north.viewer.get("/v1/assets")).status == 200


@pytest.fixture(scope="module")
def hasty_api(database: DatabaseUnderTest, api: RunningApi) -> Any:
    """An API that waits for nobody."""
    with running_api(database, api_body_timeout_s=0.1, api_request_timeout_s=0.2) as running:
        yield running


async def test_a_body_that_does_not_come_is_a_408(hasty_api: RunningApi) -> None:
    org = hasty_api.organization("Slow")
    head = (
        f"POST /v1/assets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {org.admin.token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    )
    assert is_problem(await _raw(hasty_api, head.encode() + b"{"), 408, "request_timeout")


async def test_a_request_that_takes_too_long_is_a_503_and_does_nothing(
    hasty_api: RunningApi,
) -> None:
    org = hasty_api.organization("Late")
    with psycopg.connect(hasty_api.database.url("admin")) as conn:
        conn.execute("LOCK TABLE asset_tags IN ACCESS EXCLUSIVE MODE")
        answer = await org.admin.post("/v1/assets", {"name": "x"})
    assert is_problem(answer, 503, "unavailable")
    assert hasty_api.sql("SELECT FROM assets WHERE org_id = %s", org.org_id) == []
