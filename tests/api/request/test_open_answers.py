"""No answer that anybody may ask for, without a credential, keeps the event loop busy for long.

Each route that needs no token is asked, and so are paths that no route has. What a request costs is
counted, not timed: the calls of functions, and the bytes that are written as JSON, hashed or
compressed. The application runs in the test, without a server and without a database.
"""

import asyncio
import base64
import hashlib
import re
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import brotli
import msgspec
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Message

from api.app import create_app
from api.http import encoding, etags
from api.http.answers import compression
from api.http.answers.fixed_answers import FixedAnswer
from api.request.route import FixedRoute, TenantRoute
from api.resources import docs_page
from api.resources.dashboard import BUILT
from api.settings import ApiSettings
from db.core.connect import pool

NOWHERE = "postgresql://opsc_app@127.0.0.1:1/opsc"
MOST_CALLS = 20_000
"""Of functions, for a request: 5,000 of them take a millisecond or less."""
MORE_CALLS = {"parameters": 60_000}  # most of them of functions in C: two milliseconds
MOST_BYTES = 64 * 1024
"""That are written, hashed or compressed for a request."""
LINE_BYTES = 1_000
"""Of the line of the log, the only thing that is written for a fixed answer."""
CODINGS = ("br", "gzip", "")
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
MANY = ",".join(f"x{number}" for number in range(4_000))
# Whatever anybody may send, as large as it may be.
WORST: Mapping[str, tuple[str, str, dict[str, str], bytes]] = {
    "no path": ("GET", "/nothing", {}, b""),
    "no path of the API": ("GET", "/v1/nothing", {}, b""),
    "no method": ("PUT", "/v1/assets", {}, b""),
    "no id": ("GET", "/v1/work-orders/123/comments", {}, b""),
    "a long path": ("GET", "/v1/nothing/" + "x" * 7_000, {}, b""),
    "a path of ids": ("GET", "/v1/work-orders/" + "_/" * 3_500, {}, b""),
    "the methods of a path": ("OPTIONS", "/v1/assets", {}, b""),
    "no token": ("GET", "/v1/assets", {}, b""),
    "a bad token": ("GET", "/v1/assets", {"authorization": "Bearer a.b." + "c" * 30_000}, b""),
    "codings": ("GET", "/docs/swagger-ui.css", {"accept-encoding": MANY}, b""),
    "languages": ("GET", "/invitation", {"accept-language": MANY}, b""),
    "types": ("GET", "/app/", {"accept": MANY}, b""),
    "tags": ("GET", "/openapi.json", {"if-none-match": '"x",' * 2_000}, b""),
    "parameters": ("GET", "/.well-known/jwks.json?" + "x&" * 4_000, {}, b""),
    "a body of values": ("POST", "/v1/auth/token", JSON, b"[" + b"[]," * 5_000 + b"1]"),
    "a form": ("POST", "/v1/auth/token", FORM, b"email=" + b"%41" * 5_000),
    "a long form": ("POST", "/quotes/x/accept", FORM, b"name=" + b"%41" * 99_000),
}


class Answered(NamedTuple):
    """An answer: its status, its headers, and the objects that are its content."""

    status: int
    headers: dict[str, str]
    parts: list[Any]

    @property
    def content(self) -> bytes:
        return b"".join(self.parts)


class Worked(NamedTuple):
    """The cost of a request. encoded: bytes, by what was done with them."""

    calls: int
    encoded: Counter[str]


