"""The middleware of every request, whatever becomes of it: an id, bounds of its head, a log line,
common headers, and an answer where the application failed.

The id of a request is the client's own (`X-Request-Id`) where it is short and plain, else a new
one; the response, each problem document and each log line carry it. A HEAD is a GET whose content
the server leaves out.
"""

import re
import time
from collections.abc import Collection
from uuid import uuid4

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.access_log import request_line
from api.http.cross_origin import add_cross_origin
from api.http.metrics import Metrics
from api.http.problems import Problem
from api.http.rate_limit_headers import headers_of

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

_log = structlog.get_logger("api")
_PLAIN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_SCOPE_KEY = "opsc.request_id"
_REFUSED_KEY = "opsc.refused"
_CRASH = Problem(500, "internal_error", "The request failed through a fault of ours.")
_TARGET_TOO_LONG = Problem(414, "target_too_long", f"The URL may have {MOST_TARGET_BYTES} bytes.")
HEAD_TOO_LARGE = Problem(431, "headers_too_large", f"Headers may have {MOST_HEAD_BYTES} bytes.")


def request_id(request: Request) -> str:
    """Return the id of this request."""
    return request.scope[_SCOPE_KEY]


def refuse(scope: Scope, problem: Problem) -> Response:
    """Return the problem as the answer to this request, to be counted when it has ended."""
    scope[_REFUSED_KEY] = problem.code
    return problem.response(scope[_SCOPE_KEY])


class Edge:
    """ASGI middleware around the whole application. `origins`: whose pages may read answers."""

    def __init__(self, app: ASGIApp, metrics: Metrics, origins: Collection[str] = ()) -> None:
        self._app = app
        self._metrics = metrics
        self._origins = frozenset(origins)

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
            "state": {**scope.get("state", {})},  # in it is the caller, once known
        }
        started_s = time.perf_counter()
        status: int | None = None
        sent_bytes = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status, sent_bytes
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(message, inner, identity)
            await send(message)
            sent_bytes += len(message.get("body", b""))

        self._metrics.in_flight.inc()
        with structlog.contextvars.bound_contextvars(request_id=identity):
            try:
                refusal = _refusal(scope)
                app = self._app if refusal is None else refuse(inner, refusal)
                await app(inner, receive, send_with_headers)
            except Exception as error:
                _log.error("request failed", exc_info=error)
                if status is not None:
                    raise  # half an answer is out: the server ends the connection
                await refuse(inner, _CRASH)(inner, receive, send_with_headers)
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
                _log.info("request", **line)

    def _add_headers(self, message: Message, scope: Scope, identity: str) -> None:
        headers = [*message["headers"], *EVERY_ANSWER, (b"x-request-id", identity.encode())]
        headers += headers_of(scope)
        names = [name for name, _ in headers]
        headers += [header for header in _UNLESS_SET if header[0] not in names]
        if scope["scheme"] == "https":
            headers.append(_SECURED)
        message["headers"] = headers
        if self._origins:
            asked = Headers(scope=scope)
            add_cross_origin(MutableHeaders(scope=message), self._origins, scope["method"], asked)


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode("ascii") if _PLAIN_ID.fullmatch(value) else None
    return None


def _refusal(scope: Scope) -> Problem | None:
    """Return the problem of a head that is too large."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > MOST_TARGET_BYTES:
        return _TARGET_TOO_LONG
    if sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > MOST_HEAD_BYTES:
        return HEAD_TOO_LARGE
    return None
