"""The errors of an MQTT session, and whose fault each is.

Every error is an `MqttError`. It carries its facts as attributes (reason code, topic, limits,
seconds), names the party at fault, and says by `retryable` whether connecting again can help. The
session acts on `retryable` alone: a retryable error costs the connection, any other one ends the
session.
"""

import enum
from typing import ClassVar

from mqtt5 import (
    ConnAckReasonCode,
    DisconnectReasonCode,
    PubAckReasonCode,
    SubAckReasonCode,
)


class AtFault(enum.StrEnum):
    """The party that has to act for the error to go away."""

    CONFIGURATION = "configuration"
    PROGRAM = "program"
    BROKER = "broker"
    DEVICE = "device"
    NETWORK = "network"


class MqttError(Exception):
    """Base of all errors of this package."""

    fault: ClassVar[AtFault] = AtFault.PROGRAM
    retryable: bool = False
    disconnect_reason: DisconnectReasonCode | None = None
    """What to tell the broker before the connection is closed; None tells it nothing."""


class ConnectionLostError(MqttError):
    """The network connection failed or was cut. `cause` is the operating system's error, if any."""

    fault = AtFault.NETWORK
    retryable = True

    def __init__(self, address: object, cause: Exception | None = None) -> None:
        self.address = address
        self.cause = cause
        detail = "closed by the other side" if cause is None else str(cause) or type(cause).__name__
        super().__init__(f"connection to {address} lost: {detail}")


class ConnectTimeoutError(MqttError):
    """The broker was not ready (TCP, TLS, CONNACK, SUBACK) within `timeout_s`."""

    fault = AtFault.NETWORK
    retryable = True

    def __init__(self, address: object, timeout_s: float) -> None:
        self.address = address
        self.timeout_s = timeout_s
        super().__init__(f"{address} was not ready within {timeout_s:g} s")


class CertificateError(MqttError):
    """The broker's TLS certificate was not accepted."""

    fault = AtFault.CONFIGURATION

    def __init__(self, address: object, detail: str) -> None:
        self.address = address
        self.detail = detail
        super().__init__(f"certificate of {address} not accepted: {detail}")


class PeerSilentError(MqttError):
    """Nothing was heard from the broker for longer than keepalive allows, not even an answer to a
    ping.
    """

    fault = AtFault.NETWORK
    retryable = True

    def __init__(self, silent_s: float, keepalive_s: int) -> None:
        self.silent_s = silent_s
        self.keepalive_s = keepalive_s
        super().__init__(f"nothing heard for {silent_s:.1f} s (keepalive {keepalive_s} s)")


class ProtocolViolationError(MqttError):
    """The broker sent something that MQTT 5 does not allow at this point."""

    fault = AtFault.BROKER
    retryable = True

    def __init__(
        self,
        detail: str,
        disconnect_reason: DisconnectReasonCode = DisconnectReasonCode.PROTOCOL_ERROR,
    ) -> None:
        self.detail = detail
        self.disconnect_reason = disconnect_reason
        super().__init__(f"protocol violation by the broker: {detail}")


class MalformedPacketError(ProtocolViolationError):
    """Bytes that are no MQTT 5 packet. `head` holds the first of them."""

    def __init__(self, detail: str, head: bytes) -> None:
        self.head = head
        super().__init__(
            f"malformed packet ({detail}), starts with {head.hex(' ')}",
            DisconnectReasonCode.MALFORMED_PACKET,
        )


class UnsupportedQosError(MqttError):
    """The broker delivered with QoS 2, which this session does not speak.

    Only a broker session that an earlier client subscribed with QoS 2 can do that.
    """

    fault = AtFault.CONFIGURATION
    disconnect_reason = DisconnectReasonCode.PROTOCOL_ERROR

    def __init__(self, topic: str) -> None:
        self.topic = topic
        super().__init__(
            f"QoS 2 is not supported, but {topic!r} arrived with it: discard the session"
        )


