"""One MQTT 5 session that outlives its connections.

    async with Session(address, options) as session:
        while True:
            messages = await session.receive()
            ...                                # commit
            session.acknowledge(messages)

The session connects in the background, resumes what the broker kept, subscribes, and connects
again with back-off when the connection is lost. What it promises:

- `receive` gives messages in the order of arrival. A message is acknowledged when `acknowledge`
  says so, never before, and PUBACKs leave in the order of receipt.
- A message that was not acknowledged when its connection ended comes again from the broker, after
  the messages before it; one that was waiting here is given once for each time that it came.
  `acknowledge` returns how many of the messages it was given still
  counted, so a caller sees when some come again. Work done twice must be harmless: that is QoS 1.
- A QoS 1 publish is kept and sent again until its PUBACK, through any number of connections.
- Memory is bounded: reading stops while messages of more than `max_buffered_bytes` are held here
  or wait for their acknowledgement. An owner that waits for more messages before it acknowledges
  must do so with a time limit. PUBACKs for its own publishes are not read meanwhile either.
- An error that a new connection cannot help (refused credentials, taken over by another client,
  ...) ends the session; from then on every call raises it.
"""

import asyncio
import logging
import random
import ssl
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import mqtt5

from mqtt.client.address import BrokerAddress
from mqtt.client.connected import Connected
from mqtt.client.connection import ClientConnection
from mqtt.client.counters import SessionCounters
from mqtt.client.inbox import Inbox, Message
from mqtt.client.link import Link
from mqtt.client.options import SessionOptions, check_payload, check_qos, check_topic
from mqtt.client.outgoing import Outgoing, OutgoingPublish, Published
from mqtt.client.states import ClientState
from mqtt.errors import (
    CertificateError,
    ConnectionLostError,
    ConnectTimeoutError,
    MqttError,
    NotConnectedError,
    SessionClosedError,
)


class Backoff:
    """Delays for one session.

    The bound of the delay doubles as long as connections die sooner than the bound that preceded
    them, and starts again at `min_s` after one that lasted longer. A broker that restarts once is
    met again at once; one that accepts and drops in a circle is not hammered. The delay is drawn
    evenly from the upper half of the bound, so that a fleet cut at one moment does not come back
    at one moment.
    """

    def __init__(self, min_s: float, max_s: float, seed: int | None = None) -> None:
        self._min_s = min_s
        self._max_s = max_s
        self._bound_s = 0.0
        self._random = random.Random(seed)

    def next_delay_s(self, lived_s: float) -> float:
        """Return the delay after a connection that was ready for `lived_s` seconds (0: it never
        was).
        """
        if self._bound_s == 0.0 or lived_s > self._bound_s:
            self._bound_s = self._min_s
        else:
            self._bound_s = min(self._bound_s * 2, self._max_s)
        return self._random.uniform(self._bound_s / 2, self._bound_s)


MAX_MESSAGES = 10_000
MAX_BYTES = 16 * 1024 * 1024
RESUME_AT = 0.5
"""Reading goes on when no more than this part of the bound is held."""

_log = logging.getLogger(__name__)


