"""Connections to receivers over HTTP/1.1: one POST at a time on each, kept open for the next.

The bytes of a request come ready. What comes back ends in one call of `on_end`, with an HttpAnswer
or the exception that came instead. An exchange ends whatever the receiver does: within `timeout_s`,
when the head of an answer has more than HEAD_BYTES_MAX, when a body lasts READ_S longer than its
head or has more than BODY_BYTES_MAX, with all that is around it more than ANSWER_BYTES_MAX. Such a
body is cut off: the status says all that we want to know. An idle connection is closed after
IDLE_S, or when there are more than `idle_max`. The number of exchanges under way is for the caller
to bound.

A connection is used again only after one whole answer with nothing behind it, to a request that is
sent to its last byte. A receiver may close a connection that it has kept just as the next request
is on its way. Such a request, of which no byte was answered, is sent once more over a new
connection, within the time of its exchange.

No task, no future and no stream stands between the socket and `on_end`: they would cost more than
the rest (docs/benchmarks.md).
"""

import asyncio
import socket
import ssl
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from functools import partial
from itertools import takewhile
from typing import NamedTuple, cast

from aiohappyeyeballs import start_connection
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from webhooks.delivery.addresses import CheckedResolver

HEADERS_MAX = 20  # of an answer that are kept
HEADER_BYTES_KEPT = 8_192  # of their values, and one more of this size at most
NAME_BYTES_KEPT = 128
HEAD_BYTES_MAX = 65_536
BODY_BYTES_KEPT = 4_096
BODY_BYTES_MAX = 16_384
ANSWER_BYTES_MAX = HEAD_BYTES_MAX + 2 * BODY_BYTES_MAX  # with the frame of chunks, and trailers
READ_S = 1.0
IDLE_S = 15.0
_NEXT_ADDRESS_S = 0.25  # until the next address of a host is tried beside the first
_STALL_S = 0.05  # a timer that fires so late shows that this process stood still
_LAST_LOOK_S = 0.01  # for answers that came meanwhile
_NO_BODY = (204, 304)  # an answer of these ends with its head, whatever that says of a body


class ReceiverOrigin(NamedTuple):
    """The server of a URL. host: a name, or an address without brackets."""

    is_tls: bool
    host: str
    port: int


class HttpAnswer(NamedTuple):
    """The beginning of an answer. headers: the first HEADERS_MAX as they came, but for names and
    values that are too long.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class AnswerError(Exception):
    """The receiver's bytes are no HTTP answer, or its connection ended before there was one."""


OnEnd = Callable[[HttpAnswer | Exception], None]


class _Exchange:
    """A request that is under way."""

    __slots__ = (
        "connection",
        "may_repeat",
        "on_end",
        "opening",
        "origin",
        "reading",
        "request",
    )

    def __init__(self, origin: ReceiverOrigin, request: bytes, on_end: OnEnd) -> None:
        self.origin = origin
        self.request = request
        self.opening: asyncio.Task[None] | None = None
        self.connection: _Connection | None = None
        self.reading: asyncio.TimerHandle | None = None  # the end of a body that takes long
        self.may_repeat = False  # its connection was kept, and may have been closed meanwhile
        self.on_end = on_end


