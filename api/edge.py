"""What every request goes through, whatever becomes of it: an id, a log line, common headers, and
an answer where the application failed.

The id of a request is the client's own (`X-Request-Id`) where it is short and plain, else a new
one; the response, each problem document and each log line carry it.
"""

import re
import time
from uuid import uuid4

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem

_log = structlog.get_logger("api")
_PLAIN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_SCOPE_KEY = "opsc.request_id"
_CRASH = Problem(500, "internal_error", "The request failed through a fault of ours.")


def request_id(request: Request) -> str:
    """The id of this request."""
    return request.scope[_SCOPE_KEY]


class Edge:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = _given_id(scope) or uuid4().hex
        scope[_SCOPE_KEY] = identity
        started_s = time.perf_counter()
        status: int | None = None

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, identity)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=identity):
            try:
                await self._app(scope, receive, send_with_headers)
            except Exception as error:
                _log.error("request_failed", exc_info=error)
                if status is not None:
                    raise  # half an answer is out: the server ends the connection
                await _CRASH.response(identity)(scope, receive, send_with_headers)
            finally:
                _log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    elapsed_ms=round((time.perf_counter() - started_s) * 1000, 1),
                )


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode("ascii") if _PLAIN_ID.fullmatch(value) else None
    return None


def _add_headers(message: Message, identity: str) -> None:
    headers = MutableHeaders(scope=message)
    headers["X-Request-Id"] = identity
    headers["X-Content-Type-Options"] = "nosniff"
    headers.setdefault("Cache-Control", "no-store")
