"""The states of a session, as tables that the code and the tests share.

OFFLINE -> CONNECTING -> SUBSCRIBING -> CONNECTED
                   |_____________________^   resumed: there is nothing to subscribe
each of them -> OFFLINE                      lost, or refused for a while
each of them -> ENDED                        closed, taken over, or refused for good
"""

import enum
from collections.abc import Mapping

import mqtt5


class ClientState(enum.Enum):
    OFFLINE = "offline"
    """No connection; the next one is tried after the back-off."""
    CONNECTING = "connecting"
    """The network connection is being made, or CONNECT is sent and CONNACK has not come."""
    SUBSCRIBING = "subscribing"
    """Accepted by the broker; messages may come and go, but the subscriptions are not confirmed."""
    CONNECTED = "connected"
    """Accepted, and subscribed to everything that the options name."""
    ENDED = "ended"
    """Closed by its owner or by an error that no new connection can help."""


TRANSITIONS: Mapping[ClientState, frozenset[ClientState]] = {
    ClientState.OFFLINE: frozenset({ClientState.CONNECTING, ClientState.ENDED}),
    ClientState.CONNECTING: frozenset(
        {ClientState.SUBSCRIBING, ClientState.CONNECTED, ClientState.OFFLINE, ClientState.ENDED},
    ),
    ClientState.SUBSCRIBING: frozenset(
        {ClientState.CONNECTED, ClientState.OFFLINE, ClientState.ENDED}
    ),
    ClientState.CONNECTED: frozenset({ClientState.OFFLINE, ClientState.ENDED}),
    ClientState.ENDED: frozenset(),
}

_IN_SESSION = frozenset[type[mqtt5.Packet]](
    {mqtt5.PublishPacket, mqtt5.PubAckPacket, mqtt5.PingRespPacket, mqtt5.DisconnectPacket}
)

RECEIVABLE: Mapping[ClientState, frozenset[type[mqtt5.Packet]]] = {
    ClientState.OFFLINE: frozenset(),
    ClientState.CONNECTING: frozenset({mqtt5.ConnAckPacket}),
    ClientState.SUBSCRIBING: _IN_SESSION | {mqtt5.SubAckPacket},
    ClientState.CONNECTED: _IN_SESSION,
    ClientState.ENDED: frozenset(),
}
"""Which packets the broker may send in each state; any other one is a protocol violation."""
