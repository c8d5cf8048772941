"""The tables of states are complete, and the connection keeps to them."""

import pytest

from mqtt.server import Ended, ServerConnection, ServerOptions, ServerState
from mqtt.server.states import RECEIVABLE, TRANSITIONS, Packet
from tests.mqtt.server.packets import (
    ACK,
    DISCONNECT,
    PINGREQ,
    VERSIONS,
    connect,
    packet,
    puback,
    publish,
    pubrel,
    signed_in,
    subscribe,
    unsubscribe,
)


def a_packet(kind: Packet, version: int) -> bytes:
    """Return a packet that is right in itself, if a client may send its kind."""
    sent_by_clients = {
        Packet.CONNECT: connect(version),
        Packet.PUBLISH: publish(version, 1),
        Packet.PUBACK: puback(1),
        Packet.PUBREL: pubrel(1),
        Packet.SUBSCRIBE: subscribe(version, (ACK, 1)),
        Packet.UNSUBSCRIBE: unsubscribe(version, ACK),
        Packet.PINGREQ: PINGREQ,
        Packet.DISCONNECT: DISCONNECT,
    }
    return sent_by_clients.get(kind) or packet(kind << 4, b"\0\1")


def connection_in(state: ServerState, version: int) -> ServerConnection:
    if state is ServerState.CONNECTED:
        return signed_in(version)
    connection = ServerConnection(ServerOptions(), 0.0)
    if state is not ServerState.WAITING:
        connection.receive(connect(version), 0.0)
    if state is ServerState.ENDED:
        connection.refuse(0x88)
    assert connection.state is state
    return connection


def test_every_state_stands_in_both_tables():
    assert set(TRANSITIONS) == set(RECEIVABLE) == set(ServerState)


def test_every_state_can_be_reached_and_only_the_end_is_final():
    reached, frontier = {ServerState.WAITING}, [ServerState.WAITING]
    while frontier:
        new = TRANSITIONS[frontier.pop()].keys() - reached
        reached |= new
        frontier.extend(new)
    assert reached == set(ServerState)
    assert [state for state in ServerState if not TRANSITIONS[state]] == [ServerState.ENDED]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("state", [ServerState.WAITING, ServerState.CONNECTED])
@pytest.mark.parametrize("kind", Packet)
def test_a_packet_is_taken_exactly_where_the_table_allows_it(
    kind: Packet, state: ServerState, version: int
):
    connection = connection_in(state, version)
    if kind in RECEIVABLE[state]:
        connection.receive(a_packet(kind, version), 0.0)
        assert connection.state is state or connection.state in TRANSITIONS[state]
    else:
        with pytest.raises(Ended, match="protocol error"):
            connection.receive(a_packet(kind, version), 0.0)
        assert connection.state is ServerState.ENDED


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("state", [ServerState.SIGNING_IN, ServerState.ENDED])
@pytest.mark.parametrize("kind", Packet)
def test_a_packet_is_not_looked_at_elsewhere(kind: Packet, state: ServerState, version: int):
    connection = connection_in(state, version)
    assert connection.receive(a_packet(kind, version), 0.0) == []
    assert connection.state is state
