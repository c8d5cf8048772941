"""The middleware of every request: an id, bounds of its head, a log line, common headers, and an
answer where the application failed.

The id of a request is the client's own (`X-Request-Id`) if it is short and plain, else a new one.
The response, each problem document and each log line carry it. A HEAD is handled as a GET whose
content the server leaves out.
"""

import re
import time
from collections.abc import Collection, Mapping
from typing import Any
from uuid import uuid4

import structlog
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.access_log import AccessLog, request_line
from api.http.metrics import Metrics
from api.http.problems import Problem
from api.http.rate_limit_headers import headers_of
from api.http.strangers import counted_address

MOST_HEAD_BYTES = 32 * 1024
MOST_TARGET_BYTES = 8 * 1024
# Answers are data: a browser shows nothing of them, guesses no type, and tells no other site.
EVERY_ANSWER = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_UNLESS_SET = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_SECURED = (b"strict-transport-security", b"max-age=31536000")
# What a page of another origin may send and read where its origin is set (CORS, of the Fetch
# standard). It brings a token: cookies are not asked for from elsewhere.
_METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
_TAKEN_HEADERS = (
    *("Accept", "Authorization", "Content-Type", "Idempotency-Key"),
    *("If-Match", "If-None-Match", "OPSC-Position", "X-Request-Id"),
)
_SHOWN_HEADERS = (
    *("ETag", "Idempotency-Replayed", "Location", "OPSC-Position", "RateLimit"),
    *("RateLimit-Policy", "Retry-After", "X-Request-Id"),
)

_log = structlog.get_logger("api")
_PLAIN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_SCOPE_KEY = "opsc.request_id"
_REFUSED_KEY = "opsc.refused"
_HEAD_KEY = "opsc.is_head"
_CRASH = Problem(
    500, "internal_error", "The server failed to answer the request. This is a fault of the server."
)
_TARGET_TOO_LONG = Problem(
    414, "target_too_long", f"The URL is too long: at most {MOST_TARGET_BYTES} bytes are allowed."
)
_ONCE = (b"authorization", b"host")
_SAID_TWICE = Problem(
    400, "header_repeated", "There are two Authorization or Host headers: send one of each."
)
# `uri-host [":" port]` of RFC 9110, section 7.2; what stands in brackets is not looked at closely.
_HOST = re.compile(rb"(?:\[[0-9A-Za-z:.%_~-]+\]|[0-9A-Za-z._~%!$&'()*+,;=-]+)(?::[0-9]*)?")
_NO_HOST = Problem(400, "invalid_host", "The request has no Host header: HTTP/1.1 needs one.")
_BAD_HOST = Problem(
    400, "invalid_host", "The Host header must be the name or address of a host, and maybe a port."
)
HEAD_TOO_LARGE = Problem(
    431,
    "headers_too_large",
    f"The headers are too large: at most {MOST_HEAD_BYTES} bytes are allowed.",
)


def request_id(request: Request) -> str:
    return request.scope[_SCOPE_KEY]


def is_head(scope: Scope) -> bool:
    """Return whether a request that is handled as a GET is a HEAD, for an answer without an end."""
    return scope[_HEAD_KEY]


def client_address(request: HTTPConnection) -> str:
    """Return the address under which a request is counted."""
    return counted_address("" if request.client is None else request.client.host)


def note_refusal(scope: Scope, problem: Problem) -> None:
    """Count the problem when the request has ended."""
    scope[_REFUSED_KEY] = problem.code


def refuse(scope: Scope, problem: Problem) -> Response:
    """Return the problem as the answer to this request, and count it when the request has ended."""
    note_refusal(scope, problem)
    return problem.response(scope[_SCOPE_KEY])


class Edge:
    """ASGI middleware around the whole application. origins: sites whose pages may read answers."""

    def __init__(
        self, app: ASGIApp, metrics: Metrics, access_log: AccessLog, origins: Collection[str] = ()
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._access_log = access_log
        self._answer: ASGIApp = self._guarded
        if origins:
            self._answer = CORSMiddleware(
                self._guarded,
                allow_origins=origins,
                allow_methods=_METHODS,
                allow_headers=_TAKEN_HEADERS,
                expose_headers=_SHOWN_HEADERS,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = _given_id(scope) or uuid4().hex
        method = scope["method"]
        inner = {
            **scope,
            _SCOPE_KEY: identity,
            "method": "GET" if method == "HEAD" else method,
            _HEAD_KEY: method == "HEAD",
            "state": {**scope.get("state", {})},  # in it is the caller, once known
        }
        started_s = time.perf_counter()
        status: int | None = None
        sent_bytes = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, inner, identity)
            await send(message)
            sent_bytes += len(message.get("body", b""))

        self._metrics.in_flight.inc()
        with structlog.contextvars.bound_contextvars(request_id=identity):
            try:
                await self._answer(inner, receive, send_with_headers)
            finally:
                elapsed_s = time.perf_counter() - started_s
                self._metrics.in_flight.dec()
                self._metrics.answered(method, inner.get("route"), status, elapsed_s)
                if _REFUSED_KEY in inner:
                    self._metrics.refused(inner[_REFUSED_KEY])
                line = request_line(
                    {**inner, "method": method},
                    scope["app"].state.parameter_names,
                    status=status,
                    sent_bytes=sent_bytes if method != "HEAD" else 0,
                    elapsed_s=elapsed_s,
                )
                self._access_log.write("request", line)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a head that is too large, and answer where the application failed."""
        has_begun = False

        async def send_noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        refusal = _refusal(scope)
        app = self._app if refusal is None else refuse(scope, refusal)
        try:
            await app(scope, receive, send_noting)
        except Exception as error:
            _log.error("request failed", exc_info=error)
            if has_begun:
                raise  # half an answer is out: the server ends the connection
            await refuse(scope, _CRASH)(scope, receive, send)


def _add_headers(message: Message, scope: Scope, identity: str) -> None:
    headers = [*message["headers"], *EVERY_ANSWER, (b"x-request-id", identity.encode())]
    headers += headers_of(scope)
    names = [name for name, _ in headers]
    headers += [header for header in _UNLESS_SET if header[0] not in names]
    if scope["scheme"] == "https":
        headers.append(_SECURED)
    message["headers"] = headers


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode("ascii") if _PLAIN_ID.fullmatch(value) else None
    return None


def _refusal(scope: Scope) -> Problem | None:
    """Return the problem of a head that is too large, or has `header_fault`."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > MOST_TARGET_BYTES:
        return _TARGET_TOO_LONG
    if sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > MOST_HEAD_BYTES:
        return HEAD_TOO_LARGE
    return header_fault(scope)


def header_fault(scope: Mapping[str, Any]) -> Problem | None:
    """Return the problem of a request that does not say once, and well, which host it is for, or
    says twice who asks: a proxy may look at the one, and we at the other (RFC 9112, section 3.2).
    """
    once = [header for header in scope["headers"] if header[0] in _ONCE]
    said = dict(once)
    if len(once) > len(said):
        return _SAID_TWICE
    host = said.get(b"host")
    if host is None:
        return None if scope["http_version"] == "1.0" else _NO_HOST
    return None if _HOST.fullmatch(host) else _BAD_HOST