def made(requests_per_minute: int) -> FastAPI:
    """Return an application whose database is nowhere."""
    known = {
        "database_url": NOWHERE,
        "secret_key": base64.urlsafe_b64encode(bytes(32)).decode("ascii"),
        "log_level": "error",
        "api_address_requests_per_minute": requests_per_minute,
    }
    return create_app(ApiSettings.model_validate(known), pool(NOWHERE, "nowhere", max_size=1))


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """An application that counts nobody out."""
    return made(1_000_000)


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The bytes that were written as JSON, hashed and compressed so far."""
    counted = Counter[str]()

    class Hash:
        def __init__(self, **options: Any) -> None:
            self._hash = hashlib.blake2b(**options)
            self.digest = self._hash.digest

        def update(self, content: bytes) -> None:
            counted["hashed"] += len(content)
            self._hash.update(content)

    class Encoder:
        def encode(self, value: object) -> bytes:
            return write(value)

    def write(value: object) -> bytes:
        written = msgspec.json.Encoder().encode(value)
        counted["written"] += len(written)
        return written

    def br(content: bytes, quality: int = 3) -> bytes:
        counted["compressed"] += len(content)
        return brotli.compress(content, quality=quality)

    def gzip(content: bytes, level: int = 1) -> bytes:
        counted["compressed"] += len(content)
        return zlib.compress(content, level, 31)

    monkeypatch.setattr(etags, "blake2b", Hash)
    monkeypatch.setattr(encoding, "_encoder", Encoder())
    monkeypatch.setattr(msgspec.json, "encode", write)
    monkeypatch.setattr(compression, "_CODINGS", {"br": br, "gzip": gzip})
    return counted


async def ask(
    app: FastAPI,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes = b"",
    address: str = "192.0.2.1",
) -> Answered:
    """Let the application answer a request."""
    path, _, query = target.partition("?")
    sent, came = list[Message](), False

    async def receive() -> Message:
        nonlocal came
        if came:
            await asyncio.Event().wait()
        came = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    every = {"host": "localhost", "accept": "text/html", **headers}
    scope: dict[str, Any] = {
        "type": "http",
        "app": app,
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in every.items()],
        "client": (address, 1),
        "server": ("localhost", 80),
        "scheme": "http",
        "http_version": "1.1",
    }
    await app(scope, receive, send)
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answered(sent[0]["status"], told, [each["body"] for each in sent[1:] if each["body"]])


@contextmanager
def counted_calls() -> Iterator[Counter[str]]:
    """Count the calls of functions on this thread while the block lasts."""
    calls = Counter[str]()

    def note(_: object, event: str, __: object) -> None:
        calls[event] += 1

    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)


async def worked(
    app: FastAPI,
    encoded: Counter[str],
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes = b"",
) -> tuple[Answered, Worked]:
    """Return the answer to a request, and what it cost."""
    encoded.clear()
    with counted_calls() as calls:
        answered = await ask(app, method, target, headers, body)
    return answered, Worked(calls["call"] + calls["c_call"], Counter(encoded))


def open_routes(app: FastAPI) -> list[APIRoute]:
    """Return the routes that need no token."""
    return [
        route
        for route in app.routes
        if isinstance(route, APIRoute) and not isinstance(route, TenantRoute)
    ]


def target_of(route: APIRoute) -> str:
    """Return a path of a route; of files the largest one."""
    if route.path == "/app/static/{name}":
        files = [path for path in (BUILT / "static").iterdir() if path.suffix == ".js"]
        return f"/app/static/{max(files, key=lambda path: path.stat().st_size).name}"
    path = route.path.replace("{id:id}", "insp_" + "0" * 26)
    return re.sub(r"\{\w+(:path)?\}", "x" * 50, path)


def bodies_of(route: APIRoute) -> tuple[dict[str, str], bytes]:
    """Return the largest body that a route takes from anybody, with its headers."""
    if route.body_field is None:
        return {}, b""
    if route.path.startswith("/quotes/"):
        return FORM, b"name=" + b"%41" * 99_000
    return JSON, b"{" + b",".join(b'"x%d":1' % number for number in range(1_500)) + b"}"


async def test_no_open_route_does_much_for_an_answer(app: FastAPI, encoded: Counter[str]) -> None:
    routes = open_routes(app)
    assert len(routes) > 30
    for route in routes:
        method = "POST" if route.methods == {"POST"} else "GET"
        headers, body = bodies_of(route)
        for coding in CODINGS:
            headers["accept-encoding"] = coding
            await ask(app, method, target_of(route), headers, body)  # what is made once is made
            answered, cost = await worked(app, encoded, method, target_of(route), headers, body)
            assert cost.calls < MOST_CALLS, route.path
            assert max(cost.encoded.values(), default=0) < MOST_BYTES, route.path
            assert answered.status != 500, route.path


async def test_a_fixed_answer_is_neither_written_nor_hashed_nor_compressed(
    app: FastAPI, encoded: Counter[str]
) -> None:
    fixed = [route for route in open_routes(app) if isinstance(route, FixedRoute)]
    assert {"/openapi.json", "/docs", "/app/static/{name}"} < {route.path for route in fixed}
    for route in fixed:
        for coding in CODINGS:
            headers = {"accept-encoding": coding}
            first = await ask(app, "GET", target_of(route), headers)
            again, cost = await worked(app, encoded, "GET", target_of(route), headers)
            assert cost.encoded.pop("written") < LINE_BYTES, route.path
            assert cost.encoded == {}, route.path
            if "{" not in route.path and again.status == 200:  # no file, and no page with a nonce
                assert len(again.parts) == 1, route.path
                assert again.parts[0] is first.parts[0], route.path


@pytest.mark.parametrize("name", WORST)
async def test_what_is_asked_in_the_worst_way_costs_no_more(
    app: FastAPI, encoded: Counter[str], name: str
) -> None:
    method, target, headers, body = WORST[name]
    await ask(app, method, target, headers, body)
    answered, cost = await worked(app, encoded, method, target, headers, body)
    assert answered.status != 500
    assert cost.calls < MORE_CALLS.get(name, MOST_CALLS)
    assert max(cost.encoded.values(), default=0) < MOST_BYTES


def test_the_page_lists_what_anybody_may_ask_for(app: FastAPI) -> None:
    page = (Path(__file__).parents[3] / "docs" / "hostile.md").read_text("utf-8")
    (table,) = re.findall(r"^\| path \|.*?\n(.*?)\n\n", page, re.MULTILINE | re.DOTALL)
    rows = [line.split(" | ") for line in table.splitlines()[1:]]
    listed = dict(_listed(rows))
    paths = {route.path.replace("{id:id}", "{id}"): route for route in open_routes(app)}
    assert set(listed) == {*paths, "/v1/ws"}
    for path, route in paths.items():
        assert listed[path] == isinstance(route, FixedRoute), path


def _listed(rows: list[list[str]]) -> Iterator[tuple[str, bool]]:
    for paths, counted, *_ in rows:
        for path in re.findall(r"`(/[^`]*)`", paths):
            yield path, counted == "by bytes"


async def test_the_document_has_the_same_content_in_each_form(app: FastAPI) -> None:
    plain = await ask(app, "GET", "/openapi.json", {})
    assert msgspec.json.decode(plain.content)["openapi"].startswith("3.1")
    tag = plain.headers["etag"].strip('"')
    for coding, expand in (
        ("br", brotli.decompress),
        ("gzip", lambda one: zlib.decompress(one, 31)),
    ):
        coded = await ask(app, "GET", "/openapi.json", {"accept-encoding": coding})
        assert expand(coded.content) == plain.content
        assert coded.headers["content-encoding"] == coding
        assert coded.headers["content-length"] == str(len(coded.content))
        assert coded.headers["etag"] == f'"{tag}.{coding}"'
        assert coded.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "target", ["/openapi.json", "/docs/swagger-ui.css", "/quotes/assets/page.css"]
)
async def test_who_has_the_tag_gets_no_content(app: FastAPI, target: str) -> None:
    for coding in CODINGS:
        whole = await ask(app, "GET", target, {"accept-encoding": coding})
        assert (whole.status, len(whole.content) > 1_000) == (200, True)
        held = {"accept-encoding": coding, "if-none-match": whole.headers["etag"]}
        answered = await ask(app, "GET", target, held)
        assert (answered.status, answered.content) == (304, b"")
        for name in ("etag", "cache-control", "vary"):
            assert answered.headers[name] == whole.headers[name], name


async def test_many_first_requests_make_the_document_once(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    times, may_end = 0, threading.Event()

    def document() -> dict[str, Any]:
        nonlocal times
        times += 1
        may_end.wait(60)
        return {"openapi": "3.1.0"}

    fresh = FixedAnswer(
        lambda request: msgspec.json.encode(request.app.openapi()), "application/json"
    )
    monkeypatch.setattr(docs_page, "_DOCUMENT", fresh)
    monkeypatch.setattr(app, "openapi", document)
    asking = [asyncio.create_task(ask(app, "GET", "/openapi.json", {})) for _ in range(8)]
    for _ in range(100):  # all have come to where they wait
        await asyncio.sleep(0)
    assert (await ask(app, "GET", "/healthz", {})).status == 200
    may_end.set()
    assert [each.status for each in await asyncio.gather(*asking)] == [200] * 8
    assert times == 1


async def test_while_an_answer_is_made_the_event_loop_has_the_interpreter_sooner() -> None:
    seen, before_s = list[float](), sys.getswitchinterval()

    def write(_: object) -> bytes:
        seen.append(sys.getswitchinterval())
        return b"there"

    answer: Any = FixedAnswer(write, "text/plain")
    await answer.response(None)
    assert seen[0] < before_s / 2
    assert sys.getswitchinterval() == before_s


async def test_what_could_not_be_made_is_made_by_the_next_request(app: FastAPI) -> None:
    contents = iter((OSError("too many open files"), b"there"))

    def write(_: object) -> bytes:
        if isinstance(content := next(contents), OSError):
            raise content
        return content

    answer: Any = FixedAnswer(write, "text/plain")
    with pytest.raises(OSError, match="too many"):
        await answer.response(None)
    assert (await answer.response(None)).body == b"there"


# Limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "coding", "left"),
    [
        ("/openapi.json", "", 598),  # 1.4 MiB
        ("/openapi.json", "br", 599),
        ("/v1", "", 599),
        ("/.well-known/jwks.json", "", 599),
    ],
)
async def test_a_fixed_answer_counts_by_the_bytes_that_are_sent(
    target: str, coding: str, left: int
) -> None:
    app = made(600)
    answered = await ask(app, "GET", target, {"accept-encoding": coding})
    assert answered.headers["ratelimit"].startswith(f'"address";r={left};')


@pytest.mark.parametrize(("coding", "at_least"), [("", 7), ("br", 50)])
async def test_an_address_that_asks_too_often_is_refused_and_others_are_not(
    coding: str, at_least: int
) -> None:
    app, statuses = made(10), list[int]()
    headers = {"accept-encoding": coding}
    while statuses[-1:] != [429] and len(statuses) < 10_000:
        statuses.append((await ask(app, "GET", "/openapi.json", headers)).status)
    assert statuses == [200] * (len(statuses) - 1) + [429]
    assert len(statuses) > at_least
    assert (await ask(app, "GET", "/healthz", headers)).status == 200
    assert (await ask(app, "GET", "/openapi.json", headers, address="192.0.2.2")).status == 200
