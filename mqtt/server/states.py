"""The states of a device's connection, as tables that the code, the tests and the page share."""

import enum
from collections.abc import Mapping


class ServerState(enum.Enum):
    WAITING = "waiting"
    """Connected to the network; CONNECT has not come."""
    SIGNING_IN = "signing in"
    """CONNECT has come and is not answered. What follows it waits."""
    CONNECTED = "connected"
    """Accepted."""
    ENDING = "ending"
    """The server ends it, once what came before is answered. Nothing is read any more."""
    ENDED = "ended"
    """Refused, gone, or cut. Nothing is read and nothing is answered any more."""


class Packet(enum.IntEnum):
    """The packets of MQTT, by the number in their first byte."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


TRANSITIONS: Mapping[ServerState, Mapping[ServerState, str]] = {
    ServerState.WAITING: {
        ServerState.SIGNING_IN: "CONNECT",
        ServerState.ENDED: "no CONNECT in time, or one that cannot be answered by a sign-in",
    },
    ServerState.SIGNING_IN: {
        ServerState.CONNECTED: "accepted",
        ServerState.ENDED: "refused, or too much sent before the answer",
    },
    ServerState.CONNECTED: {
        ServerState.ENDING: "silence, a violation, or the server's own end, before all is answered",
        ServerState.ENDED: "the same when all is answered; DISCONNECT",
    },
    ServerState.ENDING: {
        ServerState.ENDED: "all is answered, or will not be",
    },
    ServerState.ENDED: {},
}
"""Where a connection may go, and why."""

RECEIVABLE: Mapping[ServerState, frozenset[Packet]] = {
    ServerState.WAITING: frozenset({Packet.CONNECT}),
    ServerState.SIGNING_IN: frozenset(),
    ServerState.CONNECTED: frozenset(
        {
            Packet.PUBLISH,
            Packet.PUBACK,
            Packet.PUBREL,
            Packet.SUBSCRIBE,
            Packet.UNSUBSCRIBE,
            Packet.PINGREQ,
            Packet.DISCONNECT,
        }
    ),
    ServerState.ENDING: frozenset(),
    ServerState.ENDED: frozenset(),
}
"""Which packets are dealt with in each state; any other one is a violation."""
