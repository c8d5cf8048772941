"""The tables of states are complete, and the connection keeps to them."""

import mqtt5
import pytest

from mqtt.client.connection import ClientConnection
from mqtt.client.inbox import Inbox
from mqtt.client.options import SessionOptions, Subscription
from mqtt.client.outgoing import Outgoing
from mqtt.client.states import RECEIVABLE, TRANSITIONS, ClientState
from mqtt.errors import (
    ConnectRefusedError,
    MqttError,
    ProtocolViolationError,
    ServerDisconnectedError,
)
from tests.mqtt.packets import SPOKEN_BY_BROKER, connack, suback

TO_REACH = {
    ClientState.CONNECTING: b"",
    ClientState.SUBSCRIBING: connack(),
    ClientState.CONNECTED: connack() + suback(),
}

ENDS_THE_CONNECTION: dict[str, type[MqttError]] = {
    "CONNACK, refusing": ConnectRefusedError,
    "SUBACK": ProtocolViolationError,  # it answers some other SUBSCRIBE
    "DISCONNECT": ServerDisconnectedError,
    "DISCONNECT, with reason": ServerDisconnectedError,
}


def connection_in(state: ClientState) -> ClientConnection:
    options = SessionOptions("c", subscriptions=(Subscription("t"),))
    connection = ClientConnection(options, Inbox(100), Outgoing(100, 10_000), now_s=0.0, first=True)
    connection.receive(TO_REACH[state], 0.0)
    assert connection.state is state
    return connection


def test_every_state_stands_in_both_tables():
    assert set(TRANSITIONS) == set(RECEIVABLE) == set(ClientState)


def test_every_state_can_be_reached_and_only_the_end_is_final():
    reached, frontier = {ClientState.OFFLINE}, [ClientState.OFFLINE]
    while frontier:
        new = TRANSITIONS[frontier.pop()] - reached
        reached |= new
        frontier.extend(new)
    assert reached == set(ClientState)
    assert [state for state in ClientState if not TRANSITIONS[state]] == [ClientState.ENDED]


@pytest.mark.parametrize("state", TO_REACH)
@pytest.mark.parametrize("name", SPOKEN_BY_BROKER)
def test_a_packet_is_taken_exactly_where_the_table_allows_it(state: ClientState, name: str):
    packet, connection = SPOKEN_BY_BROKER[name], connection_in(state)
    if type(packet) not in RECEIVABLE[state]:
        with pytest.raises(ProtocolViolationError, match=type(packet).__name__):
            connection.receive(packet.write(), 1.0)
        return
    if name in ENDS_THE_CONNECTION:
        with pytest.raises(ENDS_THE_CONNECTION[name]):
            connection.receive(packet.write(), 1.0)
        return
    connection.receive(packet.write(), 1.0)
    assert connection.state in TRANSITIONS[state] | {state}


def test_a_packet_after_our_disconnect_is_a_violation():
    connection = connection_in(ClientState.CONNECTED)
    connection.disconnect(mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION)
    with pytest.raises(ProtocolViolationError):
        connection.receive(mqtt5.PingRespPacket().write(), 1.0)
