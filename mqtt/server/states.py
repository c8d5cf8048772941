"""The states of a device's connection, as tables that the code, the tests and the page share."""

import enum
from collections.abc import Mapping


class State(enum.Enum):
    WAITING = "waiting"
    """Connected to the network; CONNECT has not come."""
    SIGNING_IN = "signing in"
    """CONNECT has come and is not answered. What follows it waits."""
    CONNECTED = "connected"
    """Accepted."""
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


TRANSITIONS: Mapping[State, Mapping[State, str]] = {
    State.WAITING: {
        State.SIGNING_IN: "CONNECT",
        State.ENDED: "no CONNECT in time, or one that cannot be answered by a sign-in",
    },
    State.SIGNING_IN: {
        State.CONNECTED: "accepted",
        State.ENDED: "refused, or too much sent before the answer",
    },
    State.CONNECTED: {
        State.ENDED: "DISCONNECT, silence, a violation, or the server's own end",
    },
    State.ENDED: {},
}
"""Where a connection may go, and why."""

RECEIVABLE: Mapping[State, frozenset[Packet]] = {
    State.WAITING: frozenset({Packet.CONNECT}),
    State.SIGNING_IN: frozenset(),
    State.CONNECTED: frozenset(
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
    State.ENDED: frozenset(),
}
"""Which packets are dealt with in each state; any other one is a violation."""