class PostConnections:
    """A pool of connections; `close` it at the end."""

    def __init__(self, resolver: CheckedResolver, *, idle_max: int, timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._resolver = resolver
        self._idle_max = idle_max
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context()
        self._tls.set_alpn_protocols(["http/1.1"])
        self._tls.options |= ssl.OP_NO_RENEGOTIATION  # a receiver could ask for it without end
        self._idle: dict[ReceiverOrigin, list[_Connection]] = defaultdict(
            list
        )  # the last used at the end
        self._since_s: OrderedDict[_Connection, float] = OrderedDict()  # idle ones, oldest first
        self._sweep: asyncio.TimerHandle | None = None
        self._exchanges: dict[_Exchange, float] = {}  # with its deadline, the oldest first
        self._watch: asyncio.TimerHandle | None = None  # of deadlines, while there are exchanges

    def post(self, origin: ReceiverOrigin, request: bytes, on_end: OnEnd) -> None:
        """Send `request`. on_end is called once, and never before `post` has returned."""
        exchange = _Exchange(origin, request, on_end)
        self._exchanges[exchange] = self._loop.time() + self._timeout_s
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout_s, self._time_out)
        connection = self._idle_connection(origin)
        if connection is not None:
            exchange.may_repeat = True
            connection.begin(exchange)
        else:
            self.open(exchange)

    def open(self, exchange: _Exchange) -> None:
        """Begin an exchange over a new connection."""
        exchange.may_repeat, exchange.connection = False, None
        exchange.opening = self._loop.create_task(self._open(exchange))

    def close(self) -> None:
        """Cut all connections. The exchanges that are under way end with an exception."""
        for connection in list(self._since_s):
            self.forget(connection)
            connection.cut()
        for exchange in list(self._exchanges):
            self._cut(exchange, AnswerError("the attempt was given up"))
        for timer in (self._sweep, self._watch):
            if timer is not None:
                timer.cancel()

    def ended(self, exchange: _Exchange, outcome: HttpAnswer | Exception) -> None:
        """End an exchange, if it has not ended."""
        if self._exchanges.pop(exchange, None) is None:
            return
        if exchange.reading is not None:
            exchange.reading.cancel()
        exchange.on_end(outcome)

    def keep(self, connection: "_Connection") -> None:
        """Keep a connection for the next exchange with its origin."""
        self._idle[connection.origin].append(connection)
        self._since_s[connection] = self._loop.time()
        if len(self._since_s) > self._idle_max:
            self._close_oldest()
        if self._sweep is None:
            self._sweep = self._loop.call_later(IDLE_S, self._close_old)

    def forget(self, connection: "_Connection") -> None:
        """Take an idle connection out, if it is one."""
        if self._since_s.pop(connection, None) is not None:
            same = self._idle[connection.origin]
            same.remove(connection)
            if not same:
                del self._idle[connection.origin]

    def _idle_connection(self, origin: ReceiverOrigin) -> "_Connection | None":
        while (same := self._idle.get(origin)) is not None:
            connection = same.pop()
            if not same:
                del self._idle[origin]
            del self._since_s[connection]
            if not connection.is_closing:
                return connection
        return None

    def _close_oldest(self) -> None:
        connection = next(iter(self._since_s))
        self.forget(connection)
        connection.close()

    def _close_old(self) -> None:
        self._sweep = None
        while self._since_s:
            rest_s = next(iter(self._since_s.values())) + IDLE_S - self._loop.time()
            if rest_s > 0:
                self._sweep = self._loop.call_later(rest_s, self._close_old)
                return
            self._close_oldest()

    def _time_out(self, *, is_last_look: bool = False) -> None:
        """End the exchanges whose time is over, and look again when the next one's is.

        uvloop's timers come before what it reads. Where this process has stood still, the answers
        that came meanwhile are read first.
        """
        loop, now_s = self._loop, self._loop.time()
        first_s = next(iter(self._exchanges.values()), now_s)
        if now_s - first_s > _STALL_S and not is_last_look:
            last_look = partial(self._time_out, is_last_look=True)
            self._watch = loop.call_later(_LAST_LOOK_S, last_look)
            return
        late = list(takewhile(lambda exchange: self._exchanges[exchange] <= now_s, self._exchanges))
        for exchange in late:  # one that begins meanwhile is not to set the timer
            self._cut(exchange, TimeoutError())
        self._watch = None
        if self._exchanges:
            self._watch = loop.call_at(next(iter(self._exchanges.values())), self._time_out)

    def _cut(self, exchange: _Exchange, error: Exception) -> None:
        if exchange.opening is not None:
            exchange.opening.cancel()
        if exchange.connection is not None:
            exchange.connection.give_up(error)
        else:
            self.ended(exchange, error)

    async def _open(self, exchange: _Exchange) -> None:
        origin = exchange.origin
        try:
            addresses = await self._resolver.resolve(origin.host, origin.port)
            sock = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _, connection = await self._loop.create_connection(
                lambda: _Connection(self, origin),
                sock=sock,
                ssl=self._tls if origin.is_tls else None,
                server_hostname=origin.host.rstrip(".") if origin.is_tls else None,
            )
        # A wrong certificate is both, and uvloop raises RuntimeError for some addresses.
        except (OSError, ValueError, RuntimeError) as error:
            exchange.opening = None
            self.ended(exchange, error)
            return
        exchange.opening = None
        if connection.is_closing:
            self.ended(exchange, AnswerError("the connection was closed without an answer"))
        else:
            connection.begin(exchange)


