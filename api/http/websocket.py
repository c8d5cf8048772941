"""WebSocket by uvicorn and `websockets`, with bounds that they do not have.

Messages are not compressed, and are bounded in bytes and in fragments while they arrive, and in
number until the application takes them: one packet may bring thousands. What is sent goes to the
transport as ready frames (`write`), so that a frame for many is made once, and the bytes that a
client has not taken are counted (`unsent_bytes`). A client that takes nothing is cut off. The
application finds the connection in `scope["extensions"]["opsc.socket"]`.
"""

import logging
import socket
from asyncio import TimerHandle
from asyncio.transports import BaseTransport
from collections.abc import Callable, MutableMapping
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import State

from api.http.strangers import ConnectionPlaces

MOST_MESSAGE_BYTES = 64 * 1024
MOST_FRAGMENTS = 64
MOST_UNREAD = 64  # messages that wait for the application
PIECE_BYTES = 8 * 1024  # of what arrives, read at once: full of small frames it takes some 10 ms
HEARTBEAT_S = 20.0  # a ping each, and so long for the pong
HIGH_BYTES, LOW_BYTES = 64 * 1024, 16 * 1024  # of what is not sent: above the writer pauses
MOST_UNSENT_BYTES = 256 * 1024  # beyond it a client that sends pings is cut off
KERNEL_BYTES = 128 * 1024  # the kernel's buffer of what is sent
LINGER_S = 30.0  # a closed client may take the rest of what was sent for so long
DEAF_S = 2.0  # and one that broke the protocol, or flooded us, for so long
POLICY_VIOLATION = 1008

EXTENSION = "opsc.socket"
OPTIONS: dict[str, Any] = {
    "ws_max_size": MOST_MESSAGE_BYTES,
    "ws_per_message_deflate": False,
    "ws_ping_interval": HEARTBEAT_S,
    "ws_ping_timeout": HEARTBEAT_S,
}
"""uvicorn's options that go with this protocol."""

# uvicorn logs the target of each handshake, with whatever a client wrote into its query.
_quiet = logging.getLogger("api.websocket")
_quiet.setLevel(logging.WARNING)
# A client that sends no UTF-8 is told so (1007), and is no error of ours.
_quiet.addFilter(lambda record: "UTF-8" not in str(record.msg))


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """One connection, from its handshake on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _quiet
        self.conn.logger = _quiet
        self.on_writable: Callable[[], None] | None = None
        """Called when `is_writable` is true again."""
        self.on_unresponsive: Callable[[], None] | None = None
        """Called in place of a close where no pong came and bytes wait to be taken."""
        self.is_writable = True
        self.is_flooded = False
        """Set once more than MOST_UNREAD messages waited. Then nothing is read any more, and the
        application has to end the connection.
        """
        self._linger_timer: TimerHandle | None = None
        self._is_deaf = False

    # For the application

    @property
    def unsent_bytes(self) -> int:
        """The bytes that the client has not taken, without those in the kernel."""
        return self.transport.get_write_buffer_size()

    def write(self, frames: bytes) -> None:
        """Send whole frames. Nothing is sent once the connection is closing."""
        if not self.close_sent and not self.transport.is_closing():
            self.transport.write(frames)

    def end(self, code: int, reason: str) -> None:
        """Close the connection behind what was written. reason: at most 123 bytes."""
        if self.close_sent or self.transport.is_closing() or self.conn.state is not State.OPEN:
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(LINGER_S, self.transport.abort)
        if self.is_flooded:
            self._go_deaf()

    def become_known(self) -> None:
        """Count the connection no more among the strangers: it has signed in."""
        if (places := self._places()) is not None:
            places.remove(self)

    # For `api.http.strangers`

    def make_place(self) -> bool:
        """End the connection for another one: nobody has signed in over it."""
        self.transport.abort()
        return True

    def _places(self) -> ConnectionPlaces | None:
        """Return those of the process, once the application runs."""
        return self.app_state.get("places")

    # For uvicorn and the transport

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        places = self._places()
        host = self.client[0] if self.client else ""
        if places is not None and not places.strangers.admit(self, host):
            self.transport.abort()
            return
        self.transport.set_write_buffer_limits(HIGH_BYTES, LOW_BYTES)
        inner = transport.get_extra_info("socket")
        if inner is not None:
            inner.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        self.on_writable = self.on_unresponsive = None
        self.become_known()
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        for begin in range(0, len(data), PIECE_BYTES):
            if self._is_deaf or self.is_flooded:
                return
            super().data_received(data[begin : begin + PIECE_BYTES])

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.response.status_code == 101:  # its task has not begun yet
            scope = cast(MutableMapping[str, Any], self.scope)
            scope["extensions"][EXTENSION] = self

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= MOST_FRAGMENTS:
            self.frames = []
            self.end(POLICY_VIOLATION, f"A message has more than {MOST_FRAGMENTS} fragments.")
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        self.is_flooded |= self.queue.qsize() >= MOST_UNREAD
        if self.is_flooded:
            self.frames = []
        else:
            super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        if self.unsent_bytes > MOST_UNSENT_BYTES:  # it sends and does not read
            self.transport.abort()
            return
        super().handle_ping()

    def handle_close(self, event: Frame) -> None:
        super().handle_close(event)
        self._linger()

    def handle_parser_exception(self) -> None:
        """Close behind bytes that cannot be read."""
        if self._is_deaf:
            return
        self.stop_keepalive()
        closed = self.conn.close_sent
        assert closed is not None
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": closed.code, "reason": closed.reason}
        )
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._go_deaf()

    def keepalive_timeout(self) -> None:
        if self.on_unresponsive is not None and self.unsent_bytes:
            self.on_unresponsive()
            return
        super().keepalive_timeout()
        self._linger()

    def shutdown(self) -> None:
        if "live" in self.app_state:
            self.app_state["live"].stop()  # with a reason that says where to go on
        super().shutdown()
        self._linger()

    def pause_writing(self) -> None:
        self.is_writable = False
        super().pause_writing()

    def resume_writing(self) -> None:
        self.is_writable = True
        super().resume_writing()
        if self.on_writable is not None:
            self.on_writable()

    def _go_deaf(self) -> None:
        """Discard what still comes: over a socket that is closed at once, the client would not
        read why.
        """
        self._is_deaf = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(DEAF_S, self.transport.abort)

    def _linger(self) -> None:
        """Cut the connection off if the client does not take the rest in time: a transport that is
        closed waits for ever.
        """
        if self._linger_timer is None and self.transport.get_write_buffer_size():
            self._linger_timer = self.loop.call_later(LINGER_S, self.transport.abort)
