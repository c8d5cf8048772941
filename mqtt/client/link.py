"""The socket of one connection: an asyncio protocol between the transport and `ClientConnection`.

Data is handed on inside `data_received`, without a task or a queue between. Output is gathered
and written once per turn of the event loop. However the link ends, `lost` gets the reason exactly
once, and the socket is closed within `close_timeout_s` even if the peer does not read.
"""

import asyncio
from collections.abc import Callable
from typing import cast

import mqtt5

from mqtt.client.address import BrokerAddress
from mqtt.client.connection import ClientConnection
from mqtt.client.states import ClientState
from mqtt.errors import ConnectionLostError, MqttError, SessionClosedError


class Link(asyncio.Protocol):
    """Owns the transport. `on_progress` is called after each read and whenever the network takes
    more.
    """

    def __init__(
        self,
        address: BrokerAddress,
        connection: ClientConnection,
        on_progress: Callable[[], None],
        close_timeout_s: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._address = address
        self._connection = connection
        self._on_progress = on_progress
        self._close_timeout_s = close_timeout_s
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writable = True
        self._reading = True
        self._flush_is_due = False
        self._error: Exception | None = None
        self.settled: asyncio.Future[None] = self._loop.create_future()
        """Done when the connection is ready for use, or lost before it was."""
        self.lost: asyncio.Future[Exception] = self._loop.create_future()
        """The reason of the end, as a result."""

    @property
    def state(self) -> ClientState:
        return self._connection.state

    @property
    def is_open(self) -> bool:
        """Whether there is a socket whose end `lost` will tell."""
        return self._transport is not None and not self.lost.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.flush()

    def data_received(self, data: bytes) -> None:
        if self._error is not None:
            return
        try:
            self._connection.receive(data, self._loop.time())
        except MqttError as error:
            self.fail(error)
        else:
            self.flush()
        if self._connection.was_ready and not self.settled.done():
            self.settled.set_result(None)
            self._schedule_tick()
        self._on_progress()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self.flush()
        self._on_progress()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if exc is None or isinstance(exc, OSError):  # TimeoutError and ssl.SSLError are OSErrors
            exc = ConnectionLostError(self._address, exc)
        self._error = self._error or exc
        self.lost.set_result(self._error)
        if not self.settled.done():
            self.settled.set_result(None)

    def flush_soon(self) -> None:
        """Write what is to be sent at the end of this turn of the loop."""
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flush_is_due = False
        self.flush()
        self._on_progress()

    def _usable_transport(self) -> asyncio.Transport | None:
        """Return the transport, unless it is closing: then uvloop refuses calls that asyncio
        ignores.
        """
        transport = self._transport
        if transport is None or self._error is not None or transport.is_closing():
            return None
        return transport

    def flush(self) -> None:
        """Write what is to be sent now, until the network does not take more."""
        if (transport := self._usable_transport()) is None:
            return
        now_s = self._loop.time()
        while data := self._connection.output(now_s, writable=self._writable):
            transport.write(data)

    def acknowledge(self, pubacks: bytes) -> None:
        self._connection.acknowledge(pubacks)
        self.flush_soon()

    def regulate(self, *, full: bool, has_room: bool) -> None:
        """Stop reading from the network when `full`, go on when there `has_room`."""
        if (transport := self._usable_transport()) is None:
            return
        if full and self._reading:
            self._reading = False
            self._connection.pause_reading()
            transport.pause_reading()
        elif has_room and not self._reading:
            self._reading = True
            self._connection.resume_reading(self._loop.time())
            transport.resume_reading()

    def close(self) -> None:
        """Send what is queued and the network takes, say goodbye, and wait for the broker to close.

        When it has, it has read all that we sent. Closing first would leave our last PUBACKs to
        chance: a successor that connects meanwhile makes the broker drop what it has not read.
        """
        self.flush()
        transport = self._usable_transport()
        if transport is None or self.state is ClientState.CONNECTING:
            self.fail(SessionClosedError())
            return
        self._connection.disconnect(mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION)
        self.flush()
        self._error = SessionClosedError()
        if not self._reading:
            transport.resume_reading()  # so that the end is seen; data is not looked at any more
        self._abort_later()

    def fail(self, error: MqttError) -> None:
        """Close for `error`, and tell the broker why if there is something to tell."""
        if self._error is not None or self._transport is None:
            return
        if error.disconnect_reason is not None:
            self._connection.disconnect(error.disconnect_reason)
            self.flush()
        self._error = error
        self._transport.close()
        self._abort_later()

    def _abort_later(self) -> None:
        """Abort after `close_timeout_s`: nobody waits longer for a peer that does not read or
        close.
        """
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._close_timeout_s, self.abort)

    def abort(self) -> None:
        """Cut the connection without a word and without waiting. Nothing is received after it."""
        if self._transport is not None:
            cause = ConnectionAbortedError("cut on this side")
            self._error = self._error or ConnectionLostError(self._address, cause)
            self._transport.abort()

    def _schedule_tick(self) -> None:
        interval_s = self._connection.tick_interval_s
        if interval_s is not None and self._error is None:
            self._timer = self._loop.call_later(interval_s, self._tick)

    def _tick(self) -> None:
        try:
            self._connection.tick(self._loop.time())
        except MqttError as error:
            self._error = error
            self.abort()
        else:
            self.flush()
            self._schedule_tick()
