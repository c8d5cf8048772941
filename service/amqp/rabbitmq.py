"""The log between listeners and ingest: queues of RabbitMQ, and one connection to a node.

    log = await connect(address, host, "opsc-listen")
    await declare(log)
    await log.confirm(on_confirmed)
    number = log.publish(queue_name(3), body, ...)     # on_confirmed(number, ...)

Listeners publish to QUEUES quorum queues, and the leader of ingest consumes from all of them. What
it has to say to a listener goes to that one's own queue, which is bound to LISTENERS, too.
Both sides declare all that lasts, with equal arguments. Nothing here knows what is in a message.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID
from zlib import crc32

import pika
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.channel import Channel
from pika.exceptions import AMQPError
from pika.spec import Basic, BasicProperties

from service.amqp.address import LogAddress
from service.tcp import USER_TIMEOUT_MS

QUEUES = 8
LISTENERS = "opsc.listeners"
SENT_US = "sent_us"
"""The header that says when a message was published."""
UNREADABLE = "opsc.unreadable"
"""Blocks that ingest could not read; the oldest go when there are too many."""
QUEUE_BYTES = 1 << 30
UNREADABLE_BYTES = 64 << 20
OWN_QUEUE_BYTES = 4 << 20
"""A listener that leaves so much unread is frozen, and gets no receipts."""
HEARTBEAT_S = 5
CONNECT_S = 5.0
ANSWER_S = 15.0
"""Longer than a queue takes to find another leader."""
_TCP_S = 2.0
_OTHER_VERSIONS = ("WRONG_VERSION_NUMBER", "TLSV1_ALERT_PROTOCOL_VERSION")
_NEVER_MS = 10 * 365 * 24 * 3600 * 1000
_ARGUMENTS = {
    "x-queue-type": "quorum",
    "x-single-active-consumer": True,
    "x-delivery-limit": -1,  # else a leader that is killed twenty times drops what it had
    "x-max-length-bytes": QUEUE_BYTES,
    "x-overflow": "reject-publish",
    "x-consumer-timeout": _NEVER_MS,  # what is deferred may wait for long
    "x-queue-leader-locator": "balanced",
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": UNREADABLE,
}

logging.getLogger("pika").setLevel(logging.CRITICAL)  # we tell ourselves what ended


class LogLost(OSError):
    """The log cannot be reached, or a connection to it has ended."""


class Delivery(NamedTuple):
    """A message that was taken. sender and reply_to: as `LogConnection.publish` has them.

    sent_us: when it was published, by that machine's clock.
    """

    tag: int
    body: bytes
    sender: str
    reply_to: str
    sent_us: int


def queue_of(org_id: UUID) -> int:
    """Return the number of the queue that has an organization's messages."""
    return crc32(org_id.bytes) % QUEUES


def queue_name(number: int) -> str:
    return f"opsc.fixes.{number}"


