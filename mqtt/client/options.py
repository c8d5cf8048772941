"""The options of a session: frozen values, checked when they are made (ValueError says what is
wrong).

Nothing here is read from the environment; a role builds the values from its own settings.
"""

from dataclasses import dataclass, field

import mqtt5

NEVER_EXPIRES_S = 0xFFFFFFFF
PACKET_ID_MAX = 0xFFFF
PACKET_BYTES_MAX = 268_435_460
"""The largest packet that MQTT 5 can express: remaining length 268,435,455 and its header."""
PAYLOAD_BYTES_MAX = 268_000_000
"""A round number that leaves room for the longest topic and properties."""
RECEIVE_MAXIMUM_MAX = 65_534
"""65,535 is what MQTT assumes where nothing is said, so the codec says nothing; a broker that is
set to "no limit" (mosquitto's `max_inflight_messages 0`) then has more in flight than there are
packet ids."""
PENDING_PUBLISHES_MAX = 65_534
"""Packet ids that publishes can have; the one left over belongs to SUBSCRIBE."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One topic filter. Retained messages come when the subscription is new, not at each
    reconnect.
    """

    topic_filter: str
    qos: int = 1
    no_local: bool = False

    def __post_init__(self) -> None:
        check_qos(self.qos)
        if not self.topic_filter:
            raise ValueError("topic filter is empty")
        self.to_codec()

    def to_codec(self) -> mqtt5.TopicFilter:
        """Return the codec's form; raises ValueError for a filter that MQTT does not allow."""
        return mqtt5.TopicFilter(
            self.topic_filter,
            max_qos=mqtt5.QoS(self.qos),
            no_local=self.no_local,
            retain_handling=mqtt5.RetainHandling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
        )


@dataclass(frozen=True, slots=True)
class SessionWill:
    """The message that the broker publishes for us when the connection ends without
    our DISCONNECT.
    """

    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    delay_s: int = 0

    def __post_init__(self) -> None:
        check_qos(self.qos)
        check_topic(self.topic)
        _check_range("delay_s", self.delay_s, 0, NEVER_EXPIRES_S)

    def to_codec(self) -> mqtt5.Will:
        return mqtt5.Will(
            self.topic,
            payload=self.payload,
            qos=mqtt5.QoS(self.qos),
            retain=self.retain,
            will_delay_interval=self.delay_s,
        )


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """The settings of a session: the connection, the subscriptions, and every bound.

    `clean_start` discards the broker's old session at the first connection only; a reconnect
    always resumes. Both directions hold at most `max_buffered_bytes` (plus one read and one
    packet) in memory. A broker drops messages above `max_packet_bytes` without a word: keep it
    above the broker's own limit.
    """

    client_id: str
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    clean_start: bool = False
    session_expiry_s: int = NEVER_EXPIRES_S
    keepalive_s: int = 30
    receive_maximum: int = 32_768
    will: SessionWill | None = None
    subscriptions: tuple[Subscription, ...] = ()
    max_buffered_bytes: int = 64 * 1024 * 1024
    max_packet_bytes: int = 16 * 1024 * 1024
    max_pending_publishes: int = 16_384
    connect_timeout_s: float = 10.0
    close_timeout_s: float = 2.0
    reconnect_min_s: float = 0.1
    reconnect_max_s: float = 5.0
    seed: int | None = None

    def __post_init__(self) -> None:
        if not self.client_id:
            raise ValueError("client_id is empty: a session that can be resumed needs a fixed one")
        _check_text("client_id", self.client_id)
        if self.username is not None:
            _check_text("username", self.username)
        if self.password is not None and len(self.password) > 65_535:
            raise ValueError("password is longer than 65535 bytes")
        _check_range("session_expiry_s", self.session_expiry_s, 0, NEVER_EXPIRES_S)
        _check_range("keepalive_s", self.keepalive_s, 0, 65_535)
        _check_range("receive_maximum", self.receive_maximum, 1, RECEIVE_MAXIMUM_MAX)
        _check_range("max_buffered_bytes", self.max_buffered_bytes, 1, 1 << 40)
        _check_range("max_packet_bytes", self.max_packet_bytes, 64, PACKET_BYTES_MAX)
        _check_range("max_pending_publishes", self.max_pending_publishes, 1, PENDING_PUBLISHES_MAX)
        if self.connect_timeout_s <= 0 or self.close_timeout_s <= 0:
            raise ValueError("connect_timeout_s and close_timeout_s must be above 0")
        if not 0 < self.reconnect_min_s <= self.reconnect_max_s:
            raise ValueError("reconnect bounds must satisfy 0 < reconnect_min_s <= reconnect_max_s")


def check_qos(qos: int) -> None:
    """Raise ValueError unless `qos` is 0 or 1."""
    if qos == 2:
        raise ValueError("QoS 2 is not supported: use 1 and make the receiver idempotent")
    if qos not in (0, 1):
        raise ValueError(f"QoS must be 0 or 1, not {qos!r}")


def check_topic(topic: str) -> None:
    """Raise ValueError unless one can publish to `topic`."""
    if not topic:
        raise ValueError("topic is empty")
    if "+" in topic or "#" in topic:
        raise ValueError(f"topic {topic!r} holds a wildcard; only subscriptions can")
    _check_text("topic", topic)


def check_payload(payload: bytes) -> None:
    """Raise ValueError if MQTT could not carry `payload` (the codec would panic)."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"payload of {len(payload)} bytes is above {PAYLOAD_BYTES_MAX}")


def _check_text(name: str, text: str) -> None:
    if "\0" in text:
        raise ValueError(f"{name} holds a NUL character")
    if len(text.encode()) > 65_535:
        raise ValueError(f"{name} is longer than 65535 bytes")


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} must be {low}..{high}, not {value}")
