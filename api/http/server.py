"""HTTP/1.1 by uvicorn, with bounds that it does not have, and problem documents instead of plain
text.

A problem document answers requests that are not HTTP, heads that are too large or too slow, and
connections beyond the bound. A client that does not read its answer is cut off.
"""

import asyncio
import os
import socket
from asyncio import Transport
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.http.middleware import EVERY_ANSWER, HEAD_TOO_LARGE, MOST_HEAD_BYTES, header_fault
from api.http.problems import Problem, unavailable
from api.http.strangers import ConnectionPlaces

MOST_CONNECTIONS = 2000  # of a process
HEAD_S = 10.0  # from the first byte of a connection or request to the end of its head
LINGER_S = 2.0  # what still comes after a refusal is thrown away, else the client never reads it
ACCEPTED_AT_ONCE = 16  # new connections in one pass of the event loop
TAKING_S = 60.0  # a client that takes nothing of its answer for so long is cut off

EXTENSION = "opsc.transport"
"""The key in `scope["extensions"]` of the connection's transport."""
KNOWN_EXTENSION = "opsc.known"
"""The key of what is to be called with the organization of each good credential; with None once the
connection waits for events, as which it has bounds of its own.
"""

_VERSIONS = ("1.0", "1.1")
_NO_HTTP = Problem(400, "invalid_http", "This is not an HTTP request.")
_TOO_SLOW = Problem(408, "request_timeout", "The headers of the request did not arrive in time.")
_FULL = unavailable("The server has too many connections: try again later.")
_CROWDED = unavailable("Your address has too many connections that have not signed in.")


class QuickServer(uvicorn.Server):
    """A server that accepts ACCEPTED_AT_ONCE connections in one pass of the event loop.

    libuv accepts one for each listening socket in each pass. So whoever opens 2,000 connections at
    once kept a newcomer waiting for 2,000 passes: seconds where the loop has work. Each listening
    socket is listened to by several descriptors.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        config, loop = self.config, asyncio.get_running_loop()
        protocol = partial(
            config.http_protocol_class,
            config=config,  # pyright: ignore
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        for listening in [sock for server in self.servers for sock in server.sockets]:
            for _ in range(ACCEPTED_AT_ONCE - 1):
                same = socket.socket(fileno=os.dup(listening.fileno()))
                server = await loop.create_server(
                    protocol, sock=same, ssl=config.ssl, backlog=config.backlog
                )
                self.servers.append(server)


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0  # of a request whose head is not complete
        self._head_timer = self._taking_timer = None
        self._untaken_bytes = 0
        self._is_refused = False

    def connection_made(self, transport: Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        places = self._places()
        is_full = len(self.connections) - self._live_connections() > MOST_CONNECTIONS
        host = self.client[0] if self.client else ""
        if is_full and (places is None or not places.drop_one()):
            self._refuse(_FULL)
        elif places is not None and not places.strangers.admit(self, host):
            self._refuse(_CROWDED)
        else:
            self._head_timer = self.loop.call_later(HEAD_S, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        self._leave()
        if self._taking_timer is not None:
            self._taking_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        if (places := self._places()) is not None:
            places.heard(self)
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is None:
            self._head_bytes = 0
        elif self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self._head_is_late)

    def on_headers_complete(self) -> None:
        if self.parser.get_http_version() not in _VERSIONS:  # pyright: ignore
            raise ValueError("a request line without a version, or with one that nobody speaks")
        self._end_head()
        self.scope["extensions"] = {  # pyright: ignore
            EXTENSION: self.transport,
            KNOWN_EXTENSION: self.become_known,
        }
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        if (fault := header_fault(self.scope)) is not None:  # the middleware does not see these
            self._refuse(fault)
            return
        self._leave()  # the WebSocket is a stranger of its own
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            self._refuse(_NO_HTTP)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._untaken_bytes = self.transport.get_write_buffer_size()
        self._taking_timer = self.loop.call_later(TAKING_S, self._is_taking)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._taking_timer is not None:
            self._taking_timer.cancel()

    def shutdown(self) -> None:
        super().shutdown()
        if "live" in self.app_state:
            self.app_state["live"].stop()

    def become_known(self, org_id: UUID | None) -> None:
        """Count the connection no more among the strangers, and with those of the organization."""
        if org_id is None:
            self._leave()
        elif not self.transport.is_closing() and (places := self._places()) is not None:
            places.become_known(self, org_id)

    def make_place(self) -> bool:
        """End the connection for another one; False where a request that is whole is answered, and
        the client takes the answer.
        """
        cycle = self.cycle
        is_whole = cycle is not None and not (cycle.response_complete or cycle.more_body)  # pyright: ignore
        if is_whole and not self.flow.write_paused:
            return False
        self.transport.abort()  # closed, it would wait for a client that takes nothing
        return True

    def _places(self) -> ConnectionPlaces | None:
        """Return those of the process, once the application runs."""
        return self.app_state.get("places")

    def _leave(self) -> None:
        """Count the connection neither among the strangers nor with an organization."""
        if (places := self._places()) is not None:
            places.remove(self)

    def _live_connections(self) -> int:
        """Return the number of those that wait for events: they have a bound of their own."""
        return self.app_state["live"].streams.open if "live" in self.app_state else 0

    def _end_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        if self._head_bytes:
            self._refuse(_TOO_SLOW)
        elif not self.transport.is_closing():
            self.transport.close()

    def _is_taking(self) -> None:
        untaken_bytes = self.transport.get_write_buffer_size()
        if untaken_bytes >= self._untaken_bytes:
            self.transport.abort()
        else:
            self._untaken_bytes = untaken_bytes
            self._taking_timer = self.loop.call_later(TAKING_S, self._is_taking)

    def _refuse(self, problem: Problem) -> None:
        """Answer without the application, and end the connection."""
        self._end_head()
        if self.transport.is_closing() or self._is_refused:
            return
        self._is_refused = True
        identity = uuid4().hex
        if "metrics" in self.app_state:  # set by the application while it runs
            self.app_state["metrics"].refused(problem.code)
            client = None if self.client is None else self.client[0]
            line = {"client": client, "status": problem.status, "request_id": identity}
            self.app_state["access_log"].write("request", line)
        response = problem.response(identity)
        headers = [*response.raw_headers, *EVERY_ANSWER]
        headers += [(b"x-request-id", identity.encode()), (b"connection", b"close")]
        lines = [name + b": " + value + b"\r\n" for name, value in headers]
        head = STATUS_LINE[problem.status] + b"".join(lines) + b"\r\n"
        self.transport.write(head + bytes(response.body))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)
