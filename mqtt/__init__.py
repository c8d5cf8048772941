"""One MQTT 5 session over asyncio, on the codec `mqtt5`. `mqtt.session` states what it promises.

QoS 0 and 1; QoS 2 is refused with a clear error. Nothing outside this package touches the codec.
"""

from mqtt.address import BrokerAddress, tls_context
from mqtt.counters import SessionCounters
from mqtt.errors import (
    CertificateError,
    ConnectionLostError,
    ConnectRefusedError,
    ConnectTimeoutError,
    Fault,
    MalformedPacketError,
    MqttError,
    NotConnectedError,
    PeerSilentError,
    ProtocolViolationError,
    PublishQueueFullError,
    PublishRefusedError,
    PublishUnsupportedError,
    ServerDisconnectedError,
    SessionClosedError,
    SessionTakenOverError,
    SubscriptionRefusedError,
    UnsupportedQosError,
)
from mqtt.inbox import Message
from mqtt.options import SessionOptions, Subscription, Will
from mqtt.outgoing import Published
from mqtt.session import Session
from mqtt.states import State

__all__ = [
    "BrokerAddress",
    "CertificateError",
    "ConnectRefusedError",
    "ConnectTimeoutError",
    "ConnectionLostError",
    "Fault",
    "MalformedPacketError",
    "Message",
    "MqttError",
    "NotConnectedError",
    "PeerSilentError",
    "ProtocolViolationError",
    "PublishQueueFullError",
    "PublishRefusedError",
    "PublishUnsupportedError",
    "Published",
    "ServerDisconnectedError",
    "Session",
    "SessionClosedError",
    "SessionCounters",
    "SessionOptions",
    "SessionTakenOverError",
    "State",
    "Subscription",
    "SubscriptionRefusedError",
    "UnsupportedQosError",
    "Will",
    "tls_context",
]