class Session:
    """One MQTT session; see the module. One owner, one event loop."""

    def __init__(self, address: BrokerAddress, options: SessionOptions) -> None:
        self.address = address
        self.options = options
        self.connected = Connected()
        self._inbox = Inbox(options.receive_maximum)
        self._outgoing = Outgoing(options.max_pending_publishes, options.max_buffered_bytes)
        self._backoff = Backoff(options.reconnect_min_s, options.reconnect_max_s, options.seed)
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._link: Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._error: BaseException | None = None
        self._connects = 0
        self._disconnects = 0
        self.last_error: Exception | None = None
        """Why the latest connection ended or failed, for a readiness page."""

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise RuntimeError("a session can be entered once; make a new one")
        self._task = asyncio.create_task(self._run(), name=f"mqtt {self.options.client_id}")
        self._task.add_done_callback(self._run_ended)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Send what the network takes, then DISCONNECT, and end. The broker publishes no will.

        When this returns the broker has read all of it (unless `close_timeout_s` ran out), so
        that a successor under the same client id gets nothing again that was acknowledged here.
        Does not wait for PUBACKs: publishes that are still pending fail with SessionClosedError.
        """
        link = self._link
        if link is not None:
            link.close()
        self._end(SessionClosedError())
        if self._task is None:
            return
        try:
            if link is not None and link.is_open:
                await asyncio.wait([link.lost])
        finally:
            self._task.cancel()
        await asyncio.wait([self._task])

    def abort(self) -> None:
        """Cut the connection as a failing network would; the session connects again by itself."""
        if self._link is not None:
            self._link.abort()

    @property
    def state(self) -> ClientState:
        if self._error is not None:
            return ClientState.ENDED
        return ClientState.OFFLINE if self._link is None else self._link.state

    @property
    def counters(self) -> SessionCounters:
        """A snapshot for metrics."""
        inbox, outgoing = self._inbox, self._outgoing
        return SessionCounters(
            connects=self._connects,
            disconnects=self._disconnects,
            received=inbox.received,
            received_bytes=inbox.received_bytes,
            acknowledged=inbox.acknowledged,
            stale_acknowledgements=inbox.stale,
            waiting=inbox.waiting,
            unacknowledged=inbox.unacknowledged,
            held_bytes=inbox.held_bytes,
            published=outgoing.published,
            published_bytes=outgoing.published_bytes,
            publishes_confirmed=outgoing.confirmed,
            publishes_refused=outgoing.refused,
            publishes_dropped=outgoing.dropped,
            publishes_pending=outgoing.pending,
            publishes_pending_bytes=outgoing.pending_bytes,
        )

    async def receive(
        self, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES
    ) -> list[Message]:
        """Wait for messages and return what is here, the oldest first: at least one, within both
        bounds.

        `max_bytes` counts payloads; a single larger message comes alone. Raises the error that
        ended the session.
        """
        if max_messages < 1:
            raise ValueError(f"max_messages must be at least 1, not {max_messages}")
        while True:
            self._raise_if_ended()
            if messages := self._inbox.dequeue(max_messages, max_bytes):
                self._regulate()
                return messages
            self._arrived.clear()
            await self._arrived.wait()

    def acknowledge(self, messages: Iterable[Message]) -> int:
        """Settle messages that are dealt with: send PUBACKs, in the order of receipt, in one write.

        Returns how many of them count. The others were acknowledged before, or came on an older
        connection and come again. QoS 0 messages need no acknowledgement and are skipped.
        """
        counted, pubacks = self._inbox.acknowledge(messages)
        if pubacks and self._link is not None:
            self._link.acknowledge(pubacks)
            self._regulate()
        return counted

    async def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        response_topic: str | None = None,
        correlation_data: bytes | None = None,
    ) -> None:
        """Wait for room, publish and, with QoS 1, wait for the PUBACK, through reconnects if need
        be.

        Raises PublishRefusedError with the broker's reason, PublishUnsupportedError,
        NotConnectedError (QoS 0 only) or the error that ended the session. When cancelled before
        the message was sent, it is not sent.
        """
        while not self._outgoing.has_room:
            self._raise_if_ended()
            self._room.clear()
            await self._room.wait()
        await self.publish_nowait(
            topic,
            payload,
            qos=qos,
            retain=retain,
            response_topic=response_topic,
            correlation_data=correlation_data,
        )

    def publish_nowait(
        self,
        topic: str,
        payload: bytes,
        *,
        qos: int = 1,
        retain: bool = False,
        response_topic: str | None = None,
        correlation_data: bytes | None = None,
    ) -> Published:
        """Queue a message; the future is done at its PUBACK (QoS 0: at once), with the reason code.

        Messages leave in the order of the calls, as many at a time as the broker allows. Raises
        PublishQueueFullError when `max_pending_publishes` or `max_buffered_bytes` are pending.
        """
        check_qos(qos)
        check_topic(topic)
        check_payload(payload)
        self._raise_if_ended()
        message = OutgoingPublish(topic, payload, retain, response_topic, correlation_data)
        published: Published = asyncio.get_running_loop().create_future()
        if qos == 1:
            self._outgoing.put_qos_1(message, published)
        elif self.state in (ClientState.SUBSCRIBING, ClientState.CONNECTED):
            self._outgoing.put_qos_0(message)
            published.set_result(mqtt5.PubAckReasonCode.SUCCESS)
        else:
            raise NotConnectedError(topic)
        if self._link is not None:
            self._link.flush_soon()
        return published

    async def _run(self) -> None:
        """Connect again and again, until an error comes that no new connection can help."""
        while True:
            lived_s, error = await self._one_connection()
            if not (isinstance(error, MqttError) and error.retryable):
                self.last_error = error
                self._end(error)
                return
            delay_s = self._backoff.next_delay_s(lived_s)
            self._note_loss(error, lived_s, delay_s)
            await asyncio.sleep(delay_s)

    async def _one_connection(self) -> tuple[float, Exception]:
        """Connect and serve until it is over; returns the seconds that it was ready, and the
        reason.
        """
        loop = asyncio.get_running_loop()
        connection = ClientConnection(
            self.options, self._inbox, self._outgoing, now_s=loop.time(), first=not self._connects
        )
        link = Link(self.address, connection, self._progress, self.options.close_timeout_s)
        self._link = link
        ready_s = None
        try:
            await self._dial(link)
            if connection.was_ready:
                ready_s = loop.time()
                self._became_ready()
            error = await asyncio.shield(link.lost)  # which the link itself sets, even if we end
        except MqttError as failure:
            error = failure
        finally:
            link.abort()
            self._connection_over(was_ready=ready_s is not None)
        return (loop.time() - ready_s if ready_s is not None else 0.0), error

    async def _dial(self, link: Link) -> None:
        address, timeout_s = self.address, self.options.connect_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: link, address.host, address.port, ssl=address.tls
                )
                await link.settled
        except TimeoutError:
            raise ConnectTimeoutError(address, timeout_s) from None
        except ssl.SSLCertVerificationError as error:
            raise CertificateError(address, error.verify_message) from error
        except OSError as error:
            raise ConnectionLostError(address, error) from error

    def _note_loss(self, error: MqttError, lived_s: float, delay_s: float) -> None:
        """Log a lost connection: a warning, unless the same trouble came before without a
        connection between.
        """
        is_repeated = lived_s == 0.0 and type(error) is type(self.last_error)
        level = logging.DEBUG if is_repeated else logging.WARNING
        text = "%s: %s; next attempt in %.2f s"
        _log.log(level, text, self.options.client_id, error, delay_s)
        self.last_error = error

    def _became_ready(self) -> None:
        self._connects += 1
        self.connected.set()
        _log.info("%s: connected to %s", self.options.client_id, self.address)

    def _connection_over(self, *, was_ready: bool) -> None:
        self._link = None
        self._disconnects += was_ready
        self.connected.clear()
        self._inbox.connection_lost()
        self._outgoing.connection_lost()
        self._room.set()

    def _progress(self) -> None:
        """Wake those who wait for what the link brought about."""
        if self._inbox.waiting:
            self._arrived.set()
        if self._outgoing.has_room:
            self._room.set()
        self._regulate()

    def _regulate(self) -> None:
        """Decide about back-pressure, here and nowhere else."""
        if self._link is not None:
            held, bound = self._inbox.held_bytes, self.options.max_buffered_bytes
            self._link.regulate(full=held > bound, has_room=held <= bound * RESUME_AT)

    def _run_ended(self, task: asyncio.Task[None]) -> None:
        """End the session after a defect in this package, so that its users do not
        wait for ever.
        """
        if not task.cancelled() and (error := task.exception()) is not None:
            self._end(error)

    def _end(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
            self._outgoing.end(error)
            self.connected.end(error)
            self._arrived.set()
            self._room.set()

    def _raise_if_ended(self) -> None:
        if self._error is not None:
            raise self._error.with_traceback(None)