RETRYABLE_REFUSALS = (  # a tuple: the codec's reason codes cannot be hashed
    ConnAckReasonCode.UNSPECIFIED_ERROR,
    ConnAckReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
    ConnAckReasonCode.SERVER_UNAVAILABLE,
    ConnAckReasonCode.SERVER_BUSY,
    ConnAckReasonCode.QUOTA_EXCEEDED,
    ConnAckReasonCode.USE_ANOTHER_SERVER,
    ConnAckReasonCode.CONNECTION_RATE_EXCEEDED,
)


class ConnectRefusedError(MqttError):
    """CONNACK that refuses. Only the codes of a passing trouble are retryable."""

    fault = AtFault.CONFIGURATION

    def __init__(self, reason: ConnAckReasonCode, reason_text: str | None = None) -> None:
        self.reason = reason
        self.reason_text = reason_text
        self.retryable = reason in RETRYABLE_REFUSALS
        super().__init__(f"broker refused the connection: {_named(reason, reason_text)}")


class SubscriptionRefusedError(MqttError):
    """The broker granted less than was asked for (a lower QoS would lose messages unseen)."""

    fault = AtFault.CONFIGURATION
    disconnect_reason = DisconnectReasonCode.NORMAL_DISCONNECTION

    def __init__(self, topic_filter: str, reason: SubAckReasonCode, wanted_qos: int) -> None:
        self.topic_filter = topic_filter
        self.reason = reason
        self.wanted_qos = wanted_qos
        super().__init__(
            f"subscription to {topic_filter!r} with QoS {wanted_qos} not granted: {_named(reason)}"
        )


class ServerDisconnectedError(MqttError):
    """The DISCONNECT of the broker, with its reason."""

    fault = AtFault.BROKER

    def __init__(self, reason: DisconnectReasonCode, reason_text: str | None = None) -> None:
        self.reason = reason
        self.reason_text = reason_text
        self.retryable = reason is not DisconnectReasonCode.SERVER_MOVED
        super().__init__(f"broker disconnected: {_named(reason, reason_text)}")


class SessionTakenOverError(MqttError):
    """Another client connected with the same client id; the broker session is its own now.

    Connecting again would take it back and start a fight, so the session ends.
    """

    fault = AtFault.CONFIGURATION

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        super().__init__(f"another client took over the session of client id {client_id!r}")


class PublishRefusedError(MqttError):
    """PUBACK with a reason code that refuses the message."""

    fault = AtFault.CONFIGURATION

    def __init__(self, topic: str, reason: PubAckReasonCode, reason_text: str | None) -> None:
        self.topic = topic
        self.reason = reason
        self.reason_text = reason_text
        super().__init__(f"broker refused a message to {topic!r}: {_named(reason, reason_text)}")


class PublishUnsupportedError(MqttError):
    """The broker said in its CONNACK that it cannot take such a message (size, QoS, retain)."""

    fault = AtFault.CONFIGURATION

    def __init__(self, topic: str, detail: str) -> None:
        self.topic = topic
        self.detail = detail
        super().__init__(f"broker cannot take the message to {topic!r}: {detail}")


class PublishQueueFullError(MqttError):
    """Too much is waiting to be sent or acknowledged. Await `Session.publish` to wait for room."""

    fault = AtFault.PROGRAM

    def __init__(self, pending: int, pending_bytes: int) -> None:
        self.pending = pending
        self.pending_bytes = pending_bytes
        super().__init__(f"publish queue is full: {pending} messages, {pending_bytes} bytes")


class NotConnectedError(MqttError):
    """A QoS 0 message was published while there is no connection; it was not sent."""

    fault = AtFault.NETWORK

    def __init__(self, topic: str) -> None:
        self.topic = topic
        super().__init__(f"not connected: QoS 0 message to {topic!r} was not sent")


class SessionClosedError(MqttError):
    """The session was closed by its owner."""

    fault = AtFault.PROGRAM

    def __init__(self) -> None:
        super().__init__("the session is closed")


def _named(reason: enum.IntEnum, text: str | None = None) -> str:
    spoken = reason.name.lower().replace("_", " ")
    return f"{spoken} ({reason.value})" + (f": {text}" if text else "")
