"""One MQTT 5 session over asyncio, on the codec `mqtt5`. `mqtt.client.session` states what it
promises.

QoS 0 and 1; QoS 2 is refused with a clear error. Nothing outside this package touches the codec.
"""

from mqtt.client.address import BrokerAddress, tls_context
from mqtt.client.counters import SessionCounters
from mqtt.client.inbox import Message
from mqtt.client.options import SessionOptions, SessionWill, Subscription
from mqtt.client.outgoing import Published
from mqtt.client.session import Session
from mqtt.client.states import ClientState
from mqtt.errors import (
    AtFault,
    CertificateError,
    ConnectionLostError,
    ConnectRefusedError,
    ConnectTimeoutError,
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

__all__ = [
    "AtFault",
    "BrokerAddress",
    "CertificateError",
    "ClientState",
    "ConnectRefusedError",
    "ConnectTimeoutError",
    "ConnectionLostError",
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
    "SessionWill",
    "Subscription",
    "SubscriptionRefusedError",
    "UnsupportedQosError",
    "tls_context",
]
