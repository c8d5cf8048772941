"""`/v1/ws`: the handshake, and what refuses it."""

from time import perf_counter
from typing import Any
from uuid import uuid4

from starlette.requests import HTTPConnection
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send

from api.http.problems import Problem, unavailable
from api.http.websocket import EXTENSION
from api.live.connection import LiveConnection
from api.live.live import Live

SUBPROTOCOL = "opsc.v1"
_BEARER = "opsc.bearer."
_FULL = unavailable("The server has too many open connections: try again later.")
_NO_QUERY = Problem(
    400,
    "unknown_parameter",
    "The URL of the WebSocket takes no parameters. A token goes into the first message.",
)


class _Endpoint:
    """The ASGI application behind the path."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        live: Live = scope["app"].state.live
        await receive()  # websocket.connect
        problem = _NO_QUERY if scope["query_string"] else _FULL if live.streams.is_full else None
        if problem is not None:
            await _deny(problem, send)
            return
        offered: list[str] = scope["subprotocols"]
        accepted: dict[str, Any] = {"type": "websocket.accept"}
        if SUBPROTOCOL in offered:
            accepted["subprotocol"] = SUBPROTOCOL
        await send(accepted)
        bearers = [name.removeprefix(_BEARER) for name in offered if name.startswith(_BEARER)]
        socket = scope["extensions"][EXTENSION]
        connection = LiveConnection(live, socket, HTTPConnection(scope), receive)
        started_s = perf_counter()
        try:
            await connection.run(bearers[0] if bearers else None)
        finally:
            client = scope["client"][0] if scope["client"] else None
            seconds = round(perf_counter() - started_s, 3)
            line = {"client": client, "seconds": seconds, **connection.log_fields()}
            live.state.access_log.write("websocket", line)


async def _deny(problem: Problem, send: Send) -> None:
    response = problem.response(uuid4().hex)
    await send(
        {
            "type": "websocket.http.response.start",
            "status": response.status_code,
            "headers": response.raw_headers,
        }
    )
    await send({"type": "websocket.http.response.body", "body": response.body})


route = WebSocketRoute("/v1/ws", _Endpoint())