class _Connection(asyncio.Protocol):
    """One connection; called back by its transport, and by the parser of the answer."""

    def __init__(self, pool: PostConnections, origin: ReceiverOrigin) -> None:
        self.origin = origin
        self._pool = pool
        self._exchange: _Exchange | None = None
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._reset()

    @property
    def is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def begin(self, exchange: _Exchange) -> None:
        """Send a request on a connection that is open and where nothing is under way."""
        assert self._transport is not None
        self._exchange, exchange.connection = exchange, self
        self._reset()
        self._transport.write(exchange.request)

    def close(self) -> None:
        """Close a connection where nothing is under way."""
        if self._transport is not None:
            self._transport.close()

    def give_up(self, error: Exception) -> None:
        """End the exchange that is under way: with its answer, if the head of that was read."""
        if self._status:
            self._end_with_answer()
        else:
            self._end(error)

    def cut(self) -> None:
        """Close at once. The exchange is no longer ours."""
        self._exchange = None
        if self._transport is not None:
            self._transport.abort()

    def _reset(self) -> None:
        self._status = 0  # of the answer, once its head was read; an interim answer does not count
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_bytes = 0  # of their values
        self._bytes = 0  # of the answer, and of interim ones
        self._body = b""
        self._body_bytes = 0
        self._is_complete = False
        self._is_reusable = False

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is another class

    def connection_lost(self, exc: Exception | None) -> None:
        self._pool.forget(self)
        exchange = self._exchange
        if exchange is None:
            return
        if exchange.may_repeat and not self._bytes:
            self._exchange = None
            self._pool.open(exchange)
        else:  # a body without a length ends with its connection
            self.give_up(exc or AnswerError("the connection was closed without an answer"))

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:  # nothing was asked
            self._pool.forget(self)
            self.cut()
            return
        self._bytes += len(data)
        had_head = self._status
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._is_complete, self._is_reusable = True, False
        except HttpParserError as error:
            self._is_reusable = False
            if not self._status:
                self._end(AnswerError(str(error)))
                return
            self._is_complete = True
        is_cut_off = self._body_bytes > BODY_BYTES_MAX or self._bytes > ANSWER_BYTES_MAX
        if self._is_complete or (self._status and is_cut_off):
            self._end_with_answer()
        elif not self._status and self._bytes > HEAD_BYTES_MAX:
            self._end(AnswerError(f"the head of the answer has more than {HEAD_BYTES_MAX} bytes"))
        elif self._status and not had_head:
            loop = asyncio.get_running_loop()
            self._exchange.reading = loop.call_later(READ_S, self._end_with_answer)

    # Called by the parser.

    def on_message_begin(self) -> None:
        if self._is_complete:  # more than one answer to one request
            self._is_reusable = False
        else:
            self._headers, self._header_bytes = [], 0  # of an interim answer

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._status and len(self._headers) < HEADERS_MAX:
            kept = value[:HEADER_BYTES_KEPT] if self._header_bytes < HEADER_BYTES_KEPT else b""
            self._headers.append((name[:NAME_BYTES_KEPT], kept))
            self._header_bytes += len(kept)

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._status or (100 <= status < 200 and status != 101):
            return
        if status < 100:
            raise ValueError(f"{status} is no status")
        self._status = status
        self._is_reusable = self._parser.should_keep_alive() and not self._announces_too_much()

    def _announces_too_much(self) -> bool:
        """Return whether an answer without a body may say that it has one: that would come behind
        it, in the place of the next answer.
        """
        if self._status not in _NO_BODY:
            return False
        names = [name.lower() for name, value in self._headers if value != b"0"]
        is_framed = b"content-length" in names or b"transfer-encoding" in names
        return is_framed or len(self._headers) == HEADERS_MAX

    def on_body(self, chunk: bytes) -> None:
        if not self._is_complete:
            self._body_bytes += len(chunk)
            if len(self._body) < BODY_BYTES_KEPT:
                self._body += chunk[: BODY_BYTES_KEPT - len(self._body)]

    def on_message_complete(self) -> None:
        self._is_complete = bool(self._status)

    # The end of an exchange.

    def _end_with_answer(self) -> None:
        answer = HttpAnswer(self._status, tuple(self._headers), self._body)
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        if self._is_complete and self._is_reusable and self._has_sent_all():
            self._pool.keep(self)
        else:
            self.cut()
        self._pool.ended(exchange, answer)

    def _has_sent_all(self) -> bool:
        return self._transport is not None and not self._transport.get_write_buffer_size()

    def _end(self, error: Exception) -> None:
        exchange = self._exchange
        assert exchange is not None
        self.cut()
        self._pool.ended(exchange, error)