class LogConnection:
    """A connection with one channel. lost: why it ended, as a result. is_blocked: the log takes
    nothing just now, for lack of memory or disk.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection: AsyncioConnection | None = None
        self._channel: Channel | None = None
        self._published = 0
        self.lost: asyncio.Future[LogLost] = self._loop.create_future()
        self.is_blocked = False
        self.on_unblocked: Callable[[], None] = _nothing
        self.on_returned: Callable[[str], None] = _nothing

    async def open(self, address: LogAddress, host: tuple[str, int], parameters: Any) -> None:
        """Connect, and open the channel. Raises LogLost."""
        opened = self._loop.create_future()
        try:
            self._connection = made = AsyncioConnection(
                parameters,
                on_open_callback=lambda _: _settle(opened, None),
                on_open_error_callback=lambda _, error: self._end(
                    f"{_place(host)}: {_text(error)}"
                ),
                on_close_callback=lambda _, error: self._end(_text(error)),
                custom_ioloop=self._loop,
            )
            made.add_on_connection_blocked_callback(lambda *_: self._set_blocked(True))
            made.add_on_connection_unblocked_callback(lambda *_: self._set_blocked(False))
            await self._answered(opened)
            channel = self._loop.create_future()
            made.channel(on_open_callback=lambda opened: _settle(channel, opened))
            self._channel = ours = await self._answered(channel)
            assert ours is not None
            ours.add_on_close_callback(lambda _, error: self.close(_text(error)))
            ours.add_on_return_callback(
                lambda _, method, *__: self.on_returned(str(method.routing_key))
            )
        except BaseException as error:
            self.close()
            if isinstance(error, TimeoutError | AMQPError):
                raise LogLost(f"{_place(host)}: {_text(error) or 'no answer'}") from None
            raise

    def close(self, why: str = "closed") -> None:
        """End the connection: what it has not acknowledged is delivered to another one."""
        self._end(why)
        if self._connection is not None and not (
            self._connection.is_closing or self._connection.is_closed
        ):
            self._connection.close()

    # Queues ---------------------------------------------------------------------------------

    async def call(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Call a method of the channel that the node answers. Raises LogLost."""
        answered = self._loop.create_future()
        named["callback"] = lambda frame: _settle(answered, frame)
        try:
            getattr(self._channel, method)(*arguments, **named)
            return await self._answered(answered)
        except TimeoutError:
            self.close(f"no answer within {ANSWER_S:.0f} s")
        except AMQPError as error:
            self.close(_text(error))
        raise self.lost.result()

    async def depth(self, queue: str) -> int:
        """Return how many messages wait in a queue, without those that were taken."""
        return (await self.call("queue_declare", queue, passive=True)).method.message_count

    async def waiting(self) -> int:
        """Return how many blocks wait for ingest, without those that it has taken."""
        return sum([await self.depth(queue_name(number)) for number in range(QUEUES)])

    async def own_queue(self, name: str, on_message: Callable[[bytes], None]) -> None:
        """Make a queue that ends with this connection, for what is said to us or to all."""
        arguments = {"x-max-length-bytes": OWN_QUEUE_BYTES}
        await self.call(
            "queue_declare", name, exclusive=True, auto_delete=True, arguments=arguments
        )
        await self.call("queue_bind", name, LISTENERS)

        def received(*message: Any) -> None:
            if not self.lost.done():
                on_message(message[3])

        await self.call("basic_consume", name, received, auto_ack=True)

    async def consume(
        self, queue: str, prefetch: int, on_delivery: Callable[[Delivery], None]
    ) -> None:
        """Take messages, at most `prefetch` of which are unacknowledged."""

        def delivered(
            _: Channel, method: Basic.Deliver, properties: BasicProperties, body: bytes
        ) -> None:
            if not self.lost.done():
                sender, reply_to = properties.app_id or "", properties.reply_to or ""
                sent_us = (properties.headers or {}).get(SENT_US)
                if not isinstance(sent_us, int):
                    sent_us = (properties.timestamp or 0) * 1_000_000  # all that 0.17 told
                on_delivery(Delivery(method.delivery_tag or 0, body, sender, reply_to, sent_us))

        await self.call("basic_qos", prefetch_count=prefetch)
        await self.call("basic_consume", queue, delivered)

    # Messages -------------------------------------------------------------------------------

    async def confirm(self, on_confirmed: Callable[[int, bool, bool], None]) -> None:
        """Let the log confirm each message from now on: its number, whether all before it are
        meant, too, and whether it is taken.
        """

        def confirmed(frame: Any) -> None:
            if not self.lost.done():
                method = frame.method
                on_confirmed(method.delivery_tag, method.multiple, isinstance(method, Basic.Ack))

        await self.call("confirm_delivery", confirmed)

    def publish(
        self,
        key: str,
        body: bytes,
        *,
        exchange: str = "",
        sender: str | None = None,
        reply_to: str | None = None,
        is_lasting: bool = False,
        is_mandatory: bool = False,
    ) -> int:
        """Publish a message, unless the connection is gone; return its number on it."""
        self._published += 1
        properties = BasicProperties(app_id=sender, reply_to=reply_to)
        if is_lasting:
            sent_us = time.time_ns() // 1_000
            properties.delivery_mode = 2
            properties.timestamp = sent_us // 1_000_000
            properties.headers = {SENT_US: sent_us}
        self._send("basic_publish", exchange, key, body, properties, is_mandatory)
        return self._published

    def acknowledge(self, tag: int, *, multiple: bool = False) -> None:
        """Let the log forget a message. multiple: and all that were taken before it."""
        self._send("basic_ack", tag, multiple)

    def reject(self, tag: int) -> None:
        """Let the log put a message aside, into UNREADABLE."""
        self._send("basic_reject", tag, False)

    def _send(self, method: str, *arguments: Any) -> None:
        if self.lost.done():
            return
        try:
            getattr(self._channel, method)(*arguments)
        except AMQPError as error:
            self.close(_text(error))

    # Its end --------------------------------------------------------------------------------

    async def _answered(self, answer: asyncio.Future[Any]) -> Any:
        async with asyncio.timeout(ANSWER_S):
            await asyncio.wait({answer, self.lost}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise self.lost.result()
        return answer.result()

    def _end(self, why: str) -> None:
        _settle(self.lost, LogLost(why))

    def _set_blocked(self, is_blocked: bool) -> None:
        self.is_blocked = is_blocked
        if not is_blocked:
            self.on_unblocked()


async def connect(
    address: LogAddress, host: tuple[str, int], name: str, tls: ssl.SSLContext | None = None
) -> LogConnection:
    """Connect to a node. name: as RabbitMQ shows the connection. Raises LogLost."""
    parameters = pika.ConnectionParameters(
        host=host[0],
        port=host[1],
        virtual_host=address.vhost,
        credentials=pika.PlainCredentials(address.user, address.password),
        heartbeat=HEARTBEAT_S,
        connection_attempts=1,
        socket_timeout=_TCP_S,
        stack_timeout=CONNECT_S,
        ssl_options=pika.SSLOptions(tls, host[0]) if tls is not None else None,
        client_properties={"connection_name": name},
        tcp_options={"TCP_USER_TIMEOUT": USER_TIMEOUT_MS},
    )
    made = LogConnection()
    await made.open(address, host, parameters)
    return made


async def declare(log: LogConnection) -> None:
    """Declare all that lasts, unless it is there. Raises LogLost."""
    await log.call("exchange_declare", LISTENERS, "fanout", durable=True)
    unreadable = {"x-queue-type": "quorum", "x-max-length-bytes": UNREADABLE_BYTES}
    await log.call("queue_declare", UNREADABLE, durable=True, arguments=unreadable)
    for number in range(QUEUES):
        await log.call("queue_declare", queue_name(number), durable=True, arguments=_ARGUMENTS)


def _settle(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _nothing(*_: object) -> None: ...


def _place(host: tuple[str, int]) -> str:
    return f"{host[0]}:{host[1]}"


def _text(error: BaseException) -> str:
    """Return an exception of pika in words; those of connecting hold their causes, in lists too."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and error.reason in _OTHER_VERSIONS:
        return "it does not speak TLS 1.3"
    inner = getattr(error, "exceptions", None) or getattr(error, "exception", None) or error.args
    if isinstance(inner, list | tuple) and inner:
        inner = inner[-1]
    if isinstance(inner, BaseException):
        return _text(inner)
    reply = getattr(error, "reply_text", None)
    return str(reply or error) or type(error).__name__
