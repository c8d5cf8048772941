"""What the broker says of itself, above all whether it drops messages: mosquitto does so in silence
when a queue is full, though it has acknowledged them.

Only the owner listens, through a connection of its own with an identity of its own: what waits for
ingest, and perhaps fills its queue, does not delay the alarm. mosquitto counts from its own start,
so a new owner hears also of what was dropped while nobody was there.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import structlog
from prometheus_client import Gauge

from ingest.broker_metrics import BrokerMetrics
from ingest.owner import Ownership
from mqtt import Message, MqttError, Session, SessionOptions, Subscription

DROPPED = "$SYS/broker/publish/messages/dropped"
STORED, STORED_BYTES = "$SYS/broker/store/messages/count", "$SYS/broker/store/messages/bytes"
CLIENTS = "$SYS/broker/clients/connected"
TOPICS = (DROPPED, STORED, STORED_BYTES, CLIENTS)
WARNS_FOR = timedelta(hours=1)  # after messages were dropped
_LOOK_S = 1.0

_log = structlog.get_logger("ingest")


def watch_options(client_id: str, username: str | None, password: bytes | None) -> SessionOptions:
    """A session that begins anew each time: the broker then tells all counts at once."""
    return SessionOptions(
        client_id=client_id,
        username=username,
        password=password,
        clean_start=True,
        session_expiry_s=0,
        subscriptions=tuple(Subscription(topic, qos=0) for topic in TOPICS),
    )


def _now() -> datetime:
    return datetime.now(UTC)


class BrokerWatch:
    """The newest counts, and the alarm."""

    def __init__(self, metrics: BrokerMetrics, now: Callable[[], datetime] = _now) -> None:
        self._now = now
        self._gauge_of: dict[str, Gauge] = {
            DROPPED: metrics.dropped,
            STORED: metrics.stored,
            STORED_BYTES: metrics.stored_bytes,
            CLIENTS: metrics.clients,
        }
        self._dropped = 0
        self._seen_at: datetime | None = None  # when the count rose last

    def warnings(self) -> list[str]:
        """What an operator must know, for an hour."""
        if self._seen_at is None or self._now() > self._seen_at + WARNS_FOR:
            return []
        return [
            f"the broker dropped {self._dropped} messages since it started, which are lost: a queue"
            f" was full; last seen at {self._seen_at:%Y-%m-%dT%H:%M:%SZ}"
        ]

    def take(self, messages: Iterable[Message]) -> None:
        """What the broker told."""
        for message in messages:
            gauge = self._gauge_of.get(message.topic)
            if gauge is None or not message.payload.isdigit():
                continue
            count = int(message.payload)
            gauge.set(count)
            if message.topic == DROPPED:
                self._take_dropped(count)

    def _take_dropped(self, count: int) -> None:
        before = self._dropped if count >= self._dropped else 0  # a broker that was started again
        self._dropped = count
        if count > before:
            self._seen_at = self._now()
            _log.error(
                "the broker dropped messages: a queue was full",
                dropped=count - before,
                since_its_start=count,
            )


async def listen(ownership: Ownership, watch: BrokerWatch, options: SessionOptions) -> None:
    """Works until `ownership.stopping` is set; that it cannot listen is told once."""
    trouble = ""
    while not ownership.stopping.is_set():
        try:
            if _is_at_work(ownership):
                await _listen(ownership, watch, options)
        except (MqttError, OSError) as error:
            if trouble != (trouble := str(error).strip()):
                _log.warning(
                    "broker statistics cannot be read, retrying",
                    user=options.username,
                    error=trouble,
                )
        await asyncio.sleep(_LOOK_S)


async def _listen(ownership: Ownership, watch: BrokerWatch, options: SessionOptions) -> None:
    async with Session(ownership.broker, options) as session:
        while _is_at_work(ownership):
            try:
                async with asyncio.timeout(_LOOK_S):
                    watch.take(await session.receive())
            except TimeoutError:
                continue


def _is_at_work(ownership: Ownership) -> bool:
    return ownership.session is not None and not ownership.stopping.is_set()
